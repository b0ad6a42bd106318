"""Who moves a job on: every change of a job's state.

Rules kept here:
- a change is compare-and-set: it names the state that it leaves, so of two who are at it one is told that he was late;
- which moves there are stands in `TRANSITIONS`, not here;
- a job that has ended has no open attempt.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from nemod.config.model import After, Folder
from nemod.failure import BACKOFF_MOST_S, Failure
from nemod.job import ENDED, TRANSITIONS, Fingerprint, Job, JobId, JobState, Lane, Move
from nemod.ledger import reading
from nemod.ledger.rows import dump, signed
from nemod.ledger.store import transaction

#: Nothing that this machine decides itself waits longer: see the longest back-off and the last look in `nemod.failure`.
FURTHEST_S = 1.2 * BACKOFF_MOST_S


def recover(db: sqlite3.Connection) -> int:
    """Put every job that a dead daemon held back into the queue; counts no try. Returns how many.

    One statement, true because a lock file makes this the only daemon. Holds on folders go: whether an inbox is there and an
    outbox takes files is found out anew.
    """
    with transaction(db):
        db.execute("DELETE FROM hold WHERE scope LIKE 'folder:%'")
        return db.execute("UPDATE job SET state = 'queued' WHERE state = 'running'").rowcount


#: Held back are: what waits for a folder or an engine, as long as something is still wanted of that; what a pause keeps from
#: beginning (`pauses.begun` is the same in Python); in the cloud, whatever is not under way while somebody else is and the
#: engine is careful; and of those that share a session all but the one that came to it last, until that one is through.
_CLAIM = """
UPDATE job SET state = 'running', started = COALESCE(started, :now) WHERE state = 'queued' AND id = (
    SELECT mine.id FROM job AS mine
    WHERE mine.state = 'queued' AND mine.due <= :now AND mine.lane = :lane AND (:lane <> 'nemo' OR mine.polling = :polling)
    AND mine.id NOT IN (SELECT value FROM json_each(:but))
    AND NOT EXISTS (
        SELECT 1 FROM hold WHERE scope = 'folder:' || mine.folder_name AND (until IS NULL OR until > :now)
    )
    AND (
        mine.delivered_bytes IS NOT NULL OR mine.failing IS NOT NULL
        OR EXISTS (SELECT 1 FROM attempt WHERE job = mine.id AND closed IS NULL AND (staged IS NOT NULL OR engine = 'nemo'))
        OR NOT EXISTS (SELECT 1 FROM pause WHERE folder IN ('', mine.folder_name) AND (until IS NULL OR until > :now))
    )
    AND (
        mine.delivered_bytes IS NOT NULL OR mine.failing IS NOT NULL
        OR (:lane = 'nemo' AND mine.folder_name IN (SELECT value FROM json_each(:home)))
        OR EXISTS (SELECT 1 FROM attempt WHERE job = mine.id AND closed IS NULL AND staged IS NOT NULL)
        OR NOT EXISTS (
            SELECT 1 FROM hold WHERE scope = 'engine:' || :lane AND (until IS NULL OR until > :now)
            AND NOT (
                (:polling OR (mine.parent IS NOT NULL AND mine.instruction IS NULL))
                AND json_extract(failure, '$.kind') = 'credits'
            )
        )
    )
    AND (
        :lane <> 'nemo' OR NOT :careful OR (SELECT attempt FROM cloud WHERE id = mine.id) IS NOT NULL
        OR NOT EXISTS (SELECT 1 FROM cloud WHERE id <> mine.id AND (running OR attempt IS NOT NULL))
    )
    AND (
        :lane <> 'nemo' OR mine.session_key IS NULL
        OR NOT EXISTS (
            SELECT 1 FROM cloud AS other WHERE other.session_key = mine.session_key AND other.id <> mine.id
            AND (other.running OR other.attempt > COALESCE((SELECT attempt FROM cloud WHERE id = mine.id), 0))
        )
    )
    ORDER BY mine.rank, mine.id LIMIT 1
) RETURNING id
"""


def claim(
    db: sqlite3.Connection,
    lane: Lane,
    *,
    now: float,
    polling: bool = False,
    careful: bool = False,
    but: Iterable[JobId] = (),
    home: Iterable[str] = (),
) -> Job | None:
    """Take the next due job of a lane whose engine and folder are not held.

    Args:
        db: the ledger.
        lane: which one.
        now: epoch seconds.
        polling: take one of those that need no slot of the engine; want of credits does not hold them, for they have paid.
        careful: at most one job may be under way there, besides those that are already.
        home: folders whose jobs stay on this machine, so that no hold of the cloud keeps them: they are planned anew.
        but: not one of these: whoever had it has given it up, and is still letting go of what it held.
    """
    chosen = {
        "now": now,
        "lane": lane.value,
        "polling": int(polling),
        "careful": int(careful),
        "but": json.dumps(list(but)),
        "home": json.dumps(list(home)),
    }
    with transaction(db):
        row = db.execute(_CLAIM, chosen).fetchone()
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
    polling: bool | None = None,
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
        polling: whether what follows needs none of the engine's slots; as before by default, but not in another lane.
    """
    with transaction(db):
        return shift(db, job, move, now=now, due=due, lane=lane, failure=failure, counts=counts, polling=polling)


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
    polling: bool | None = None,
) -> bool:
    """`move` as a part of somebody's transaction."""
    ways = {was: after[move] for was, after in TRANSITIONS.items() if move in after}
    for was, after in ways.items():
        moved = db.execute(
            "UPDATE job SET state = ?, due = ?, lane = COALESCE(?, lane), failure = COALESCE(?, failure),"
            " tries = tries + ?, finished = ?, polling = COALESCE(?, polling) WHERE id = ? AND state = ?",
            (
                after.value,
                now if due is None else due,
                None if lane is None else lane.value,
                None if failure is None else dump(failure),
                int(counts),
                now if after in ENDED else None,
                int(polling) if polling is not None else None if lane is None else 0,
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
    db: sqlite3.Connection,
    job: JobId,
    *,
    folder: Folder | None,
    found: Fingerprint | None,
    present: bool,
    now: float,
    pay_again: bool = False,
) -> bool:
    """A new round for a job that failed or was cancelled: its facts are emptied, its attempts stay as history.

    Args:
        db: the ledger.
        job: which one.
        folder: the folder and preset as the config has them now; None: as before.
        found: the source where it lies now, for a job that had lost it; None: it never went away.
        present: whether that is its old place in the inbox.
        now: epoch seconds.
        pay_again: forget its sessions in the cloud and begin anew there; a parked job may be told so, too.

    Returns:
        False when the job's state does not allow it, or another job has the file that lies there.
    """
    states = ("failed", "cancelled", "parked") if pay_again else ("failed", "cancelled")
    try:
        with transaction(db):
            row = db.execute("SELECT * FROM job WHERE id = ?", (job,)).fetchone()
            if row is None or row["state"] not in states:
                return False
            asked = row["parent"] is not None
            # Other bytes are another video, of which no session in the cloud knows.
            changed = found is not None and not asked and (row["size"], row["mtime_ns"]) != (found.size_bytes, found.mtime_ns)
            if folder is not None and asked:  # it has no file of its own that could be put anywhere
                folder = replace(folder, after=After.KEEP, failed=None)
            db.execute("UPDATE attempt SET closed = ? WHERE job = ? AND closed IS NULL", (now, job))
            db.execute(
                "UPDATE job SET state = 'queued', lane = 'light', polling = 0, due = ?, round = round + 1,"
                " pays = CASE WHEN ? THEN round + 1 ELSE pays END, tries = 0, media = CASE WHEN ? THEN media END,"
                " route = NULL, target = NULL, targets = NULL, delivered_bytes = NULL, disposed = NULL, failing = NULL,"
                " quarantine = NULL, quarantined = 0, failure = NULL, started = NULL, finished = NULL,"
                " folder = COALESCE(?, folder) WHERE id = ?",
                (now, pay_again or changed, asked, None if folder is None else dump(folder), job),
            )
            if found is not None and not asked:
                db.execute(
                    "UPDATE job SET size = ?, mtime_ns = ?, inode = CASE inode WHEN 0 THEN 0 ELSE ? END, present = ?"
                    " WHERE id = ? AND NOT present",
                    (found.size_bytes, found.mtime_ns, signed(found.inode), int(present), job),
                )
            return True
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


def clock_set_back(db: sqlite3.Connection, *, now: float) -> int:
    """Let nothing wait for a moment that only a clock which was wrong could name; returns how many jobs that set free.

    A machine may start without the time and be told it later: what was to go on in a minute would go on in a year. What a
    server or a budget said of a moment is believed.
    """
    further = (now + FURTHEST_S,)
    odd = "SELECT 1 FROM job WHERE state = 'queued' AND due > ?1 UNION ALL SELECT 1 FROM hold WHERE until > ?1 OR since > ?1"
    if db.execute(odd, further).fetchone() is None:
        return 0  # as nearly always: nothing is locked for it
    with transaction(db):
        db.execute("UPDATE hold SET since = ?1 WHERE since > ?1", (now,))
        db.execute(
            "UPDATE hold SET until = ?1 WHERE until > ?2 AND json_extract(failure, '$.retry_at') IS NULL", (now, *further)
        )
        return db.execute("UPDATE job SET due = ? WHERE state = 'queued' AND due > ?", (now, *further)).rowcount


def first(db: sqlite3.Connection, job: JobId) -> bool:
    """Put a waiting job ahead of all others, and make it due."""
    with transaction(db):
        ahead = "UPDATE job SET rank = (SELECT MIN(rank) FROM job) - 1, due = 0 WHERE id = ? AND state = 'queued'"
        return bool(db.execute(ahead, (job,)).rowcount)
