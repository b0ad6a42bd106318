"""The ledger's file: opened with care, brought to the present version, written in transactions.

Rules kept here:
- a ledger that cannot be used is said so with a hint, and left as it is: nothing is written before its version is known;
- each version is reached from the one before by one script in one transaction, so a kill leaves the old one or the new one.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from nemod.failure import Failure, Kind, NemodError

#: The scripts that lead from nothing to the present version, each a step.
SCRIPTS = ("schema.sql", "migration_2.sql", "migration_3.sql")
VERSION = len(SCRIPTS)
#: Seconds that a lock of another program is waited for.
PATIENCE_S = 10.0

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
    """Names of files and sessions in the cloud are its owner's alone: from the first byte on, and again where a copy lost it.

    SQLite gives the files that it puts beside the ledger the ledger's mode.
    """
    # Never opened when it is there: closing it would take away the locks that another connection of this process has on it.
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        with suppress(FileNotFoundError, PermissionError):  # none there yet; or it is another's, who keeps it as he likes
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)


def _prepare(db: sqlite3.Connection, file: Path, *, wal: bool, patience_s: float) -> None:
    if (version := _version(db)) > VERSION:
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
    """All or nothing; nobody else writes meanwhile.

    Raises:
        LedgerError: the disk is full or fails, or somebody else locks the file for good. Nothing was changed.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk may have rolled back already
                db.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        (_, _, name) = db.execute("PRAGMA database_list").fetchone()
        raise LedgerError(_failure(Path(name), error)) from error


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection) -> None:
    with transaction(db):
        # Asked again: a command may have opened a ledger that the daemon was just making.
        for version in range(_version(db), VERSION):
            for statement in _statements(files("nemod.ledger").joinpath(SCRIPTS[version]).read_text(encoding="utf-8")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version + 1}")


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
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return Failure(
            kind=Kind.NO_SPACE,
            detail=f"The disk that holds the ledger {file} is full.",
            hint="Free some space there and start again; nothing is lost.",
        )
    if isinstance(error, sqlite3.OperationalError | OSError):
        return Failure(
            kind=Kind.NOT_WRITABLE,
            detail=f"The ledger {file} cannot be used: {error}.",
            hint="Check that its folder exists, is writable and has free space, or set NEMOD_STATE_DIR.",
        )
    return Failure(
        kind=Kind.BUG,
        detail=f"The ledger {file} is damaged or is not a ledger: {error}.",
        hint=f"Nothing was changed. Move it away (mv {file.name} {file.name}.damaged) and start again;"
        " files still in the inboxes are picked up anew.",
    )
