"""What went wrong with a child or a work folder, as failures. Pure."""

import errno
import re
from dataclasses import replace
from pathlib import Path

from nemod.failure import Failure, Kind, failure_of
from nemod.media.child import Finished

#: How a full disk is told.
_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    # x264's words for a log of a first pass that could not be written, or was not written whole.
    "stats file could not be written",
    "at stats line",
)
#: Who speaks in ffmpeg, with its address in memory: "[out#0/mp4 @ 0x55a0…] ".
_SPEAKER = re.compile(r"^(?:\[[^\]]* @ [^\]]*\] )+")


def of_folder(error: OSError) -> Failure:
    """The work folder or the source could not be used."""
    if isinstance(error, FileNotFoundError):
        return Failure(kind=Kind.TRANSIENT, detail="A work file or the source vanished while it was needed.")
    return failure_of(error, "the outbox")


def with_room(failure: Failure, limit_bytes: int) -> Failure:
    """A full disk's failure with the room that the work needs: picture, whole file and the best so far at once."""
    if failure.kind is not Kind.NO_SPACE:
        return failure
    hint = f"Up to {3 * limit_bytes:,} bytes are needed there while it works. Free some space; the job then goes on by itself."
    return replace(failure, hint=hint)


def of_child(finished: Finished, stage: str) -> Failure:
    """A child ended with an error."""
    said = finished.stderr_tail
    if any(words in said for words in _FULL):
        return of_folder(OSError(errno.ENOSPC, "full"))
    if finished.timed_out:
        return Failure(
            kind=Kind.TRANSIENT,
            detail=f"The work did not come to an end ({stage}) and was stopped.",
            hint="The drive or share that the video lies on may hang.",
        )
    if finished.returncode < 0:
        return Failure(
            kind=Kind.TRANSIENT,
            detail=f"A child was killed by signal {-finished.returncode} ({stage}).",
            hint="The machine may be short of memory.",
        )
    last = _SPEAKER.sub("", said.splitlines()[-1]) if said else "it said nothing"
    return Failure(
        kind=Kind.UNSUPPORTED,
        detail=f"ffmpeg gave up ({stage}, code {finished.returncode}): {last}",
        hint="Play the file; if it plays elsewhere, please report it with this message.",
    )


def no_tone_map(ffmpeg: Path) -> Failure:
    """HDR needs a filter that this build lacks."""
    return Failure(
        kind=Kind.UNSUPPORTED,
        detail=f"The video is HDR, and {ffmpeg} cannot map its tones: it has no zscale filter.",
        hint="Name an ffmpeg with zscale as `ffmpeg` in the config; those of Debian and Homebrew have it.",
    )


def no_encoder(ffmpeg: Path, encoder: str) -> Failure:
    """The preset's codec needs an encoder that this build lacks."""
    return Failure(
        kind=Kind.UNSUPPORTED,
        detail=f"The preset's codec needs {encoder}, and {ffmpeg} was built without it.",
        hint='Leave `ffmpeg` out of the config to use the one that nemod brings, or set codec = "h264" in the preset.',
    )
