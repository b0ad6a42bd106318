"""Originals that lie in nemod's own trash for a while: which files they are, and how long each has lain there.

Rules kept here:
- only what nemod put there itself is known here, by the file that it was after the move;
- time is counted from one look to the next, a day at the most for each: a clock that jumps by years, or one that was wrong at
  the start of a machine, removes nothing early. Days on which nemod does not run may count less, so that a file lies longer.
"""

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nemod.job import Fingerprint, JobId
from nemod.ledger.rows import signed, unsigned
from nemod.ledger.store import transaction

#: What may pass between two looks, and how seldom the count is written down.
DAY_S, WRITE_EVERY_S = 86_400.0, 3600.0


class End(StrEnum):
    """What became of a file that was kept for a while."""

    REMOVED = "removed"
    GONE = "gone"  # somebody else took it
    CHANGED = "changed"  # another file lies there, and is not ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An original in the trash: of which job and folder, where, which file, and how long it has lain there.

    `keep_s` is how long it is to lie; None: until its disk needs room, or for ever.
    """

    job: JobId
    folder: str
    relpath: str
    file: Path
    fingerprint: Fingerprint
    age_s: float
    keep_s: float | None
    end: End | None = None

    @property
    def left_s(self) -> float | None:
        """How long it is still to lie."""
        return None if self.keep_s is None else max(0.0, self.keep_s - self.age_s)


def retain(
    db: sqlite3.Connection, job: JobId, file: Path, fingerprint: Fingerprint, *, keep_s: float | None, now: float
) -> None:
    """A job's original lies there from now on; within the transaction that says so, if there is one."""
    with transaction(db):
        values = (job, os.fsencode(file), fingerprint.size_bytes, fingerprint.mtime_ns, signed(fingerprint.inode))
        db.execute(
            "INSERT OR REPLACE INTO retained (job, file, size, mtime_ns, inode, since, keep_s) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*values, _counted(db, now, least_s=0.0), keep_s),
        )


def count_time(db: sqlite3.Connection, *, now: float) -> None:
    """Let what has passed since the last look count; seldom written, so that a disk may sleep."""
    if db.execute("SELECT 1 FROM retained WHERE fate IS NULL").fetchone() is not None:
        with transaction(db):
            _counted(db, now, least_s=WRITE_EVERY_S)


def keep_for(db: sqlite3.Connection, wishes: Mapping[str, float | None]) -> None:
    """How long the originals of each folder are to lie, by the config as it is now; those of other folders stay for ever."""
    rows = db.execute(
        "SELECT job, folder_name, keep_s FROM retained JOIN job ON job.id = retained.job WHERE fate IS NULL"
    ).fetchall()
    changed = [(wishes.get(r["folder_name"]), r["job"]) for r in rows if r["keep_s"] != wishes.get(r["folder_name"])]
    if changed:
        with transaction(db):
            db.executemany("UPDATE retained SET keep_s = ? WHERE job = ?", changed)


def kept(db: sqlite3.Connection, *, now: float, job: JobId | None = None) -> tuple[Kept, ...]:
    """What lies there, the oldest first, but for files that a job still works with; or one job's, whatever became of it."""
    rows = db.execute(
        "SELECT retained.*, job.folder_name, job.relpath FROM retained JOIN job ON job.id = retained.job WHERE"
        " CASE WHEN ?1 IS NULL THEN fate IS NULL AND NOT EXISTS (SELECT 1 FROM job AS other WHERE other.source = retained.file"
        " AND other.state IN ('queued', 'running', 'parked')) ELSE retained.job = ?1 END ORDER BY since, retained.job",
        (job,),
    ).fetchall()
    at = _time(db, now)
    return tuple(
        Kept(
            job=JobId(r["job"]),
            folder=r["folder_name"],
            relpath=os.fsdecode(r["relpath"]),
            file=Path(os.fsdecode(r["file"])),
            fingerprint=Fingerprint(size_bytes=r["size"], mtime_ns=r["mtime_ns"], inode=unsigned(r["inode"])),
            age_s=max(0.0, at - r["since"]),
            keep_s=r["keep_s"],
            end=None if r["fate"] is None else End(r["fate"]),
        )
        for r in rows
    )


def kept_no_more(db: sqlite3.Connection, job: JobId, end: End) -> None:
    """A job's original lies there no more, or is none of ours any more."""
    with transaction(db):
        db.execute("UPDATE retained SET fate = ? WHERE job = ?", (end.value, job))


def _time(db: sqlite3.Connection, now: float) -> float:
    """The counted seconds at a moment."""
    row = db.execute("SELECT seconds, seen FROM counted").fetchone()
    return 0.0 if row is None else float(row["seconds"]) + min(max(0.0, now - row["seen"]), DAY_S)


def _counted(db: sqlite3.Connection, now: float, *, least_s: float) -> float:
    """The same, written down if so much has passed, or the clock was set back."""
    at, row = _time(db, now), db.execute("SELECT seen FROM counted").fetchone()
    if row is None or not 0 <= now - row["seen"] < least_s:
        db.execute("INSERT OR REPLACE INTO counted (id, seconds, seen) VALUES (1, ?, ?)", (at, now))
    return at
