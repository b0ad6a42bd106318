"""Folders that begin nothing new for a while: a person paused them, or it is outside their hours.

Rules kept here:
- what has begun goes on: an edit that may have been paid, an output that only has to be judged and delivered;
- a pause outlives the daemon; hours are the config's, and are written here so that commands see what the daemon goes by.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nemod.engines.base import EngineName
from nemod.job import Job
from nemod.ledger.store import transaction

#: The row that speaks of every folder.
EVERY = ""


class Why(StrEnum):
    """Who wants it."""

    ASKED = "asked"
    HOURS = "hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Which folder (`EVERY`: all of them) begins nothing new, until when (epoch seconds; None: until a person says so)."""

    folder: str
    why: Why
    until: float | None
    since: float


def begun(job: Job) -> bool:
    """Whether a pause does not keep it any more; the claim of `states` has the same rule."""
    open_one = job.attempt
    return (
        job.delivered_bytes is not None
        or job.failing is not None
        or (open_one is not None and (open_one.staged is not None or open_one.engine is EngineName.NEMO))
    )


def pause_of(job: Job, known: Iterable[Pause], *, now: float) -> Pause | None:
    """What keeps a job from beginning now; a person's word before hours."""
    if begun(job):
        return None
    mine = [p for p in known if p.folder in {EVERY, job.folder.name} and (p.until is None or p.until > now)]
    return min(mine, key=lambda p: (p.why, p.folder), default=None)


def pause(db: sqlite3.Connection, folder: str = EVERY, *, now: float) -> bool:
    """Begin nothing new until somebody says so; False when that was so already."""
    with transaction(db):
        wanted = "INSERT INTO pause (folder, why, since) VALUES (?, 'asked', ?) ON CONFLICT DO NOTHING"
        return bool(db.execute(wanted, (folder, now)).rowcount)


def resume(db: sqlite3.Connection, folder: str = EVERY) -> int:
    """Take back a folder's pause, or every one; returns how many there were."""
    with transaction(db):
        return db.execute("DELETE FROM pause WHERE why = 'asked' AND ?1 IN (folder, '')", (folder,)).rowcount


def keep_hours(db: sqlite3.Connection, closed: Mapping[str, float], *, now: float) -> None:
    """Write down which folders are outside their hours, and until when; nothing is written when that is known."""
    with transaction(db):
        known = {row["folder"]: row["until"] for row in db.execute("SELECT folder, until FROM pause WHERE why = 'hours'")}
        if known == dict(closed):
            return
        db.execute("DELETE FROM pause WHERE why = 'hours'")
        rows = [(folder, until, now) for folder, until in closed.items()]
        db.executemany("INSERT INTO pause (folder, why, until, since) VALUES (?, 'hours', ?, ?)", rows)


def pauses(db: sqlite3.Connection) -> tuple[Pause, ...]:
    """Every pause."""
    rows = db.execute("SELECT * FROM pause ORDER BY folder, why").fetchall()
    return tuple(Pause(folder=r["folder"], why=Why(r["why"]), until=r["until"], since=r["since"]) for r in rows)
