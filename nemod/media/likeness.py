"""Does an output show and sound like its source? For outputs that others made: a black render is as long as a good one.

Rules kept here:
- a few moments are looked at, tiny: sizes, shades and bitrates do not matter, another picture does;
- in doubt it is alike: what cannot be read for this look is judged elsewhere.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pstdev

from nemod.failure import Failure, Kind, NemodError
from nemod.media.child import Death, Finished, run
from nemod.media.formats import source_input
from nemod.media.info import MediaInfo

WIDTH, HEIGHT = 32, 18
MOMENTS = 9
#: Grey values whose deviation is below this show nothing.
FLAT = 3.0
#: Of a picture that shows nothing, a colour may be so far off; HDR made ordinary moves it most.
COLOUR_OFF = 60.0
#: A source moves from this mean difference of grey values on; an output with less than this share of it stands still.
MOVES, STILL_SHARE = 1.0, 6.0
#: From this correlation on two pictures show the same, in grey and at this size.
ALIKE = 0.5
#: So many moments may differ: a cut may lie just beside one.
DIFFERENT_MOST = 2
#: Mean loudness in dB: what is above the first is heard, what is below the second is silence.
HEARD_DB, SILENT_DB = -50.0, -70.0
_TIMEOUT_S = 120.0
_LOUDNESS = re.compile(r"mean_volume: (-?[\d.]+|-inf) dB")


class LikenessError(NemodError):
    """Whether an output is like its source could not be found out; no word about either."""


@dataclass(frozen=True, slots=True)
class Look:
    """A picture at a moment: its colours' means, and its grey values."""

    colours: tuple[float, float, float]
    grey: tuple[float, ...]

    @property
    def flat(self) -> bool:
        """Whether it shows nothing."""
        return pstdev(self.grey) < FLAT


def look(pixels: bytes) -> Look:
    """From a picture of three bytes a pixel."""
    red, green, blue = pixels[::3], pixels[1::3], pixels[2::3]
    return Look((fmean(red), fmean(green), fmean(blue)), tuple(map(fmean, zip(red, green, blue, strict=True))))


async def unlikeness(
    ffmpeg: Path, source: tuple[Path, MediaInfo], output: tuple[Path, MediaInfo], *, edited: bool = False
) -> str | None:
    """In what an output is not like its source, as a sentence; None when it is, or when that cannot be seen.

    Args:
        ffmpeg: the program.
        source: a file and what was measured of it.
        output: the same of what was made of it.
        edited: a person wanted it changed; then only an output that shows nothing is told.

    Raises:
        LikenessError: TRANSIENT; somebody ended the child that looked.
    """
    moments = [(n + 0.5) / MOMENTS for n in range(MOMENTS)]
    seen = [(await _picture(ffmpeg, *source, m), await _picture(ffmpeg, *output, m)) for m in moments]
    pairs = [(look(was), look(now)) for was, now in seen if was and now]
    if said := (blank(pairs) if edited else blank(pairs) or differing(pairs) or still(pairs)):
        return said
    if edited or source[1].main_audio is None or output[1].main_audio is None:
        return None
    was_db, now_db = await asyncio.gather(_loudness(ffmpeg, source), _loudness(ffmpeg, output))
    if was_db is not None and now_db is not None and was_db > HEARD_DB and now_db < SILENT_DB:
        return f"It is silent ({now_db:.0f} dB), its source is not ({was_db:.0f} dB)."
    return None


def blank(pairs: Sequence[tuple[Look, Look]]) -> str | None:
    """Whether the output shows nothing at any moment, and its source does at most of them."""
    if pairs and all(now.flat for _, now in pairs) and 2 * sum(not was.flat for was, _ in pairs) > len(pairs):
        return "It shows nothing."
    return None


def differing(pairs: Sequence[tuple[Look, Look]]) -> str | None:
    """What the same moments of source and output say."""
    different = sum(not alike(was, now) for was, now in pairs)
    if different > min(DIFFERENT_MOST, len(pairs) // 2):
        return f"It shows something else than its source at {different} of {len(pairs)} moments."
    return None


def still(pairs: Sequence[tuple[Look, Look]]) -> str | None:
    """Whether the output stands still and its source does not."""
    was, now = (_motion([pair[side] for pair in pairs]) for side in (0, 1))
    if was > MOVES and now < was / STILL_SHARE:
        return "Its picture stands still, its source's does not."
    return None


def alike(was: Look, now: Look) -> bool:
    """Whether two pictures show the same: one shape in grey; where there is none, one colour."""
    if was.flat:
        near = all(abs(a - b) < COLOUR_OFF for a, b in zip(was.colours, now.colours, strict=True))
        return near and pstdev(now.grey) < 4 * FLAT
    if now.flat:
        return False
    mean_was, mean_now = fmean(was.grey), fmean(now.grey)
    together = fmean((a - mean_was) * (b - mean_now) for a, b in zip(was.grey, now.grey, strict=True))
    return together / (pstdev(was.grey) * pstdev(now.grey)) >= ALIKE


def _motion(looks: Sequence[Look]) -> float:
    """Grey values by which a point differs from one moment to the next, on average."""
    steps = [fmean(abs(a - b) for a, b in zip(one.grey, two.grey, strict=True)) for one, two in pairwise(looks)]
    return fmean(steps) if steps else 0.0


async def _picture(ffmpeg: Path, path: Path, media: MediaInfo, moment: float) -> bytes | None:
    if media.video is None:
        return None
    at = moment * (media.video.end_s - media.video.start_s)  # ffmpeg counts from the file's start
    argv = [*_argv(ffmpeg), "-ss", f"{at:.3f}", *source_input(path), "-map", "0:v:0", "-frames:v", "1"]
    argv += ["-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,format=rgb24", "-f", "rawvideo", "-"]
    finished = await _run(argv, _TIMEOUT_S)
    return finished.stdout if len(finished.stdout) == 3 * WIDTH * HEIGHT else None


async def _loudness(ffmpeg: Path, file: tuple[Path, MediaInfo]) -> float | None:
    argv = [*_argv(ffmpeg, level="info"), *source_input(file[0]), "-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-"]
    finished = await _run(argv, max(_TIMEOUT_S, file[1].duration_s))
    found = _LOUDNESS.search(finished.stderr_tail)
    return None if found is None else float(found[1])


async def _run(argv: Sequence[str | bytes], timeout_s: float) -> Finished:
    finished = await run(argv, timeout_s=timeout_s)
    if finished.death in {Death.OUTSIDE, Death.HUNG}:
        detail = "The process that compares outputs with their sources was stopped, perhaps for lack of memory."
        raise LikenessError(Failure(kind=Kind.TRANSIENT, detail=detail))
    return finished


def _argv(ffmpeg: Path, *, level: str = "error") -> list[str | bytes]:
    return [os.fsencode(ffmpeg), "-nostdin", "-hide_banner", "-v", level]
