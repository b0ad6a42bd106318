"""What stands beside the jobs: engines and folders that take nothing new for a while, and words that people left.

A held engine or folder keeps its jobs in the queue; parking a job is another thing.
"""

import sqlite3
from dataclasses import dataclass

from nemod.engines.base import EngineName
from nemod.failure import Failure
from nemod.job import JobId
from nemod.ledger.rows import dump, load
from nemod.ledger.store import transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """Who takes nothing new, until when (epoch seconds; None: until a person acts), why, how often in a row, and since when."""

    scope: str
    until: float | None
    failure: Failure
    times: int
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A word from a person, left in the mailbox."""

    id: int
    verb: str
    job: JobId | None
    at: float
    text: str | None = None


def engine_scope(engine: EngineName) -> str:
    """The name under which an engine is held."""
    return f"engine:{engine.value}"


def folder_scope(folder: str) -> str:
    """The name under which a folder is held."""
    return f"folder:{folder}"


def hold(db: sqlite3.Connection, scope: str, *, until: float | None, failure: Failure, now: float) -> int:
    """Take nothing new for a scope; returns how often in a row it has been held, this time included."""
    with transaction(db):
        row = db.execute(
            "INSERT INTO hold (scope, until, failure, since) VALUES (?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE SET"
            " until = excluded.until, failure = excluded.failure, times = times + 1 RETURNING times",
            (scope, until, dump(failure), now),
        ).fetchone()
        return int(row["times"])


def unhold(db: sqlite3.Connection, scope: str) -> bool:
    """The scope works again."""
    with transaction(db):
        return bool(db.execute("DELETE FROM hold WHERE scope = ?", (scope,)).rowcount)


def proved(db: sqlite3.Connection, scope: str, *, now: float) -> bool:
    """Something was made there: it works again. That says nothing of credits and plans."""
    with transaction(db):
        return bool(
            db.execute(
                "DELETE FROM hold WHERE scope = ? AND NOT"
                " (json_extract(failure, '$.kind') IN ('credits', 'plan') AND (until IS NULL OR until > ?))",
                (scope, now),
            ).rowcount
        )


def holds(db: sqlite3.Connection) -> tuple[HoldRow, ...]:
    """Every hold, also those whose time is over but whose scope has not yet proved that it works."""
    rows = db.execute("SELECT * FROM hold ORDER BY scope").fetchall()
    return tuple(
        HoldRow(scope=r["scope"], until=r["until"], failure=load(Failure, r["failure"]), times=r["times"], since=r["since"])
        for r in rows
    )


def request(db: sqlite3.Connection, verb: str, job: JobId | None, *, now: float, text: str | None = None) -> None:
    """Leave a word for the daemon."""
    with transaction(db):
        db.execute("INSERT INTO request (verb, job, at, text) VALUES (?, ?, ?, ?)", (verb, job, now, text))


def requests(db: sqlite3.Connection) -> tuple[Request, ...]:
    """What lies in the mailbox, in the order in which it came; each stays until it is struck."""
    return tuple(
        Request(id=r["id"], verb=r["verb"], job=None if r["job"] is None else JobId(r["job"]), at=r["at"], text=r["text"])
        for r in db.execute("SELECT * FROM request ORDER BY id")
    )


def strike(db: sqlite3.Connection, request: int) -> None:
    """A word has been heard, and done if it could be."""
    with transaction(db):
        db.execute("DELETE FROM request WHERE id = ?", (request,))
