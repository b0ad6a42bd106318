"""nemod's own trash: originals are removed from it when they have lain there long enough, or while their disk lacks room.

Rules kept here:
- removed is only what the ledger knows to have been put there by nemod, below the folder's `originals`, by a way without links,
  and only while it is the file that it was then: the same size and time, and the same inode where its disk keeps them;
- an original whose output was not delivered never came here, and one that a job still works with stays;
- time is counted as `ledger.keeping` says; a folder that has left the config, or its trash, removes nothing;
- a file goes before that is written down: a kill between the two is made good by the next look, which finds it gone;
- for want of room no more goes at one look than is missing: some disks tell of free room only later.
"""

import asyncio
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nemod import durable, logs
from nemod.config.model import Config, Folder
from nemod.config.units import format_duration
from nemod.delivery import way
from nemod.intake.drives import unplugged
from nemod.intake.mounts import file_system
from nemod.job import Fingerprint
from nemod.ledger.desk import Desk
from nemod.ledger.keeping import End, Kept
from nemod.ledger.ledger import Ledger

log = logs.get(__name__)

#: How often is looked, and how long one disk may take.
EVERY_S, ANSWER_S = 300.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Looks after the trash of each folder."""

    desk: Desk
    config: Callable[[], Config]
    clock: Callable[[], float] = time.time
    room: Callable[[Path], int]

    async def turn(self) -> None:
        """Look, again and again."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Let time count, and remove what is due."""
        folders = {folder.name: folder for folder in self.config().folders if folder.own_trash}
        await self.desk(Ledger.count_time, now=self.clock())
        await self.desk(Ledger.keep_for, {name: folder.retention_s for name, folder in folders.items()})
        every = await self.desk(Ledger.kept, now=self.clock())
        for name, folder in folders.items():
            if mine := [one for one in every if one.folder == name and one.file.is_relative_to(folder.originals)]:
                await self._clear(folder, mine)

    async def _clear(self, folder: Folder, mine: list[Kept]) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                if await unplugged(self.desk, folder.originals) is not None:
                    return  # what is missing on a drive that is away is not gone
                missing = (folder.keep_free_bytes or 0) - await asyncio.to_thread(self.room, folder.originals)
                for one in mine:  # the oldest first
                    due = one.left_s is not None and one.left_s <= 0
                    if due or missing > 0:
                        why = "it has lain there long enough" if due else "its disk needs the room"
                        missing -= await self._remove(folder, one, why)
        except (OSError, TimeoutError):
            return  # the disk is away, or fails, or does not answer: the next look

    async def _remove(self, folder: Folder, one: Kept, why: str) -> int:
        """Remove a file, if it is still the one; returns how many bytes that freed."""
        try:
            end = await asyncio.to_thread(remove, one, folder.originals)
        except PermissionError as error:
            log.warning("original.stays", job=one.job, folder=one.folder, file=one.relpath, why=error.strerror)
            return 0
        await self.desk(Ledger.kept_no_more, one.job, end)
        facts = {"job": one.job, "folder": one.folder, "file": one.relpath, "lay": str(one.file)}
        if end is End.CHANGED:
            log.warning("original.stays", **facts, why="Another file lies there now, which nemod leaves alone.")
        if end is End.REMOVED:
            size = one.fingerprint.size_bytes
            log.info("original.removed", **facts, why=why, bytes=size, kept_for=format_duration(one.age_s))
            return size
        return 0


def which(file: Path) -> Fingerprint | None:
    """Which file lies there, as far as its disk keeps that; None when nobody can tell, and then it stays for ever."""
    try:
        found = file.lstat()
        inode = found.st_ino if file_system(file.parent).steady else 0
    except OSError:
        return None
    return Fingerprint(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=inode)


def remove(one: Kept, originals: Path) -> End:
    """Remove a file from the trash, if it is the one that was put there; what became of it.

    Raises:
        OSError: it cannot be reached or removed now.
    """
    originals.stat()
    with way.to(one.file.parent, within=originals) as here:
        there = here / one.file.name
        try:
            found = there.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return End.CHANGED if os.path.lexists(one.file) else End.GONE  # reached by a link alone: not ours
        now = Fingerprint(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)
        if not stat.S_ISREG(found.st_mode) or not one.fingerprint.fits(now):
            return End.CHANGED
        there.unlink()
        durable.sync_gone(there)
    return End.REMOVED


def room_bytes(place: Path) -> int:
    """How much room the disk of a place has."""
    return shutil.disk_usage(place).free
