"""What a job and its attempts are known to be: facts that go from empty to filled, each in a transaction of its own.

Rules kept here:
- an intent (where an output or a failed source will lie) is written before the file is moved, the fact after it;
- a closed attempt is never written again;
- which fact needs which is said in schema.sql.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from nemod.config.model import Folder, SessionScope
from nemod.engines.base import EngineName, Part, Token
from nemod.failure import Failure
from nemod.job import AttemptId, Fingerprint, JobId, Route
from nemod.ledger.beside import folder_scope
from nemod.ledger.keeping import retain
from nemod.ledger.rows import dump, dump_parts, dump_paths, load
from nemod.ledger.store import transaction
from nemod.media.info import MediaInfo
from nemod.media.verdict import Accept, How, Refuse


def examined(db: sqlite3.Connection, job: JobId, media: MediaInfo, route: Route, *, instruction: str | None = None) -> None:
    """What the source is, how it will become its output, and what a person said about it.

    Jobs that the cloud may make share a session when their folder says so; one that goes on in another's keeps that.
    """
    with transaction(db):
        row = db.execute("SELECT folder FROM job WHERE id = ?", (job,)).fetchone()
        folder = load(Folder, row["folder"])
        shares = folder.session is SessionScope.FOLDER and EngineName.NEMO in route.engines
        db.execute(
            "UPDATE job SET media = ?, route = ?, instruction = ?, session_key = COALESCE(session_key, ?), tries = 0,"
            " failure = NULL WHERE id = ?",
            (dump(media), dump(route), instruction, folder_scope(folder.name) if shares else None, job),
        )


def replanned(db: sqlite3.Connection, job: JobId, route: Route, *, ended: Failure | None, now: float) -> None:
    """Another plan; the open attempt is over if there is a failure for it."""
    with transaction(db):
        db.execute("UPDATE job SET route = ? WHERE id = ?", (dump(route), job))
        if ended is not None:
            db.execute("UPDATE attempt SET failure = ?, closed = ? WHERE job = ? AND closed IS NULL", (dump(ended), now, job))


def open_attempt(
    db: sqlite3.Connection,
    job: JobId,
    engine: EngineName,
    how: How,
    folder: Path,
    *,
    now: float,
    material: Path | None = None,
) -> AttemptId:
    """A new try by an engine; the job must have no open one.

    In the cloud it goes on where the job's last try left off, in the same session, so that nothing is paid twice; a person who
    says "pay again" makes an end of that.
    """
    with transaction(db):
        cursor = db.execute(
            "INSERT INTO attempt (job, round, engine, how, folder, opened, material, token, inherited)"
            " SELECT j.id, j.round, ?1, ?2, ?3, ?4, ?5, last.token, COALESCE(last.inherited, last.id) FROM job AS j"
            " LEFT JOIN attempt AS last ON ?1 = 'nemo' AND last.id = ("
            "  SELECT MAX(id) FROM attempt WHERE job = j.id AND engine = ?1 AND token IS NOT NULL AND round >= j.pays"
            " ) WHERE j.id = ?6",
            (engine.value, how.value, os.fsencode(folder), now, None if material is None else os.fsencode(material), job),
        )
        db.execute("UPDATE job SET tries = 0 WHERE id = ?", (job,))  # of the engine before
        return AttemptId(cursor.lastrowid or 0)


def staged(
    db: sqlite3.Connection, attempt: AttemptId, file: Path, *, token: Token | None, note: str, parts: Sequence[Part] = ()
) -> None:
    """The engine's output lies there, or all parts of it, not yet judged."""
    with transaction(db):
        db.execute(
            "UPDATE attempt SET staged = ?, parts = ?, token = COALESCE(?, token), note = ? WHERE id = ? AND closed IS NULL",
            (os.fsencode(file), dump_parts(parts), token, note, attempt),
        )


def unstaged(db: sqlite3.Connection, attempt: AttemptId) -> None:
    """The staged file is lost (someone cleaned up): the engine makes it again from its token."""
    with transaction(db):
        lost = "UPDATE attempt SET staged = NULL, parts = NULL, verdict = NULL WHERE id = ? AND closed IS NULL"
        db.execute(lost, (attempt,))


def judged(db: sqlite3.Connection, attempt: AttemptId, verdict: Accept | Refuse, *, now: float) -> None:
    """The judge's word; a refusal closes the attempt for good."""
    closed = now if isinstance(verdict, Refuse) else None
    with transaction(db):
        db.execute(
            "UPDATE attempt SET verdict = ?, closed = ? WHERE id = ? AND closed IS NULL", (dump(verdict), closed, attempt)
        )


def close_attempt(db: sqlite3.Connection, attempt: AttemptId, *, failure: Failure | None, now: float) -> None:
    """The attempt is over without a delivery, or after it."""
    with transaction(db):
        db.execute(
            "UPDATE attempt SET failure = ?, closed = ? WHERE id = ? AND closed IS NULL",
            (None if failure is None else dump(failure), now, attempt),
        )


def aim(db: sqlite3.Connection, job: JobId, *targets: Path) -> bool:
    """Write down where the output, or each part of it, will lie; none: nowhere any more.

    False when another job aims there already. That is asked of the first name alone: it tells how many there are, so the
    others can be taken only by a file that is called like a part itself, and of that publishing takes care.
    """
    first = os.fsencode(targets[0]) if targets else None
    try:
        _set(db, job, "target = ?, targets = ?", first, dump_paths(targets) if len(targets) > 1 else None)
    except sqlite3.IntegrityError:
        return False
    return True


def delivered(db: sqlite3.Connection, job: JobId, size_bytes: int) -> None:
    """The output is published under its target's name."""
    _set(db, job, "delivered_bytes = ?, failure = NULL", size_bytes)


def disposed(
    db: sqlite3.Connection,
    job: JobId,
    how: str,
    source: Path | None,
    *,
    retained: Fingerprint | None = None,
    keep_s: float | None = None,
    now: float = 0.0,
) -> None:
    """The original's end; only a kept one is still present.

    Args:
        db: the ledger.
        job: which one.
        how: what became of its original.
        source: where it lies now.
        retained: which file it is there, if it is to lie there for a while only.
        keep_s: how long.
        now: epoch seconds.
    """
    with transaction(db):
        if retained is not None and source is not None:
            retain(db, job, source, retained, keep_s=keep_s, now=now)
        _set(
            db,
            job,
            "disposed = ?, source = COALESCE(?, source), present = CASE WHEN ? = 'kept' THEN present ELSE 0 END",
            how,
            None if source is None else os.fsencode(source),
            how,
        )


def failing(db: sqlite3.Connection, job: JobId, failure: Failure) -> None:
    """It is decided that the job fails; what is left is to move its source."""
    _set(db, job, "failing = ?, failure = ?", dump(failure), dump(failure))


def aim_quarantine(db: sqlite3.Connection, job: JobId, target: Path) -> None:
    """Write down where the source of a failed job will lie."""
    _set(db, job, "quarantine = ?", os.fsencode(target))


def quarantined(db: sqlite3.Connection, job: JobId, *, source: Path, moved: bool) -> None:
    """The source of a failed job lies there; one that could not be moved stays present, so that it is not tried again."""
    _set(
        db,
        job,
        "quarantined = 1, source = ?, present = CASE WHEN ? THEN 0 ELSE present END",
        os.fsencode(source),
        int(moved),
    )


def lost(db: sqlite3.Connection, job: JobId) -> None:
    """The source is not there any more, or is another file: should it come back, it is a new sighting."""
    _set(db, job, "present = 0")


def _set(db: sqlite3.Connection, job: JobId, assignments: str, *values: object) -> None:
    with transaction(db):
        db.execute(f"UPDATE job SET {assignments} WHERE id = ?", (*values, job))  # noqa: S608 - our own words
