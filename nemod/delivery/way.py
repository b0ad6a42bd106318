"""The way to a folder, gone once: what is renamed, removed or made in it then happens there, wherever its name leads by then.

Whoever may write to an inbox can put a link in the place of a sub-folder just before we move, remove or make a file in it: a
stranger's file would go, or ours would lie where it harms. Rules kept here:
- from a place of the config downwards no link is followed; the way to the place itself is the config's business;
- where we write, a place that is a link itself must be a link of nemod's own account or of the superuser;
- on Linux the folder stays open and has a name of its own in `/proc/self/fd`. Elsewhere there is no such name: links are
  refused there as well, but for one that is put in between just then.

Source: open(2), proc(5), symlink(7).
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from nemod import ownership
from nemod.media.held import NOWHERE, folder_name

#: Opening a folder only to go through it needs no right to list it.
_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
#: How systems say that a folder is not there, or only through a link.
_AWAY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def place_of(file: Path, relpath: str) -> Path:
    """The place of the config in which a file lies: all of them repeat the sub-folders that it had in its inbox."""
    depth = len(PurePosixPath(relpath).parts)
    return file.parents[min(depth, len(file.parents)) - 1]


@contextmanager
def to(folder: Path, *, within: Path) -> Iterator[Path]:
    """A path to a folder as it is now; one that leads nowhere when the folder is not there, or only through a link.

    Args:
        folder: in which something is about to be looked at, moved or removed.
        within: the place of the config above it, or the folder itself.

    Raises:
        OSError: it cannot be reached for another reason.
    """
    try:
        fd = _open(folder, within, make=False)
    except OSError as error:
        if error.errno not in _AWAY:
            raise
        yield NOWHERE
        return
    try:
        yield folder_name(fd) or folder
    finally:
        os.close(fd)


@contextmanager
def made(folder: Path, *, within: Path) -> Iterator[Path]:
    """A path to a folder that is to take something; it and what lies above it is made where it is missing.

    The place's own parent must be there: a missing one is most often a disk that is not mounted, and making it would fill the
    disk beneath.

    Raises:
        OSError: ELOOP where a link is in the way, else as the system says.
    """
    fresh = _fresh(os.fspath(within), None)
    _trust(within)
    if fresh:
        ownership.give(within)
    fd = _open(folder, within, make=True)
    try:
        yield folder_name(fd) or folder
    finally:
        os.close(fd)


def _open(folder: Path, within: Path, *, make: bool) -> int:
    fd = os.open(within, _FOLDER)
    for part in folder.relative_to(within).parts:
        try:
            fresh = make and _fresh(part, fd)
            try:
                below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
            except OSError as error:
                raise _said(error, part, fd) from error
        finally:
            os.close(fd)
        fd = below
        if fresh:
            ownership.give(fd)
    return fd


def _fresh(folder: str, above: int | None) -> bool:
    """Make a folder where there is none; whether it was made."""
    try:
        os.mkdir(folder, dir_fd=above)
    except FileExistsError:
        return False
    return True


def _said(error: OSError, part: str, fd: int) -> OSError:
    """The same error; that a link is in the way is said in words."""
    with suppress(OSError):
        if stat.S_ISLNK(os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode):
            return OSError(errno.ELOOP, "a link stands in the place of a folder in it", part)
    return error


def _trust(place: Path) -> None:
    found = place.lstat()
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in {0, os.geteuid()}:
        raise OSError(errno.ELOOP, "it is a link that belongs to somebody else", os.fspath(place))
