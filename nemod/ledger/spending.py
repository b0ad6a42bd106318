"""What jobs have cost, or may have cost, and the write-ahead notes of engines that go with it.

Rules kept here:
- what is about to be paid is written with the token that announces it, in one transaction, or neither is;
- what is not known to have cost nothing counts as expected.
"""

import sqlite3
from dataclasses import dataclass

from nemod.engines.base import EngineName, Token
from nemod.job import AttemptId, JobId, JobState, Move
from nemod.ledger.states import shift
from nemod.ledger.store import transaction

#: The jobs of one video: up to the one that a file made, and all that were asked for since.
_FAMILY = (
    "WITH RECURSIVE up (id, parent) AS ("
    "  SELECT id, parent FROM job WHERE id = :job UNION SELECT job.id, job.parent FROM job JOIN up ON job.id = up.parent"
    "), family (id) AS ("
    "  SELECT id FROM up WHERE parent IS NULL UNION SELECT job.id FROM job JOIN family ON job.parent = family.id"
    ")"
)
_SPENT = "SELECT COALESCE(SUM(COALESCE(cost, expected)), 0) FROM spending WHERE at >= ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Credits that a job was expected to cost at a moment (epoch seconds), and what it did cost; None: not known."""

    job: JobId
    at: float
    expected: float
    cost: float | None

    @property
    def counted(self) -> float:
        """What it counts as: what is not known to have cost nothing, as expected."""
        return self.expected if self.cost is None else self.cost


def checkpoint(
    db: sqlite3.Connection,
    attempt: AttemptId,
    token: Token,
    *,
    now: float,
    expects: float | None = None,
    cost: float | None = None,
    budget: float | None = None,
    day_start: float = 0.0,
) -> bool:
    """The engine's write-ahead note.

    Args:
        db: the ledger.
        attempt: whose; nothing is written into one that is closed.
        token: from which the engine goes on.
        now: epoch seconds.
        expects: credits that its next breath may spend; announced again, it is the same spending.
        cost: credits that the effect announced last has cost.
        budget: credits that may be spent since `day_start`; None: any number.
        day_start: epoch seconds.

    Returns:
        False when the budget does not allow it: then the token was not written, and nothing may be spent.
    """
    with transaction(db):
        row = db.execute("SELECT job FROM attempt WHERE id = ? AND closed IS NULL", (attempt,)).fetchone()
        if row is None:
            return True
        known = db.execute(
            "SELECT id, at, expected FROM spending WHERE attempt = ? AND cost IS NULL ORDER BY id DESC LIMIT 1", (attempt,)
        ).fetchone()
        if known is not None and cost is not None:
            db.execute("UPDATE spending SET cost = ? WHERE id = ?", (cost, known["id"]))
            known = None
        if expects is not None:
            # What was announced and never came to a cost is not paid again: it is the same message.
            counted = known["expected"] if known is not None and known["at"] >= day_start else 0
            if budget is not None and spent_since(db, day_start) - counted + expects > budget:
                return False
            db.execute("DELETE FROM spending WHERE id = ?", (None if known is None else known["id"],))
            db.execute(
                "INSERT INTO spending (job, attempt, at, expected) VALUES (?, ?, ?, ?)", (row["job"], attempt, now, expects)
            )
        db.execute("UPDATE attempt SET token = ?, inherited = NULL WHERE id = ?", (token, attempt))
        return True


def rest(
    db: sqlite3.Connection, job: JobId, attempt: AttemptId, token: Token, *, until: float, polling: bool, now: float
) -> None:
    """The engine waits: its token is kept, the job is queued until then. It has come on, so earlier failures are forgotten."""
    with transaction(db):
        db.execute("UPDATE attempt SET token = ?, inherited = NULL WHERE id = ? AND closed IS NULL", (token, attempt))
        if shift(db, job, Move.YIELD, now=now, due=until, polling=polling):
            db.execute("UPDATE job SET tries = 0, failure = NULL WHERE id = ? AND state = ?", (job, JobState.QUEUED))


def spent_since(db: sqlite3.Connection, moment: float) -> float:
    """Credits spent, or perhaps spent, from a moment on (epoch seconds)."""
    return float(db.execute(_SPENT, (moment,)).fetchone()[0])


def spendings(db: sqlite3.Connection, *, job: JobId | None = None) -> tuple[Spending, ...]:
    """What was spent, newest first; of one job or of all."""
    rows = db.execute("SELECT * FROM spending WHERE ?1 IS NULL OR job = ?1 ORDER BY id DESC", (job,)).fetchall()
    return tuple(Spending(job=JobId(r["job"]), at=r["at"], expected=r["expected"], cost=r["cost"]) for r in rows)


def session_token(db: sqlite3.Connection, job: JobId) -> Token | None:
    """The newest token of another job whose cloud session this one goes on in: one of the same video's if there is one."""
    row = db.execute(
        f"{_FAMILY} SELECT token FROM attempt WHERE engine = :engine AND token IS NOT NULL AND job IN ("  # noqa: S608 - our own words
        " SELECT other.id FROM job AS mine, job AS other WHERE mine.id = :job AND other.id <> mine.id"
        " AND (other.id = mine.parent OR other.session_key = mine.session_key))"
        " ORDER BY job IN (SELECT id FROM family) DESC, id DESC LIMIT 1",
        {"engine": EngineName.NEMO.value, "job": job},
    ).fetchone()
    return None if row is None else Token(row["token"])


def overtaken(db: sqlite3.Connection, job: JobId) -> bool:
    """Whether another video of the same session was at the cloud since this one: the session's timeline may be that one's."""
    row = db.execute(
        f"{_FAMILY}, there (job, attempt) AS ("  # noqa: S608 - our own words
        "  SELECT other.id, MAX(COALESCE(attempt.inherited, attempt.id))"
        "  FROM job AS mine JOIN job AS other ON other.session_key = mine.session_key"
        "  JOIN attempt ON attempt.job = other.id AND attempt.engine = :engine AND attempt.token IS NOT NULL"
        "  WHERE mine.id = :job GROUP BY other.id"
        ") SELECT COALESCE(MAX(attempt) FILTER (WHERE job NOT IN (SELECT id FROM family)), 0)"
        "  > COALESCE(MAX(attempt) FILTER (WHERE job IN (SELECT id FROM family)), 0) FROM there",
        {"job": job, "engine": EngineName.NEMO.value},
    ).fetchone()
    return bool(row[0])


def paid_before(db: sqlite3.Connection, job: JobId) -> bool:
    """Whether an earlier round has spent credits, and nobody said that this one may, too."""
    row = db.execute(
        "SELECT 1 FROM job JOIN attempt ON attempt.job = job.id JOIN spending ON spending.attempt = attempt.id"
        " WHERE job.id = ? AND attempt.round < job.round AND job.pays < job.round AND COALESCE(spending.cost, 1) > 0",
        (job,),
    ).fetchone()
    return row is not None


def own_token(db: sqlite3.Connection, job: JobId) -> Token | None:
    """The newest token of a job's own way through the cloud, of whatever round; None: it has never been there."""
    row = db.execute(
        "SELECT token FROM attempt WHERE job = ? AND engine = ? AND token IS NOT NULL ORDER BY id DESC LIMIT 1",
        (job, EngineName.NEMO.value),
    ).fetchone()
    return None if row is None else Token(row["token"])
