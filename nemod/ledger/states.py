"""Who moves a job on: every change of a job's state.

Rules kept here:
- a change is compare-and-set: it names the state that it leaves, so of two who are at it one is told that he was late;
- which moves there are stands in `TRANSITIONS`, not here;
- a job that has ended has no open attempt.
"""

import sqlite3

from nemod.config.model import Folder
from nemod.failure import Failure
from nemod.job import ENDED, TRANSITIONS, Fingerprint, Job, JobId, JobState, Lane, Move
from nemod.ledger import reading
from nemod.ledger.rows import dump, signed
from nemod.ledger.store import transaction


def recover(db: sqlite3.Connection) -> int:
    """Put every job that a dead daemon held back into the queue; counts no try. Returns how many.

    One statement, true because a lock file makes this the only daemon. Holds on folders go: whether an inbox is there and an
    outbox takes files is found out anew.
    """
    with transaction(db):
        db.execute("DELETE FROM hold WHERE scope LIKE 'folder:%'")
        return db.execute("UPDATE job SET state = 'queued' WHERE state = 'running'").rowcount


def claim(db: sqlite3.Connection, lane: Lane, *, now: float) -> Job | None:
    """Take the next due job of a lane whose engine and folder are not held."""
    with transaction(db):
        row = db.execute(
            "UPDATE job SET state = 'running', started = COALESCE(started, :now) WHERE id = ("
            " SELECT id FROM job WHERE state = 'queued' AND due <= :now AND lane = :lane"
            " AND NOT EXISTS (SELECT 1 FROM hold WHERE scope IN ('engine:' || :lane, 'folder:' || folder_name)"
            "                 AND (until IS NULL OR until > :now))"
            " ORDER BY rank, id LIMIT 1) AND state = 'queued' RETURNING id",
            {"now": now, "lane": lane.value},
        ).fetchone()
        return None if row is None else reading.job(db, row["id"])


def move(
    db: sqlite3.Connection,
    job: JobId,
    move: Move,
    *,
    now: float,
    due: float | None = None,
    lane: Lane | None = None,
    failure: Failure | None = None,
    counts: bool = False,
) -> bool:
    """Make a move if the job's state allows it; False when somebody was faster.

    Args:
        db: the ledger.
        job: which one.
        move: which move.
        now: epoch seconds.
        due: when the job may be claimed again, for moves into the queue; now by default.
        lane: where it queues from now on.
        failure: the reason, kept for people.
        counts: whether it used up a try.
    """
    with transaction(db):
        return shift(db, job, move, now=now, due=due, lane=lane, failure=failure, counts=counts)


def shift(
    db: sqlite3.Connection,
    job: int,
    move: Move,
    *,
    now: float,
    due: float | None = None,
    lane: Lane | None = None,
    failure: Failure | None = None,
    counts: bool = False,
) -> bool:
    """`move` as a part of somebody's transaction."""
    ways = {was: after[move] for was, after in TRANSITIONS.items() if move in after}
    for was, after in ways.items():
        moved = db.execute(
            "UPDATE job SET state = ?, due = ?, lane = COALESCE(?, lane), failure = COALESCE(?, failure),"
            " tries = tries + ?, finished = ? WHERE id = ? AND state = ?",
            (
                after.value,
                now if due is None else due,
                None if lane is None else lane.value,
                None if failure is None else dump(failure),
                int(counts),
                now if after in ENDED else None,
                job,
                was.value,
            ),
        ).rowcount
        if moved:
            if after in ENDED:
                db.execute("UPDATE attempt SET closed = ? WHERE job = ? AND closed IS NULL", (now, job))
            return True
    return False


def retry(
    db: sqlite3.Connection, job: JobId, *, folder: Folder | None, found: Fingerprint | None, present: bool, now: float
) -> bool:
    """A new round for a job that failed or was cancelled: its facts are emptied, its attempts stay as history.

    Args:
        db: the ledger.
        job: which one.
        folder: the folder and preset as the config has them now; None: as before.
        found: the source where it lies now, for a job that had lost it; None: it never went away.
        present: whether that is its old place in the inbox.
        now: epoch seconds.

    Returns:
        False when the job's state does not allow it, or another job has the file that lies there.
    """
    try:
        with transaction(db):
            opened = db.execute(
                "UPDATE job SET state = 'queued', lane = 'light', due = ?, round = round + 1, tries = 0, media = NULL,"
                " route = NULL, target = NULL, delivered_bytes = NULL, disposed = NULL, failing = NULL, quarantine = NULL,"
                " quarantined = 0, failure = NULL, started = NULL, finished = NULL, folder = COALESCE(?, folder)"
                " WHERE id = ? AND state IN ('failed', 'cancelled')",
                (now, None if folder is None else dump(folder), job),
            ).rowcount
            if opened and found is not None:
                db.execute(
                    "UPDATE job SET size = ?, mtime_ns = ?, inode = ?, present = ? WHERE id = ? AND NOT present",
                    (found.size_bytes, found.mtime_ns, signed(found.inode), int(present), job),
                )
            return bool(opened)
    except sqlite3.IntegrityError:
        return False


def release(db: sqlite3.Connection, job: JobId, *, now: float) -> bool:
    """Let a parked job try again, its tries forgotten."""
    with transaction(db):
        parked = db.execute("UPDATE job SET tries = 0 WHERE id = ? AND state = ?", (job, JobState.PARKED)).rowcount
        return bool(parked) and shift(db, job, Move.RELEASE, now=now)


def hurry(db: sqlite3.Connection, job: JobId, *, now: float) -> None:
    """Make a queued job due."""
    with transaction(db):
        db.execute("UPDATE job SET due = MIN(due, ?) WHERE id = ? AND state = 'queued'", (now, job))


def first(db: sqlite3.Connection, job: JobId) -> bool:
    """Put a waiting job ahead of all others, and make it due."""
    with transaction(db):
        ahead = "UPDATE job SET rank = (SELECT MIN(rank) FROM job) - 1, due = 0 WHERE id = ? AND state = 'queued'"
        return bool(db.execute(ahead, (job,)).rowcount)
