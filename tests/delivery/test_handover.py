"""The last part of a job's way, on real folders and a real ledger: what becomes of what lies beside an original."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import structlog

from nemod.config.model import EnginePolicy, Folder, Preset
from nemod.daemon.handover import Handover, OverLimit
from nemod.daemon.source import SourceLost, fingerprint_of
from nemod.delivery import publish
from nemod.delivery.publish import make_work, work_folder
from nemod.engines.base import EngineName, Part, Token
from nemod.job import AttemptId, Job, JobId, JobState, Lane, Route, Sighting
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from nemod.media.info import Window
from nemod.media.verdict import Accept, How
from tests.ledger.values import ACCEPT, MEDIA, NOW, REFUSE, WHY

ROUTE = Route(how=How.ENCODE, engines=(EngineName.NEMO,), limit_bytes=10_000_000, follow_ups=1, finish=True)
WORDS = "make it a square"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A folder, its ledger, and who hands over."""

    folder: Folder
    desk: Desk

    @property
    def handover(self) -> Handover:
        return Handover(desk=self.desk)

    async def running(self) -> Job:
        """A claimed job for a video with an instruction beside it."""
        source = self.folder.inbox / "clip.mp4"
        source.write_bytes(b"video" * 1000)
        (self.folder.inbox / "clip.mp4.txt").write_text(WORDS)
        seen = [Sighting(relpath="clip.mp4", fingerprint=fingerprint_of(source))]
        await self.desk(Ledger.reconcile, self.folder, resting=seen, seen=seen, sees=lambda _: True, now=NOW)
        job = await self.desk(Ledger.claim, Lane.LIGHT, now=NOW)
        assert job is not None
        await self.desk(Ledger.examined, job.id, MEDIA, ROUTE, instruction=WORDS)
        return await self.read(job.id)

    async def refused_and_made(self, job: Job) -> list[Path]:
        """Two tries in the cloud, the first one refused and its output kept; their folders."""
        folders: list[Path] = []
        for verdict in (REFUSE, ACCEPT):
            folder = make_work(work_folder(self.folder.outbox, job.id, len(folders) + 1, "x"))
            (folder / "out.mp4").write_bytes(b"made" * 100)
            attempt = await self.desk(Ledger.open_attempt, job.id, EngineName.NEMO, How.ENCODE, folder, now=NOW)
            await self.desk(Ledger.checkpoint, attempt, Token("1:{}"), now=NOW, expects=50.0)
            await self.desk(Ledger.staged, attempt, folder / "out.mp4", token=None, note="edited")
            await self.desk(Ledger.judged, attempt, verdict, now=NOW)
            folders.append(folder)
        return folders

    async def read(self, job: JobId) -> Job:
        found = await self.desk(Ledger.job, job)
        assert found is not None
        return found

    def files(self) -> list[str]:
        """Every file in the inbox and below."""
        inbox = self.folder.inbox
        return sorted(str(path.relative_to(inbox)) for path in inbox.rglob("*") if path.is_file())


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An empty inbox."""
    inbox = tmp_path / "clips"
    folder = Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=inbox / "failed",
        preset=Preset(name="discord-10mb", limit_bytes=10_000_000),
        engine=EnginePolicy.NEMO,
    )
    folder.outbox.mkdir(parents=True)
    desk = Desk(Ledger.open(tmp_path / "ledger.sqlite"))
    yield Bench(folder=folder, desk=desk)
    desk.close()


async def deliver(bench: Bench, job: Job) -> Job:
    """From an accepted output to the original's end."""
    await bench.handover.aim(job)
    job = await bench.read(job.id)
    assert job.attempt is not None
    await bench.handover.publish(job, job.attempt)
    await bench.handover.dispose(await bench.read(job.id))
    return await bench.read(job.id)


async def in_parts(bench: Bench, count: int = 3, size: int = 400) -> tuple[Job, list[Path]]:
    """A job of a video in a sub-folder, whose accepted output lies there in parts."""
    (bench.folder.inbox / "sub").mkdir()
    source = bench.folder.inbox / "sub" / "clip.mov"
    source.write_bytes(b"video" * 1000)
    seen = [Sighting(relpath="sub/clip.mov", fingerprint=fingerprint_of(source))]
    await bench.desk(Ledger.reconcile, bench.folder, resting=seen, seen=seen, sees=lambda _: True, now=NOW)
    job = await bench.desk(Ledger.claim, Lane.LIGHT, now=NOW)
    assert job is not None
    await bench.desk(Ledger.examined, job.id, MEDIA, replace(ROUTE, engines=(EngineName.LOCAL,)))
    work = make_work(work_folder(bench.folder.outbox, job.id, 1, "x"))
    attempt = await bench.desk(Ledger.open_attempt, job.id, EngineName.LOCAL, How.ENCODE, work, now=NOW)
    await stage(bench, attempt, work, count, size)
    return await bench.read(job.id), [
        bench.folder.outbox / "sub" / f"clip part {n} of {count}.mp4" for n in range(1, count + 1)
    ]


async def stage(bench: Bench, attempt: AttemptId, work: Path, count: int, size: int = 400) -> None:
    """The engine has made so many parts, and the judge has accepted them."""
    parts = []
    for number in range(count):
        path = work / f"{number}.mp4"
        path.write_bytes(bytes([number]) * size)
        window = Window(start_s=10.0 * number, end_s=10.0 * number + 10)
        parts.append(Part(path=path, window=window, size_bytes=size))
    await bench.desk(Ledger.staged, attempt, parts[0].path, token=None, note="in parts", parts=parts)
    await bench.desk(Ledger.judged, attempt, Accept(size_bytes=count * size), now=NOW)


def contents(targets: list[Path]) -> list[int | None]:
    """Which part each file holds, by its first byte; None: it is not there."""
    return [path.read_bytes()[0] if path.exists() else None for path in targets]


async def test_all_parts_are_delivered_in_order_and_the_original_after_them(bench: Bench) -> None:
    """In the sub-folder that the source had, under names that sort; the sum is what was delivered."""
    job, targets = await in_parts(bench)
    job = await deliver(bench, job)
    assert contents(targets) == [0, 1, 2]
    assert (job.target, list(job.targets), job.delivered_bytes) == (targets[0], targets, 1200)
    assert job.disposed == "archived"
    with structlog.testing.capture_logs() as told:
        await bench.handover.finish(job, now=NOW + 60)
    (line,) = [line for line in told if line["event"] == "job.delivered"]
    assert (line["output"], line["outputs"], line["output_bytes"]) == (str(targets[0]), [str(t) for t in targets], 1200)
    assert sorted(path.name for path in targets[0].parent.iterdir()) == [path.name for path in targets]


async def test_ten_parts_sort_by_their_names(bench: Bench) -> None:
    """Numbers have as many digits as the last one."""
    job, _ = await in_parts(bench, count=10)
    await bench.handover.aim(job)
    names = [path.name for path in (await bench.read(job.id)).targets]
    assert names == sorted(names)
    assert names[0] == "clip part 01 of 10.mp4"


@pytest.mark.parametrize("taken", [0, 2])
async def test_one_taken_name_gives_the_whole_set_another(bench: Bench, taken: int) -> None:
    """Before aiming, or between aiming and publishing: nothing is overwritten and no half of a set stays."""
    job, first = await in_parts(bench)
    second, third = ([path.with_name(path.name.replace("clip", f"clip ({n})")) for path in first] for n in (2, 3))
    first[taken].parent.mkdir(parents=True)
    first[taken].write_bytes(b"\xee")
    await bench.handover.aim(job)
    job = await bench.read(job.id)
    assert list(job.targets) == second
    second[taken].write_bytes(b"\xee")
    assert job.attempt is not None
    await bench.handover.publish(job, job.attempt)
    job = await bench.read(job.id)
    assert (job.target, job.targets, job.delivered_bytes) == (None, (), None)
    await deliver(bench, job)
    assert contents(first) == contents(second) == [0xEE if n == taken else None for n in range(3)]
    assert contents(third) == [0, 1, 2]


async def test_a_set_that_was_half_published_is_completed(bench: Bench) -> None:
    """Killed between two links: each part is there once."""
    job, targets = await in_parts(bench)
    await bench.handover.aim(job)
    job = await bench.read(job.id)
    assert job.attempt is not None
    publish.publish(job.attempt.files[0], targets[0])
    inode = targets[0].stat().st_ino
    await bench.handover.publish(job, job.attempt)
    assert contents(targets) == [0, 1, 2]
    assert targets[0].stat().st_ino == inode
    assert (await bench.read(job.id)).delivered_bytes == 1200


async def test_a_part_that_is_lost_takes_the_published_ones_back(bench: Bench) -> None:
    """It is made again, and in another number of parts: then the names are chosen anew."""
    job, targets = await in_parts(bench)
    await bench.handover.aim(job)
    job = await bench.read(job.id)
    assert job.attempt is not None
    publish.publish(job.attempt.files[0], targets[0])
    job.attempt.files[2].unlink()
    await bench.handover.publish(job, job.attempt)
    job = await bench.read(job.id)
    assert job.attempt is not None
    assert (job.attempt.files, contents(targets)) == ((), [None] * 3)
    await stage(bench, job.attempt.id, job.attempt.folder, 2)
    job = await bench.read(job.id)
    assert job.attempt is not None
    await bench.handover.publish(job, job.attempt)
    assert (await bench.read(job.id)).target is None
    await deliver(bench, await bench.read(job.id))
    assert [path.name for path in sorted(targets[0].parent.iterdir())] == ["clip part 1 of 2.mp4", "clip part 2 of 2.mp4"]


async def test_no_part_over_the_limit_leaves_any_of_them_outside(bench: Bench) -> None:
    """The last gate is asked of all before the first one appears."""
    job, targets = await in_parts(bench)
    await bench.handover.aim(job)
    job = await bench.read(job.id)
    assert job.attempt is not None
    job.attempt.files[2].write_bytes(b"x" * 10_000_001)
    with pytest.raises(OverLimit):
        await bench.handover.publish(job, job.attempt)
    assert contents(targets) == [None] * 3


async def test_a_source_that_changed_meanwhile_takes_its_parts_back(bench: Bench) -> None:
    """Killed between two links, and then the file was written anew: what is delivered is nothing, not a third."""
    job, targets = await in_parts(bench)
    await bench.handover.aim(job)
    job = await bench.read(job.id)
    assert job.attempt is not None
    publish.publish(job.attempt.files[0], targets[0])
    job.source.write_bytes(b"another video")
    with pytest.raises(SourceLost):
        await bench.handover.publish(job, job.attempt)
    assert contents(targets) == [None] * 3


async def test_an_instruction_is_archived_with_its_original(bench: Bench) -> None:
    """Both lie in the archive, and the original's place is known."""
    job = await bench.running()
    await bench.refused_and_made(job)
    job = await deliver(bench, await bench.read(job.id))
    assert (job.disposed, job.source) == ("archived", bench.folder.originals / "clip.mp4")
    assert (bench.folder.originals / "clip.mp4.txt").read_text() == WORDS
    assert not (bench.folder.inbox / "clip.mp4.txt").exists()


async def test_the_end_clears_every_try_and_tells_what_was_paid(bench: Bench) -> None:
    """A refused output was kept as material for the next try; the canonical line has the credits of both."""
    job = await bench.running()
    folders = await bench.refused_and_made(job)
    assert all(folder.is_dir() for folder in folders)
    job = await deliver(bench, await bench.read(job.id))
    with structlog.testing.capture_logs() as told:
        await bench.handover.finish(job, now=NOW + 60)
    (line,) = [line for line in told if line["event"] == "job.delivered"]
    assert line["credits"] == 100.0
    assert bench.files() == ["done/clip.mp4", "originals/clip.mp4", "originals/clip.mp4.txt"]
    assert not any(folder.exists() for folder in folders)
    assert (await bench.read(job.id)).state is JobState.DONE


async def test_an_instruction_goes_to_the_failed_folder_with_its_video(bench: Bench) -> None:
    """Beside the video, and the reason beside both; killed behind the video's move, the next run brings it after."""
    job = await bench.running()
    await bench.desk(Ledger.failing, job.id, WHY)
    await bench.handover.aim_quarantine(await bench.read(job.id))
    job = await bench.read(job.id)
    assert job.quarantine is not None
    shutil.move(job.source, bench.folder.inbox / "failed" / "clip.mp4")
    await bench.handover.quarantine(job, now=NOW)
    await bench.handover.fail(await bench.read(job.id), now=NOW)
    assert bench.files() == ["failed/clip.mp4", "failed/clip.mp4.failed.txt", "failed/clip.mp4.txt"]
    assert (await bench.read(job.id)).source == bench.folder.inbox / "failed" / "clip.mp4"


async def test_an_instruction_gets_another_name_when_its_own_is_taken(bench: Bench) -> None:
    """Somebody put something there since the video's place was chosen: nothing is overwritten, nothing is lost."""
    job = await bench.running()
    await bench.desk(Ledger.failing, job.id, WHY)
    await bench.handover.aim_quarantine(await bench.read(job.id))
    job = await bench.read(job.id)
    assert job.quarantine is not None
    job.quarantine.with_name("clip.mp4.txt").mkdir()
    await bench.handover.quarantine(job, now=NOW)
    assert job.quarantine.is_file()
    assert job.quarantine.with_name("clip.mp4 (2).txt").read_text() == WORDS


async def test_a_job_in_anothers_session_is_delivered_beside_the_first_and_touches_nothing(bench: Bench) -> None:
    """The first one's original has long been put away; a new video of its name, with a new instruction, stays untouched."""
    first = await bench.running()
    await bench.refused_and_made(first)
    first = await deliver(bench, await bench.read(first.id))
    await bench.handover.finish(first, now=NOW)
    number = await bench.desk(Ledger.add_child, first.id, "shorter", now=NOW)
    assert number is not None
    (bench.folder.inbox / "clip.mp4").write_bytes(b"another video")
    (bench.folder.inbox / "clip.mp4.txt").write_text("another wish")
    child = await bench.desk(Ledger.claim, Lane.LIGHT, now=NOW)
    assert child is not None
    assert child.id == number
    await bench.desk(Ledger.examined, child.id, MEDIA, ROUTE, instruction="shorter")
    await bench.refused_and_made(child)
    child = await deliver(bench, await bench.read(child.id))
    await bench.handover.finish(child, now=NOW)
    assert (await bench.read(number)).state is JobState.DONE
    assert child.disposed == "kept"
    assert child.target == bench.folder.outbox / "clip (2).mp4"
    assert bench.files() == [
        "clip.mp4",
        "clip.mp4.txt",
        "done/clip (2).mp4",
        "done/clip.mp4",
        "originals/clip.mp4",
        "originals/clip.mp4.txt",
    ]


async def test_a_job_in_anothers_session_that_fails_moves_nothing(bench: Bench) -> None:
    """It has no file of its own: nothing lies in the failed folder, and no reason is written anywhere."""
    first = await bench.running()
    await bench.refused_and_made(first)
    await bench.handover.finish(await deliver(bench, await bench.read(first.id)), now=NOW)
    number = await bench.desk(Ledger.add_child, first.id, None, now=NOW)
    assert number is not None
    before = bench.files()
    child = await bench.desk(Ledger.claim, Lane.LIGHT, now=NOW)
    assert child is not None
    await bench.desk(Ledger.failing, child.id, WHY)
    await bench.handover.aim_quarantine(await bench.read(number))
    await bench.handover.quarantine(await bench.read(number), now=NOW)
    await bench.handover.fail(await bench.read(number), now=NOW)
    ended = await bench.read(number)
    assert (ended.state, ended.source) == (JobState.FAILED, bench.folder.originals / "clip.mp4")
    assert bench.files() == before
