"""From a work folder into the outbox: whole or not at all, and never over another file.

The order that the caller keeps, one fact of the ledger between the steps:

1. `work_folder` in the outbox's own file system; the engine writes there; `stamp`.
2. `secure` → fact `staged` → fact `target` (intent) → `publish` → fact `delivered_bytes` → `unstage` → `clear_work`.

What a kill leaves, and what the next start does (it asks `already_published` before it publishes):

| killed …                              | on disk                             | then                                      |
|---------------------------------------|-------------------------------------|-------------------------------------------|
| after fact `target`, before the link  | staged                              | not published: `publish`                  |
| between link and fact `delivered`     | staged and target, one inode        | published: `settle` and record it         |
| the same where links are unknown      | target with the staged file's size  | published: record it                      |
| within the placeholder way            | staged, an empty target of ours     | not published: `publish` replaces it      |
| after fact `delivered`                | staged and target                   | `unstage`, which may be done twice        |
| before fact `staged`                  | a folder without an open attempt    | `sweep` at the start                      |

An outbox may be another's as well: a second daemon's with a ledger of its own, or a `nemod compress`'s. What a ledger does not
know it leaves alone, until nothing in it has moved for a day: then whoever made it is gone.

Somebody else's file under the target is a `FileExistsError`: the caller aims at the next name. Of a set of files each is as
above, and the fact `delivered_bytes` comes after the last one; a set that cannot be whole is taken back by `withdraw`.
"""

import errno
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from nemod import durable, ownership
from nemod.delivery import place, way
from nemod.failure import Failure, Kind, NemodError, failure_of

WORK = ".nemod-work"
#: What is being removed; the next sweep removes what a kill has left of it.
GOING = "going-"
#: A work folder of which this ledger knows nothing is another's, unless nothing in it has changed for this long.
STRANGE_S = 86_400.0


class PublishError(NemodError):
    """A file could not be put where it belongs."""


def prepare_outbox(outbox: Path) -> None:
    """Make sure that the outbox is there and takes files; its parent must be there.

    Raises:
        PublishError: NO_SPACE or NOT_WRITABLE.
    """
    try:
        with way.made(outbox, within=outbox) as here:
            if not os.access(here, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def work_folder(outbox: Path, job: int, attempt: int, token: str) -> Path:
    """The name of one attempt's folder; the caller records it before `make_work`, so that a sweep knows whose it is.

    Args:
        outbox: in whose file system it will lie.
        job: its id.
        attempt: its id.
        token: random and good for a file name, so that an orphaned child of an earlier life writes elsewhere.
    """
    return outbox / WORK / f"{job}-{attempt}-{token}"


def make_work(folder: Path) -> Path:
    """Make a `work_folder` for our eyes only, or find it as an earlier run left it; its outbox is there already.

    Raises:
        PublishError: as `failure_of` says.
    """
    try:
        with way.made(folder.parent.parent, within=folder.parent.parent) as outbox:
            while True:
                (outbox / WORK).mkdir(mode=0o700, exist_ok=True)
                # Another job's `clear_work` may just remove the empty home.
                with suppress(FileNotFoundError), way.made(outbox / WORK, within=outbox) as home:
                    (home / folder.name).mkdir(mode=0o700, exist_ok=True)
                    return folder
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def stamp(path: Path, mtime_ns: int) -> None:
    """Give a staged file the source's time, the permissions that any new file of this user has, and its owner.

    Args:
        path: inside a work folder.
        mtime_ns: nanoseconds since the epoch.

    Raises:
        PublishError: as `failure_of` says.
    """
    try:
        mode = _new_file_mode(path.parent)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            with suppress(PermissionError):  # FAT and some shares know no modes and no times; that is no reason to fail
                os.fchmod(handle, mode)
            with suppress(PermissionError):
                os.utime(handle, ns=(mtime_ns, mtime_ns))
            ownership.give(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def secure(staged: Path) -> None:
    """Let a finished file and its name lie on the disk: a power cut must not leave another one than was judged, nor none.

    It may have been paid for, and the next try may be made from it. One that the disk has lost is removed: it is made again.

    Raises:
        PublishError: TRANSIENT when it is no longer there, else as `failure_of` says.
    """
    try:
        durable.sync_file(staged)
        durable.sync_way(staged.parent)
    except durable.Unsynced as error:
        with suppress(OSError):
            staged.unlink()
        raise PublishError(failure_of(error, "the outbox")) from error
    except FileNotFoundError as error:
        gone = "The finished file vanished from the work folder before it could be delivered."
        raise PublishError(Failure(kind=Kind.TRANSIENT, detail=gone)) from error
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def publish(staged: Path, target: Path) -> None:
    """Let a finished file appear in the outbox; where there are hard links it keeps its staged name as well.

    Raises:
        FileExistsError: the name is taken; aim at another one.
        PublishError: TRANSIENT when the staged file is no longer there, else as `failure_of` says.
    """
    secure(staged)
    outbox = _outbox(staged)
    try:
        with way.to(staged.parent, within=outbox) as work, way.made(target.parent, within=outbox) as there:
            if not place.link(work / staged.name, there / target.name):
                place.rename(work / staged.name, there / target.name)
            try:
                durable.sync_way(there)
            except durable.Unsynced:
                with suppress(OSError):  # given anew, the name is written anew
                    _take_back(work / staged.name, there / target.name)
                raise
    except FileExistsError:
        raise
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def settle(target: Path) -> None:
    """Let a published file's name lie on the disk, also one that an earlier run gave it before it was killed.

    Raises:
        PublishError: as `failure_of` says.
    """
    try:
        durable.sync_way(target.parent)
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def already_published(staged: Path, target: Path, *, size_bytes: int) -> bool:
    """Whether a publish that was never recorded has happened: the target is the staged file, or took its place.

    Where there are hard links both names have one inode. Without, the staged name is gone and all that is left to compare is
    the size; the name was ours by the ledger, so that is proof enough.

    Raises:
        PublishError: the disk does not tell; as `failure_of` says.
    """
    outbox = _outbox(staged)
    try:
        with way.to(staged.parent, within=outbox) as work, way.to(target.parent, within=outbox) as there:
            return _is_published(work / staged.name, there / target.name, size_bytes)
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def withdraw(staged: Path, target: Path, *, size_bytes: int) -> None:
    """Take a published file of an unfinished set out of the outbox again, back to its staged name; may be called again.

    Raises:
        PublishError: as `failure_of` says.
    """
    outbox = _outbox(staged)
    try:
        with way.to(target.parent, within=outbox) as there, way.made(staged.parent, within=outbox) as work:
            published, second = there / target.name, work / staged.name
            if not _is_published(second, published, size_bytes):
                return
            _take_back(second, published)
            durable.sync_folder(there)
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def unstage(staged: Path) -> None:
    """Remove the staged name once the delivery is recorded; may be called again."""
    try:
        with way.to(staged.parent, within=_outbox(staged)) as work:
            (work / staged.name).unlink(missing_ok=True)
    except OSError as error:
        raise PublishError(failure_of(error, "the outbox")) from error


def clear_work(folder: Path) -> None:
    """Remove an attempt's folder, and the home of all of them once it is empty.

    What cannot be removed now is swept at the next start: a delivered job does not fail for it.

    Raises:
        ValueError: the folder is not one that `work_folder` makes.
    """
    if folder.parent.name != WORK:
        raise ValueError(f"not a work folder: {folder!r}")
    with suppress(OSError), way.to(folder.parent, within=folder.parent.parent) as home:
        _remove(home / folder.name)
    _leave(folder.parent)


def sweep(outbox: Path, keep: frozenset[Path], *, ours: frozenset[Path], now: float) -> tuple[Path, ...]:
    """Remove the work folders that nobody needs; returns those that are gone now.

    Args:
        outbox: in which to look.
        keep: those that are still needed.
        ours: all that this ledger knows; others belong to somebody else, unless they are as old as `STRANGE_S` says.
        now: epoch seconds.
    """
    removed = []
    with suppress(OSError), way.to(outbox / WORK, within=outbox) as home:  # a link would lead us out of the outbox
        for entry in sorted(os.scandir(home), key=lambda entry: entry.name):
            folder, here = outbox / WORK / entry.name, home / entry.name
            doomed = folder in ours or folder.name.startswith(GOING) or now - _changed(here) > STRANGE_S
            if doomed and folder not in keep and _remove(here):
                removed.append(folder)
    _leave(outbox / WORK)  # also one that a power cut has left empty
    return tuple(removed)


def _outbox(staged: Path) -> Path:
    """In which outbox a staged file waits; the way to it from there leads through no link."""
    return next(folder.parent for folder in staged.parents if folder.name == WORK)


def _take_back(staged: Path, published: Path) -> None:
    if os.path.lexists(staged):
        published.unlink()  # its second name
    else:
        place.move(published, staged)


def _is_published(staged: Path, target: Path, size_bytes: int) -> bool:
    try:
        found = target.lstat()
    except FileNotFoundError:
        return False
    try:
        ours = staged.lstat()
    except FileNotFoundError:
        return stat.S_ISREG(found.st_mode) and found.st_size == size_bytes
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def _changed(folder: Path) -> float:
    """When something in a folder changed last, epoch seconds; what cannot be told has changed just now."""
    try:
        return max(float(path.lstat().st_mtime) for path in (folder, *(folder.iterdir() if folder.is_dir() else ())))
    except OSError:
        return float("inf")


def _new_file_mode(folder: Path) -> int:
    # Asking the umask means setting it, for every thread at once; a file made the ordinary way knows it, ACLs included.
    sample = folder / ".mode"
    sample.unlink(missing_ok=True)
    handle = os.open(sample, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)
        sample.unlink(missing_ok=True)


def _remove(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            path.unlink(missing_ok=True)
    else:
        # Under another name first: the ffmpeg of a killed daemon can then open no further file in it while it is emptied.
        away = path.with_name(f"{GOING}{secrets.token_hex(4)}")
        with suppress(OSError):
            path.rename(away)
        for folder in (away, away, path):  # twice: for the file that was being opened while the name changed
            shutil.rmtree(folder, ignore_errors=True)  # follows no links
    return not os.path.lexists(path)


def _leave(home: Path) -> None:
    with suppress(OSError):  # not empty: another attempt is at work; not there: another one was faster
        home.rmdir()
