"""Does every frame and every sample of a file decode? The last look at an output before it is delivered."""

import os
import re
from pathlib import Path

from nemod.failure import Failure, Kind, NemodError
from nemod.media.child import Death, run
from nemod.media.formats import source_input

#: "[h264 @ 0x55fa216c0c80] Invalid NAL unit size" is "h264: Invalid NAL unit size" for a person.
_ADDRESS = re.compile(r"^\[(\S+) @ 0x[0-9a-f]+\]")
#: What a disk says that could not be read for a moment, and ffmpeg of some damaged files.
_FAULT = "Input/output error"


class DecodeError(NemodError):
    """Whether a file decodes could not be found out; no word about the file."""


async def decode_errors(ffmpeg: Path, path: Path, *, timeout_s: float) -> str | None:
    """An error of a full decode of picture and sound, in ffmpeg's words; None when there is none.

    Args:
        ffmpeg: the program.
        path: any name.
        timeout_s: seconds after which it counts as an error.

    Raises:
        DecodeError: TRANSIENT; somebody ended ffmpeg.
        OSError: ffmpeg cannot be started.
    """
    argv: list[str | bytes] = [os.fsencode(ffmpeg), "-nostdin", "-hide_banner", "-v", "error"]
    argv += source_input(path)
    # Without vfr the null muxer complains of pictures that share a time stamp, which is no error of decoding.
    argv += ["-map", "0:v?", "-map", "0:a?", "-fps_mode", "vfr", "-f", "null", "-"]
    finished = await run(argv, timeout_s=timeout_s)
    if _FAULT in finished.stderr_tail:  # of the disk, perhaps, and passing
        finished = await run(argv, timeout_s=timeout_s)
    if finished.death in {Death.OUTSIDE, Death.HUNG}:
        detail = "The process that checks outputs was stopped, perhaps for lack of memory, or did not get to its work."
        raise DecodeError(Failure(kind=Kind.TRANSIENT, detail=detail))
    if finished.timed_out:
        return f"not done after {timeout_s:.0f} s"
    if finished.stderr_tail:
        return _ADDRESS.sub(r"\1:", finished.stderr_tail.partition("\n")[0])
    return f"exit code {finished.returncode}" if finished.returncode else None
