"""What lies in an inbox at this moment: the truth that every poke leads back to.

Rules kept here:
- no file is ever opened (a FIFO would hang us) and no symbolic link followed; a link is reported, never taken;
- what lies in an excluded folder is never seen, whatever the spelling of its path: our own outputs must not come back;
- an inbox that cannot be read, or has lost its mount, is an error and never "the files are gone"; the same holds for
  what lies below a sub-folder that cannot be read (`Scan.sees`).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nemod.failure import Failure, Kind, NemodError
from nemod.intake.names import NameKind, ignored, instructs, kind_of, promises_video
from nemod.job import Fingerprint, Sighting


class InboxUnavailable(NemodError):  # noqa: N818 - a state of the world that passes, not a mistake
    """The inbox cannot be read now, so nothing is known about its files."""


class Oddity(StrEnum):
    """What something in an inbox is when it is not a candidate."""

    OTHER = "not a video by its name"
    FOLDER = "a folder named like a video"
    LINK = "a symbolic link"
    DANGLING = "a symbolic link that leads nowhere"
    FIFO = "a named pipe"
    SOCKET = "a socket"
    DEVICE = "a device"
    UNREADABLE = "not readable"  # a folder, or a file of which not even the size can be learned


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """Something left alone; worth one line in the log."""

    relpath: str
    what: Oddity


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Everything seen in one look; `identity` is device and inode of the inbox that was read."""

    sightings: tuple[Sighting, ...]
    odd: tuple[Odd, ...]
    identity: tuple[int, int]

    def sees(self, relpath: str) -> bool:
        """Whether this look would have shown the file if it were there; if not, its absence means nothing."""
        blind = (odd.relpath for odd in self.odd if odd.what is Oddity.UNREADABLE)
        return not any(relpath == path or relpath.startswith(f"{path}/") for path in blind)


def identity(inbox: Path) -> tuple[int, int]:
    """Device and inode of the folder that the path now leads to.

    Raises:
        InboxUnavailable: it is not there, is no folder or may not be read.
    """
    with _opened(inbox) as fd:
        return _identity(os.fstat(fd))


def scan(
    inbox: Path,
    *,
    recursive: bool,
    ignore: tuple[str, ...],
    exclude: frozenset[Path],
    steady: bool = True,
    expect: tuple[int, int] | None = None,
) -> Scan:
    """List the candidates in an inbox, without sub-folders unless `recursive`.

    Args:
        inbox: the folder; the path to it may be a link.
        recursive: look into sub-folders too, except hidden ones and links.
        ignore: a person's own patterns, on top of the built-in ones.
        exclude: folders never entered, absolute; they need not exist.
        steady: whether the inodes' numbers last; if not they say nothing, and are 0.
        expect: `identity` of an earlier look. A mount that is lost leaves its empty mount point, on another device. A folder
            deleted and made again stays on its device, and a folder with files in it has something to say: both are taken.

    Raises:
        InboxUnavailable: it cannot be read, or has lost its mount.
    """
    with _opened(inbox) as fd:
        found = _identity(os.fstat(fd))
        walk = _Walk(recursive=recursive, ignore=ignore, exclude=exclude, steady=steady)
        try:
            walk.enter(fd, "")
        except OSError as error:
            raise unavailable(error) from error
    if expect is not None and found[0] != expect[0] and not walk.sightings:
        raise InboxUnavailable(
            Failure(
                kind=Kind.NOT_WRITABLE,
                detail="The inbox is empty and lies on another device than before.",
                hint="It looks as if its drive or network share were not mounted; mount it again.",
            )
        )
    return Scan(sightings=tuple(walk.sightings), odd=tuple(walk.odd), identity=found)


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One look under way. It goes by descriptors: nothing can slip a link or a mount into the path behind its back."""

    recursive: bool
    ignore: tuple[str, ...]
    exclude: frozenset[Path]
    steady: bool
    sightings: list[Sighting] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)

    def enter(self, fd: int, prefix: str) -> None:
        with os.scandir(fd) as entries:
            for entry in entries:
                relpath = prefix + entry.name
                if not ignored(relpath, self.ignore):
                    # What vanishes between the listing and the look is simply not there.
                    with suppress(FileNotFoundError):
                        self.look(fd, entry, relpath)

    def look(self, fd: int, entry: os.DirEntry[str], relpath: str) -> None:
        try:
            seen = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            raise
        except OSError:
            self.report(relpath, Oddity.UNREADABLE)
            return
        match stat.S_IFMT(seen.st_mode):
            case stat.S_IFREG if kind_of(entry.name) is NameKind.VIDEO:
                inode = seen.st_ino if self.steady else 0
                fingerprint = Fingerprint(size_bytes=seen.st_size, mtime_ns=seen.st_mtime_ns, inode=inode)
                self.sightings.append(Sighting(relpath=relpath, fingerprint=fingerprint))
            case stat.S_IFREG:
                if not instructs(entry.name):  # what a person says of a video is no news
                    self.report(relpath, Oddity.OTHER)
            case stat.S_IFDIR if self.recursive:
                if not self.excluded(seen):
                    self.descend(fd, entry.name, relpath)
            case stat.S_IFDIR:
                if promises_video(entry.name):
                    self.report(relpath, Oddity.FOLDER)
            case stat.S_IFLNK:
                self.report(relpath, Oddity.LINK if _leads_somewhere(fd, entry.name) else Oddity.DANGLING)
            case stat.S_IFIFO:
                self.report(relpath, Oddity.FIFO)
            case stat.S_IFSOCK:
                self.report(relpath, Oddity.SOCKET)
            case _:
                self.report(relpath, Oddity.DEVICE)

    def descend(self, fd: int, name: str, relpath: str) -> None:
        try:
            child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        except FileNotFoundError:
            raise
        except OSError:
            self.report(relpath, Oddity.UNREADABLE)
            return
        try:
            self.enter(child, f"{relpath}/")
        except OSError:
            self.report(relpath, Oddity.UNREADABLE)
        finally:
            os.close(child)

    def excluded(self, seen: os.stat_result) -> bool:
        """Asked for each folder when it is met: one made since the look began would be missing from an earlier list."""
        for path in self.exclude:
            with suppress(OSError):
                if os.path.samestat(seen, path.stat()):
                    return True
        return False

    def report(self, relpath: str, what: Oddity) -> None:
        self.odd.append(Odd(relpath=relpath, what=what))


@contextmanager
def _opened(inbox: Path) -> Iterator[int]:
    try:
        fd = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unavailable(error) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _identity(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_dev, seen.st_ino


def _leads_somewhere(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd)
    except OSError:
        return False
    return True


def unavailable(error: OSError) -> InboxUnavailable:
    """What it means when an inbox cannot be opened, listed or watched."""
    return InboxUnavailable(
        Failure(
            kind=Kind.NOT_WRITABLE,
            detail=f"The inbox cannot be read: {error.strerror or error}.",
            hint="Check that it is there, that its drive is mounted and that this user may read it.",
        )
    )
