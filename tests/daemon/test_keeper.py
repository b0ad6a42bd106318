"""nemod's own trash removes what is due and known to be its own, and nothing else, whatever clock and people do."""

import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nemod.config.model import After, Config, Folder, Preset
from nemod.daemon.keeper import Keeper, room_bytes, which
from nemod.job import Fingerprint, JobId, JobState, Move, Sighting
from nemod.ledger.desk import Desk
from nemod.ledger.keeping import DAY_S, End, retain
from nemod.ledger.ledger import Ledger

KEEP_S = 30 * DAY_S
YEARS_S = 3650 * DAY_S


@dataclass(slots=True, kw_only=True)
class Trash:
    """A folder with its trash, the ledger that knows it, and a clock that a test sets."""

    folder: Folder
    ledger: Ledger
    desk: Desk
    now: float = field(default_factory=time.time)
    room: Callable[[Path], int] = room_bytes

    def put(self, name: str) -> tuple[JobId, Path]:
        """An original that has just been put into the trash."""
        file = self.folder.originals / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode() * 1000)
        seen = [Sighting(relpath=name, fingerprint=Fingerprint(size_bytes=1, mtime_ns=1, inode=len(name)))]
        found = self.ledger.reconcile(self.folder, resting=seen, seen=seen, sees=lambda _: False, now=self.now)
        (job,) = found.added
        assert self.ledger.move(job, Move.CANCEL, now=self.now)
        there = which(file)
        assert there is not None
        retain(self.ledger, job, file, there, keep_s=self.folder.retention_s, now=self.now)
        return job, file

    async def look(self) -> None:
        """One look of the keeper's."""
        config = Config(file=Path("config.toml"), folders=(self.folder,))
        await Keeper(desk=self.desk, config=lambda: config, clock=lambda: self.now, room=self.room).look()

    async def days(self, number: float) -> None:
        """So much time goes by while nemod is at work."""
        for _ in range(round(number * 2)):
            self.now += DAY_S / 2
            await self.look()

    def end(self, job: JobId) -> End | None:
        """What became of a job's original."""
        (kept,) = self.ledger.kept(now=self.now, job=job)
        return kept.end


@pytest.fixture
async def trash(tmp_path: Path) -> AsyncIterator[Trash]:
    """An empty one."""
    ledger = Ledger.open(tmp_path / "ledger.sqlite3")
    desk = Desk(ledger)
    inbox = tmp_path / "in"
    inbox.mkdir()
    folder = Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=None,
        preset=Preset(name="any"),
        after=After.TRASH,
        retention_s=KEEP_S,
    )
    folder.originals.mkdir()
    yield Trash(folder=folder, ledger=ledger, desk=desk)
    desk.close()


async def test_an_original_is_removed_when_its_time_is_over(trash: Trash) -> None:
    """Not a day before; what lies beside it and is not known stays."""
    job, file = trash.put("trip/a.mov")
    stranger = file.with_name("stranger.mov")
    stranger.touch()
    await trash.days(29)
    assert file.exists()
    await trash.days(2)
    assert not file.exists()
    assert stranger.exists()
    assert trash.end(job) is End.REMOVED


async def test_a_clock_that_jumps_removes_nothing(trash: Trash) -> None:
    """Years ahead count as a day; set back, time goes on from there; and years without nemod count as a day as well."""
    _, file = trash.put("a.mov")
    for jump in (YEARS_S, -2 * YEARS_S, YEARS_S, YEARS_S):
        trash.now += jump
        await trash.look()
    await trash.days(25)
    assert file.exists()
    await trash.days(6)
    assert not file.exists()


async def test_what_is_not_the_file_any_more_stays(trash: Trash) -> None:
    """Another file, another content, a link in its place or on the way to it, and one that somebody has taken."""
    changed, replaced, linked, behind, taken = (trash.put(f"{name}/x.mov") for name in ("a", "bb", "ccc", "dddd", "eeeee"))
    outside = trash.folder.inbox.parent / "outside"
    outside.mkdir()
    with changed[1].open("ab") as more:
        more.write(b"more")
    fresh = replaced[1].with_name("fresh")
    fresh.write_bytes(replaced[1].read_bytes())
    os.utime(fresh, ns=(0, replaced[1].stat().st_mtime_ns))
    fresh.replace(replaced[1])
    (outside / "linked").write_bytes(linked[1].read_bytes())
    linked[1].unlink()
    linked[1].symlink_to(outside / "linked")
    behind[1].parent.rename(outside / "dddd")
    behind[1].parent.symlink_to(outside / "dddd")
    taken[1].unlink()
    await trash.days(31)
    assert [trash.end(job) for job, _ in (changed, replaced, linked, behind)] == [End.CHANGED] * 4
    assert trash.end(taken[0]) is End.GONE
    assert changed[1].exists()
    assert replaced[1].exists()
    assert (outside / "linked").exists()
    assert (outside / "dddd" / "x.mov").exists()


async def test_a_trash_that_is_away_is_not_gone(trash: Trash) -> None:
    """A drive that is not mounted leaves no folder, or a bare one; the file is removed once it is back."""
    job, file = trash.put("a.mov")
    away = trash.folder.originals.rename(trash.folder.inbox / "away")
    await trash.days(31)
    assert trash.end(job) is None
    away.rename(trash.folder.originals)
    await trash.look()
    assert not file.exists()
    assert trash.end(job) is End.REMOVED


async def test_the_oldest_make_room_and_no_more_than_is_missing(trash: Trash) -> None:
    """One after the other while the disk has less than the floor; what is long enough there goes anyway."""
    files = [trash.put(f"{name}.mov")[1] for name in ("a", "bb", "ccc")]
    trash.folder = replace(trash.folder, retention_s=None, keep_free_bytes=1)
    await trash.days(400)
    assert all(file.exists() for file in files), "there is room, and no time was set"
    trash.folder = replace(trash.folder, keep_free_bytes=1_000_000)
    trash.room = lambda _: 1_000_000 - 4999
    await trash.look()
    assert [file.exists() for file in files] == [False, True, True], "the oldest has five thousand bytes"


async def test_who_left_the_config_and_who_is_still_needed_stay(trash: Trash) -> None:
    """A folder without a trash removes nothing, nor does one whose trash lies elsewhere; what a job works with stays."""
    job, file = trash.put("a.mov")
    before = trash.folder
    trash.folder = replace(before, after=After.ARCHIVE)
    await trash.days(40)
    trash.folder = replace(before, originals=before.inbox / "elsewhere")
    trash.folder.originals.mkdir()
    await trash.days(1)
    trash.folder = before
    with trash.ledger.transaction():
        trash.ledger.execute("UPDATE job SET state = ?, source = ?", (JobState.PARKED, os.fsencode(file)))
    await trash.look()
    assert file.exists()
    with trash.ledger.transaction():
        trash.ledger.execute("UPDATE job SET state = ?", (JobState.CANCELLED,))
    await trash.look()
    assert not file.exists()
    assert trash.end(job) is End.REMOVED
