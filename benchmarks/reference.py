"""The algorithm to beat: rough, by measured facts, in one page. `python benchmarks/reference.py SOURCE LIMIT_BYTES OUTPUT`.

Sound first; a rung of the picture's size by VMAF on samples; two passes of x264 slow; pass 2 again with a corrected rate.
It stays rough on purpose: it is what a careful person would script in an afternoon, and a yardstick must not move.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peers import sound_args
from benchmarks.score import FASTEST, LONGEST, Facts, facts, ffmpeg, score

RUNGS = (1440, 1080, 900, 720, 540, 432, 360, 288, 240)
ENOUGH_BITS_PER_PIXEL = 0.025
CLEARLY_BETTER = 1.5
AAC_SAMPLES = 1024


def say(text: str) -> None:
    """Into the log of the run."""
    print(text, flush=True)


def run(*words: str | Path, cwd: Path) -> None:
    """One ffmpeg."""
    subprocess.run([ffmpeg(), "-v", "error", "-nostdin", "-y", *words], cwd=cwd, check=True)


def sizes(media: Facts) -> list[tuple[int, int]]:
    """The source's own size, then the rungs below it, by their shorter side."""
    share = min(1.0, LONGEST / max(media.width, media.height))
    width, height = media.width * share, media.height * share
    short = min(width, height)
    shares = [1.0, *(rung / short for rung in RUNGS if rung < short * 0.95)]
    return [(round(width * one / 2) * 2, round(height * one / 2) * 2) for one in shares]


def two_pass(
    source: Path, size: tuple[int, int], fps: float, rate: float, preset: str, work: Path, *, only_second: bool = False
) -> Path:
    """A picture without sound."""
    out = work / "picture.mp4"
    scaled = f"fps={fps:.6f},scale={size[0]}:{size[1]}:flags=bicubic:out_range=tv,setsar=1"
    coded = [
        "-i",
        f"file:{source}",
        "-map",
        "0:V:0",
        "-an",
        "-vf",
        scaled,
        "-c:v",
        "libx264",
        "-preset",
        preset,
        "-pix_fmt",
        "yuv420p",
        "-b:v",
        str(round(rate)),
    ]
    if not only_second:
        run(*coded, "-pass", "1", "-f", "null", "-", cwd=work)
    run(*coded, "-pass", "2", out, cwd=work)
    return out


def cut_samples(source: Path, media: Facts, size: tuple[int, int], fps: float, work: Path) -> Path:
    """12 % of the clip, 4 to 12 s in pieces of 3 s, without loss, at the source's size."""
    length = min(media.seconds, max(4.0, min(12.0, media.seconds * 0.12)))
    pieces = max(1, round(length / 3))
    each = length / pieces
    starts = [(media.seconds - each) * (number + 0.5) / pieces for number in range(pieces)]
    clock = f"setpts=PTS-STARTPTS,fps={fps:.6f}"
    wanted = "+".join(f"between(t,{start:.3f},{start + each:.3f})" for start in starts)
    chosen = f"{clock},select='{wanted}',setpts=N/{fps:.6f}/TB,scale={size[0]}:{size[1]}:out_range=tv,setsar=1,format=yuv420p"
    out = work / "samples.mkv"
    run(
        "-i",
        f"file:{source}",
        "-map",
        "0:V:0",
        "-an",
        "-vf",
        chosen,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-qp",
        "0",
        out,
        cwd=work,
    )
    return out


def best_size(source: Path, media: Facts, fps: float, rate: float, work: Path) -> tuple[int, int]:
    """Climb from the first rung with enough bits for a pixel; a higher rung stays unless a lower one wins clearly."""
    rungs = sizes(media)
    samples = cut_samples(source, media, rungs[0], fps, work)
    seen: dict[int, float] = {}

    def quality(at: int) -> float:
        if at not in seen:
            seen[at] = score(samples, two_pass(samples, rungs[at], fps, rate, "veryfast", work), frames_most=72).vmaf
            say(f"sample {rungs[at][0]}x{rungs[at][1]}: {seen[at]:.1f}")
        return seen[at]

    enough = (at for at, (width, height) in enumerate(rungs) if rate / (width * height * fps) >= ENOUGH_BITS_PER_PIXEL)
    at = next(enough, len(rungs) - 1)
    while at > 0 and quality(at - 1) >= quality(at) - CLEARLY_BETTER:
        at -= 1
    while at + 1 < len(rungs) and quality(at + 1) >= quality(at) + CLEARLY_BETTER:
        at += 1
    return rungs[at]


def fit(source: Path, limit_bytes: int, output: Path, work: Path) -> int:
    """Make it; returns how many second passes it took. Raises SystemExit when three were too few."""
    media = facts(source)
    fps = min(media.fps, FASTEST)
    _, sound_words = sound_args(media, limit_bytes)
    sound = work / "sound.m4a"
    if media.sound:
        run("-i", f"file:{source}", "-map", "0:a:0", *sound_words, sound, cwd=work)
    frames = media.seconds * fps
    sound_bytes = sound.stat().st_size if media.sound else 0
    tables = 1500 + 13 * frames + (16 * media.seconds * 48_000 / AAC_SAMPLES if media.sound else 0)
    fixed = sound_bytes + tables
    share = 0.97 if media.seconds < 30 else 0.985
    rate = max(30_000.0, (limit_bytes * share - fixed) * 8 / media.seconds)
    size = best_size(source, media, fps, rate, work)
    for number in range(1, 5):
        picture = two_pass(source, size, fps, rate, "slow", work, only_second=number > 1)
        heard: list[str | Path] = ["-i", sound, "-map", "0:v", "-map", "1:a"] if media.sound else []
        run("-i", picture, *heard, "-c", "copy", "-movflags", "+faststart", output, cwd=work)
        got = output.stat().st_size
        say(f"{size[0]}x{size[1]}: {got / limit_bytes:.2%}")
        if 0.97 * limit_bytes <= got <= limit_bytes:
            return number
        rate *= ((0.997 - 0.002 * number) * limit_bytes - fixed) / max(1.0, got - fixed)
    if got > limit_bytes:
        output.unlink()
        raise SystemExit("still over the limit after four tries")
    return number


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        say(f"tries {fit(Path(sys.argv[1]).absolute(), int(sys.argv[2]), Path(sys.argv[3]).absolute(), Path(place))}")
