"""The ledger's file: made, brought up to date, refused with a reason, and left as it is when it is refused."""

import hashlib
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterable
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.job import JobState
from nemod.ledger.ledger import VERSION, Ledger, LedgerError
from nemod.ledger.rows import dump
from nemod.ledger.store import LEAST, MARK, SCRIPTS, transaction
from tests.ledger.values import MEDIA, REFUSE, ROUTE, WHY, folder, sighting

#: A route as version 1 wrote it: it knew nothing of follow-ups and finishes.
V1_ROUTE = '{"how": "encode", "engines": ["local"], "limit_bytes": 10000000}'
#: What is in people's ledgers already never changes: a new wish is a new script, and a new line here.
DIGESTS = {
    "schema.sql": "a5d6dbe78dd75c6edbfc14661fa9c437d40619ed9de5a8bbcdc8690bbb6dae73",
    "migration_2.sql": "949a886cca4adb86577f29a4c36697fddc71c584665d8ce827726945615754f5",
    "migration_3.sql": "e9b2cedb1464423bf830b642f34d2bce825d06016b24552e0c9488651c6fae89",
    "migration_4.sql": "c152277ffd0a811957619a63d91fb374a19f2056064a7f5cdddb24fbb1792af3",
    "migration_5.sql": "1992131e748787452dc68f299106e60345524b90e0d35e30ba0e8b227110e79e",
    "migration_6.sql": "27e7a3b1bb11fa0deb808d58217cbdc971edf842b444f71a2cb39ff5b43db11e",
    "migration_7.sql": "c8cd04ca9d860f7a501434e1b37863dbd78c0be18fd63a495efe56c0fb43843f",
}


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
        assert tables >= {"job", "attempt", "job_event", "hold", "request", "spending"}
        for part in file.parent.iterdir():
            assert stat.S_IMODE(part.stat().st_mode) == 0o600, part
    with closing(Ledger.open(file)) as ledger:
        assert pragma(ledger, "user_version") == VERSION


def of_version(version: int, file: Path, root: Path) -> None:
    """A ledger as the first version wrote it, with a job in every state and all it could hold, brought up to a later one."""
    place = folder(root)
    job: dict[str, object] = {"mtime_ns": 5, "inode": -7, "due": 8.5, "created": 9.5, "rank": -1, "tries": 2, "round": 2}
    job |= {"folder_name": place.name, "folder": dump(place), "inbox": os.fsencode(place.inbox), "failure": dump(WHY)}
    job |= {"media": dump(MEDIA), "route": V1_ROUTE, "started": 10.5, "lane": "local"}
    done = {"target": b"/out/a.mp4", "delivered_bytes": 6, "disposed": "archived", "finished": 11.5, "present": 0}
    failed = {"failing": dump(WHY), "quarantine": b"/failed/a.mov", "quarantined": 1, "finished": 12.5}
    facts: dict[JobState, dict[str, object]] = {JobState.DONE: done, JobState.FAILED: failed}
    with closing(sqlite3.connect(file)) as db:
        db.executescript(files("nemod.ledger").joinpath("schema.sql").read_text(encoding="utf-8"))
        for number, state in enumerate(JobState, 1):
            row = {**job, "state": state, "relpath": b"\xff", "size": number, "source": b"/in/a.mov", **facts.get(state, {})}
            insert(db, "job", row)
            attempt = {"job": number, "engine": "local", "how": "encode", "folder": b"/work", "opened": 1.0}
            insert(db, "attempt", {**attempt, "round": 1, "closed": 2.0, "verdict": dump(REFUSE)})
            insert(db, "attempt", {**attempt, "round": 2, "token": "1:x", "staged": b"/work/a.mp4", "note": "made"})
        insert(db, "hold", {"scope": "engine:local", "until": 3.5, "failure": dump(WHY), "times": 4})
        insert(db, "request", {"verb": "cancel", "job": 1, "at": 5.5})
        for script in SCRIPTS[1:version]:
            db.executescript(files("nemod.ledger").joinpath(script).read_text(encoding="utf-8"))
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()


def insert(db: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - our own words


def contents(db: sqlite3.Connection, tables: Iterable[str]) -> dict[str, list[dict[str, object]]]:
    db.row_factory = sqlite3.Row
    return {table: [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1")] for table in tables}  # noqa: S608


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_ledger_of_an_older_version_is_brought_up_with_nothing_lost(file: Path, tmp_path: Path, version: int) -> None:
    """Every value of every row is as it was, what is new is empty, and each job reads as it did."""
    of_version(version, file, tmp_path)
    tables = ("job", "attempt", "job_event", "hold", "request")
    with closing(sqlite3.connect(file)) as db:
        before = contents(db, tables)
    with closing(Ledger.open(file)) as ledger:
        assert pragma(ledger, "user_version") == VERSION
        assert ledger.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert ledger.execute("PRAGMA foreign_key_check").fetchall() == []
        for table, rows in contents(ledger, tables).items():
            assert len(rows) == len(before[table]) > 0
            for row, old in zip(rows, before[table], strict=True):
                assert row.items() >= old.items()
                assert {row[name] for name in row.keys() - old.keys()} <= {None, 0, 1}
        jobs = ledger.jobs()
        assert {job.state for job in jobs} == set(JobState)
        for job in jobs:
            assert job.route == ROUTE
            assert (job.parent, job.instruction, job.session_key, job.polling, job.spent) == (None, None, None, False, False)
            (attempt,) = job.attempts
            assert (attempt.token, attempt.material, attempt.spent) == ("1:x", None, False)
            assert (job.targets, attempt.parts, attempt.files) == ((), (), (Path("/work/a.mp4"),))
        assert ledger.spendings() == ()
        assert [h.times for h in ledger.holds()] == [4]
        assert [r.text for r in ledger.requests()] == [None]
        assert ledger.recover() == 1


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


def newer(file: Path, *, least: int) -> None:
    """A ledger of the next version, which has a table and a column more."""
    Ledger.open(file).close()
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("CREATE TABLE future (x)")
        db.execute("INSERT INTO future VALUES ('kept')")
        db.execute("ALTER TABLE job ADD COLUMN future TEXT NOT NULL DEFAULT 'new'")
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
        db.execute(f"PRAGMA application_id = {MARK << 24 | VERSION + 1 << 12 | least}")


def test_who_goes_back_to_an_older_nemod_goes_on_where_the_newer_ledger_allows_it(file: Path) -> None:
    """An older one works with what it knows, touches nothing else, and leaves the version, for the newer one to come back."""
    newer(file, least=VERSION)
    with closing(Ledger.open(file)) as ledger:
        assert pragma(ledger, "user_version") == VERSION + 1
        seen = [sighting()]
        ledger.reconcile(folder(file.parent), resting=seen, seen=seen, sees=lambda _: True, now=1.0)
        (job,) = ledger.jobs()
        ledger.check()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT x FROM future").fetchall() == [("kept",)]
        assert db.execute("SELECT future FROM job WHERE id = ?", (job.id,)).fetchone() == ("new",)


def test_an_older_nemod_may_work_with_what_the_newest_scripts_only_add(file: Path) -> None:
    """Since `LEAST` they made tables of their own, and changed nothing that an older one reads or writes."""
    Ledger.open(file).close()
    with closing(sqlite3.connect(file)) as db:
        assert pragma(db, "application_id") == MARK << 24 | VERSION << 12 | LEAST
    for script in SCRIPTS[LEAST:]:
        text = re.sub(r"--.*", "", files("nemod.ledger").joinpath(script).read_text("utf-8"))
        assert set(re.findall(r"(?:^|;)\s*(\w+ \w+)", text)) <= {"CREATE TABLE", "CREATE INDEX"}


def test_a_newer_ledger_that_needs_a_newer_nemod_is_refused(file: Path) -> None:
    """Nothing in it is changed, and the newer one goes on with it."""
    newer(file, least=VERSION + 1)
    before = file.read_bytes()
    with pytest.raises(LedgerError, match="newer"):
        Ledger.open(file)
    assert file.read_bytes() == before


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
