"""Putting a file under a name without ever overwriting another one.

Rules kept here:
- a taken name is a `FileExistsError`, whoever took it and however late;
- nothing is readable under the new name before it is whole, except, where a file system knows neither hard links nor an
  exclusive rename, an empty placeholder for a moment. A hidden mark beside it, or the file's own time that it carries, tell
  after a crash that it is ours (`is_placeholder`), and the next try replaces it;
- errors are the system's own `OSError`s; who calls knows what they mean.
"""

import ctypes
import errno
import hashlib
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

#: How file systems say that they have no hard links, or none for this file (FAT, some network and FUSE mounts, protected
#: files of other owners, too many links, branches of a merged file system).
_NO_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV})
#: How systems say that they have no exclusive rename here.
_NO_EXCLUSIVE = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP})

_AT_FDCWD = -100  # linux/fcntl.h
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # sys/stdio.h of macOS


def link(source: Path, target: Path) -> bool:
    """Give a file a second name; False where the file system has no hard links for it: `rename` it then.

    Raises:
        FileExistsError: the name is taken.
        OSError: anything else.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        # A taken name is found before the lack of links is.
        if error.errno in _NO_LINK or (error.errno == errno.EEXIST and is_placeholder(source, target)):
            return False
        raise
    return True


def move(source: Path, target: Path) -> None:
    """Rename a file within its file system.

    The exclusive rename comes first: it has no state in between, and a file that took the source's name a moment ago is
    moved rather than lost. A crash within the second way leaves two names with one inode.

    Raises:
        FileExistsError: the name is taken.
        OSError: anything else; `EXDEV` when the target lies elsewhere.
    """
    if _rename_exclusive(source, target):
        return
    if link(source, target):
        source.unlink()
    else:
        rename_by_placeholder(source, target)


def rename(source: Path, target: Path) -> None:
    """Rename a file where hard links are known not to work; raises as `move` does."""
    if not _rename_exclusive(source, target):
        rename_by_placeholder(source, target)


def rename_by_placeholder(source: Path, target: Path) -> None:
    """Rename a file by taking the name first and replacing what took it; for systems that offer nothing better."""
    mark = _mark(target)
    if not is_placeholder(source, target):
        mtime_ns = source.lstat().st_mtime_ns
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        try:
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            mark.unlink(missing_ok=True)
            raise
        try:
            os.utime(handle, ns=(mtime_ns, mtime_ns))
        except OSError:  # an empty file with another time would be taken for somebody's
            target.unlink(missing_ok=True)
            mark.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
    try:
        source.replace(target)
    except OSError:
        target.unlink(missing_ok=True)
        raise
    finally:
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def is_placeholder(source: Path, target: Path) -> bool:
    """Whether the target is what a crash within `rename_by_placeholder` left: empty, and marked or with the source's time."""
    try:
        ours, found = source.lstat(), target.lstat()
    except FileNotFoundError:
        return False
    empty = stat.S_ISREG(found.st_mode) and found.st_size == 0 and ours.st_size > 0
    return empty and (found.st_mtime_ns == ours.st_mtime_ns or os.path.lexists(_mark(target)))


def _mark(target: Path) -> Path:
    return target.with_name(f".nemod-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.mark.part")


def _rename_exclusive(source: Path, target: Path) -> bool:
    old, new = os.fsencode(source), os.fsencode(target)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        done = libc.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, ctypes.c_uint(_RENAME_NOREPLACE)) == 0
    elif sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        done = libc.renamex_np(old, new, ctypes.c_uint(_RENAME_EXCL)) == 0
    else:
        return False
    if done:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCLUSIVE:
        return False
    if code == errno.EEXIST and is_placeholder(source, target):
        source.replace(target)
        return True
    raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))
