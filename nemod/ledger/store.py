"""The ledger's file: opened with care, brought to the present version, written in transactions.

Rules kept here:
- a ledger that cannot be used is said so with a hint, and left as it is: nothing is written before its version is known;
- a ledger comes into being under another name and whole, so that an empty file is one that was cut off, and no new one;
- each version is reached from the one before by one script in one transaction, so a kill leaves the old one or the new one;
- a ledger says which nemods may work with it: whoever goes back to an older one goes on where every step since then only added.
"""

import fcntl
import itertools
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from nemod import durable, failure
from nemod.failure import Failure, Kind, NemodError

#: The scripts that lead from nothing to the present version, each a step.
SCRIPTS = ("schema.sql", *(f"migration_{version}.sql" for version in range(2, 8)))
VERSION = len(SCRIPTS)
#: The oldest version that may work with a ledger as the scripts above leave it. A script that only adds what an older nemod
#: need not know leaves this at the number of the version before it (and has a test that says so); any other raises it.
LEAST = 6
#: The first byte of SQLite's `application_id`; behind it stand the version (12 bits) and the least (12 bits).
MARK = ord("n")
#: Seconds that a lock of another program is waited for.
PATIENCE_S = 10.0

#: How SQLite says that there is no room. A used up quota and a limit of file sizes it only calls errors of writing.
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})

C = TypeVar("C", bound=sqlite3.Connection)


class LedgerError(NemodError):
    """The ledger cannot be used: locked, damaged, from a newer version, or in a place where it cannot be written."""


def connect(file: Path, kind: type[C], *, wal: bool, patience_s: float) -> C:
    """A connection of that kind to a ledger of the present version.

    Args:
        file: where it lies; its folder must exist. Made, for its owner alone, when it is not there.
        kind: the class of the connection.
        wal: write-ahead log; must be off on network file systems, where its shared memory does not work.
        patience_s: how long another program's lock is waited for, here and later.

    Raises:
        LedgerError: it is damaged, newer than this program, locked for good or not writable.
    """
    try:
        if not os.path.lexists(file):
            _make(file)
        if file.stat().st_size == 0:
            raise LedgerError(_damaged(file, "it is empty"))
        _keep_private(file)
        db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=patience_s, factory=kind)
        try:
            _prepare(db, file, wal=wal, patience_s=patience_s)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(_failure(file, error)) from error
    return db


def _keep_private(file: Path) -> None:
    """Names of files and sessions in the cloud are its owner's alone, and again so where a copy lost that.

    SQLite gives the files that it puts beside the ledger the ledger's mode.
    """
    # By name: opening and closing it would take away the locks that another connection of this process has on it.
    for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        with suppress(FileNotFoundError, PermissionError):  # none there yet; or it is another's, who keeps it as he likes
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)


def _make(file: Path) -> None:
    """A new ledger, for its owner alone; of two who make it at once the second finds the first one's."""
    with _alone(file.parent):
        if not os.path.lexists(file):
            _write_new(file)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_new(file: Path) -> None:
    journal = file.with_name(f"{file.name}-wal")
    if journal.exists() and journal.stat().st_size:  # SQLite would play it into whatever file has the name
        detail = f"The ledger {file} is missing, and only its journal {journal.name} is left."
        hint = f"Put the ledger back, or move the journal away (mv {journal.name} {journal.name}.old), and start again."
        raise LedgerError(Failure(kind=Kind.NOT_WRITABLE, detail=detail, hint=hint))
    fresh = file.with_name(f"{file.name}.new")
    for left in (fresh, fresh.with_name(f"{fresh.name}-journal")):  # by a kill
        left.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    db = sqlite3.connect(fresh, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = FULL")
        _migrate(db)
    finally:
        db.close()
    fresh.rename(file)
    durable.sync_way(file.parent)


def _prepare(db: sqlite3.Connection, file: Path, *, wal: bool, patience_s: float) -> None:
    if (version := _version(db)) > VERSION and not _serves(db, version):
        raise LedgerError(_newer(file, version))
    db.row_factory = sqlite3.Row
    _set_journal(db, "WAL" if wal else "DELETE", patience_s)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    if version < VERSION:
        _migrate(db)


def _set_journal(db: sqlite3.Connection, mode: str, patience_s: float) -> None:
    """Choose the journal; for this alone SQLite does not wait for a lock, so we do."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; nobody else writes meanwhile. One within another is a part of it.

    Raises:
        LedgerError: the disk is full or fails, or somebody else locks the file for good. Nothing was changed.
    """
    inner = db.in_transaction
    begin, end, undo = (
        ("SAVEPOINT part", "RELEASE part", "ROLLBACK TO part") if inner else ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
    )
    with speaking(db):
        db.execute(begin)
        try:
            yield
            db.execute(end)
        except BaseException:
            if db.in_transaction:  # a full disk may have rolled back already
                db.execute(undo)
            raise


@contextmanager
def speaking(db: sqlite3.Connection) -> Iterator[None]:
    """Turn what SQLite says of its file into words for a person.

    Raises:
        LedgerError: the file cannot be read or written. Mistakes of ours, which would break a constraint, stay as they are.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise LedgerError(_failure(file_of(db), error)) from error


def file_of(db: sqlite3.Connection) -> Path:
    """Where the ledger of a connection lies, or lay."""
    (_, _, name) = db.execute("PRAGMA database_list").fetchone()
    return Path(name)


def check(db: sqlite3.Connection) -> None:
    """Read the whole file and hold it against its own rules; some milliseconds for a thousand jobs.

    Raises:
        LedgerError: it is damaged.
    """
    with speaking(db):
        (first, *_) = db.execute("PRAGMA quick_check(1)").fetchone()
        if first != "ok":
            raise LedgerError(_damaged(file_of(db), str(first).splitlines()[-1]))


def save_copy(db: sqlite3.Connection) -> Path:
    """Write all that a connection sees into a new file beside the ledger, whose own file may be gone; returns where."""
    file = file_of(db)
    names = (file.with_name(f"{file.name}.saved{n or ''}") for n in itertools.count())
    copy = next(name for name in names if not os.path.lexists(name))
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    with speaking(db), closing(sqlite3.connect(copy)) as other:
        db.backup(other)
    return copy


def removed(file: Path, copy: Path | None) -> LedgerError:
    """The words for a ledger whose file was removed or replaced under whoever works with it; `copy` is what could be saved."""
    saved = "Put it back and start again."
    if copy is not None:
        saved = (
            f"What it held is saved in {copy}; to go on with that, mv {copy.name} {file.name} in its folder, and start again."
        )
    detail = f"The ledger {file} was removed or replaced while nemod was at work, so nemod ends."
    return LedgerError(Failure(kind=Kind.NOT_WRITABLE, detail=detail, hint=saved))


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _serves(db: sqlite3.Connection, version: int) -> bool:
    """Whether a ledger of a newer version says that this one may work with it.

    Only if its mark is of that very version: what somebody else has changed since then says nothing.
    """
    mark = int(db.execute("PRAGMA application_id").fetchone()[0])
    return mark >> 12 == MARK << 12 | version and mark & 0xFFF <= VERSION


def _migrate(db: sqlite3.Connection) -> None:
    with transaction(db):
        # Asked again: a command may have opened a ledger that the daemon was just making.
        for version in range(_version(db), VERSION):
            for statement in _statements(files("nemod.ledger").joinpath(SCRIPTS[version]).read_text(encoding="utf-8")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version + 1}")
        db.execute(f"PRAGMA application_id = {MARK << 24 | VERSION << 12 | LEAST}")


def _statements(script: str) -> Iterator[str]:
    """One by one, because `executescript` would commit on its own."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _newer(file: Path, version: int) -> Failure:
    return Failure(
        kind=Kind.BUG,
        detail=f"The ledger {file} was written by a newer nemod (version {version}; this one knows {VERSION}).",
        hint="Install the newer nemod again, or point NEMOD_STATE_DIR at another folder. Nothing was changed.",
    )


def _failure(file: Path, error: sqlite3.Error | OSError) -> Failure:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return Failure(
            kind=Kind.TRANSIENT,
            detail=f"The ledger {file} is locked by another program.",
            hint="Close whatever has it open (a database browser, a backup) and try again.",
        )
    if getattr(error, "sqlite_errorcode", None) in _FULL or getattr(error, "errno", None) in failure.FULL:
        return Failure(
            kind=Kind.NO_SPACE,
            detail=f"The ledger {file} takes nothing more ({error}).",
            hint="Free some space on its disk, or of your quota there: a daemon at work then goes on by itself, and nothing is"
            " lost. If there is room, the disk is failing.",
        )
    if isinstance(error, sqlite3.OperationalError | OSError) and "decode" not in str(error):
        return Failure(
            kind=Kind.NOT_WRITABLE,
            detail=f"The ledger {file} cannot be used: {error}.",
            hint="Check that its folder exists, is writable and has free space, or set NEMOD_STATE_DIR.",
        )
    return _damaged(file, str(error))


def _damaged(file: Path, why: str) -> Failure:
    return Failure(
        kind=Kind.BUG,
        detail=f"The ledger {file} is damaged or is not a ledger: {why}.",
        hint=f"Nothing was changed. Move it away with all that belongs to it (mkdir damaged && mv {file.name}* damaged) and"
        " start again; files still in the inboxes are picked up anew.",
    )
