"""Is the source still the file that was accepted?"""

import os
import stat
from pathlib import Path

from nemod.failure import Failure, Kind, NemodError
from nemod.job import Fingerprint, Job


class SourceLost(NemodError):  # noqa: N818 - a state, not an error
    """The source is gone or is another file now."""


def fingerprint_of(path: Path) -> Fingerprint:
    """Size, time and inode of a file as it lies there; a link is not followed.

    Raises:
        OSError: it is not there.
    """
    seen = os.lstat(path)
    return Fingerprint(size_bytes=seen.st_size, mtime_ns=seen.st_mtime_ns, inode=seen.st_ino)


def verify(job: Job) -> None:
    """Check that a job's source is the file that was accepted; one that goes on in a session needs no source at all.

    Raises:
        SourceLost: SOURCE_GONE or SOURCE_CHANGED; NOT_WRITABLE when the whole inbox is away, which makes no file "gone".
    """
    if job.asked:
        return
    try:
        regular = stat.S_ISREG(os.lstat(job.source).st_mode)
        same = fingerprint_of(job.source) == job.fingerprint
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceLost(_missing(job)) from error
    except OSError as error:
        detail = f"The file cannot be looked at: {error.strerror or error}."
        raise SourceLost(Failure(kind=Kind.TRANSIENT, detail=detail)) from error
    if not (regular and same):
        detail = "The file was changed after it was accepted; its new content is a job of its own."
        raise SourceLost(Failure(kind=Kind.SOURCE_CHANGED, detail=detail))


def _missing(job: Job) -> Failure:
    if job.source.parent.is_dir() or job.folder.inbox.is_dir():
        return Failure(kind=Kind.SOURCE_GONE, detail="The file is no longer there: it was removed, renamed or moved.")
    return Failure(
        kind=Kind.NOT_WRITABLE,
        detail="The inbox is not there.",
        hint="Check that its drive is mounted; the job goes on by itself.",
    )
