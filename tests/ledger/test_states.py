"""Who gets a job, when, and who is told that he was late."""

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Preset
from nemod.engines.base import EngineName
from nemod.job import ENDED, TRANSITIONS, Fingerprint, JobId, JobState, Lane, Move
from nemod.ledger.ledger import Ledger, engine_scope, folder_scope
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import MEDIA, NOW, REFUSE, ROUTE, WHY, folder, sighting

LATER = NOW + 100


def in_state(bench: Bench, state: JobState) -> JobId:
    """A job that came into a state on an honest way."""
    match state:
        case JobState.QUEUED:
            return bench.add("clip.mov")[0]
        case JobState.RUNNING:
            return bench.running()
        case JobState.PARKED:
            job = bench.running()
            assert bench.ledger.move(job, Move.PARK, now=NOW, failure=WHY)
            return job
        case JobState.FAILED:
            return bench.failed()
        case JobState.CANCELLED:
            (job,) = bench.add("clip.mov")
            assert bench.ledger.move(job, Move.CANCEL, now=NOW)
            return job
        case JobState.DONE:
            job = bench.delivered()
            bench.ledger.disposed(job, "archived", None)
            assert bench.ledger.move(job, Move.FINISH, now=NOW)
            return job


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("move", [m for m in Move if m not in (Move.FINISH, Move.FAIL)])
def test_the_table_decides_which_move_is_possible(bench: Bench, state: JobState, move: Move) -> None:
    """Every state with every move that needs no further fact: it happens as the table says, or not at all."""
    job = in_state(bench, state)
    before = bench.read(job)
    after = TRANSITIONS[state].get(move)
    assert bench.ledger.move(job, move, now=LATER) is (after is not None)
    now = bench.read(job)
    if after is None:
        assert now == before
    else:
        assert now.state is after
        assert (now.finished == LATER) is (after in ENDED)


def test_of_two_who_claim_one_job_one_gets_it(bench: Bench, file: Path) -> None:
    """Two connections at the same moment, again and again: every job is handed out once."""
    names = [f"{n}.mov" for n in range(40)]
    added = bench.add(*names)
    start, got = threading.Barrier(2), list[JobId]()

    def take() -> None:
        with closing(Ledger.open(file)) as ledger:
            start.wait()
            while (job := ledger.claim(Lane.LIGHT, now=NOW)) is not None:
                got.append(job.id)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == added


def test_of_two_who_move_one_job_the_second_is_late(bench: Bench, file: Path) -> None:
    """The row is asked for the state that it was read in."""
    (job,) = bench.add("clip.mov")
    with closing(Ledger.open(file)) as other:
        assert other.move(job, Move.CLAIM, now=NOW)
        assert not bench.ledger.move(job, Move.CLAIM, now=NOW)
    assert not bench.ledger.move(JobId(99), Move.CLAIM, now=NOW)


def test_jobs_are_claimed_by_rank_then_age(bench: Bench) -> None:
    """`first` puts one ahead of all, the last so put before those before it."""
    a, b, c = bench.add("a.mov", "b.mov", "c.mov")
    assert bench.ledger.first(c)
    assert bench.ledger.first(b)
    order = []
    while (job := bench.claim()) is not None:
        order.append(job.id)
    assert order == [b, c, a]
    assert not bench.ledger.first(a)


def test_a_job_that_somebody_still_lets_go_of_is_not_claimed(bench: Bench) -> None:
    """Given back, it is in the queue at once; the hands that had it may still be closing connections."""
    first, second = bench.add("a.mov")[0], bench.add("b.mov")[0]
    claimed = bench.ledger.claim(Lane.LIGHT, now=LATER, but=(first,))
    assert claimed is not None
    assert claimed.id == second
    assert bench.ledger.claim(Lane.LIGHT, now=LATER, but=(first, second)) is None


def test_a_claim_gives_the_whole_job_and_remembers_the_first_start(bench: Bench) -> None:
    """Waiting later does not make it start anew."""
    bench.add("clip.mov")
    job = bench.claim(now=NOW + 1)
    assert job is not None
    assert (job.state, job.started, job.folder) == (JobState.RUNNING, NOW + 1, bench.folder)
    assert bench.ledger.move(job.id, Move.YIELD, now=NOW + 2)
    again = bench.claim(now=NOW + 3)
    assert again is not None
    assert again.started == NOW + 1


def test_a_job_is_claimed_in_its_lane_only(bench: Bench) -> None:
    """A lane is who works on it next."""
    job = bench.running()
    assert bench.ledger.move(job, Move.YIELD, now=NOW, lane=Lane.LOCAL)
    assert bench.claim(Lane.LIGHT) is None
    assert bench.claim(Lane.NEMO) is None
    assert bench.claim(Lane.LOCAL) is not None


def test_a_job_is_not_claimed_before_it_is_due(bench: Bench) -> None:
    """Back-offs and polls are the same; `hurry` makes an end of it and never makes it later."""
    job = bench.running()
    assert bench.ledger.move(job, Move.YIELD, now=NOW, due=LATER, failure=WHY, counts=True)
    waiting = bench.read(job)
    assert (waiting.due, waiting.tries, waiting.failure) == (LATER, 1, WHY)
    assert bench.claim(now=LATER - 0.001) is None
    bench.ledger.hurry(job, now=NOW + 1)
    bench.ledger.hurry(job, now=NOW + 50)
    assert bench.read(job).due == NOW + 1
    assert bench.claim(now=NOW + 1) is not None


def test_the_next_moment_is_the_earliest_that_is_to_come(bench: Bench) -> None:
    """Of waiting jobs and of holds; what is due already only needs a slot."""
    ledger = bench.ledger
    assert ledger.next_due(now=NOW) is None
    job, other = bench.running("a.mov"), bench.running("b.mov")
    ledger.move(job, Move.YIELD, now=NOW, due=LATER)
    ledger.move(other, Move.YIELD, now=NOW, due=NOW - 5)
    assert ledger.next_due(now=NOW) == LATER
    ledger.hold("engine:local", until=LATER - 10, failure=WHY, now=NOW)
    ledger.hold("engine:nemo", until=None, failure=WHY, now=NOW)
    assert ledger.next_due(now=NOW) == LATER - 10
    assert ledger.next_due(now=LATER) is None


def test_a_held_engine_keeps_its_lane_waiting(bench: Bench) -> None:
    """Until its time is over, or until somebody lifts it; other lanes go on."""
    slow, light = bench.running("a.mov"), bench.add("b.mov")[0]
    bench.ledger.move(slow, Move.YIELD, now=NOW, lane=Lane.NEMO)
    scope = engine_scope(EngineName.NEMO)
    bench.ledger.hold(scope, until=None, failure=WHY, now=NOW)
    assert bench.claim(Lane.NEMO, now=NOW + 1e9) is None
    found = bench.claim(Lane.LIGHT)
    assert found is not None
    assert found.id == light
    bench.ledger.hold(scope, until=LATER, failure=WHY, now=NOW)
    assert bench.claim(Lane.NEMO, now=LATER - 1) is None
    assert bench.claim(Lane.NEMO, now=LATER) is not None


def test_a_held_folder_keeps_its_own_jobs_waiting(bench: Bench, tmp_path: Path) -> None:
    """In every lane; another folder's jobs go on."""
    (mine,) = bench.add("a.mov")
    other = folder(tmp_path, "other")
    seen = [sighting()]
    (theirs,) = bench.ledger.reconcile(other, resting=seen, seen=seen, sees=lambda _: True, now=NOW).added
    bench.ledger.hold(folder_scope(bench.folder.name), until=None, failure=WHY, now=NOW)
    found = bench.claim()
    assert found is not None
    assert found.id == theirs
    assert bench.claim() is None
    assert bench.ledger.unhold(folder_scope(bench.folder.name))
    assert not bench.ledger.unhold(folder_scope(bench.folder.name))
    found = bench.claim()
    assert found is not None
    assert found.id == mine


def test_holds_count_how_often_in_a_row(bench: Bench) -> None:
    """So that they can grow; lifting one begins anew."""
    ledger = bench.ledger
    assert [ledger.hold("engine:local", until=NOW + n, failure=WHY, now=NOW) for n in range(3)] == [1, 2, 3]
    (row,) = ledger.holds()
    assert (row.scope, row.until, row.failure, row.times) == ("engine:local", NOW + 2, WHY, 3)
    ledger.unhold("engine:local")
    assert ledger.hold("engine:local", until=None, failure=WHY, now=NOW) == 1


def test_recovery_puts_running_jobs_back_and_nothing_else(bench: Bench) -> None:
    """It counts no try, keeps every fact, and finds out anew whether folders work; engines stay held."""
    ledger = bench.ledger
    job = bench.encoded("a.mov")
    parked = bench.running("b.mov")
    ledger.move(parked, Move.PARK, now=NOW)
    ledger.hold("engine:local", until=None, failure=WHY, now=NOW)
    ledger.hold("folder:clips", until=None, failure=WHY, now=NOW)
    before = bench.read(job)
    assert ledger.recover() == 1
    assert bench.read(job) == replace(before, state=JobState.QUEUED)
    assert bench.read(parked).state is JobState.PARKED
    assert [h.scope for h in ledger.holds()] == ["engine:local"]
    assert ledger.recover() == 0


def test_a_job_that_has_ended_has_no_open_attempt(bench: Bench) -> None:
    """Whoever ended it: its work folder is nobody's any more, and a new round can begin."""
    job = bench.encoded()
    assert bench.ledger.open_folders() == {bench.work(job)}
    assert bench.ledger.move(job, Move.CANCEL, now=NOW)
    assert bench.ledger.open_folders() == frozenset()
    assert bench.read(job).attempt is None
    assert bench.ledger.retry(job, folder=None, found=None, present=False, now=LATER)
    assert bench.ledger.move(job, Move.CLAIM, now=LATER)
    bench.ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=LATER)


@pytest.mark.parametrize("state", JobState)
def test_retry_is_for_jobs_that_failed_or_were_cancelled(bench: Bench, state: JobState) -> None:
    """Any other is left as it is."""
    job = in_state(bench, state)
    before = bench.read(job)
    possible = state in (JobState.FAILED, JobState.CANCELLED)
    assert bench.ledger.retry(job, folder=None, found=None, present=False, now=LATER) is possible
    assert (bench.read(job) == before) is not possible


def test_retry_opens_a_new_round_and_keeps_the_old_attempts(bench: Bench) -> None:
    """The facts are empty, the folder is as the config has it now, the file is the one that lies in the failed folder."""
    ledger = bench.ledger
    job = bench.running()
    ledger.examined(job, MEDIA, ROUTE)
    attempt = ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=NOW)
    ledger.judged(attempt, REFUSE, now=NOW)
    ledger.failing(job, WHY)
    assert bench.folder.failed is not None
    lies = bench.folder.failed / "clip.mov"
    ledger.aim_quarantine(job, lies)
    ledger.quarantined(job, source=lies, moved=True)
    ledger.move(job, Move.FAIL, now=NOW, counts=True)

    changed = replace(bench.folder, preset=Preset(name="roomy", limit_bytes=50_000_000))
    mark = Fingerprint(size_bytes=3, mtime_ns=4, inode=2**63 + 5)
    assert ledger.retry(job, folder=changed, found=mark, present=False, now=LATER)
    again = bench.read(job)
    assert (again.state, again.due, again.tries, again.folder, again.fingerprint) == (JobState.QUEUED, LATER, 0, changed, mark)
    assert (again.source, again.present) == (lies, False)
    assert (again.media, again.route, again.attempts, again.failing, again.failure) == (None, None, (), None, None)
    assert (again.quarantine, again.quarantined, again.started, again.finished) == (None, False, None, None)
    assert bench.claim(Lane.LIGHT, now=LATER) is not None
    rows = ledger.execute("SELECT round, verdict IS NOT NULL AS judged FROM attempt WHERE job = ?", (job,)).fetchall()
    assert [tuple(row) for row in rows] == [(1, 1)]
    ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=LATER)
    assert len(bench.read(job).attempts) == 1
    assert list(bench.states(job)) == ["queued", "running", "failed", "queued", "running"]


def test_a_present_file_keeps_its_fingerprint_in_a_retry(bench: Bench) -> None:
    """What a cancelled job still has in its inbox is known from there."""
    job = in_state(bench, JobState.CANCELLED)
    before = bench.read(job)
    mark = Fingerprint(size_bytes=1, mtime_ns=1, inode=1)
    assert bench.ledger.retry(job, folder=None, found=mark, present=False, now=LATER)
    assert bench.read(job).fingerprint == before.fingerprint


def test_a_job_that_failed_after_its_delivery_can_be_retried(bench: Bench) -> None:
    """All its facts are emptied, the delivery among them: no check stands in the way."""
    job, ledger = bench.delivered(), bench.ledger
    assert bench.folder.failed is not None
    ledger.failing(job, WHY)
    ledger.aim_quarantine(job, bench.folder.failed / "clip.mov")
    ledger.quarantined(job, source=bench.folder.failed / "clip.mov", moved=True)
    ledger.move(job, Move.FAIL, now=NOW)
    assert ledger.retry(job, folder=None, found=None, present=False, now=LATER)
    again = bench.read(job)
    assert (again.target, again.delivered_bytes, again.disposed) == (None, None, None)


def test_release_is_for_parked_jobs_and_forgets_their_tries(bench: Bench) -> None:
    """They are due at once, with the failure still there for people to read."""
    job = bench.running()
    assert not bench.ledger.release(job, now=NOW)
    bench.ledger.move(job, Move.PARK, now=NOW, failure=WHY, counts=True)
    assert bench.ledger.release(job, now=LATER)
    freed = bench.read(job)
    assert (freed.state, freed.tries, freed.due, freed.failure) == (JobState.QUEUED, 0, LATER, WHY)
    assert not bench.ledger.release(bench.failed("other.mov"), now=LATER)


def test_a_clock_that_was_set_back_makes_nothing_wait(bench: Bench) -> None:
    """What can only have been written by a wrong clock is due now; what a server said of a moment is believed."""
    ledger, (job,) = bench.ledger, bench.add("clip.mov")
    year = 365 * 86400.0
    ledger.move(job, Move.CLAIM, now=NOW)
    ledger.move(job, Move.YIELD, now=NOW + year, due=NOW + year + 30)
    ledger.hold(folder_scope("clips"), until=NOW + year + 30, failure=WHY, now=NOW + year)
    asked = replace(WHY, retry_at=NOW + year)
    ledger.hold(engine_scope(EngineName.NEMO), until=asked.retry_at, failure=asked, now=NOW)
    assert ledger.clock_set_back(now=NOW) == 1
    assert ledger.clock_set_back(now=NOW) == 0
    assert bench.read(job).due == NOW
    assert [(hold.until, hold.since) for hold in ledger.holds()] == [(NOW + year, NOW), (NOW, NOW)]


def test_an_ordinary_wait_is_left_alone(bench: Bench) -> None:
    """The longest back-off with its jitter is no sign of a wrong clock."""
    ledger, (job,) = bench.ledger, bench.add("clip.mov")
    ledger.move(job, Move.CLAIM, now=NOW)
    ledger.move(job, Move.YIELD, now=NOW, due=NOW + 1.2 * 3600)
    assert ledger.clock_set_back(now=NOW) == 0
    assert bench.read(job).due == NOW + 1.2 * 3600
