"""What went wrong with a child or a work folder, as failures. Pure."""

import errno
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from nemod.failure import Failure, Kind, failure_of
from nemod.media.child import Death, Finished

#: How a full disk is told.
_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    # x264's words for a log of a first pass that could not be written, or was not written whole.
    "stats file could not be written",
    "at stats line",
)
#: How a disk that went away, or was shut, is told; a video is never the reason.
_PLACE = re.compile(
    r"(Not a directory|No such file or directory|Permission denied|Read-only file system|Stale file handle"
    r"|Transport endpoint is not connected|Host is down|No such device|Input/output error|Remote I/O error"
    r"|Device or resource busy|Text file busy|Connection timed out)\.?$"
)
#: ffmpeg's exit codes when it was asked to end by a signal, once or many times.
_TOLD_TO_END = (255, 123)
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
        return of_folder(OSError(errno.EDQUOT if _FULL[1] in said else errno.ENOSPC, "full"))
    match finished.death:
        case Death.HUNG:
            return Failure(
                kind=Kind.TRANSIENT,
                detail=f"The work got nowhere ({stage}) and was stopped.",
                hint="Somebody may have paused it, or the drive or share that the video lies on may hang.",
            )
        case Death.TIME | Death.CPU:
            return _bomb(f"The work takes far longer than that of a video of its length ({stage}) and was stopped.")
        case Death.MEMORY:
            hint = "A picture as large as 8K takes gigabytes: give nemod (its container, its service) more memory, or export"
            hint += " the video smaller. If its picture is ordinary, it is likely to be broken, or made to do harm."
            return replace(_bomb(f"The work takes more memory than a program may have here ({stage})."), hint=hint)
        case Death.FILE_SIZE:
            return _bomb(f"The work fills far more room than a video of its size needs ({stage}) and was stopped.")
        case Death.CRASH:
            return _bomb(f"It crashed ffmpeg (signal {-finished.returncode}, {stage}).")
        case Death.OUTSIDE:
            return _killed(f"signal {-finished.returncode}", stage)
        case None if finished.returncode in _TOLD_TO_END:
            return _killed("a signal", stage)
        case None:
            pass
        case _ as never:
            assert_never(never)
    last = last_words(said.splitlines()[-1]) if said else "it said nothing"
    if found := _PLACE.search(last):
        if found[1] == os.strerror(errno.EROFS):  # a source is only read
            return of_folder(OSError(errno.EROFS, found[1]))
        detail = f"The source or the work folder was out of reach for a moment ({found[1]}, {stage})."
        return Failure(kind=Kind.TRANSIENT, detail=detail, hint="Check the disks and shares that they lie on.")
    return Failure(
        kind=Kind.UNSUPPORTED,
        detail=f"ffmpeg gave up ({stage}, code {finished.returncode}): {last.rstrip('.')}.",
        hint="Play the file; if it plays elsewhere, please report it with this message.",
    )


def last_words(line: str) -> str:
    """A line of ffmpeg's without its speaker."""
    return _SPEAKER.sub("", line)


def _killed(by: str, stage: str) -> Failure:
    detail = f"A child was killed by {by} from outside ({stage})."
    return Failure(kind=Kind.TRANSIENT, detail=detail, hint="The machine may be short of memory.")


def _bomb(detail: str) -> Failure:
    hint = "The video is likely to be broken, or made to do harm; play it, and export it again if it does."
    return Failure(kind=Kind.UNSUPPORTED, detail=detail, hint=hint)


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
