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
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from send2trash import send2trash

from nemod import durable
from nemod.config.model import After
from nemod.delivery import names, sidecar, spelling, transfer, way
from nemod.delivery.publish import PublishError
from nemod.failure import failure_of
from nemod.job import Fingerprint

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


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
        with way.to(source.parent, within=way.place_of(source, relpath)) as here:
            return _dispose(here / source.name, fingerprint, after, originals, relpath)
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for originals")) from error


def _dispose(source: Path, fingerprint: Fingerprint, after: After, originals: Path, relpath: str) -> Disposed:
    if not transfer.matches(source, fingerprint):
        return _not_there(source, fingerprint, after, originals, relpath)
    if after is After.KEEP:
        return Disposed(how=Fate.KEPT)
    if not _removable(source):
        return _left("its folder is read-only or belongs to somebody else")
    note = ""
    if after is After.DELETE:
        return _delete(source)
    if after is After.TRASH:
        try:
            send2trash(os.fspath(_real(source)))
            durable.sync_gone(source)
            return Disposed(how=Fate.TRASHED)
        except OSError as error:  # no desktop, no trash on this disk, a full one: the archive is always there
            note = f"The trash did not take the original ({names.safe(error.strerror or str(error))}), so it was archived."
    return _archive(source, fingerprint, originals, relpath, note)


def _not_there(source: Path, fingerprint: Fingerprint, after: After, originals: Path, relpath: str) -> Disposed:
    """What became of a source that is another file now, or gone: by an earlier run, or by somebody else."""
    with way.to(originals, within=originals) as place:
        folder = originals / spelling.inside(place, relpath)
    with way.to(folder, within=originals) as archive:
        transfer.partial(archive, fingerprint).unlink(missing_ok=True)
        if os.path.lexists(source):
            return Disposed(how=Fate.CHANGED)
        durable.sync_gone(source)  # by a run that may have been killed before it came to this
        if after in {After.ARCHIVE, After.TRASH} and (there := _archived(archive, relpath, fingerprint)) is not None:
            durable.sync_way(archive)
            return Disposed(how=Fate.ARCHIVED, path=folder / there)
    return Disposed(how=Fate.GONE)


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
    try:
        with way.to(source.parent, within=way.place_of(source, relpath)) as here:
            return _dispose_sidecar(here / source.name, done, after, originals, relpath)
    except OSError as error:
        return sidecar.left(error)


def _dispose_sidecar(source: Path, done: Disposed, after: After, originals: Path, relpath: str) -> str:
    found = sidecar.beside(source)
    if found is not None and (done.how is Fate.ARCHIVED or after is After.ARCHIVE):
        with _home(originals, relpath) as (_, archive):
            return sidecar.move_along(source, archive / (source.name if done.path is None else done.path.name))
    if found is not None and after is After.TRASH:
        send2trash(os.fspath(_real(found)))
    elif found is not None and after is After.DELETE:
        found.unlink(missing_ok=True)
    durable.sync_gone(source)
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
        with _home(failed, relpath) as (folder, here):
            for name in spelling.candidates(here, *names.parts(relpath)):
                # A stranger's instruction under the name would be taken for this file's when it is tried again.
                if not os.path.lexists(here / name) and sidecar.beside(here / name) is None:
                    return folder / name
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for failed files")) from error
    raise AssertionError("names do not end")


def quarantine(source: Path, target: Path, fingerprint: Fingerprint, *, relpath: str) -> bool:
    """Move a failed file to its recorded target, with the instruction beside it; call again after a crash.

    Args:
        source: where it lies now.
        target: as `aim_quarantine` said.
        fingerprint: of the file that was accepted.
        relpath: the path in the inbox.

    Returns:
        Whether it lies there now. False: it has changed, is gone, or may not be moved, and stays as it is.

    Raises:
        FileExistsError: another file has the name; aim again.
        PublishError: the folder cannot take it now; as `failure_of` says.
    """
    failed = way.place_of(target, relpath)
    try:
        with way.to(source.parent, within=way.place_of(source, relpath)) as here:
            lies = here / source.name
            if not transfer.matches(lies, fingerprint):
                with way.to(target.parent, within=failed) as there:
                    return _is_quarantined(lies, there / target.name, fingerprint)
            if source == target:
                return True
            if not _removable(lies):
                return False
            with way.made(target.parent, within=failed) as there:
                return _move(lies, there / target.name, fingerprint)
    except FileExistsError:
        raise
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for failed files")) from error


def _is_quarantined(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    transfer.partial(target.parent, fingerprint).unlink(missing_ok=True)
    if os.path.lexists(source) or not transfer.resembles(target, fingerprint):
        return False
    durable.sync_way(target.parent)  # by a run that may have been killed before it came to this
    durable.sync_gone(source)
    return True


def _move(source: Path, target: Path, fingerprint: Fingerprint) -> bool:
    try:
        return transfer.bring(source, target, fingerprint)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _FORBIDDEN and _writable(target.parent):
            return False  # so it is the file itself that may not be read or moved
        raise


def move_sidecar(source: Path, target: Path, *, relpath: str) -> str:
    """Let the instruction beside a failed file go where the file went; a sentence when it stays where it is, else ""."""
    try:
        with (
            way.to(source.parent, within=way.place_of(source, relpath)) as here,
            way.made(target.parent, within=way.place_of(target, relpath)) as there,
        ):
            return "" if source == target else sidecar.move_along(here / source.name, there / target.name)
    except OSError as error:
        return sidecar.left(error)


@contextmanager
def _home(place: Path, relpath: str) -> Iterator[tuple[Path, Path]]:
    """The folder of a place for a file of that path, as the place's disk spells it, and the way to it."""
    with way.made(place, within=place) as held:
        folder = place / spelling.inside(held, relpath)
    with way.made(folder, within=place) as held:
        yield folder, held


def _archive(source: Path, fingerprint: Fingerprint, originals: Path, relpath: str, note: str) -> Disposed:
    with _home(originals, relpath) as (folder, archive):
        for name in spelling.candidates(archive, *names.parts(relpath)):
            try:
                if transfer.bring(source, archive / name, fingerprint):
                    return Disposed(how=Fate.ARCHIVED, path=folder / name, note=note)
                return Disposed(how=Fate.CHANGED if os.path.lexists(source) else Fate.GONE)
            except FileExistsError:
                continue
            except OSError as error:
                if error.errno in _FORBIDDEN and _writable(archive):
                    return _left(error.strerror or "not permitted")
                raise
    raise AssertionError("names do not end")


def _archived(archive: Path, relpath: str, fingerprint: Fingerprint) -> str | None:
    """Under which name an earlier run put a source that is gone now."""
    for name in spelling.candidates(archive, *names.parts(relpath)):
        if not os.path.lexists(archive / name):
            return None
        if transfer.resembles(archive / name, fingerprint):
            return name
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


def _real(file: Path) -> Path:
    """A file's own name, for those who write it down: the trash remembers where to put it back."""
    return file.parent.resolve() / file.name


def _removable(source: Path) -> bool:
    folder = source.parent.stat()
    others = os.geteuid() not in {0, folder.st_uid, source.lstat().st_uid}
    return _writable(source.parent) and not (folder.st_mode & stat.S_ISVTX and others)


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
