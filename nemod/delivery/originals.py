"""What becomes of an original once its output is delivered, and of a file that could not be done.

Rules kept here:
- only the file that was accepted is touched: another fingerprint under the same path is another file;
- nothing is overwritten, and a file leaves its place only when it lies whole and durable in the other one;
- every function may be called again after a kill at any point and comes to the same end;
- what is answered outlives a power cut: a source that was said to be gone and came back would be done a second time;
- a file that we may not move stays where it is, and the answer says so; emptied sub-folders stay too.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from send2trash import send2trash

from nemod import durable
from nemod.config.model import After
from nemod.delivery import names, place, sidecar, transfer
from nemod.delivery.publish import PublishError
from nemod.failure import failure_of
from nemod.job import Fingerprint

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Fate(StrEnum):
    """What became of an original."""

    ARCHIVED = "archived"
    KEPT = "kept"
    TRASHED = "trashed"
    DELETED = "deleted"
    GONE = "gone"  # somebody else was faster; nothing left to do
    CHANGED = "changed"  # another file lies there now, and is a new job


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposed:
    """How an original was disposed of, where we put it, and a sentence when it went otherwise than asked."""

    how: Fate
    path: Path | None = None
    note: str = ""


def dispose(source: Path, fingerprint: Fingerprint, *, after: After, originals: Path, relpath: str) -> Disposed:
    """Keep, archive, trash or delete a source whose output is delivered; call again after a crash.

    After a crash behind a trash or delete the answer is GONE.

    Args:
        source: where it lies now.
        fingerprint: of the file that was accepted.
        after: what the folder asks for.
        originals: the archive; its parent is there.
        relpath: the path in the inbox, whose sub-folders the archive repeats.

    Raises:
        PublishError: the archive cannot take it now; as `failure_of` says.
    """
    try:
        if not transfer.matches(source, fingerprint):
            transfer.partial(originals / PurePosixPath(relpath).parent, fingerprint).unlink(missing_ok=True)
            if os.path.lexists(source):
                return Disposed(how=Fate.CHANGED)
            durable.sync_gone(source)  # by a run that may have been killed before it came to this
            there = _archived(originals, relpath, fingerprint) if after in {After.ARCHIVE, After.TRASH} else None
            if there is not None:
                durable.sync_way(there.parent)
            return Disposed(how=Fate.ARCHIVED, path=there) if there else Disposed(how=Fate.GONE)
        if after is After.KEEP:
            return Disposed(how=Fate.KEPT)
        if not _removable(source):
            return _left("its folder is read-only or belongs to somebody else")
        note = ""
        if after is After.DELETE:
            return _delete(source)
        if after is After.TRASH:
            try:
                send2trash(os.fspath(source))
                durable.sync_gone(source)
                return Disposed(how=Fate.TRASHED)
            except OSError as error:  # no desktop, no trash on this disk, a full one: the archive is always there
                note = f"The trash did not take the original ({names.safe(error.strerror or str(error))}), so it was archived."
        return _archive(source, fingerprint, originals, relpath, note)
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for originals")) from error


def dispose_sidecar(source: Path, done: Disposed, *, after: After, originals: Path, relpath: str) -> str:
    """Let the instruction beside an original go where the original went; call again after a crash.

    An original that is gone may have been put away by a run that was killed before it came to this: what the folder asks for
    is then done with what is left.

    Args:
        source: where the original lay.
        done: what became of it.
        after: what the folder asks for.
        originals: the archive.
        relpath: the original's path in the inbox.

    Returns:
        A sentence when the instruction stays where it is, else "".
    """
    if done.how in {Fate.KEPT, Fate.CHANGED}:
        return ""
    if done.how is Fate.ARCHIVED and done.path is not None:
        return sidecar.move_along(source, done.path)
    found = sidecar.beside(source)
    try:
        match after:
            case After.KEEP:
                pass
            case After.ARCHIVE if found is not None:
                path = PurePosixPath(relpath)
                return sidecar.move_along(source, place.make_folder(originals, Path(path.parent)) / path.name)
            case After.TRASH if found is not None:
                send2trash(os.fspath(found))
            case After.DELETE if found is not None:
                found.unlink(missing_ok=True)
            case _:
                pass
        durable.sync_gone(source)
    except OSError as error:
        return sidecar.left(error)
    return ""


def aim_quarantine(failed: Path, relpath: str, *, source: Path | None = None) -> Path:
    """A free name for a file that failed, in the sub-folders it had; the caller records it before `quarantine`.

    Args:
        failed: the folder for failed files; its parent is there.
        relpath: the path in the inbox.
        source: where the file lies now: a retry that failed again stays where it is.

    Raises:
        PublishError: as `failure_of` says.
    """
    if source is not None and source.is_relative_to(failed):
        return source
    try:
        for target in _targets(failed, relpath):
            # A stranger's instruction under the name would be taken for this file's when it is tried again.
            if not os.path.lexists(target) and sidecar.beside(target) is None:
                return target
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for failed files")) from error
    raise AssertionError("names do not end")


def quarantine(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    """Move a failed file to its recorded target; call again after a crash.

    Returns:
        Whether it lies there now. False: it has changed, is gone, or may not be moved, and stays as it is.

    Raises:
        FileExistsError: another file has the name; aim again.
        PublishError: the folder cannot take it now; as `failure_of` says.
    """
    try:
        if not transfer.matches(source, fingerprint):
            transfer.partial(target.parent, fingerprint).unlink(missing_ok=True)
            moved = not os.path.lexists(source) and transfer.resembles(target, fingerprint)
            if moved:  # by a run that may have been killed before it came to this
                durable.sync_way(target.parent)
                durable.sync_gone(source)
            return moved
        if source == target:
            return True
        if not _removable(source):
            return False
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return transfer.bring(source, target, fingerprint)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno in _FORBIDDEN and _writable(target.parent):
                return False  # so it is the file itself that may not be read or moved
            raise
    except FileExistsError:
        raise
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for failed files")) from error


def _archive(source: Path, fingerprint: Fingerprint, originals: Path, relpath: str, note: str) -> Disposed:
    for target in _targets(originals, relpath):
        try:
            if transfer.bring(source, target, fingerprint):
                return Disposed(how=Fate.ARCHIVED, path=target, note=note)
            return Disposed(how=Fate.CHANGED if os.path.lexists(source) else Fate.GONE)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno in _FORBIDDEN and _writable(target.parent):
                return _left(error.strerror or "not permitted")
            raise
    raise AssertionError("names do not end")


def _archived(originals: Path, relpath: str, fingerprint: Fingerprint) -> Path | None:
    """Where an earlier run put a source that is gone now; nothing is made for the question."""
    folder = originals / PurePosixPath(relpath).parent
    for name in names.candidates(*names.parts(relpath)):
        target = folder / name
        if not os.path.lexists(target):
            return None
        if transfer.resembles(target, fingerprint):
            return target
    return None


def _delete(source: Path) -> Disposed:
    try:
        source.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in _FORBIDDEN:
            return _left(error.strerror or "not permitted")
        raise
    durable.sync_gone(source)
    return Disposed(how=Fate.DELETED)


def _left(why: str) -> Disposed:
    return Disposed(how=Fate.KEPT, note=f"The original stays where it is: {why}.")


def _targets(root: Path, relpath: str) -> Iterator[Path]:
    folder = place.make_folder(root, Path(PurePosixPath(relpath).parent))
    return (folder / name for name in names.candidates(*names.parts(relpath)))


def _removable(source: Path) -> bool:
    folder = source.parent.stat()
    others = os.geteuid() not in {0, folder.st_uid, source.lstat().st_uid}
    return _writable(source.parent) and not (folder.st_mode & stat.S_ISVTX and others)


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
