"""What lies on the disk for good: bytes of files, names in folders, and the way to a folder that was made a moment ago.

Rules kept here:
- a power cut may undo whatever was not synced: a file's bytes, its name in its folder, and that folder's name in the next;
- a caller syncs what he has done before he writes down that it is done, also where an earlier run did it and was killed;
- what could not be synced once counts as lost, and is made anew: the system tells of a failed write only once, and the next
  sync of the same file says that all is well (`Unsynced`);
- errors are the system's own `OSError`s; that a file system cannot sync folders at all is none.

Source: fsync(2); lwn.net/Articles/752063, "PostgreSQL's fsync() surprise".
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

#: How some network and FUSE mounts say that a folder cannot be synced, and how one says so that may be written, not read.
_NO_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF, errno.EACCES})


class Unsynced(OSError):  # noqa: N818 - a state, not an error
    """What was written may not lie on the disk, and never will, whatever a further sync says."""


def sync_file(path: Path) -> None:
    """Return once the file's bytes lie on the disk."""
    _sync(path, os.O_RDONLY | os.O_NOFOLLOW)


def sync_folder(path: Path) -> None:
    """Return once the folder's names lie on the disk."""
    try:
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_way(folder: Path) -> None:
    """Return once the folder's names lie on the disk, and its own name in its parent, and so on up to its file system's root.

    Whether a folder on the way is new cannot be known: an earlier run may have made it and been killed. Syncing what has not
    changed costs next to nothing.
    """
    folder = folder.resolve()  # it may be held by a name that has no parents, or be reached through a link
    device = folder.stat().st_dev
    for place in (folder, *folder.parents):
        if place.stat().st_dev != device:
            return
        sync_folder(place)


def sync_gone(path: Path) -> None:
    """Return once a name that was removed is gone from the disk, too; so it is when its folder is gone as well."""
    with suppress(FileNotFoundError, NotADirectoryError):
        sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    except OSError as error:
        raise Unsynced(error.errno, error.strerror) from error
    finally:
        os.close(handle)
