"""The pictures that may be tried: sizes from the source's down, and the frame rate. Pure."""

import math

from nemod.config.model import Preset
from nemod.media.info import VideoStream
from nemod.media.look import Picture

#: The shorter side of the pictures that are tried, after the source's own.
RUNGS = (1440, 1080, 900, 720, 540, 432, 360, 288, 240, 180, 144)


def choose_fps(video: VideoStream, preset: Preset) -> float | None:
    """The frame rate if it must come down: a whole fraction of the source's, so that motion stays even. None: leave it."""
    most = min(60.0, preset.max_fps) if preset.max_fps is not None else 60.0
    if video.fps <= most * 1.01:
        return None
    sane = video.nominal_fps is not None and abs(video.nominal_fps / video.fps - 1) < 0.2
    base = video.nominal_fps if sane and video.nominal_fps is not None else video.fps
    return base / math.ceil(base / most - 0.01)


def pictures(video: VideoStream, preset: Preset, *, fps: float | None) -> tuple[Picture, ...]:
    """The pictures that may be tried, largest first: the source's own size or the preset's bound, then the rungs below."""
    width, height = video.display_size
    short = min(width, height)
    top = min(short, preset.max_height) if preset.max_height is not None else short
    top = min(top, _tallest(width / short, height / short, fps or video.fps))
    top -= top % 2  # rounded up, an odd bound would be broken by a pixel
    sides = [top, *(rung for rung in RUNGS if rung < top * 0.95)]
    return tuple(
        Picture(width=_even(width * s / short, width), height=_even(height * s / short, height), fps=fps) for s in sides
    )


def _tallest(wide: float, high: float, fps: float) -> int:
    """The longest shorter side that H.264 level 5.2 allows (ITU-T H.264, A.3.1: macroblocks, a second's, a side's)."""
    blocks = min(36_864, 2_073_600 / max(1.0, min(fps, 60.0)))
    along = math.isqrt(8 * 36_864)
    return int(16 * min(math.sqrt(blocks / (wide * high)), along / max(wide, high)) * 0.99)


def _even(pixels: float, most: int) -> int:
    return max(2, min(round(pixels / 2), most // 2) * 2)
