"""The ledger's file: made, brought up to date, refused with a reason, and left as it is when it is refused."""

import hashlib
import sqlite3
import stat
import threading
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.ledger.ledger import VERSION, Ledger, LedgerError
from nemod.ledger.store import SCRIPTS, transaction

#: What is in people's ledgers already never changes: a new wish is a new script, and a new line here.
DIGESTS = {"schema.sql": "a5d6dbe78dd75c6edbfc14661fa9c437d40619ed9de5a8bbcdc8690bbb6dae73"}


def pragma(db: sqlite3.Connection, name: str) -> object:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_script_that_was_released_is_not_changed() -> None:
    """Whoever edits one must raise the version by a script of its own instead."""
    read = {name: hashlib.sha256(files("nemod.ledger").joinpath(name).read_bytes()).hexdigest() for name in SCRIPTS}
    assert read == DIGESTS
    assert len(DIGESTS) == VERSION


def test_a_new_ledger_has_the_present_version_and_is_its_owners_alone(file: Path) -> None:
    """Version 0 is an empty file; what comes out is whole, durable and private."""
    with closing(Ledger.open(file)) as ledger:
        assert pragma(ledger, "user_version") == VERSION
        assert pragma(ledger, "journal_mode") == "wal"
        assert pragma(ledger, "synchronous") == 2
        assert pragma(ledger, "foreign_keys") == 1
        tables = {row["name"] for row in ledger.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables >= {"job", "attempt", "job_event", "hold", "request"}
        for part in file.parent.iterdir():
            assert stat.S_IMODE(part.stat().st_mode) == 0o600, part
    with closing(Ledger.open(file)) as ledger:
        assert pragma(ledger, "user_version") == VERSION


def test_without_a_write_ahead_log_nothing_lies_beside_the_file(file: Path) -> None:
    """Network file systems have no shared memory; a ledger that had a log loses it."""
    Ledger.open(file).close()
    with closing(Ledger.open(file, wal=False)) as ledger:
        assert pragma(ledger, "journal_mode") == "delete"
        ledger.request("reload", None, now=1.0)
        assert [part.name for part in file.parent.iterdir()] == [file.name]


def test_a_ledger_of_a_newer_version_is_refused_and_not_touched(file: Path) -> None:
    """Not even its journal mode is changed."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE future (x)")
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = file.read_bytes()
    with pytest.raises(LedgerError) as caught:
        Ledger.open(file)
    assert "newer" in caught.value.failure.detail
    assert "NEMOD_STATE_DIR" in caught.value.failure.hint
    assert file.read_bytes() == before
    assert [part.name for part in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("junk", [b"not a database, just text\n" * 400, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_damaged_file_is_refused_with_a_way_out_and_not_touched(file: Path, junk: bytes) -> None:
    """A person decides what becomes of it."""
    file.write_bytes(junk)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(file)
    assert caught.value.failure.detail
    assert "mv " in caught.value.failure.hint
    assert file.read_bytes() == junk


def test_a_folder_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """The hint names the variable that leads elsewhere."""
    with pytest.raises(LedgerError) as caught:
        Ledger.open(tmp_path / "nowhere" / "ledger.sqlite")
    assert caught.value.failure.kind is Kind.NOT_WRITABLE
    assert "NEMOD_STATE_DIR" in caught.value.failure.hint


def test_a_ledger_that_another_program_holds_is_said_to_be_locked(file: Path) -> None:
    """It will be free again: the failure is one that passes."""
    Ledger.open(file, wal=False).close()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError) as caught:
            Ledger.open(file, wal=False, patience_s=0.01)
        other.execute("ROLLBACK")
    assert caught.value.failure.kind is Kind.TRANSIENT
    assert "locked" in caught.value.failure.detail
    Ledger.open(file, wal=False, patience_s=0.01).close()


def test_two_who_make_the_ledger_at_once_both_get_it(tmp_path: Path) -> None:
    """A command may open what the daemon is just making."""
    for number in range(8):
        file, start, wrong = tmp_path / f"{number}.sqlite", threading.Barrier(2), list[LedgerError]()

        def make(file: Path = file, start: threading.Barrier = start, wrong: list[LedgerError] = wrong) -> None:
            start.wait()
            try:
                Ledger.open(file).close()
            except LedgerError as error:
                wrong.append(error)

        threads = [threading.Thread(target=make) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_transaction_is_all_or_nothing(file: Path) -> None:
    """Whatever ends it early leaves nothing behind, and the next one is free to begin."""
    with closing(Ledger.open(file)) as ledger:

        def interrupted() -> None:
            with transaction(ledger):
                ledger.execute("INSERT INTO request (verb, at) VALUES ('reload', 1.0)")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert ledger.requests() == ()


def test_a_full_ledger_says_so_and_keeps_what_it_had(file: Path) -> None:
    """SQLite's own page limit stands for the disk: words instead of a traceback, and the transaction never was."""
    with closing(Ledger.open(file)) as ledger:
        (pages,) = ledger.execute("PRAGMA page_count").fetchone()
        ledger.execute(f"PRAGMA max_page_count = {pages}")
        asked = 0

        def ask_until_full() -> None:
            nonlocal asked
            while asked < 100_000:
                ledger.request("cancel", None, now=1.0)
                asked += 1

        with pytest.raises(LedgerError) as caught:
            ask_until_full()
        assert caught.value.failure.kind is Kind.NO_SPACE
        assert "full" in caught.value.failure.detail
        ledger.execute("PRAGMA max_page_count = 1000000")
        assert len(ledger.requests()) == asked > 0
