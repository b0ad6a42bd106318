"""A job that is made in the cloud: paid once, told what was wrong, finished here, and never paid without being announced."""

import time
from dataclasses import replace

import pytest

from nemod.config.model import EnginePolicy, Finish, Nemo
from nemod.daemon.purse import day_of
from nemod.engines.base import EngineName, Progress
from nemod.failure import Failure, Kind
from nemod.job import JobId, JobState, Lane
from nemod.ledger.ledger import Ledger, engine_scope
from nemod.media.verdict import Accept, Reason
from tests.daemon.conftest import LIMIT_BYTES, Clips, Works
from tests.support.fake_engine import Deliver, Fail, FakeEngine, Pause, Pay

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL
EDIT = Pay(what="the edit", expects=50, cost=42)
SOON = Pause(seconds=0, polling=True)
DOWN = Failure(kind=Kind.UNREACHABLE, detail="It is away.")
NO = Failure(kind=Kind.REFUSED, detail="It would rather not.", hint="Say it in other words.")


@pytest.fixture
def only_cloud(works: Works) -> Works:
    """A folder that uses the cloud alone; this machine only finishes."""
    works.folder = replace(works.folder, engine=EnginePolicy.NEMO)
    return works


def small(works: Works, clips: Clips) -> FakeEngine:
    """This machine, which always makes it."""
    return works.engine(LOCAL, Deliver(file=clips.made))


async def test_an_edit_is_announced_paid_and_told(works: Works, clips: Clips) -> None:
    """What it may cost and what is left is in the log before it is paid; then what it did cost."""
    cloud = works.engine(NEMO, EDIT, Progress(stage="rendering"), SOON, Deliver(file=clips.made))
    works.nemo = Nemo(max_credits_per_day=120)
    job = await works.drop(clips.big)
    await works.go()
    done = await works.read(job)
    assert (done.state, len(cloud.paid())) == (JobState.DONE, 1)
    assert done.folder.outbox.joinpath("big.mp4").read_bytes() == clips.made.read_bytes()
    (paying,), (paid,) = works.told("job.paying"), works.told("job.paid")
    assert (paying["expected_credits"], paying["left_credits"], paying["budget_left"]) == (50, 100, 70)
    assert paid["credits"] == 42
    assert [s.cost for s in await works.desk(Ledger.spendings)] == [42]


async def test_a_poll_takes_no_slot_of_the_engine(works: Works, clips: Clips) -> None:
    """It is claimed as a poll and as nothing else; what it waits for is on the board."""
    works.engine(NEMO, EDIT, Progress(stage="rendering"), SOON, Deliver(file=clips.made))
    job = await works.drop(clips.big)
    while not (await works.read(job)).polling:
        assert await works.step() is not None
    assert works.board.jobs == {}
    assert await works.desk(Ledger.claim, Lane.NEMO, now=time.time()) is None
    assert await works.step() is not None
    assert (await works.read(job)).state is JobState.DONE


async def test_a_poll_that_is_about_to_pay_queues_for_a_slot_first(works: Works, clips: Clips) -> None:
    """Nothing is written of the announcement, which the next run makes again, and pays once."""
    cloud = works.engine(NEMO, SOON, EDIT, Deliver(file=clips.made))
    job = await works.drop(clips.big)
    while not (await works.read(job)).polling:
        assert await works.step() is not None
    before = (await works.read(job)).attempt
    assert await works.step() is not None
    now = await works.read(job)
    assert (now.state, now.polling, now.attempt) == (JobState.QUEUED, False, before)
    assert (cloud.paid(), await works.desk(Ledger.spendings)) == ([], ())
    await works.go()
    assert ((await works.read(job)).state, len(cloud.paid())) == (JobState.DONE, 1)


async def test_a_poll_begins_no_new_try(works: Works, clips: Clips) -> None:
    """A follow-up is paid work: it queues for a slot."""
    works.engine(NEMO, SOON, Deliver(file=clips.heavy, instead=(clips.made,)))
    job = await works.drop(clips.big)
    while not (await works.read(job)).polling:
        assert await works.step() is not None
    assert await works.step() is not None
    refused = await works.read(job)
    assert (refused.state, refused.polling, refused.attempt, len(refused.attempts)) == (JobState.QUEUED, False, None, 1)
    await works.go()
    assert (await works.read(job)).state is JobState.DONE


async def test_the_cloud_is_told_of_its_refusal_in_the_same_session(works: Works, clips: Clips) -> None:
    """The second try has the first one's token, and what the judge said."""
    cloud = works.engine(NEMO, EDIT, Deliver(file=clips.heavy, instead=(clips.made,)))
    small(works, clips)
    job = await works.drop(clips.big)
    await works.go()
    done = await works.read(job)
    assert [(a.engine, isinstance(a.verdict, Accept)) for a in done.attempts] == [(NEMO, False), (NEMO, True)]
    (first, no_token), (second, token) = cloud.tasks
    assert (first.refusals, no_token) == ((), None)
    assert ([r.reason for r in second.refusals], token) == ([Reason.OVER_LIMIT], done.attempts[0].token)


@pytest.mark.parametrize("finish", Finish)
async def test_this_machine_finishes_what_the_cloud_cannot(only_cloud: Works, clips: Clips, finish: Finish) -> None:
    """From the source; unless a person switched it off, then the job rests and says what can be done."""
    works = only_cloud
    works.engine(NEMO, EDIT, Deliver(file=clips.heavy))
    local = small(works, clips)
    works.nemo = Nemo(follow_ups=1, finish=finish)
    job = await works.drop(clips.big)
    await works.go()
    done = await works.read(job)
    tried = [a.engine for a in done.attempts]
    if finish is Finish.OFF:
        assert (done.state, tried) == (JobState.PARKED, [NEMO, NEMO])
        assert done.failure is not None
        assert "--pay-again" in done.failure.hint
        return
    assert (done.state, tried) == (JobState.DONE, [NEMO, NEMO, LOCAL])
    ((task, _),) = local.tasks
    assert (task.called.name, task.asked, task.continues) == ("big.mkv", False, None)


async def said(works: Works, clips: Clips) -> JobId:
    """Drop a clip with a person's words beside it."""
    (works.folder.inbox / "big.mkv.txt").write_text("Make it short.", encoding="utf-8")
    return await works.drop(clips.big)


async def test_what_a_person_asked_for_may_change_the_video(only_cloud: Works, clips: Clips) -> None:
    """Another length and shape are accepted when their own words were sent; without any they are refused."""
    works = only_cloud
    cloud = works.engine(NEMO, Deliver(file=clips.short))
    local = small(works, clips)
    await said(works, clips)
    await works.go()
    assert works.folder.outbox.joinpath("big.mp4").read_bytes() == clips.short.read_bytes()
    assert [task.instruction for task, _ in cloud.tasks] == ["Make it short."]
    assert local.tasks == []
    await works.drop(clips.big, "plain.mkv")
    await works.go()
    assert len(local.tasks) == 1


async def test_words_are_finished_from_what_the_cloud_made_of_them(only_cloud: Works, clips: Clips) -> None:
    """This machine cannot follow words: it makes the cloud's own file smaller, and is judged against that."""
    works = only_cloud
    works.engine(NEMO, Deliver(file=clips.heavy))
    local = small(works, clips)
    works.nemo = Nemo(follow_ups=0)
    job = await said(works, clips)
    seen: list[bytes] = []
    while (await works.step()) is not None:
        seen += [task.source.read_bytes() for task, _ in local.tasks if task.source.exists()]
    done = await works.read(job)
    assert done.state is JobState.DONE
    ((task, _),) = local.tasks
    assert task.source == done.attempts[0].staged == done.attempts[1].material
    assert task.media.size_bytes == clips.heavy.stat().st_size
    assert not any(works.folder.outbox.glob(".nemod-work/*"))


async def test_material_that_vanished_fails_the_job_and_not_its_source(only_cloud: Works, clips: Clips) -> None:
    """Somebody cleaned up while the job waited: the original goes to the failed folder, explained."""
    works = only_cloud
    works.engine(NEMO, Deliver(file=clips.heavy))
    works.engine(LOCAL, Pause(seconds=3600), Deliver(file=clips.made))
    works.nemo = Nemo(follow_ups=0)
    job = await said(works, clips)
    await works.go()
    attempt = (await works.read(job)).attempt
    assert attempt is not None
    assert attempt.material is not None
    attempt.material.unlink()
    await works.desk(Ledger.hurry, job, now=time.time())
    await works.go()
    failed = await works.read(job)
    assert failed.state is JobState.FAILED
    assert failed.source.read_bytes() == clips.big.read_bytes()


async def test_without_material_this_machine_says_that_it_ignores_the_words(works: Works, clips: Clips) -> None:
    """A folder that may fall back gets a file that fits, and a warning that it is not what was asked for."""
    works.engine(NEMO, Fail(failure=NO))
    small(works, clips)
    job = await said(works, clips)
    await works.go()
    assert (await works.read(job)).state is JobState.DONE
    assert len(works.told("job.instruction_ignored")) == 1


@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.UNCERTAIN])
async def test_what_may_have_cost_something_rests_or_is_made_here(works: Works, clips: Clips, kind: Kind) -> None:
    """`auto` goes on here at once; `nemo` keeps the try open with its token, and a release looks again from there."""
    works.engine(NEMO, EDIT, Fail(failure=replace(NO, kind=kind)))
    small(works, clips)
    job = await works.drop(clips.big)
    works.folder = replace(works.folder, engine=EnginePolicy.NEMO)
    rests = await works.drop(clips.big, "rests.mkv")
    await works.go()
    assert (await works.read(job)).state is JobState.DONE
    parked = await works.read(rests)
    assert (parked.state, parked.failure) == (JobState.PARKED, replace(NO, kind=kind))
    assert parked.attempt is not None
    token = parked.attempt.token
    assert token is not None
    cloud = works.engine(NEMO, EDIT, Deliver(file=clips.made))
    assert await works.desk(Ledger.release, rests, now=time.time())
    await works.go()
    assert (await works.read(rests)).state is JobState.DONE
    assert [t for _, t in cloud.tasks] == [token]
    assert len(cloud.paid()) == 2


async def test_what_the_cloud_does_not_take_is_made_here_or_fails(works: Works, clips: Clips) -> None:
    """No waiting: time changes nothing of a file."""
    works.engine(NEMO, Fail(failure=Failure(kind=Kind.UNSUPPORTED, detail="It does not take this.")))
    small(works, clips)
    job = await works.drop(clips.big)
    works.folder = replace(works.folder, engine=EnginePolicy.NEMO)
    fails = await works.drop(clips.big, "fails.mkv")
    await works.go()
    assert [(await works.read(number)).state for number in (job, fails)] == [JobState.DONE, JobState.FAILED]


async def test_a_file_that_is_no_video_fails_at_once(works: Works, clips: Clips) -> None:
    """No engine has tried it, and none will."""
    small(works, clips)
    lies = works.root / "text.mp4"
    lies.write_text("once upon a time")
    job = await works.drop(lies)
    await works.go()
    failed = await works.read(job)
    assert (failed.state, failed.attempts) == (JobState.FAILED, ())


async def test_a_day_has_a_budget(only_cloud: Works, clips: Clips) -> None:
    """What would go beyond it is not paid: the cloud is held until the next day, and says what was spent."""
    works = only_cloud
    cloud = works.engine(NEMO, EDIT, Deliver(file=clips.made))
    works.nemo = Nemo(max_credits_per_day=80)
    first, second = await works.drop(clips.big, "a.mkv"), await works.drop(clips.big, "b.mkv")
    await works.go()
    assert [(await works.read(n)).state for n in (first, second)] == [JobState.DONE, JobState.QUEUED]
    assert len(cloud.paid()) == 1
    (hold,) = await works.desk(Ledger.holds)
    assert (hold.scope, hold.until, hold.failure.kind) == (engine_scope(NEMO), day_of(time.time())[1], Kind.CREDITS)
    assert "42" in hold.failure.detail
    assert "80" in hold.failure.detail
    works.nemo = Nemo(max_credits_per_day=100)
    await works.desk(Ledger.unhold, engine_scope(NEMO))
    await works.go()
    assert ((await works.read(second)).state, len(cloud.paid())) == (JobState.DONE, 2)


async def test_a_budget_that_no_edit_fits_into_sends_an_auto_folder_home(works: Works, clips: Clips) -> None:
    """Nothing is ever paid, and every file is made."""
    cloud = works.engine(NEMO, EDIT, Deliver(file=clips.made))
    small(works, clips)
    works.nemo = Nemo(max_credits_per_day=10)
    jobs = [await works.drop(clips.big, name) for name in ("a.mkv", "b.mkv")]
    await works.go()
    assert [(await works.read(job)).state for job in jobs] == [JobState.DONE, JobState.DONE]
    assert cloud.paid() == []


async def test_a_cloud_that_is_away_is_waited_for_only_by_who_has_paid(works: Works, clips: Clips) -> None:
    """The unpaid job is made here; the paid one keeps its session and waits."""
    works.nemo = Nemo(patience_s=1e6)
    cloud = works.engine(NEMO, EDIT, Fail(failure=DOWN))
    small(works, clips)
    paid, plain = await works.drop(clips.big, "paid.mkv"), await works.drop(clips.big, "plain.mkv")
    await works.go()
    assert [(await works.read(job)).state for job in (paid, plain)] == [JobState.QUEUED, JobState.DONE]
    assert len(cloud.paid()) == 1
    await works.desk(Ledger.unhold, engine_scope(NEMO))
    works.engine(NEMO, EDIT, Deliver(file=clips.made))
    await works.go()
    assert (await works.read(paid)).state is JobState.DONE
    assert len(cloud.paid()) == 1


async def test_a_try_that_stumbles_for_good_is_followed_by_the_next_engine(works: Works, clips: Clips) -> None:
    """After its last back-off; and the next engine begins with all its patience."""
    works.engine(NEMO, EDIT, Fail(failure=replace(DOWN, kind=Kind.TRANSIENT)))
    small(works, clips)
    job = await works.drop(clips.big)
    while (now := await works.read(job)).state is not JobState.DONE:
        await works.desk(Ledger.hurry, job, now=time.time())
        assert await works.step() is not None
    assert len(works.told("job.waiting")) == 5
    assert [a.engine for a in now.attempts] == [NEMO, LOCAL]
    assert now.tries == 0


async def test_a_wish_goes_on_in_the_session_and_needs_no_source(works: Works, clips: Clips) -> None:
    """Though the original was archived or is gone; what comes of it lies beside the first."""
    cloud = works.engine(NEMO, EDIT, Deliver(file=clips.made))
    job = await works.drop(clips.big)
    await works.go()
    (works.folder.originals / "big.mkv").unlink()
    child = await works.desk(Ledger.add_child, job, "Now make it short.", now=time.time())
    assert child is not None
    works.engines[NEMO] = again = FakeEngine((EDIT, Deliver(file=clips.short)), works.root / "again.journal", name=NEMO)
    await works.go()
    assert (await works.read(child)).state is JobState.DONE
    assert sorted(path.name for path in works.folder.outbox.iterdir()) == ["big (2).mp4", "big.mp4"]
    ((task, token),) = again.tasks
    assert (task.asked, task.instruction, token) == (True, "Now make it short.", None)
    assert task.continues == (await works.read(job)).attempts[-1].token
    assert len(cloud.paid()) == 1


async def test_a_wish_whose_file_is_too_large_is_finished_from_it_alone(works: Works, clips: Clips) -> None:
    """The cloud's file is all there is: when that cannot be read, a person must say more."""
    works.engine(NEMO, Deliver(file=clips.made))
    local = small(works, clips)
    works.nemo = Nemo(follow_ups=0)
    job = await works.drop(clips.big)
    await works.go()
    broken = works.root / "broken.mp4"
    broken.write_bytes(clips.made.read_bytes()[: clips.made.stat().st_size // 2])
    states = []
    for file in (clips.heavy, broken):
        works.engine(NEMO, Deliver(file=file))
        child = await works.desk(Ledger.add_child, job, "Louder.", now=time.time())
        assert child is not None
        await works.go()
        states.append((await works.read(child)).state)
    assert states == [JobState.DONE, JobState.PARKED]
    assert len(local.tasks) == 1


async def test_a_cancelled_job_leaves_no_material(only_cloud: Works, clips: Clips) -> None:
    """The cloud's refused file was kept for a finish that nobody wants any more."""
    works = only_cloud
    works.engine(NEMO, Deliver(file=clips.heavy))
    works.nemo = Nemo(follow_ups=0)
    works.engine(LOCAL, Pause(seconds=3600))
    job = await said(works, clips)
    await works.go()
    assert list(works.folder.outbox.glob(".nemod-work/*/*.mp4"))
    await works.desk(Ledger.hurry, job, now=time.time())
    assert await works.desk(Ledger.claim, Lane.LOCAL, now=time.time()) is not None
    await works.runner.cancel(job, None)
    assert (await works.read(job)).state is JobState.CANCELLED
    assert not (works.folder.outbox / ".nemod-work").exists()


def test_the_limit_is_the_one_that_the_clips_are_made_for(clips: Clips) -> None:
    """Otherwise these tests would show nothing."""
    assert clips.made.stat().st_size <= LIMIT_BYTES < clips.heavy.stat().st_size
