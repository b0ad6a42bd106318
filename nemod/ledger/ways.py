"""Jobs that take another way than planned: on in the session of another job, or past a cloud that takes nothing.

Rules kept here:
- what has been paid for is waited for as long as a person's patience says; what has not, goes elsewhere at once;
- a job whose plan knows no other engine stays where it is.
"""

import sqlite3
from dataclasses import dataclass, replace

from nemod.config.model import After, Folder
from nemod.engines.base import EngineName
from nemod.failure import Failure, Kind
from nemod.job import Job, JobId, Lane, follower, next_engine, without_cloud
from nemod.ledger import reading
from nemod.ledger.beside import engine_scope
from nemod.ledger.rows import dump, load
from nemod.ledger.store import transaction

#: A server that asks for so short a pause is waited for by all.
PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """A job that goes on in another lane, because of that."""

    job: JobId
    relpath: str
    lane: Lane
    why: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where to, with which plan; the open attempt ends if there is one."""

    lane: Lane
    route: str


def fall_back(db: sqlite3.Connection, *, now: float, patience_s: float) -> tuple[Fallen, ...]:
    """Send on the jobs that wait for a held cloud and need not: to the next engine of their plan, due now."""
    if _held(db, now) is None:
        return ()  # as nearly always: nothing is locked for it
    fallen: list[Fallen] = []
    with transaction(db):
        hold = _held(db, now)
        if hold is None:
            return ()
        why = load(Failure, hold["failure"])
        if why.kind is Kind.THROTTLED and hold["until"] is not None and hold["until"] <= now + PAUSE_S:
            return ()
        patient = now < hold["since"] + patience_s
        rows = db.execute("SELECT id FROM job WHERE state = 'queued' AND lane = ?", (Lane.NEMO.value,)).fetchall()
        for row in rows:
            job = reading.job(db, row["id"])
            if job is None or (job.spent and patient) or (job.polling and why.kind is Kind.CREDITS):
                continue
            if (way := _way(job, why)) is None:
                continue
            db.execute(
                "UPDATE job SET lane = ?, route = ?, due = ?, polling = 0 WHERE id = ?",
                (way.lane.value, way.route, now, job.id),
            )
            db.execute("UPDATE attempt SET failure = ?, closed = ? WHERE job = ? AND closed IS NULL", (dump(why), now, job.id))
            fallen.append(Fallen(job=job.id, relpath=job.relpath, lane=way.lane, why=why))
    return tuple(fallen)


def _held(db: sqlite3.Connection, now: float) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM hold WHERE scope = ? AND (until IS NULL OR until > ?)", (engine_scope(EngineName.NEMO), now)
    ).fetchone()
    return row


def _way(job: Job, why: Failure) -> _Way | None:
    """How a job goes on without the cloud; None: not at all, or it needs the cloud no more."""
    route, attempt = job.route, job.attempt
    if route is None or job.delivered_bytes is not None or job.failing is not None:
        return None
    if not job.attempts:
        plain = without_cloud(job, route)
        return None if plain is None else _Way(lane=plain.lane, route=dump(plain))
    if attempt is None:  # it was about to follow up on a refused output
        route = replace(route, follow_ups=0)
        following = next_engine(job, route)
    elif attempt.engine is EngineName.NEMO and attempt.staged is None:
        following = follower(job, route, why)
    else:
        return None
    return None if following is None else _Way(lane=Lane(following[0].value), route=dump(route))


def add_child(db: sqlite3.Connection, parent: JobId, instruction: str | None, *, now: float) -> JobId | None:
    """A job that goes on in the session of another one with a person's further wish; None when there is no such job.

    It has no file of its own: what was found out about the source is taken over, and no original is put anywhere.
    """
    with transaction(db):
        row = db.execute("SELECT * FROM job WHERE id = ?", (parent,)).fetchone()
        if row is None:
            return None
        folder = replace(load(Folder, row["folder"]), after=After.KEEP, failed=None)
        key = row["session_key"] or f"job:{parent}"
        db.execute("UPDATE job SET session_key = ? WHERE id = ? AND session_key IS NULL", (key, parent))
        taken = "folder_name, inbox, relpath, size, mtime_ns, inode, source, media"
        cursor = db.execute(
            f"INSERT INTO job ({taken}, folder, present, due, created, parent, instruction, session_key)"  # noqa: S608 - our own words
            f" SELECT {taken}, ?, 0, ?, ?, id, ?, ? FROM job WHERE id = ?",
            (dump(folder), now, now, instruction, key, parent),
        )
        return JobId(cursor.lastrowid or 0)
