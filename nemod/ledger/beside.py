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
    """Who takes nothing new, until when (epoch seconds; None: until a person acts), why, and how often in a row."""

    scope: str
    until: float | None
    failure: Failure
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A word from a person, left in the mailbox."""

    id: int
    verb: str
    job: JobId | None
    at: float


def engine_scope(engine: EngineName) -> str:
    """The name under which an engine is held."""
    return f"engine:{engine.value}"


def folder_scope(folder: str) -> str:
    """The name under which a folder is held."""
    return f"folder:{folder}"


def hold(db: sqlite3.Connection, scope: str, *, until: float | None, failure: Failure) -> int:
    """Take nothing new for a scope; returns how often in a row it has been held, this time included."""
    with transaction(db):
        row = db.execute(
            "INSERT INTO hold (scope, until, failure) VALUES (?, ?, ?) ON CONFLICT (scope) DO UPDATE SET"
            " until = excluded.until, failure = excluded.failure, times = times + 1 RETURNING times",
            (scope, until, dump(failure)),
        ).fetchone()
        return int(row["times"])


def unhold(db: sqlite3.Connection, scope: str) -> bool:
    """The scope works again."""
    with transaction(db):
        return bool(db.execute("DELETE FROM hold WHERE scope = ?", (scope,)).rowcount)


def holds(db: sqlite3.Connection) -> tuple[HoldRow, ...]:
    """Every hold, also those whose time is over but whose scope has not yet proved that it works."""
    rows = db.execute("SELECT * FROM hold ORDER BY scope").fetchall()
    return tuple(
        HoldRow(scope=r["scope"], until=r["until"], failure=load(Failure, r["failure"]), times=r["times"]) for r in rows
    )


def request(db: sqlite3.Connection, verb: str, job: JobId | None, *, now: float) -> None:
    """Leave a word for the daemon."""
    with transaction(db):
        db.execute("INSERT INTO request (verb, job, at) VALUES (?, ?, ?)", (verb, job, now))


def requests(db: sqlite3.Connection) -> tuple[Request, ...]:
    """Empty the mailbox."""
    with transaction(db):
        rows = db.execute("DELETE FROM request RETURNING *").fetchall()
    return tuple(
        Request(id=r["id"], verb=r["verb"], job=None if r["job"] is None else JobId(r["job"]), at=r["at"])
        for r in sorted(rows, key=lambda r: int(r["id"]))
    )
