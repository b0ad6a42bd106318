"""Which picture stands at a moment, and when it came: asked of ffmpeg, whose clock is the one that cuts.

Rules kept here:
- only what lies near the moment is decoded;
- what cannot be told is None: whoever cuts then begins with the next picture.
"""

from dataclasses import replace
from pathlib import Path

from nemod.media.child import run
from nemod.media.info import MediaInfo, Window
from nemod.media.inputs import CLOCK_S, timed_input

TIMEOUT_S = 600.0
#: Frames are looked for so much further back than the longest of them stands.
MARGIN_S = 0.2
#: A picture that stands longer must be kept from vanishing at the end.
LONG_S = 0.4


async def standing(ffmpeg: Path, source: Path, part: MediaInfo) -> MediaInfo:
    """A part of a video, with the pictures at its borders: one that came before the start, and one that stays to the end."""
    if part.window is None or part.video is None:
        return part
    window = part.window
    end = min(window.end_s, part.video.end_s - part.first_s)
    last = None
    if part.video.longest_step_s > LONG_S:
        last = await shown_at(ffmpeg, source, part, end - 2 * CLOCK_S)
        last = last if last is not None and end - max(last, window.start_s) > LONG_S else None
    first = await shown_at(ffmpeg, source, part, window.start_s)
    return replace(part, window=replace(window, picture_s=first, last_s=last))


async def shown_at(ffmpeg: Path, source: Path, media: MediaInfo, at_s: float) -> float | None:
    """When the picture that is seen at a time came.

    Args:
        ffmpeg: who decodes.
        source: the file.
        media: it, or a part of it.
        at_s: seconds from the beginning of the file.
    """
    if media.video is None or at_s <= 0:
        return None
    argv = moments_argv(ffmpeg, source, media, since_s=at_s - media.video.longest_step_s - MARGIN_S, until_s=at_s)
    finished = await run(argv, timeout_s=TIMEOUT_S)
    return None if finished.returncode else last_moment(finished.stdout.decode("ascii", "replace"))


def moments_argv(ffmpeg: Path, source: Path, media: MediaInfo, *, since_s: float, until_s: float) -> list[str]:
    """The times of the pictures from one time to another, the last one included, as lines of text."""
    assert media.video is not None  # noqa: S101 - asked above
    near = replace(media, window=Window(start_s=max(0.0, since_s), end_s=until_s), origin_s=media.first_s)
    chain = f"settb=AVTB,trim=start={since_s:.6f}:end={until_s + CLOCK_S:.6f},scale=16:16"
    argv = [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", *timed_input(source, near)]
    argv += ["-map", f"0:{media.video.index}", "-vf", chain, "-fps_mode", "passthrough", "-enc_time_base", "1:1000000"]
    return [*argv, "-c:v", "rawvideo", "-f", "framecrc", "-"]


def last_moment(lines: str) -> float | None:
    """The last time (seconds) in what ffmpeg's `framecrc` has written: "#tb 0: 1/1000000", then "0, dts, pts, …" for each."""
    clock, last = 1_000_000.0, None
    for line in lines.splitlines():
        if line.startswith("#tb 0:"):
            over, _, under = line.partition(":")[2].partition("/")
            clock = int(under) / int(over)
        elif not line.startswith("#") and len(fields := line.split(",")) > 2:
            last = int(fields[2]) / clock
    return last
