"""From a poke to jobs, with a real inbox and a real ledger."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nemod.config.model import Folder, Preset
from nemod.intake.intake import Intake
from nemod.intake.scan import InboxUnavailable
from nemod.job import JobId, JobState, Lane, Move
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, Reconciled

NOW = 1_790_000_000.0
SETTLE_S = 2.0


@dataclass(slots=True, kw_only=True)
class Inbox:
    """An inbox under watch, with a clock that is told what time it is."""

    folder: Folder
    desk: Desk
    intake: Intake
    mono: float = 100.0

    async def look(self, *, after_s: float = 0.0) -> Reconciled:
        """Let the clock go on, then look."""
        self.mono += after_s
        found, _ = await self.intake.look(mono=self.mono, now=NOW + self.mono)
        return found

    async def rest(self) -> Reconciled:
        """Look twice, so far apart that what does not change has come to rest."""
        first = await self.look()
        second = await self.look(after_s=SETTLE_S)
        return Reconciled(added=first.added + second.added, gone=first.gone + second.gone)

    def drop(self, relpath: str, data: bytes = b"moving pictures") -> Path:
        """A file in the inbox."""
        path = self.folder.inbox / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    async def state(self, job: JobId) -> JobState:
        """What the ledger says of a job."""
        found = await self.desk(Ledger.job, job)
        assert found is not None
        return found.state

    async def archive(self, job: JobId) -> Path:
        """Bring a job to its end as a runner would, its original archived."""
        claimed = await self.desk(Ledger.claim, Lane.LIGHT, now=NOW + self.mono)
        assert claimed is not None
        assert claimed.id == job
        away = self.folder.originals / claimed.relpath
        claimed.source.rename(away)
        await self.desk(Ledger.aim, job, self.folder.outbox / f"{job}.mp4")
        await self.desk(Ledger.delivered, job, 1)
        await self.desk(Ledger.disposed, job, "archived", away)
        assert await self.desk(Ledger.move, job, Move.FINISH, now=NOW + self.mono)
        return away


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    """An empty inbox with its folders."""
    root = tmp_path / "clips"
    folder = Folder(
        name="clips",
        inbox=root,
        outbox=root / "done",
        originals=root / "originals",
        failed=root / "failed",
        preset=Preset(name="discord", limit_bytes=20_000_000),
        recursive=True,
    )
    for path in (folder.outbox, folder.originals, root / "failed"):
        path.mkdir(parents=True)
    desk = Desk(Ledger.open(tmp_path / "ledger.sqlite"))
    yield Inbox(folder=folder, desk=desk, intake=Intake(folder, desk, settle_s=SETTLE_S))
    desk.close()


async def test_a_file_becomes_a_job_when_it_has_come_to_rest(inbox: Inbox) -> None:
    """Not at the first look, not before the settle time, and once; the answer says when to look again."""
    inbox.drop("clip.mov")
    assert (await inbox.look()).added == ()
    found, again_s = await inbox.intake.look(mono=inbox.mono + 0.5, now=NOW)
    assert found.added == ()
    assert again_s == pytest.approx(SETTLE_S - 0.5)
    assert len((await inbox.look(after_s=SETTLE_S)).added) == 1
    found, again_s = await inbox.intake.look(mono=inbox.mono + 1, now=NOW)
    assert (found.added, again_s) == ((), None)


async def test_a_growing_file_is_waited_for(inbox: Inbox) -> None:
    """Each change starts its rest anew."""
    for size in range(1, 6):
        inbox.drop("clip.mov", b"x" * size)
        assert (await inbox.look(after_s=SETTLE_S)).added == ()
    (job,) = (await inbox.look(after_s=SETTLE_S)).added
    found = await inbox.desk(Ledger.job, job)
    assert found is not None
    assert found.fingerprint.size_bytes == 5


async def test_own_folders_are_never_picked_up(inbox: Inbox) -> None:
    """Results, originals and failures lie below the inbox, and it is looked through to the bottom."""
    for folder in (inbox.folder.outbox, inbox.folder.originals, inbox.folder.inbox / "failed"):
        (folder / "clip.mp4").write_bytes(b"x")
    inbox.drop("trip/day 1/clip.mov")
    (job,) = (await inbox.rest()).added
    found = await inbox.desk(Ledger.job, job)
    assert found is not None
    assert found.relpath == "trip/day 1/clip.mov"


async def test_many_files_at_once_are_many_jobs(inbox: Inbox) -> None:
    """A burst costs two looks."""
    for number in range(300):
        inbox.drop(f"{number}.mp4")
    assert len((await inbox.rest()).added) == 300
    assert (await inbox.rest()).added == ()


async def test_a_name_of_any_bytes_reaches_the_ledger_and_the_disk_again(inbox: Inbox) -> None:
    """What the job calls its source can be opened."""
    names = [b"-rf.mov", b"new\nline.mov", "🎬.mov".encode(), b"x" * 251 + b".mov", b"caf\xe9.mov"]
    made = 0
    for name in names:
        try:
            inbox.drop(os.fsdecode(name))
            made += 1
        except OSError:
            assert name == b"caf\xe9.mov"  # APFS takes UTF-8 only
    added = (await inbox.rest()).added
    assert len(added) == made
    for job in added:
        found = await inbox.desk(Ledger.job, job)
        assert found is not None
        assert found.source.read_bytes() == b"moving pictures"


async def test_a_file_that_is_gone_takes_its_waiting_job_with_it(inbox: Inbox) -> None:
    """And comes back as a new one."""
    path = inbox.drop("clip.mov")
    (job,) = (await inbox.rest()).added
    path.unlink()
    assert (await inbox.look()).gone == (job,)
    assert await inbox.state(job) is JobState.CANCELLED
    inbox.drop("clip.mov")
    assert len((await inbox.rest()).added) == 1


async def test_a_file_changed_under_its_name_is_a_new_job(inbox: Inbox) -> None:
    """The old one loses its object at once, the new one rests first."""
    inbox.drop("clip.mov")
    (old,) = (await inbox.rest()).added
    inbox.drop("clip.mov", b"other pictures, and more of them")
    changed = await inbox.look()
    assert (changed.gone, changed.added) == ((old,), ())
    assert len((await inbox.look(after_s=SETTLE_S)).added) == 1


async def test_an_original_moved_back_is_done_again(inbox: Inbox) -> None:
    """The same file with its old times, even if nobody looked while it was away: a slow poll sees no difference."""
    inbox.drop("clip.mov")
    (job,) = (await inbox.rest()).added
    away = await inbox.archive(job)
    away.rename(inbox.folder.inbox / "clip.mov")
    again = (await inbox.rest()).added
    assert len(again) == 1
    assert again != (job,)


async def test_a_name_dropped_again_is_done_again(inbox: Inbox) -> None:
    """With a look in between, and a copy that keeps the times."""
    inbox.drop("clip.mov")
    (job,) = (await inbox.rest()).added
    away = await inbox.archive(job)
    assert (await inbox.look()).added == ()
    shutil.copy2(away, inbox.folder.inbox / "clip.mov")
    assert len((await inbox.rest()).added) == 1


async def test_a_second_start_finds_what_the_first_one_knew(inbox: Inbox) -> None:
    """A new watch over the same ledger makes no second job."""
    inbox.drop("clip.mov")
    assert len((await inbox.rest()).added) == 1
    inbox.intake = Intake(inbox.folder, inbox.desk, settle_s=SETTLE_S)
    assert (await inbox.rest()).added == ()


async def test_an_inbox_that_is_away_makes_nothing_gone(inbox: Inbox) -> None:
    """Renamed, unmounted: an error, and every job waits; when it is back all goes on."""
    inbox.drop("clip.mov")
    (job,) = (await inbox.rest()).added
    elsewhere = inbox.folder.inbox.with_name("elsewhere")
    inbox.folder.inbox.rename(elsewhere)
    with pytest.raises(InboxUnavailable):
        await inbox.look(after_s=SETTLE_S)
    assert await inbox.state(job) is JobState.QUEUED
    elsewhere.rename(inbox.folder.inbox)
    back = await inbox.rest()
    assert (back.added, back.gone) == ((), ())
    assert await inbox.state(job) is JobState.QUEUED


async def test_what_a_look_could_not_tell_the_ledger_is_told_by_the_next(inbox: Inbox, tmp_path: Path) -> None:
    """The ledger was locked by another program for a moment; the file is not forgotten."""
    desk = Desk(Ledger.open(tmp_path / "ledger.sqlite", patience_s=0.01))
    here = replace(inbox, desk=desk, intake=Intake(inbox.folder, desk, settle_s=SETTLE_S))
    here.drop("clip.mov")
    await here.look()
    await inbox.desk(Ledger.execute, "BEGIN IMMEDIATE")
    with pytest.raises(Exception, match="locked"):
        await here.look(after_s=SETTLE_S)
    await inbox.desk(Ledger.execute, "ROLLBACK")
    assert len((await here.look()).added) == 1
    desk.close()
