"""How good is an output, beside its source? VMAF and SSIM, taken on what a viewer of the source would see.

Rules kept here:
- both sides are brought to one look by the rules of the encode (deinterlaced, upright, square pixels, tone-mapped, limited
  range), at the source's size with at most 1920 pixels on its longer side: a picture that was made smaller is scaled up,
  bicubic, as players do;
- both are brought to the source's frame rate, at most 60, and paired by time: a dropped frame costs;
- an output that ends early is held against its last picture;
- frames are left out evenly when there are many; the temporal part of VMAF still sees each scored frame's neighbours.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from math import ceil
from pathlib import Path
from typing import NoReturn

from nemod.failure import Failure, Kind, NemodError
from nemod.media import polite
from nemod.media.child import run
from nemod.media.info import MediaInfo, VideoStream
from nemod.media.inputs import timed_input, within
from nemod.media.look import GAP_IGNORED_S, Picture, filters

LONG_SIDE_MOST, FPS_MOST, FRAMES_MOST = 1920, 60.0, 400
#: The share of scored frames that may look worse than `vmaf_p5`.
WORST = 0.05
#: Of each scored frame these many are read: itself and its neighbours, from which VMAF takes the motion.
NEIGHBOURHOOD = 3
#: Bytes of libvmaf's log: some hundred for each frame that is scored.
LOG_MOST = 64 * 1024**2
#: It goes through a pipe: a file would stay behind when we are killed.
_STDOUT = Path("/dev/stdout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What was measured: VMAF v0.6.1 (0 to 100), its mean and 5th percentile, mean SSIM (to 1), and how many frames."""

    vmaf_mean: float
    vmaf_p5: float
    ssim: float
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Parts of one file, one after the other; each may be a cut."""

    path: Path
    parts: tuple[MediaInfo, ...]


class QualityError(NemodError):
    """No measurement, and why."""


async def compare(
    ffmpeg: Path,
    source: Shown,
    output: Shown,
    *,
    fps: float | None = None,
    frames_most: int = FRAMES_MOST,
    threads: int | None = None,
    timeout_s: float,
) -> Quality:
    """Score an output against its source.

    Args:
        ffmpeg: the program, built with libvmaf.
        source: what should be seen.
        output: what is seen.
        fps: the frame rate at which they are compared; None: the source's, at most 60.
        frames_most: frames that are scored at most, evenly over the whole.
        threads: how many score; None: as many as there are processors.
        timeout_s: seconds after which it is given up.

    Raises:
        QualityError: TOOL_MISSING without libvmaf, UNSUPPORTED when one of the two cannot be compared, TRANSIENT when it
            took too long.
    """
    workers = threads or polite.workers()
    argv = compare_argv(ffmpeg, source, output, _STDOUT, fps=fps, frames_most=frames_most, threads=workers)
    try:
        finished = await run(argv, timeout_s=timeout_s, stdout_limit=LOG_MOST)
    except OSError as error:
        _fail(Kind.TOOL_MISSING, f"{ffmpeg} cannot be started: {error.strerror or error}.", _OTHER_FFMPEG)
    if finished.timed_out:
        _fail(Kind.TRANSIENT, f"Measuring the picture was not done after {timeout_s:.0f} s.")
    if "No such filter: 'libvmaf'" in finished.stderr_tail:
        _fail(Kind.TOOL_MISSING, f"{ffmpeg} was built without libvmaf, so pictures cannot be measured.", _OTHER_FFMPEG)
    if finished.returncode or not finished.stdout:
        said = finished.stderr_tail.rpartition("\n")[2] or f"exit code {finished.returncode}"
        _fail(Kind.UNSUPPORTED, f"The picture cannot be measured: {said}")
    return read_log(finished.stdout.decode("utf-8", "replace"))


def read_log(text: str) -> Quality:
    """The figures from the log of libvmaf, in JSON.

    Raises:
        QualityError: it holds none.
    """
    try:
        metrics = [frame["metrics"] for frame in json.loads(text)["frames"]]
        scores = sorted(float(found["vmaf"]) for found in metrics)
        similar = [float(found["float_ssim"]) for found in metrics]
        return Quality(
            vmaf_mean=round(sum(scores) / len(scores), 3),
            vmaf_p5=round(scores[int(len(scores) * WORST)], 3),
            ssim=round(sum(similar) / len(similar), 5),
            frames=len(scores),
        )
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        failure = Failure(kind=Kind.UNSUPPORTED, detail="The picture cannot be measured: no frame was scored.")
        raise QualityError(failure) from error


def compare_argv(
    ffmpeg: Path,
    source: Shown,
    output: Shown,
    log: Path,
    *,
    fps: float | None = None,
    frames_most: int = FRAMES_MOST,
    threads: int = 1,
) -> list[str]:
    """How ffmpeg is told to score an output; the scores are written to `log`.

    Raises:
        QualityError: one of the two has no picture.
    """
    video = _video(source.parts[0])
    size, fps = _size(video), fps or grid_fps(video)
    frames = sum(_frames(part, fps) for part in source.parts)
    every = max(1, ceil(frames / frames_most))
    thin = f"select='lt(mod(n+1,{every}),{NEIGHBOURHOOD})'" if every > NEIGHBOURHOOD else "null"
    argv = [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error"]
    graph: list[str] = []
    numbers = count()
    for shown, name, last in ((output, "made", ("tpad=stop_mode=clone:stop=-1",)), (source, "was", ())):
        pads = ""
        for part in shown.parts:
            number = next(numbers)
            argv += timed_input(shown.path, part, near=len(shown.parts) > 1)  # samples lack the same pictures on both sides
            pads += f"[p{number}]"
            steps = piece(part, fps) if len(shown.parts) > 1 else steady(part, fps)
            graph.append(f"[{number}:{_video(part).index}]{','.join(steps)}[p{number}]")
        # `concat` counts in microseconds, so frames would be paired a hair too early or too late.
        joined = f"concat=n={len(shown.parts)},fps={fps:.6f}:start_time=0," if len(shown.parts) > 1 else ""
        finish = ",".join((thin, *_looks(_video(shown.parts[0]), size)))
        graph.append(f"{pads}{joined}{','.join((*last, finish))}[{name}]")
    options = f"n_threads={threads}:n_subsample={min(every, NEIGHBOURHOOD)}:feature=name=float_ssim:shortest=1"
    graph.append(f"[made][was]libvmaf={options}:log_fmt=json:log_path={escaped(str(log))}")
    return [*argv, "-filter_complex", ";".join(graph), "-f", "null", "-"]


def steady(media: MediaInfo, fps: float) -> tuple[str, ...]:
    """The filters that bring a file, or a window of it, to a constant frame rate, its first picture at zero.

    Pictures are paired by time, and containers round times: without this a clip is held against itself one frame later.
    A first picture that is truly late keeps its place, and stands until then.
    """
    video = _video(media)
    late = max(GAP_IGNORED_S, 1.5 / fps) if media.window is not None else GAP_IGNORED_S
    fields = ("bwdif=mode=send_frame:deint=all",) if video.interlaced else ()
    return (*within(media), *fields, f"setpts='PTS-STARTPTS*lte(STARTT,{late:.4f})'", f"fps={fps:.6f}:start_time=0")


def piece(media: MediaInfo, fps: float) -> tuple[str, ...]:
    """As `steady`, with exactly the frames that its length asks for: the next part begins where it does on the other side.

    Whoever encodes several windows as one video, to have it compared, makes them so: pieces that begin and end as their
    frames come drift apart by a frame each, which costs tens of points. The filters deinterlace, so nobody should again.
    """
    return (*steady(media, fps), "tpad=stop_mode=clone:stop=-1", f"trim=end_frame={_frames(media, fps)}")


def grid_fps(video: VideoStream) -> float:
    """The frame rate at which two videos are compared: the source's, which headers tell more exactly where they tell it."""
    told = video.nominal_fps
    exact = told if told is not None and abs(told - video.fps) < 0.01 * video.fps else video.fps
    return min(FPS_MOST, max(1.0, exact))


def escaped(value: str) -> str:
    """A value inside an option inside a filter graph: quoted against both."""
    for special in ("\\':", "\\'[],;"):
        value = "".join(f"\\{c}" if c in special else c for c in value)
    return value


def _looks(video: VideoStream, size: tuple[int, int]) -> Iterator[str]:
    """The filters that make a decoded frame look as it should, and as large as the other side."""
    upright = replace(video, interlaced=False)  # that has been seen to, before frames were left out
    native = _even(*video.display_size)
    # A tone map works in floats: it is done at the size that is wanted. Everything else is scaled the same way on both sides.
    width, height = size if video.hdr else native
    yield filters(upright, Picture(width=width, height=height), start_gap_s=0.0)
    if (width, height) != size:
        yield f"scale={size[0]}:{size[1]}:flags=bicubic"
    yield "setsar=1,format=yuv420p"


def _frames(media: MediaInfo, fps: float) -> int:
    return max(1, round(media.duration_s * fps))


def _size(video: VideoStream) -> tuple[int, int]:
    wide, high = video.display_size
    share = min(1.0, LONG_SIDE_MOST / max(wide, high))
    return _even(wide * share, high * share)


def _even(wide: float, high: float) -> tuple[int, int]:
    # libvmaf wants some pixels more than nothing.
    return max(16, round(wide / 2) * 2), max(16, round(high / 2) * 2)


def _video(media: MediaInfo) -> VideoStream:
    if media.video is None:
        _fail(Kind.UNSUPPORTED, "It has no picture that could be measured.")
    return media.video


_OTHER_FFMPEG = "Leave `ffmpeg` out of the config to use the one that nemod brings."


def _fail(kind: Kind, detail: str, hint: str = "") -> NoReturn:
    raise QualityError(Failure(kind=kind, detail=detail, hint=hint))
