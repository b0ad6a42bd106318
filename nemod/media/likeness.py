"""Does an output show and sound like its source? For outputs that others made: a black render is as long as a good one.

Rules kept here:
- a few moments are looked at, tiny and grey: sizes, colours and bitrates do not matter, another picture does;
- in doubt it is alike: what cannot be read for this look is judged elsewhere.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, pstdev

from nemod.media.child import run
from nemod.media.formats import DEMUXERS
from nemod.media.info import MediaInfo

WIDTH, HEIGHT = 32, 18
MOMENTS = 9
#: Grey values whose deviation is below this show nothing.
FLAT = 3.0
#: From this correlation on two pictures show the same, in grey and at this size.
ALIKE = 0.5
#: So many moments may differ: a cut may lie just beside one.
DIFFERENT_MOST = 2
#: Mean loudness in dB: what is above the first is heard, what is below the second is silence.
HEARD_DB, SILENT_DB = -50.0, -70.0
_TIMEOUT_S = 120.0
_LOUDNESS = re.compile(r"mean_volume: (-?[\d.]+|-inf) dB")


async def unlikeness(ffmpeg: Path, source: tuple[Path, MediaInfo], output: tuple[Path, MediaInfo]) -> str | None:
    """In what an output is not like its source, as a sentence; None when it is, or when that cannot be seen."""
    moments = [(n + 0.5) / MOMENTS for n in range(MOMENTS)]
    pairs = [(await _picture(ffmpeg, *source, m), await _picture(ffmpeg, *output, m)) for m in moments]
    if said := differing([(was, now) for was, now in pairs if was and now]):
        return said
    if source[1].main_audio is None or output[1].main_audio is None:
        return None
    was_db, now_db = await asyncio.gather(_loudness(ffmpeg, source), _loudness(ffmpeg, output))
    if was_db is not None and now_db is not None and was_db > HEARD_DB and now_db < SILENT_DB:
        return f"It is silent ({now_db:.0f} dB), its source is not ({was_db:.0f} dB)."
    return None


def differing(pairs: Sequence[tuple[bytes, bytes]]) -> str | None:
    """What pictures of the same moments say; each is grey, a byte a pixel."""
    different = sum(not alike(was, now) for was, now in pairs)
    if different > min(DIFFERENT_MOST, len(pairs) // 2):
        return f"It shows something else than its source at {different} of {len(pairs)} moments."
    return None


def alike(was: bytes, now: bytes) -> bool:
    """Whether two grey pictures of one size show the same; what is flat shows nothing, so anything is like it but a picture."""
    spread_was, spread_now = pstdev(was), pstdev(now)
    if spread_was < FLAT:
        return True
    if spread_now < FLAT:
        return False
    mean_was, mean_now = fmean(was), fmean(now)
    together = fmean((a - mean_was) * (b - mean_now) for a, b in zip(was, now, strict=True))
    return together / (spread_was * spread_now) >= ALIKE


async def _picture(ffmpeg: Path, path: Path, media: MediaInfo, moment: float) -> bytes | None:
    if media.video is None:
        return None
    at = moment * (media.video.end_s - media.video.start_s)  # ffmpeg counts from the file's start
    argv = [*_argv(ffmpeg), "-ss", f"{at:.3f}", *_input(path), "-map", "0:v:0", "-frames:v", "1"]
    argv += ["-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,format=gray", "-f", "rawvideo", "-"]
    finished = await run(argv, timeout_s=_TIMEOUT_S)
    return finished.stdout if len(finished.stdout) == WIDTH * HEIGHT else None


async def _loudness(ffmpeg: Path, file: tuple[Path, MediaInfo]) -> float | None:
    argv = [*_argv(ffmpeg, level="info"), *_input(file[0]), "-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-"]
    finished = await run(argv, timeout_s=max(_TIMEOUT_S, file[1].duration_s))
    found = _LOUDNESS.search(finished.stderr_tail)
    return None if found is None else float(found[1])


def _argv(ffmpeg: Path, *, level: str = "error") -> list[str | bytes]:
    return [os.fsencode(ffmpeg), "-nostdin", "-hide_banner", "-v", level]


def _input(path: Path) -> list[str | bytes]:
    return ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS), "-i", b"file:" + os.fsencode(path)]
