"""What a power cut would leave of a folder: only what was synced is sure to be there.

Rules kept here:
- a name is sure once its folder was synced under it, a file's bytes as they were when it was synced, nothing else;
- what was there at the beginning is sure; a transaction of SQLite's is from its commit on (`synchronous = FULL`);
- a rename is one step of any journal: both names may be old or both new, a file is not without one;
- files directly in the folder belong to the world around, which no power cut touches, and so does what is in `APART`.

Inodes cannot be chosen, so a disk that is laid out again has others: `lay` tells the ledger of them.
"""

import os
import random
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

#: Of these folders nothing is followed: `state` holds the ledger, which is copied by SQLite itself, `home` the trash.
APART = frozenset({"state", "home"})
LEDGER = Path("state") / "ledger.sqlite3"
INODES = "inodes"


class Cut(StrEnum):
    """Which of the disks that a power cut may leave."""

    STRICT = "strict"  # nothing but what is sure
    NAMES = "names"  # all names, and no bytes but those that are sure
    MIXED = "mixed"  # of all else some names and some bytes, or as many zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A file as it was when it was synced."""

    content: bytes
    mode: int
    mtime_ns: int


@dataclass(slots=True, kw_only=True)
class Disk:
    """Follows what of a folder is sure; `begin` makes it listen to every fsync of this process."""

    root: Path
    names: dict[int, dict[str, int]] = field(default_factory=dict)  # of folders, by inode
    bytes_of: dict[int, _Kept] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _pins: dict[int, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Take what is there for sure, and listen from now on."""
        for folder, names, _ in os.walk(self.root):
            if folder == os.fspath(self.root):
                names[:] = [name for name in names if name not in APART]
            self._keep_names(Path(folder))
            for entry in os.scandir(folder):
                if entry.is_file(follow_symlinks=False):
                    self._keep_bytes(Path(entry.path))
        real = os.fsync

        def traced(handle: int) -> None:
            real(handle)
            self.synced(handle)

        os.fsync = traced  # type: ignore[assignment]

    def synced(self, handle: int) -> None:
        """A file or folder of ours lies on the disk now."""
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if not path.is_relative_to(self.root) or path.relative_to(self.root).parts[:1] in {(name,) for name in APART}:
            return
        with self.lock, suppress(FileNotFoundError):
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                self._keep_names(path)
            else:
                self._keep_bytes(path)

    def leave(self, cut: Cut, to: Path, dice: random.Random) -> None:
        """Lay out, somewhere else, what a power cut at this moment would leave."""
        with self.lock:
            to.mkdir()
            for entry in os.scandir(self.root):
                if entry.is_file():
                    shutil.copy2(entry.path, to)
            tree = self._tree(cut, dice)
            first: dict[int, Path] = {}
            for path, inode in sorted(tree.items()):
                self._lay_one(to / path, inode, cut, dice, first)
            (to / INODES).write_text("\n".join(f"{inode} {path.relative_to(to)}" for inode, path in first.items()))
            (to / "state").mkdir(mode=0o700)
            ledger = self.root / LEDGER
            if ledger.exists():
                with closing(sqlite3.connect(ledger)) as db, closing(sqlite3.connect(to / LEDGER)) as copy:
                    copy.execute("PRAGMA synchronous = OFF")
                    db.backup(copy)
            if (self.root / "home").exists():
                shutil.copytree(self.root / "home", to / "home")

    def _tree(self, cut: Cut, dice: random.Random) -> dict[Path, int]:
        """Which paths are there, and whose inodes they are."""
        now = dict(self._now(Path()))
        if cut is Cut.NAMES:
            return now
        sure = dict(self._sure(Path(), self.root.stat().st_ino))
        if cut is Cut.STRICT:
            return sure
        mixed = {}
        for path in sorted(now.keys() | sure.keys()):
            old, new = sure.get(path), now.get(path)
            inode = new if old == new or dice.random() < 0.5 else old
            if inode is not None and (path.parent == Path() or path.parent in mixed):
                mixed[path] = inode
        for path, inode in sure.items():  # a rename is one step
            if inode in now.values() and inode not in mixed.values() and path not in mixed:
                mixed |= {above: sure[above] for above in (*path.parents[-2::-1], path) if above not in mixed}
        return mixed

    def _now(self, inside: Path) -> Iterator[tuple[Path, int]]:
        for entry in os.scandir(self.root / inside):
            path = inside / entry.name
            if inside == Path() and (entry.is_file() or entry.name in APART):
                continue
            yield path, entry.inode()
            if entry.is_dir(follow_symlinks=False):
                yield from self._now(path)

    def _sure(self, inside: Path, folder: int) -> Iterator[tuple[Path, int]]:
        for name, inode in self.names.get(folder, {}).items():
            path = inside / name
            pin = os.fstat(self._pins[inode])
            if inside == Path() and (stat.S_ISREG(pin.st_mode) or name in APART):
                continue
            yield path, inode
            if stat.S_ISDIR(pin.st_mode):
                yield from self._sure(path, inode)

    def _lay_one(self, path: Path, inode: int, cut: Cut, dice: random.Random, first: dict[int, Path]) -> None:
        source = self._pin(inode)
        seen = source.stat()
        if stat.S_ISDIR(seen.st_mode):
            path.mkdir(mode=stat.S_IMODE(seen.st_mode), exist_ok=True)
            return
        if inode in first:
            os.link(first[inode], path)
            return
        first[inode] = path
        kept = self.bytes_of.get(inode)
        if kept is None:
            content = b""
            if cut is Cut.MIXED:
                content = dice.choice((b"", bytes(seen.st_size), source.read_bytes()))
            kept = _Kept(content=content, mode=stat.S_IMODE(seen.st_mode), mtime_ns=seen.st_mtime_ns)
        path.write_bytes(kept.content)
        path.chmod(kept.mode)
        os.utime(path, ns=(kept.mtime_ns, kept.mtime_ns))

    def _keep_names(self, folder: Path) -> None:
        listed = {}
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                self._hold(Path(entry.path), entry.inode())
                listed[entry.name] = entry.inode()
        inode = folder.stat().st_ino
        self._hold(folder, inode)
        self.names[inode] = listed

    def _keep_bytes(self, file: Path) -> None:
        content, seen = file.read_bytes(), file.stat()
        self._hold(file, seen.st_ino)
        self.bytes_of[seen.st_ino] = _Kept(content=content, mode=stat.S_IMODE(seen.st_mode), mtime_ns=seen.st_mtime_ns)

    def _hold(self, path: Path, inode: int) -> None:
        """Keep an inode from being given to another file."""
        if inode not in self._pins:
            self._pins[inode] = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _pin(self, inode: int) -> Path:
        if inode not in self._pins:
            path = next(path for path, found in self._now(Path()) if found == inode)
            return self.root / path
        return Path(f"/proc/self/fd/{self._pins[inode]}")


def lay(disk: Path, root: Path) -> None:
    """Put a disk in the place of the one that was cut off, and tell its ledger of the new inodes."""
    shutil.rmtree(root, ignore_errors=True)
    disk.rename(root)
    lines = (root / INODES).read_text(encoding="utf-8").splitlines()
    (root / INODES).unlink()
    pairs = [(int(old), root / path) for old, _, path in (line.partition(" ") for line in lines)]
    if not (root / LEDGER).exists():
        return  # cut off before it was made
    with closing(sqlite3.connect(root / LEDGER)) as db, db:
        # Twice, by way of numbers that no file has: an old number may be another file's new one.
        db.executemany("UPDATE job SET inode = ? WHERE inode = ?", [(-path.stat().st_ino, old) for old, path in pairs])
        db.execute("UPDATE job SET inode = -inode WHERE inode < 0")
    for old, path in pairs:
        if (new := path.name.replace(f".nemod-{old}-", f".nemod-{path.stat().st_ino}-")) != path.name:
            path.rename(path.with_name(new))
