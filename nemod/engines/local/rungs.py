"""Which picture sizes and frame rates may be tried, and which one measurements speak for. Pure.

Scores are VMAF means (0 to 100) of samples that were given what the whole would leave them, on the source's own size.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from nemod.config.model import Codec, Preset
from nemod.media.info import VideoStream
from nemod.media.look import Picture

#: The shorter side of the pictures that are tried, after the source's own.
RUNGS = (1440, 1080, 900, 720, 540, 432, 360, 288, 240, 180, 144)
#: With so many bits per pixel and frame a picture is a good guess to begin at.
LIKELY_BPP = 0.03
#: A larger picture is kept unless a smaller one is better by so much: eyes miss fine detail more than a sample tells.
CLEARLY = 0.3
#: So many sizes are measured at most.
MEASURED_MOST = 6
#: A step that gains so much is followed by one of two rungs.
STEEP = 3.0
#: How fast a picture gets worse beside its best size: VMAF for an octave (twice the side), squared; 11 to 14 on clips that were
#: measured at four sizes.
BENT = 12.0
#: Octaves beside the measured sizes up to which that is believed; and what is as good as a rung.
REACH, NEAR = 0.2, 0.06
#: Half of the frames are worth leaving out where the picture is worse than the first and gains at least the second: what a
#: viewer loses in smoothness no metric of single pictures tells (a judgement).
POOR, HALVING_GAIN = 70.0, 8.0
#: From so many frames a second on, half of them is still even motion.
HALVED_FROM = 47.0


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
    short = video.short_side
    wide, high = (side / short for side in video.display_size)
    top = min(short, preset.max_height) if preset.max_height is not None else short
    top = min(top, _tallest(preset.codec, wide, high, fps or video.fps))
    top -= top % 2  # rounded up, an odd bound would be broken by a pixel
    sides = [top, *(rung for rung in RUNGS if rung < top * 0.87)]
    return tuple(picture_of(video, side, fps=fps) for side in sides)


def picture_of(video: VideoStream, side: float, *, fps: float | None) -> Picture:
    """The source's picture with a shorter side of about so many pixels."""
    width, height = video.display_size
    short = min(width, height)
    return Picture(width=_even(width * side / short, width), height=_even(height * side / short, height), fps=fps)


def _tallest(codec: Codec, wide: float, high: float, fps: float) -> int:
    """The longest shorter side that the highest level allows which the judge takes: H.264 5.2, HEVC and AV1 5.1.

    In blocks of 16x16 of a picture, of a second, along a side: ITU-T H.264, A.3.1; ITU-T H.265, A.4.1; AV1, A.3.
    """
    match codec:
        case Codec.H264:
            most, second, along = 36_864, 2_073_600, math.isqrt(8 * 36_864)
        case Codec.HEVC:
            most, second, along = 34_816, 2_088_960, math.isqrt(8 * 34_816)
        case Codec.AV1:  # the shorter of its two bounds, since pictures may stand upright
            most, second, along = 34_816, 2_088_960, 4352 // 16
        case _ as never:
            assert_never(never)
    blocks = min(most, second / max(1.0, min(fps, 60.0)))
    return int(16 * min(math.sqrt(blocks / (wide * high)), along / max(wide, high)) * 0.99)


def _even(pixels: float, most: int) -> int:
    return max(2, min(round(pixels / 2), most // 2) * 2)


def bits_per_pixel(picture: Picture, *, budget_bytes: int, frames: int) -> float:
    """What a budget leaves for each pixel of each frame."""
    return budget_bytes * 8 / max(1, frames) / (picture.width * picture.height)


def begin_at(ladder: Sequence[Picture], *, budget_bytes: int, frames: int) -> int:
    """The rung at which to begin measuring: the largest that is likely to have bits enough."""
    fed = (n for n, p in enumerate(ladder) if bits_per_pixel(p, budget_bytes=budget_bytes, frames=frames) >= LIKELY_BPP)
    return next(fed, len(ladder) - 1)


def to_measure(ladder: Sequence[Picture], scores: Mapping[int, float], begin: int) -> tuple[int, ...]:
    """Which rungs to score next, 0 the largest; none when the best size is known.

    First the likely one and a neighbour, side by side; then on to larger ones while they are better, or to smaller ones until
    the top of the curve is not far below what was measured.
    """
    if not scores:
        neighbour = begin - 1 if begin > 0 else begin + 1
        return (begin, neighbour) if neighbour < len(ladder) else (begin,)
    if len(scores) >= MEASURED_MOST:
        return ()
    first, last = min(scores), max(scores)
    if first > 0 and best(scores) == first:
        # Still screens get better with every pixel, without an end that a curve could foretell: in large steps, then.
        gain = scores[first] - scores[_next(scores, first)]
        return (max(0, first - 2) if gain > STEEP else first - 1,)
    if last + 1 < len(ladder) and _top(ladder, scores) < _octaves(ladder[last]) - REACH:
        return (last + 1,)
    return ()


def best(scores: Mapping[int, float]) -> int:
    """The best of the measured rungs: a larger picture wins unless a smaller one is clearly better."""
    chosen = min(scores)
    for rung in sorted(scores):
        if scores[rung] > scores[chosen] + CLEARLY:
            chosen = rung
    return chosen


def chosen(ladder: Sequence[Picture], scores: Mapping[int, float], video: VideoStream) -> Picture:
    """The picture that the scores speak for, which may lie between the rungs."""
    rung = ladder[best(scores)]
    if len(scores) < 2:
        return rung
    top = min(_octaves(ladder[0]), max(_octaves(ladder[-1]), _top(ladder, scores)))
    near = min(ladder, key=lambda picture: abs(_octaves(picture) - top))
    return near if abs(_octaves(near) - top) < NEAR else picture_of(video, 2**top, fps=rung.fps)


def _next(scores: Mapping[int, float], rung: int) -> int:
    """The next smaller picture that was measured; the rung itself when there is none."""
    return min((n for n in scores if n > rung), default=rung)


def _octaves(picture: Picture) -> float:
    return math.log2(min(picture.width, picture.height))


def _top(ladder: Sequence[Picture], scores: Mapping[int, float]) -> float:
    """Where the parabola through the best rung and its neighbours has its top, in octaves of the shorter side.

    One of the neighbours will do, since the curves of all clips are about equally bent.
    """
    rung = best(scores)
    at = _octaves(ladder[rung])
    slopes = [
        ((at + _octaves(ladder[n])) / 2, (scores[rung] - scores[n]) / (at - _octaves(ladder[n])))
        for n in (max((n for n in scores if n < rung), default=None), _next(scores, rung))
        if n is not None and n != rung
    ]
    if not slopes:
        return at
    (middle, slope), (other, beyond) = slopes[0], slopes[-1]
    bent = (beyond - slope) / (middle - other) / 2 if middle != other else BENT
    return middle + slope / (2 * bent) if bent > 0 else at


def halved(picture: Picture, video: VideoStream) -> Picture | None:
    """The same picture with every second frame; None when that would no longer move evenly."""
    fps = picture.fps if picture.fps is not None else (video.nominal_fps or video.fps)
    return replace(picture, fps=fps / 2) if fps >= HALVED_FROM and not video.variable else None


def halving_pays(whole: float, half: float) -> bool:
    """Whether half of the frames in better pictures is the better video."""
    return whole < POOR and half - whole >= HALVING_GAIN
