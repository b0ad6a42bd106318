"""What the ledger knows, read as values. Nothing is changed here."""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from nemod.config.model import Folder
from nemod.engines.base import EngineName
from nemod.job import ENDED, Attempt, Job, JobId, JobState, Sighting, materials
from nemod.ledger.beside import engine_scope
from nemod.ledger.rows import attempt_of, fingerprint_of, job_of, load, verdict
from nemod.media.verdict import Refuse


def job(db: sqlite3.Connection, job: JobId) -> Job | None:
    """One job, with the attempts of its present round."""
    row = db.execute("SELECT * FROM job WHERE id = ?", (job,)).fetchone()
    return None if row is None else job_of(row, _attempts(db, row))


def jobs(db: sqlite3.Connection, *, states: Iterable[JobState] | None = None, newest: int | None = None) -> tuple[Job, ...]:
    """Jobs by id, oldest first; `newest` keeps only the last so many."""
    wanted = [s.value for s in (JobState if states is None else states)]
    marks = ", ".join("?" * len(wanted))
    rows = db.execute(
        f"SELECT * FROM (SELECT * FROM job WHERE state IN ({marks}) ORDER BY id DESC LIMIT ?) ORDER BY id",  # noqa: S608
        (*wanted, -1 if newest is None else newest),
    ).fetchall()
    return tuple(job_of(row, _attempts(db, row)) for row in rows)


def counts(db: sqlite3.Connection) -> Mapping[JobState, int]:
    """How many jobs are in each state."""
    found = dict(db.execute("SELECT state, COUNT(*) FROM job GROUP BY state").fetchall())
    return {state: found.get(state.value, 0) for state in JobState}


def history(db: sqlite3.Connection, job: JobId) -> tuple[tuple[float, str | None, str], ...]:
    """A job's changes of state: when, from, to."""
    rows = db.execute("SELECT at, was, now FROM job_event WHERE job = ? ORDER BY id", (job,)).fetchall()
    return tuple((row["at"], row["was"], row["now"]) for row in rows)


def open_folders(db: sqlite3.Connection) -> frozenset[Path]:
    """Work folders that jobs still need which have not ended: those of open attempts, and what may yet be finished from."""
    waiting = jobs(db, states=[s for s in JobState if s not in ENDED])
    needed = {job.attempt.folder for job in waiting if job.attempt is not None}
    return frozenset(needed | {attempt.folder for job in waiting for attempt in materials(job)})


def work_folders(db: sqlite3.Connection) -> frozenset[Path]:
    """Every work folder that this ledger ever knew, ended attempts' too."""
    return frozenset(Path(os.fsdecode(row["folder"])) for row in db.execute("SELECT folder FROM attempt").fetchall())


def answered(db: sqlite3.Connection, job: JobId) -> tuple[Refuse, ...]:
    """What the judge said in earlier rounds of outputs of the present session, as far as the cloud was told; oldest first."""
    rows = db.execute(
        "SELECT a.verdict FROM attempt AS a JOIN job AS j ON j.id = a.job WHERE j.id = ? AND a.engine = 'nemo'"
        " AND a.verdict IS NOT NULL AND a.round >= j.pays AND a.round < j.round AND EXISTS"
        " (SELECT 1 FROM attempt WHERE job = j.id AND round = a.round AND engine = 'nemo' AND id > a.id) ORDER BY a.id",
        (job,),
    )
    return tuple(v for row in rows.fetchall() if isinstance(v := verdict(row["verdict"]), Refuse))


def outboxes(db: sqlite3.Connection) -> frozenset[Path]:
    """Every outbox that a job of this ledger may have worked in."""
    rows = db.execute("SELECT DISTINCT folder FROM job").fetchall()
    return frozenset(load(Folder, row["folder"]).outbox for row in rows)


def present(db: sqlite3.Connection, inbox: Path) -> frozenset[Sighting]:
    """The files of an inbox that have a job and, as far as is known, still lie there."""
    rows = db.execute("SELECT relpath, size, mtime_ns, inode FROM job WHERE inbox = ? AND present", (os.fsencode(inbox),))
    return frozenset(Sighting(relpath=os.fsdecode(row["relpath"]), fingerprint=fingerprint_of(row)) for row in rows.fetchall())


def next_due(db: sqlite3.Connection, *, now: float, patience_s: float | None = None) -> float | None:
    """The next moment (epoch seconds) at which a waiting job or a hold comes due; what is due already needs a slot.

    With a patience also the moment at which waiting for a held cloud has taken so long.
    """
    (due,) = db.execute(
        "SELECT MIN(at) FROM (SELECT due AS at FROM job WHERE state = 'queued' UNION ALL SELECT until FROM hold"
        " UNION ALL SELECT until FROM pause UNION ALL SELECT since + ?2 FROM hold WHERE scope = ?3) WHERE at > ?1",
        (now, patience_s, engine_scope(EngineName.NEMO)),
    ).fetchone()
    return None if due is None else float(due)


def data_version(db: sqlite3.Connection) -> int:
    """A number that changes when another connection has written."""
    (version,) = db.execute("PRAGMA data_version").fetchone()
    return int(version)


def _attempts(db: sqlite3.Connection, row: sqlite3.Row) -> tuple[Attempt, ...]:
    found = db.execute(
        "SELECT *, EXISTS (SELECT 1 FROM spending WHERE attempt = attempt.id AND COALESCE(cost, 1) > 0) AS spent"
        " FROM attempt WHERE job = ? AND round = ? ORDER BY id",
        (row["id"], row["round"]),
    )
    return tuple(attempt_of(a) for a in found.fetchall())
