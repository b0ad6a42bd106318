"""Is the source still the file that was accepted? And how it is read, so that it stays that file while it is.

Rules kept here:
- who reads a source reads a descriptor that was held against the fingerprint, not a name that may lead elsewhere by then;
- it is held for one step, so that drives can be ejected and files removed in between.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from nemod.delivery import way
from nemod.delivery.transfer import alike
from nemod.failure import AWAY, Failure, Kind, NemodError
from nemod.job import Attempt, Fingerprint, Job
from nemod.media.held import ALLOW, FORBIDDEN, NOWHERE, name_of, open_plain


class SourceLost(NemodError):  # noqa: N818 - a state, not an error
    """The source is gone or is another file now."""


def fingerprint_of(path: Path) -> Fingerprint:
    """Size, time and inode of a file as it lies there; a link is not followed.

    Raises:
        OSError: it is not there.
    """
    return _fingerprint(os.lstat(path))


def verify(job: Job) -> None:
    """Check that a job's source is the file that was accepted; one that goes on in a session needs no source at all.

    Raises:
        SourceLost: SOURCE_GONE or SOURCE_CHANGED; NOT_WRITABLE when the whole inbox is away, which makes no file "gone".
    """
    if job.asked:
        return
    try:
        with way.to(job.source.parent, within=way.place_of(job.source, job.relpath)) as here:
            seen = os.lstat(here / job.source.name)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceLost(_missing(job)) from error
    except OSError as error:
        if error.errno in AWAY:
            raise SourceLost(_AWAY) from error
        detail = f"The file cannot be looked at: {error.strerror or error}."
        raise SourceLost(Failure(kind=Kind.TRANSIENT, detail=detail)) from error
    if not (stat.S_ISREG(seen.st_mode) and job.fingerprint.fits(_fingerprint(seen))):
        raise SourceLost(_CHANGED)


@asynccontextmanager
async def reading(job: Job, attempt: Attempt | None) -> AsyncIterator[Path]:
    """By which path a step reads its source: it leads to the accepted file, whatever becomes of that one's name.

    A job that goes on in a session may do without its source: where that is no longer the file, the path leads nowhere.

    Args:
        job: whose source it is.
        attempt: the one under way; it may work on a file of its own instead. None: the source is looked at for the first time.

    Raises:
        SourceLost: as `verify`; UNREADABLE or TRANSIENT when it cannot be opened.
    """
    if attempt is not None and attempt.material is not None:
        yield attempt.material
        return
    file = await asyncio.to_thread(_open, job, examined=attempt is not None)
    if file is None:
        yield NOWHERE
        return
    try:
        yield name_of(file) or job.source
    finally:
        with suppress(OSError):  # it was only read, so its end cannot fail, whatever a disk says
            await asyncio.to_thread(file.close)  # a share may want to hear of it


def _open(job: Job, *, examined: bool) -> BinaryIO | None:
    try:
        verify(job)  # first, for what is wrong with it in words
        with way.to(job.source.parent, within=way.place_of(job.source, job.relpath)) as here:
            file = open_plain(here / job.source.name)
    except OSError as error:
        if job.asked:
            return None
        raise SourceLost(_unopened(job, error, examined=examined)) from error
    found = os.fstat(file.fileno())
    same = alike(found, job.fingerprint) if job.asked else job.fingerprint.fits(_fingerprint(found))
    if stat.S_ISREG(found.st_mode) and same:
        return file
    file.close()
    if job.asked:
        return None
    raise SourceLost(_CHANGED)


def _unopened(job: Job, error: OSError, *, examined: bool) -> Failure:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ESTALE:
            return _missing(job)
        case errno.ELOOP | errno.EMLINK | errno.ENXIO | errno.EISDIR:
            return _CHANGED
        case code if code in AWAY:
            return _AWAY
        case errno.EACCES | errno.EPERM:
            # What could be read before may have been paid for since: it waits a while.
            return Failure(kind=Kind.TRANSIENT if examined else Kind.UNREADABLE, detail=FORBIDDEN, hint=ALLOW)
        case _:
            detail = f"It cannot be opened: {error.strerror or error}."
            return Failure(kind=Kind.TRANSIENT, detail=detail, hint="Check the disk or the share that it is on.")


def _fingerprint(seen: os.stat_result) -> Fingerprint:
    return Fingerprint(size_bytes=seen.st_size, mtime_ns=seen.st_mtime_ns, inode=seen.st_ino)


_CHANGED = Failure(
    kind=Kind.SOURCE_CHANGED, detail="The file was changed after it was accepted; its new content is a job of its own."
)
_AWAY = Failure(
    kind=Kind.NOT_WRITABLE,
    detail="The inbox is not there.",
    hint="Check that its drive is mounted; the job goes on by itself.",
)


def _missing(job: Job) -> Failure:
    if job.source.parent.is_dir() or job.folder.inbox.is_dir():
        return Failure(kind=Kind.SOURCE_GONE, detail="The file is no longer there: it was removed, renamed or moved.")
    return _AWAY
