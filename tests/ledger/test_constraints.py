"""What must always hold is held by the database itself, whatever way the code goes."""

import sqlite3
from pathlib import Path

import pytest

from nemod.engines.base import EngineName
from nemod.job import JobId, JobState, Move
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import NOW, WHY


def refused(bench: Bench, job: JobId, assignment: str) -> str:
    """What the database says to an assignment that must not be."""
    before = bench.read(job)
    with pytest.raises(sqlite3.IntegrityError) as caught:
        bench.ledger.execute(f"UPDATE job SET {assignment} WHERE id = ?", (job,))  # noqa: S608 - our own words
    assert bench.read(job) == before
    return str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "because"),
    [
        ("state = 'done'", "state <> 'done' OR disposed IS NOT NULL"),
        ("state = 'failed'", "state <> 'failed' OR quarantined = 1"),
        ("state = 'asleep'", "state IN"),
        ("lane = 'fast'", "lane IN"),
        ("present = 2", "present IN"),
        ("quarantined = 2", "quarantined IN"),
        ("quarantined = 1", "quarantined = 0 OR quarantine IS NOT NULL"),
        ("quarantine = x'2f'", "quarantine IS NULL OR failing IS NOT NULL"),
        ("delivered_bytes = 1", "delivered_bytes IS NULL OR target IS NOT NULL"),
        ("disposed = 'kept'", "disposed IS NULL OR delivered_bytes IS NOT NULL"),
        ("relpath = NULL", "NOT NULL"),
    ],
)
def test_a_fact_without_the_one_before_it_is_refused(bench: Bench, assignment: str, because: str) -> None:
    """No job is done with its original in the air, none failed with its source unmoved."""
    assert because in refused(bench, bench.running(), assignment)


def test_a_delivery_is_not_forgotten_by_taking_its_target_away(bench: Bench) -> None:
    """The check works in both directions."""
    job = bench.delivered()
    assert "delivered_bytes IS NULL OR target" in refused(bench, job, "target = NULL")
    assert not bench.ledger.aim(job)


def test_a_move_that_a_check_forbids_changes_nothing(bench: Bench) -> None:
    """Neither the state nor the history knows of it."""
    job = bench.delivered()
    for move in (Move.FINISH, Move.FAIL):
        with pytest.raises(sqlite3.IntegrityError):
            bench.ledger.move(job, move, now=NOW)
    assert bench.read(job).state is JobState.RUNNING
    assert list(bench.states(job)) == ["queued", "running"]
    bench.ledger.disposed(job, "archived", None)
    assert bench.ledger.move(job, Move.FINISH, now=NOW)


def test_a_present_file_is_one_job(bench: Bench) -> None:
    """A second row for the same file is refused, until the first one's file is gone."""
    (job,) = bench.add("clip.mov")
    columns = "folder_name, folder, inbox, relpath, size, mtime_ns, inode, due, source, created"
    again = f"INSERT INTO job ({columns}) SELECT {columns} FROM job WHERE id = ?"  # noqa: S608 - our own words
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        bench.ledger.execute(again, (job,))
    bench.ledger.lost(job)
    bench.ledger.execute(again, (job,))
    assert len(bench.ledger.jobs()) == 2


def test_two_jobs_never_aim_at_one_name(bench: Bench) -> None:
    """The second is told, and takes another name; once the first is delivered the name is the outbox's business."""
    first, second = bench.encoded("a.mov"), bench.encoded("a.mkv")
    target = bench.folder.outbox / "a.mp4"
    assert bench.ledger.aim(first, target)
    assert not bench.ledger.aim(second, target)
    assert bench.read(second).target is None
    assert bench.ledger.aim(second, bench.folder.outbox / "a (2).mp4")
    bench.ledger.delivered(first, 1)
    assert bench.ledger.aim(second, target)


def test_a_name_is_free_again_when_its_job_gives_up(bench: Bench) -> None:
    """By aiming nowhere, or by ending without a delivery."""
    first, second = bench.encoded("a.mov"), bench.encoded("a.mkv")
    target = bench.folder.outbox / "a.mp4"
    assert bench.ledger.aim(first, target)
    assert bench.ledger.aim(first)
    assert bench.ledger.aim(second, target)
    assert bench.ledger.move(second, Move.CANCEL, now=NOW)
    assert bench.ledger.aim(first, target)


def test_a_job_has_one_open_attempt(bench: Bench) -> None:
    """A second one is refused until the first is closed."""
    job, ledger = bench.running(), bench.ledger
    first = ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=NOW)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ledger.open_attempt(job, EngineName.NEMO, How.ENCODE, bench.work(job), now=NOW)
    ledger.close_attempt(first, failure=WHY, now=NOW)
    ledger.open_attempt(job, EngineName.NEMO, How.ENCODE, bench.work(job), now=NOW)
    assert [a.engine for a in bench.read(job).attempts] == [EngineName.LOCAL, EngineName.NEMO]


def test_an_attempt_belongs_to_a_job(bench: Bench) -> None:
    """Foreign keys are on: rows of a job that is deleted go with it."""
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        bench.ledger.execute(
            "INSERT INTO attempt (job, round, engine, how, folder, opened) VALUES (99, 1, 'local', 'encode', x'2f', 0)"
        )
    job = bench.encoded()
    bench.ledger.execute("DELETE FROM job WHERE id = ?", (job,))
    for table in ("attempt", "job_event"):
        assert bench.ledger.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] == 0  # noqa: S608 - our own words


def test_columns_take_only_what_they_are_for(bench: Bench) -> None:
    """STRICT: a name as text, which could not hold every name, is refused."""
    (job,) = bench.add("clip.mov")
    refused(bench, job, "source = '/text'")


def test_numbers_are_never_given_twice(bench: Bench) -> None:
    """People and logs refer to a job by its number, also when its row is gone."""
    (job,) = bench.add("a.mov")
    bench.ledger.execute("DELETE FROM job")
    assert bench.add("b.mov") > [job]


def test_the_history_is_written_whatever_path_changes_a_state(bench: Bench, tmp_path: Path) -> None:
    """By a method, by recovery, by a hand with a database browser; an update that changes no state is no event."""
    job = bench.running()
    bench.ledger.recover()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as hand:
        hand.execute("UPDATE job SET state = 'parked' WHERE id = ?", (job,))
        hand.execute("UPDATE job SET state = 'parked', rank = 3 WHERE id = ?", (job,))
    hand.close()
    moves = [(was, now) for _, was, now in bench.ledger.history(job)]
    assert moves == [(None, "queued"), ("queued", "running"), ("running", "queued"), ("queued", "parked")]
    times = [at for at, _, _ in bench.ledger.history(job)]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000
