"""A look at an inbox against the jobs that the ledger has of it.

Rules kept here:
- a file that still lies there is one job, however often it is seen; the schema's unique index has the last word;
- what a look could not see is unknown, not gone.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nemod.config.model import Folder
from nemod.failure import Failure, Kind
from nemod.job import JobId, JobState, Move, Sighting
from nemod.ledger.rows import dump, signed
from nemod.ledger.states import shift
from nemod.ledger.store import transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a look at an inbox changed: jobs made for new files, and jobs whose file is there no more."""

    added: tuple[JobId, ...]
    gone: tuple[JobId, ...]


#: What makes a file the one it is, as the ledger's columns hold it.
_Key = tuple[bytes, int, int, int]


def reconcile(
    db: sqlite3.Connection,
    folder: Folder,
    *,
    resting: Iterable[Sighting],
    seen: Iterable[Sighting],
    sees: Callable[[str], bool],
    now: float,
) -> Reconciled:
    """Bring the ledger in line with a look at an inbox.

    Args:
        db: the ledger.
        folder: whose inbox it was; its snapshot goes into new jobs.
        resting: files that have come to rest; those that no present job knows become jobs.
        seen: all files seen, resting or not; a present job whose file is not among them has lost it.
        sees: whether the look would have shown a file (by its path in the inbox); if not, its absence means nothing.
        now: epoch seconds.
    """
    here = {_key(s) for s in seen}
    gone: list[JobId] = []
    added: list[JobId] = []
    with transaction(db):
        known: set[_Key] = set()
        for row in db.execute(
            "SELECT id, state, relpath, size, mtime_ns, inode, target, delivered_bytes, failing FROM job"
            " WHERE inbox = ? AND present",
            (os.fsencode(folder.inbox),),
        ).fetchall():
            key = (row["relpath"], row["size"], row["mtime_ns"], row["inode"])
            known.add(key)
            if key not in here and sees(os.fsdecode(row["relpath"])) and _lose(db, row, now=now):
                gone.append(JobId(row["id"]))
        fresh = [s for s in resting if _key(s) not in known]
        snapshot = dump(folder) if fresh else ""
        for sighting in fresh:
            job = _add(db, folder, snapshot, sighting, now=now)
            if job is not None:
                added.append(job)
    return Reconciled(added=tuple(added), gone=tuple(gone))


def _lose(db: sqlite3.Connection, row: sqlite3.Row, *, now: float) -> bool:
    """The job's file is not there; whether that ends the job. What runs, is delivered or fails finds out by itself."""
    db.execute("UPDATE job SET present = 0 WHERE id = ?", (row["id"],))
    waits = row["state"] in (JobState.QUEUED, JobState.PARKED)
    if row["state"] == JobState.QUEUED and row["target"] is not None:
        return False  # its output may lie there already, and only that was not yet recorded
    if not waits or row["delivered_bytes"] is not None or row["failing"] is not None:
        return False
    lost = Failure(kind=Kind.SOURCE_GONE, detail="The file was removed, renamed or changed before its turn.")
    return shift(db, row["id"], Move.CANCEL, now=now, failure=lost)


def _add(db: sqlite3.Connection, folder: Folder, snapshot: str, sighting: Sighting, *, now: float) -> JobId | None:
    """A job for a new file; None when there is one."""
    inbox, source = os.fsencode(folder.inbox), os.fsencode(folder.inbox / sighting.relpath)
    row = db.execute(
        "INSERT INTO job (folder_name, folder, inbox, relpath, size, mtime_ns, inode, due, source, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
        (folder.name, snapshot, inbox, *_key(sighting), now, source, now),
    ).fetchone()
    return None if row is None else JobId(row["id"])


def _key(sighting: Sighting) -> _Key:
    mark = sighting.fingerprint
    return os.fsencode(sighting.relpath), mark.size_bytes, mark.mtime_ns, signed(mark.inode)
