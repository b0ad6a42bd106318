"""The SQLite database of jobs: the only durable truth.

Rules kept here:
- every public method is one transaction; every change of state goes through `move` or `claim` and is compare-and-set;
- recovery is one statement, true because a lock file makes this the only daemon;
- what must always hold is in schema.sql, not in Python.

Methods block: the daemon calls them through `Desk`, commands call them directly.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from nemod.config.model import Folder
from nemod.engines.base import EngineName, Token
from nemod.failure import Failure, Kind, NemodError
from nemod.job import ENDED, TRANSITIONS, Attempt, AttemptId, Fingerprint, Job, JobId, JobState, Lane, Move, Route, Sighting
from nemod.ledger.rows import attempt_of, dump, job_of, load, signed
from nemod.media.info import MediaInfo
from nemod.media.verdict import Accept, How, Refuse

VERSION = 1
BUSY_TIMEOUT_MS = 10_000


class LedgerError(NemodError):
    """The ledger cannot be used: locked, damaged, from a newer version, or in a place where it cannot be written."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a look at an inbox changed: jobs made for new files, and jobs whose file is there no more."""

    added: tuple[JobId, ...]
    gone: tuple[JobId, ...]


def engine_scope(engine: EngineName) -> str:
    """The name under which an engine is held."""
    return f"engine:{engine.value}"


def folder_scope(folder: str) -> str:
    """The name under which a folder is held."""
    return f"folder:{folder}"


class Ledger:
    """One connection to the ledger; use it from one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use `Ledger.open`."""
        self._db = connection
        self._db.row_factory = sqlite3.Row

    @classmethod
    def open(cls, file: Path, *, wal: bool = True) -> "Ledger":
        """Open or create the ledger and bring it to the present version.

        Args:
            file: where it lies; its folder must exist.
            wal: write-ahead log; must be off on network file systems, where its shared memory does not work.

        Raises:
            LedgerError: it is damaged, newer than this program, locked for good or not writable.
        """
        try:
            fresh = not file.exists()
            db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
            if fresh:
                file.chmod(0o600)
            db.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            ledger = cls(db)
            ledger._migrate(file)
        except sqlite3.Error as error:
            raise LedgerError(_failure(file, error)) from error
        return ledger

    def close(self) -> None:
        """Close the connection; nothing is pending, every method commits."""
        self._db.close()

    def _migrate(self, file: Path) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise LedgerError(
                Failure(
                    kind=Kind.BUG,
                    detail=f"The ledger {file} was written by a newer nemod (version {version}; this one knows {VERSION}).",
                    hint="Install the newer nemod again, or point NEMOD_STATE_DIR at another folder. Nothing was changed.",
                )
            )
        if version == 0:
            script = files("nemod.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
            self._db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {VERSION};\nCOMMIT;")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- intake ---------------------------------------------------------------------------------------------------------

    def reconcile(
        self,
        folder: Folder,
        *,
        resting: Iterable[Sighting],
        seen: Iterable[Sighting],
        sees: Callable[[str], bool],
        now: float,
    ) -> Reconciled:
        """Bring the ledger in line with a look at an inbox.

        Args:
            folder: whose inbox it was; its snapshot goes into new jobs.
            resting: files that have come to rest; those that no present job knows become jobs.
            seen: all files seen, resting or not; a present job whose file is not among them has lost it.
            sees: whether the look would have shown a file (by its path in the inbox); if not, its absence means nothing.
            now: epoch seconds.
        """
        inbox = os.fsencode(folder.inbox)
        here = {_key(s) for s in seen}
        gone: list[JobId] = []
        added: list[JobId] = []
        with self._transaction() as db:
            known = set()
            for row in db.execute(
                "SELECT id, state, relpath, size, mtime_ns, inode, delivered_bytes, failing"
                " FROM job WHERE inbox = ? AND present",
                (inbox,),
            ).fetchall():
                key = (row["relpath"], row["size"], row["mtime_ns"], row["inode"])
                known.add(key)
                if key in here or not sees(os.fsdecode(row["relpath"])):
                    continue
                db.execute("UPDATE job SET present = 0 WHERE id = ?", (row["id"],))
                untouched = row["delivered_bytes"] is None and row["failing"] is None
                if untouched and row["state"] in (JobState.QUEUED, JobState.PARKED):
                    lost = Failure(kind=Kind.SOURCE_GONE, detail="The file was removed, renamed or changed before its turn.")
                    self._move(db, row["id"], Move.CANCEL, now=now, failure=lost)
                    gone.append(JobId(row["id"]))
            fresh = [s for s in resting if _key(s) not in known]
            snapshot = dump(folder) if fresh else ""
            for sighting in fresh:
                cursor = db.execute(
                    "INSERT INTO job (folder_name, folder, inbox, relpath, size, mtime_ns, inode, due, source, created)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (
                        folder.name,
                        snapshot,
                        inbox,
                        *_key(sighting),
                        now,
                        os.fsencode(folder.inbox / sighting.relpath),
                        now,
                    ),
                )
                if cursor.rowcount and cursor.lastrowid is not None:
                    added.append(JobId(cursor.lastrowid))
        return Reconciled(added=tuple(added), gone=tuple(gone))

    # -- states ---------------------------------------------------------------------------------------------------------

    def recover(self) -> int:
        """Put every job that a dead daemon held back into the queue; counts no try. Returns how many.

        Holds on folders go: whether an inbox is there and an outbox takes files is found out anew.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM hold WHERE scope LIKE 'folder:%'")
            return db.execute("UPDATE job SET state = 'queued' WHERE state = 'running'").rowcount

    def claim(self, lane: Lane, *, now: float) -> Job | None:
        """Take the next due job of a lane whose engine and folder are not held."""
        with self._transaction() as db:
            row = db.execute(
                "UPDATE job SET state = 'running', started = COALESCE(started, :now) WHERE id = ("
                " SELECT id FROM job WHERE state = 'queued' AND due <= :now AND lane = :lane"
                " AND NOT EXISTS (SELECT 1 FROM hold WHERE scope IN ('engine:' || :lane, 'folder:' || folder_name)"
                "                 AND (until IS NULL OR until > :now))"
                " ORDER BY rank, id LIMIT 1) AND state = 'queued' RETURNING id",
                {"now": now, "lane": lane.value},
            ).fetchone()
            return None if row is None else self._job(db, row["id"])

    def move(
        self,
        job: JobId,
        move: Move,
        *,
        now: float,
        due: float | None = None,
        lane: Lane | None = None,
        failure: Failure | None = None,
        counts: bool = False,
    ) -> bool:
        """Make a move if the job's state allows it; False when somebody was faster.

        Args:
            job: which one.
            move: which move.
            now: epoch seconds.
            due: when the job may be claimed again, for moves into the queue; now by default.
            lane: where it queues from now on.
            failure: the reason, kept for people.
            counts: whether it used up a try.
        """
        with self._transaction() as db:
            return self._move(db, job, move, now=now, due=due, lane=lane, failure=failure, counts=counts)

    def _move(
        self,
        db: sqlite3.Connection,
        job: int,
        move: Move,
        *,
        now: float,
        due: float | None = None,
        lane: Lane | None = None,
        failure: Failure | None = None,
        counts: bool = False,
    ) -> bool:
        ways = {was: after[move] for was, after in TRANSITIONS.items() if move in after}
        for was, after in ways.items():
            moved = db.execute(
                "UPDATE job SET state = ?, due = ?, lane = COALESCE(?, lane), failure = COALESCE(?, failure),"
                " tries = tries + ?, finished = ? WHERE id = ? AND state = ?",
                (
                    after.value,
                    now if due is None else due,
                    None if lane is None else lane.value,
                    None if failure is None else dump(failure),
                    int(counts),
                    now if after in ENDED else None,
                    job,
                    was.value,
                ),
            ).rowcount
            if moved:
                return True
        return False

    def lost(self, job: JobId) -> None:
        """The source is not there any more, or is another file: should it come back, it is a new sighting."""
        self._set(job, "present = 0")

    def retry(self, job: JobId, *, folder: Folder | None, fingerprint: Fingerprint | None, now: float) -> bool:
        """A new round for a job that failed or was cancelled: its facts are emptied, its attempts stay as history.

        Args:
            job: which one.
            folder: the folder and preset as the config has them now; None: as before.
            fingerprint: of the source where it lies now, for one that is no longer in its inbox.
            now: epoch seconds.
        """
        with self._transaction() as db:
            row = db.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
            if row is None or row["state"] not in (JobState.FAILED, JobState.CANCELLED):
                return False
            db.execute(
                "UPDATE job SET state = 'queued', lane = 'light', due = ?, round = round + 1, tries = 0, media = NULL,"
                " route = NULL, target = NULL, failing = NULL, quarantine = NULL, quarantined = 0, failure = NULL,"
                " started = NULL, finished = NULL, folder = COALESCE(?, folder) WHERE id = ?",
                (now, None if folder is None else dump(folder), job),
            )
            if fingerprint is not None:
                db.execute(
                    "UPDATE job SET size = ?, mtime_ns = ?, inode = ? WHERE id = ? AND NOT present",
                    (fingerprint.size_bytes, fingerprint.mtime_ns, signed(fingerprint.inode), job),
                )
            return True

    def release(self, job: JobId, *, now: float) -> bool:
        """Let a parked job try again, its tries forgotten."""
        with self._transaction() as db:
            db.execute("UPDATE job SET tries = 0 WHERE id = ? AND state = 'parked'", (job,))
            return self._move(db, job, Move.RELEASE, now=now) if self._state(db, job) is JobState.PARKED else False

    def hurry(self, job: JobId, *, now: float) -> None:
        """Make a queued job due."""
        with self._transaction() as db:
            db.execute("UPDATE job SET due = MIN(due, ?) WHERE id = ? AND state = 'queued'", (now, job))

    def first(self, job: JobId) -> bool:
        """Put a waiting job ahead of all others, and make it due."""
        with self._transaction() as db:
            return bool(
                db.execute(
                    "UPDATE job SET rank = (SELECT MIN(rank) FROM job) - 1, due = 0 WHERE id = ? AND state = 'queued'", (job,)
                ).rowcount
            )

    # -- facts ----------------------------------------------------------------------------------------------------------

    def examined(self, job: JobId, media: MediaInfo, route: Route) -> None:
        """What the source is and how it will become its output."""
        self._set(job, "media = ?, route = ?, tries = 0, failure = NULL", dump(media), dump(route))

    def open_attempt(self, job: JobId, engine: EngineName, how: How, folder: Path, *, now: float) -> AttemptId:
        """A new try by an engine; the job must have no open one."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO attempt (job, round, engine, how, folder, opened)"
                " SELECT id, round, ?, ?, ?, ? FROM job WHERE id = ?",
                (engine.value, how.value, os.fsencode(folder), now, job),
            )
            return AttemptId(cursor.lastrowid or 0)

    def checkpoint(self, attempt: AttemptId, token: Token) -> None:
        """The engine's write-ahead note."""
        with self._transaction() as db:
            db.execute("UPDATE attempt SET token = ? WHERE id = ? AND closed IS NULL", (token, attempt))

    def staged(self, attempt: AttemptId, file: Path, *, token: Token | None, note: str) -> None:
        """The engine's output lies there, not yet judged."""
        with self._transaction() as db:
            db.execute(
                "UPDATE attempt SET staged = ?, token = COALESCE(?, token), note = ? WHERE id = ? AND closed IS NULL",
                (os.fsencode(file), token, note, attempt),
            )

    def unstaged(self, attempt: AttemptId) -> None:
        """The staged file is lost (someone cleaned up): the engine makes it again from its token."""
        with self._transaction() as db:
            db.execute("UPDATE attempt SET staged = NULL, verdict = NULL WHERE id = ? AND closed IS NULL", (attempt,))

    def judged(self, attempt: AttemptId, verdict: Accept | Refuse, *, now: float) -> None:
        """The judge's word; a refusal closes the attempt for good."""
        closed = now if isinstance(verdict, Refuse) else None
        with self._transaction() as db:
            db.execute("UPDATE attempt SET verdict = ?, closed = ? WHERE id = ?", (dump(verdict), closed, attempt))

    def close_attempt(self, attempt: AttemptId, *, failure: Failure | None, now: float) -> None:
        """The attempt is over without a delivery, or after it."""
        with self._transaction() as db:
            db.execute(
                "UPDATE attempt SET failure = ?, closed = ? WHERE id = ? AND closed IS NULL",
                (None if failure is None else dump(failure), now, attempt),
            )

    def aim(self, job: JobId, target: Path | None) -> bool:
        """Write down where the output will lie (None: nowhere any more); False when another job aims there already."""
        try:
            self._set(job, "target = ?", None if target is None else os.fsencode(target))
        except sqlite3.IntegrityError:
            return False
        return True

    def delivered(self, job: JobId, size_bytes: int) -> None:
        """The output is published under its target's name."""
        self._set(job, "delivered_bytes = ?, failure = NULL", size_bytes)

    def disposed(self, job: JobId, how: str, source: Path | None) -> None:
        """The original's end; only a kept one is still present."""
        self._set(
            job,
            "disposed = ?, source = COALESCE(?, source), present = CASE WHEN ? = 'kept' THEN present ELSE 0 END",
            how,
            None if source is None else os.fsencode(source),
            how,
        )

    def failing(self, job: JobId, failure: Failure) -> None:
        """It is decided that the job fails; what is left is to move its source."""
        self._set(job, "failing = ?, failure = ?", dump(failure), dump(failure))

    def aim_quarantine(self, job: JobId, target: Path) -> None:
        """Write down where the source of a failed job will lie."""
        self._set(job, "quarantine = ?", os.fsencode(target))

    def quarantined(self, job: JobId, *, source: Path, moved: bool) -> None:
        """The source of a failed job lies there; one that could not be moved stays present, so that it is not tried again."""
        self._set(
            job,
            "quarantined = 1, source = ?, present = CASE WHEN ? THEN 0 ELSE present END",
            os.fsencode(source),
            int(moved),
        )

    def _set(self, job: JobId, assignments: str, *values: object) -> None:
        with self._transaction() as db:
            db.execute(f"UPDATE job SET {assignments} WHERE id = ?", (*values, job))  # noqa: S608 - our own words

    # -- reading --------------------------------------------------------------------------------------------------------

    def job(self, job: JobId) -> Job | None:
        """One job, with the attempts of its present round."""
        return self._job(self._db, job)

    def jobs(self, *, states: Iterable[JobState] | None = None, newest: int | None = None) -> tuple[Job, ...]:
        """Jobs by id, oldest first; `newest` keeps only the last so many."""
        wanted = [s.value for s in (JobState if states is None else states)]
        marks = ", ".join("?" * len(wanted))
        rows = self._db.execute(
            f"SELECT * FROM (SELECT * FROM job WHERE state IN ({marks}) ORDER BY id DESC LIMIT ?) ORDER BY id",  # noqa: S608
            (*wanted, -1 if newest is None else newest),
        ).fetchall()
        return tuple(job_of(row, self._attempts(self._db, row)) for row in rows)

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        found = dict(self._db.execute("SELECT state, COUNT(*) FROM job GROUP BY state").fetchall())
        return {state: found.get(state.value, 0) for state in JobState}

    def history(self, job: JobId) -> tuple[tuple[float, str | None, str], ...]:
        """A job's changes of state: when, from, to."""
        rows = self._db.execute("SELECT at, was, now FROM job_event WHERE job = ? ORDER BY id", (job,)).fetchall()
        return tuple((row["at"], row["was"], row["now"]) for row in rows)

    def open_folders(self) -> frozenset[Path]:
        """Work folders that an open attempt still needs."""
        rows = self._db.execute("SELECT folder FROM attempt WHERE closed IS NULL").fetchall()
        return frozenset(Path(os.fsdecode(row["folder"])) for row in rows)

    def outboxes(self) -> frozenset[Path]:
        """Every outbox that a job of this ledger may have worked in."""
        rows = self._db.execute("SELECT DISTINCT folder FROM job").fetchall()
        return frozenset(load(Folder, row["folder"]).outbox for row in rows)

    def next_due(self, *, now: float) -> float | None:
        """The next moment (epoch seconds) at which a waiting job or a hold comes due; what is due already needs a slot."""
        (due,) = self._db.execute(
            "SELECT MIN(at) FROM (SELECT due AS at FROM job WHERE state = 'queued' UNION ALL SELECT until FROM hold)"
            " WHERE at > ?",
            (now,),
        ).fetchone()
        return None if due is None else float(due)

    def data_version(self) -> int:
        """A number that changes when another connection has written."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _job(self, db: sqlite3.Connection, job: int) -> Job | None:
        row = db.execute("SELECT * FROM job WHERE id = ?", (job,)).fetchone()
        return None if row is None else job_of(row, self._attempts(db, row))

    def _attempts(self, db: sqlite3.Connection, row: sqlite3.Row) -> tuple[Attempt, ...]:
        found = db.execute("SELECT * FROM attempt WHERE job = ? AND round = ? ORDER BY id", (row["id"], row["round"]))
        return tuple(attempt_of(a) for a in found.fetchall())

    def _state(self, db: sqlite3.Connection, job: int) -> JobState | None:
        row = db.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
        return None if row is None else JobState(row["state"])

    # -- holds and the mailbox ------------------------------------------------------------------------------------------

    def hold(self, scope: str, *, until: float | None, failure: Failure) -> int:
        """Take nothing new for a scope; returns how often in a row it has been held, this time included."""
        with self._transaction() as db:
            row = db.execute(
                "INSERT INTO hold (scope, until, failure) VALUES (?, ?, ?) ON CONFLICT (scope) DO UPDATE SET"
                " until = excluded.until, failure = excluded.failure, times = times + 1 RETURNING times",
                (scope, until, dump(failure)),
            ).fetchone()
            return int(row["times"])

    def unhold(self, scope: str) -> bool:
        """The scope works again."""
        with self._transaction() as db:
            return bool(db.execute("DELETE FROM hold WHERE scope = ?", (scope,)).rowcount)

    def holds(self) -> tuple[HoldRow, ...]:
        """Every hold, also those whose time is over but whose scope has not yet proved that it works."""
        rows = self._db.execute("SELECT * FROM hold ORDER BY scope").fetchall()
        return tuple(
            HoldRow(scope=r["scope"], until=r["until"], failure=load(Failure, r["failure"]), times=r["times"]) for r in rows
        )

    def request(self, verb: str, job: JobId | None, *, now: float) -> None:
        """Leave a word for the daemon."""
        with self._transaction() as db:
            db.execute("INSERT INTO request (verb, job, at) VALUES (?, ?, ?)", (verb, job, now))

    def requests(self) -> tuple[Request, ...]:
        """Empty the mailbox."""
        with self._transaction() as db:
            rows = db.execute("DELETE FROM request RETURNING *").fetchall()
        return tuple(
            Request(id=r["id"], verb=r["verb"], job=None if r["job"] is None else JobId(r["job"]), at=r["at"])
            for r in sorted(rows, key=lambda r: int(r["id"]))
        )


def _key(sighting: Sighting) -> tuple[bytes, int, int, int]:
    mark = sighting.fingerprint
    return os.fsencode(sighting.relpath), mark.size_bytes, mark.mtime_ns, signed(mark.inode)


def _failure(file: Path, error: sqlite3.Error) -> Failure:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return Failure(
            kind=Kind.TRANSIENT,
            detail=f"The ledger {file} is locked by another program.",
            hint="Close whatever has it open (a database browser, a backup) and try again.",
        )
    if isinstance(error, sqlite3.OperationalError):
        return Failure(
            kind=Kind.NOT_WRITABLE,
            detail=f"The ledger {file} cannot be opened: {error}.",
            hint="Check that its folder exists, is writable and has free space, or set NEMOD_STATE_DIR.",
        )
    return Failure(
        kind=Kind.BUG,
        detail=f"The ledger {file} is damaged or is not a ledger: {error}.",
        hint=f"Nothing was changed. Move it away (mv {file.name} {file.name}.damaged) and start again;"
        " files still in the inboxes are picked up anew.",
    )
