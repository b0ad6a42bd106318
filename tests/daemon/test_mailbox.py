"""What people ask for at an unlucky moment, and what is left of the work that they end."""

import sqlite3
import time

import pytest

from nemod.daemon.mailbox import Answer, Verb, answer
from nemod.delivery import publish
from nemod.delivery.publish import WORK
from nemod.engines.base import EngineName
from nemod.failure import Failure, Kind
from nemod.job import Job, JobId, JobState, Lane, Move, next_step
from nemod.ledger.ledger import Ledger
from tests.daemon.conftest import Clips, Works
from tests.support.fake_engine import Deliver, Fail, Pause, Pay

LOCAL, NEMO = EngineName.LOCAL, EngineName.NEMO


async def ask(works: Works, verb: str, job: JobId, text: str | None = None) -> Answer:
    """A word in the mailbox, and what the daemon makes of it."""
    await works.desk(Ledger.request, verb, job, now=time.time(), text=text)
    request = (await works.desk(Ledger.requests))[-1]
    return await answer(works.desk, request, {works.folder.name: works.folder}, now=time.time())


async def killed_behind_the_link(works: Works, clips: Clips) -> Job:
    """A job whose output is in the outbox, of which a kill kept the ledger from knowing."""
    works.engine(LOCAL, Deliver(file=clips.made))
    number = await works.drop(clips.big)
    lane = Lane.LIGHT
    while (job := await works.read(number)).target is None:
        if job.state is JobState.QUEUED:
            lane = Lane.LIGHT if job.route is None else job.route.lane
            assert await works.desk(Ledger.claim, lane, now=time.time()) is not None
        else:
            await works.runner._step(job, next_step(job), lane)
    assert job.attempt is not None
    assert job.attempt.staged is not None
    publish.publish(job.attempt.staged, job.target)
    await works.desk(Ledger.move, number, Move.RECOVER, now=time.time())
    return await works.read(number)


@pytest.mark.parametrize("running", [False, True])
async def test_what_is_delivered_already_cannot_be_cancelled(works: Works, clips: Clips, *, running: bool) -> None:
    """Else its output would belong to nobody, and a retry would make it a second time."""
    job = await killed_behind_the_link(works, clips)
    if running:  # just claimed, and nothing done yet
        assert await works.desk(Ledger.claim, Lane.LOCAL, now=time.time()) is not None
        await works.runner.cancel(job.id, None)
    else:
        assert not (await ask(works, Verb.CANCEL, job.id)).done
    await works.go()
    assert (await works.read(job.id)).state is JobState.DONE
    assert [path.name for path in works.folder.outbox.iterdir()] == ["big.mp4"]


async def test_what_is_delivered_already_is_not_given_up_when_its_file_goes(works: Works, clips: Clips) -> None:
    """A look finds the file gone before the job has its turn: it is delivered nevertheless, as the outbox shows."""
    job = await killed_behind_the_link(works, clips)
    job.source.unlink()
    found = await works.desk(Ledger.reconcile, works.folder, resting=(), seen=(), sees=lambda _: True, now=time.time())
    assert found.gone == ()
    await works.go()
    done = await works.read(job.id)
    assert (done.state, done.disposed, done.present) == (JobState.DONE, "gone", False)


async def test_a_cancelled_job_leaves_no_work_behind(works: Works, clips: Clips) -> None:
    """One that waits for the cloud has a folder in the outbox; it goes at once, not at the next start."""
    works.engine(NEMO, Pay(what="the edit"), Pause(seconds=3600, polling=True), Deliver(file=clips.made))
    job = await works.drop(clips.big)
    await works.go()
    assert (works.folder.outbox / WORK).is_dir()
    assert (await ask(works, Verb.CANCEL, job)).done
    assert not (works.folder.outbox / WORK).exists()


async def test_a_job_that_pays_again_leaves_no_work_of_its_first_session_behind(works: Works, clips: Clips) -> None:
    """What it had begun there is of no use in the new one."""
    unsure = Failure(kind=Kind.UNCERTAIN, detail="The stream broke.")
    works.engine(NEMO, Pay(what="the edit"), Fail(failure=unsure))
    job = await works.drop(clips.big)
    await works.go()
    parked = await works.read(job)
    assert parked.state is JobState.PARKED
    assert parked.attempt is not None
    parked.attempt.folder.mkdir(parents=True, exist_ok=True)
    assert (await ask(works, Verb.PAY_AGAIN, job)).done
    assert not parked.attempt.folder.exists()


async def test_a_word_is_struck_with_what_it_did_and_not_before(works: Works, clips: Clips) -> None:
    """A kill in between would lose it, or do it twice: a wish that is carried out twice is paid twice."""
    works.engine(NEMO, Pay(what="the edit"), Deliver(file=clips.made))
    job = await works.drop(clips.big)
    await works.go()
    await works.desk(
        Ledger.execute, "CREATE TEMP TRIGGER t BEFORE DELETE ON request BEGIN SELECT raise(ABORT, 'killed here'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        await ask(works, Verb.ASK, job, "Add a title.")
    assert [one.id for one in await works.desk(Ledger.jobs)] == [job]
    await works.desk(Ledger.execute, "DROP TRIGGER t")
    (request,) = await works.desk(Ledger.requests)
    folders = {works.folder.name: works.folder}
    made = await answer(works.desk, request, folders, now=time.time())
    assert made.made is not None
    assert await works.desk(Ledger.requests) == ()


async def test_a_running_job_is_stopped_before_the_word_is_struck(works: Works, clips: Clips) -> None:
    """A daemon that dies in between hears it again."""
    job = await works.drop(clips.big)
    assert await works.desk(Ledger.claim, Lane.LIGHT, now=time.time()) is not None
    assert (await ask(works, Verb.CANCEL, job)).running == job
    assert len(await works.desk(Ledger.requests)) == 1


async def test_a_word_of_a_newer_command_is_answered_with_words(works: Works, clips: Clips) -> None:
    """It must not end the daemon."""
    job = await works.drop(clips.big)
    came = await ask(works, "polish", job)
    assert not came.done
    assert '"polish"' in came.says
