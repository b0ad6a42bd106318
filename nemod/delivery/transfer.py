"""Moving a file to a free name, on this file system or another, so that a kill at any point loses and doubles nothing.

Rules kept here:
- the source goes only when it lies whole and durable in the other place, and only while it is still the accepted file;
- what an earlier, killed run brought there is known again: by its inode when it is a second name of the source, else by
  size, time and every byte.
"""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from nemod import durable
from nemod.delivery import place
from nemod.job import Fingerprint
from nemod.media.held import name_of, open_plain

_CHUNK_BYTES = 1 << 20
#: FAT keeps times in steps of two seconds.
_COARSE_NS = 2_000_000_000


def bring(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    """Move a file whatever lies between; False when it changed on the way, and then it stays.

    Raises:
        FileExistsError: another file has the name.
        OSError: as the system says; the source is where it was.
    """
    if _second_name(source, target) or _same_bytes(source, target, fingerprint):
        # An earlier run got as far as this. What it, or a person, put there may still lie in memory only.
        _settle(target)
        return _let_go(source, target, fingerprint)
    try:
        place.move(source, target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return _carry(source, target, fingerprint)
        if not isinstance(error, FileExistsError) and _second_name(source, target):
            target.unlink()  # linked, and then the source could not be removed
        raise
    try:
        durable.sync_way(target.parent)
    except durable.Unsynced:
        with suppress(OSError):  # moved anew, it is written anew
            place.move(target, source)
        raise
    durable.sync_gone(source)
    return True


def _settle(target: Path) -> None:
    """Let a copy and its name lie on the disk; one that the disk has lost is removed, and its source is still there."""
    try:
        durable.sync_file(target)
        durable.sync_way(target.parent)
    except durable.Unsynced:
        target.unlink(missing_ok=True)
        raise


def _carry(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    """Move a file to another file system: copy under a hidden name, publish, let go of the source."""
    if os.path.lexists(target) and not place.is_placeholder(source, target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    temp = partial(target.parent, fingerprint)
    temp.unlink(missing_ok=True)
    try:
        handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)  # until it has the source's mode
        with os.fdopen(handle, "wb") as writer, open_plain(source) as reader:
            if not _is(os.fstat(reader.fileno()), fingerprint):
                return False  # its name leads elsewhere now
            shutil.copyfileobj(reader, writer, _CHUNK_BYTES)
            writer.flush()
            with suppress(OSError):  # FAT knows no modes, shares no attributes; times come first and are what matters
                shutil.copystat(name_of(reader) or source, temp)
        durable.sync_file(temp)
        if temp.lstat().st_size != fingerprint.size_bytes or not matches(source, fingerprint):
            return False  # written to while we read
        place.move(temp, target)
        _settle(target)
    finally:
        temp.unlink(missing_ok=True)
    try:
        return _let_go(source, target, fingerprint)
    except OSError:
        if matches(source, fingerprint):
            target.unlink()
        raise


def partial(folder: Path, fingerprint: Fingerprint) -> Path:
    """The hidden name of a copy on its way; it depends on the source alone, so that whoever comes after a kill finds it."""
    return folder / f".nemod-{fingerprint.inode}-{fingerprint.size_bytes}-{fingerprint.mtime_ns}.part"


def _let_go(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    """Remove a source that lies in the target as well."""
    if not matches(source, fingerprint):
        return not os.path.lexists(source) and os.path.lexists(target)
    source.unlink()
    durable.sync_gone(source)
    return True


def _second_name(source: Path, target: Path) -> bool:
    ours, found = _lstat(source), _lstat(target)
    if ours is None or found is None:
        return False
    # Counting the names keeps the only one safe when two paths lead to it, as through a bind mount.
    return (ours.st_dev, ours.st_ino) == (found.st_dev, found.st_ino) and ours.st_nlink > 1


def _same_bytes(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    ours, found = _lstat(source), _lstat(target)
    if ours is None or found is None or (ours.st_dev, ours.st_ino) == (found.st_dev, found.st_ino):
        return False
    if not resembles(target, fingerprint):
        return False
    with source.open("rb") as one, target.open("rb") as other:
        while chunk := one.read(_CHUNK_BYTES):
            if chunk != other.read(_CHUNK_BYTES):
                return False
    return True


def matches(source: Path, fingerprint: Fingerprint) -> bool:
    """Whether it is still the file that was accepted."""
    found = _lstat(source)
    return found is not None and _is(found, fingerprint)


def resembles(target: Path, fingerprint: Fingerprint) -> bool:
    """Whether it could be that file after a move or a copy: the same size, and the same time as far as disks keep it."""
    found = _lstat(target)
    return found is not None and alike(found, fingerprint)


def alike(found: os.stat_result, fingerprint: Fingerprint) -> bool:
    """The same of what was found there already."""
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_size == fingerprint.size_bytes
        and abs(found.st_mtime_ns - fingerprint.mtime_ns) < _COARSE_NS
    )


def _is(found: os.stat_result, fingerprint: Fingerprint) -> bool:
    return stat.S_ISREG(found.st_mode) and fingerprint.fits(
        Fingerprint(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)
    )


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
