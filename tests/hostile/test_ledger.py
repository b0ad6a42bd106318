"""A ledger in trouble: said in words, by the daemon and by the commands, and nothing of it overwritten."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.daemon import Machine

FLIPS = 50 if os.environ.get("NEMOD_SLOW") else 2
COMMANDS: tuple[tuple[str, ...], ...] = (("status",), ("jobs", "list"), ("doctor",), ("once",))
PAGE = 4096


@pytest.fixture
def used(own: Machine, tiny: Path) -> Machine:
    """A machine whose daemon has done a job and has ended."""
    inbox = own.folder("in")
    own.start()
    shutil.copy(tiny, inbox / "a.mp4")
    own.delivered("a.mp4")
    assert own.stop() == 0
    return own


def spoilt(good: bytes) -> dict[str, bytes]:
    """What may become of a ledger's bytes, by names for people."""
    pages = range(1, len(good) // PAGE)
    return {
        "another header": b"not a database at all" + good[21:],
        "cut off in the middle": good[: len(good) // 2],
        "empty": b"",
        "pages of rubbish": b"".join(good[:PAGE] if n == 0 else b"\xff" * PAGE for n in (0, *pages)),
        "of a newer version": good[:60] + (99).to_bytes(4, "big") + good[64:],
    }


def test_a_spoilt_ledger_is_told_of_and_left_as_it_is(used: Machine) -> None:
    """Whatever is wrong with it: words with a hint, the exit code of a failure, not a byte of it changed, no traceback."""
    ledger = used.state / "ledger.sqlite3"
    for what, spoilt_bytes in spoilt(ledger.read_bytes()).items():
        ledger.write_bytes(spoilt_bytes)
        for command in COMMANDS if os.environ.get("NEMOD_SLOW") else COMMANDS[-1:]:
            done = used.nemod(*command)
            said = done.stdout + done.stderr
            assert done.returncode == 1, (what, command, said)
            assert str(ledger) in said, (what, command, said)
            assert "Traceback" not in said, (what, command, said)
        assert ledger.read_bytes() == spoilt_bytes, what


def test_flipped_bits_never_show_a_traceback(used: Machine) -> None:
    """Some make it unreadable, some change a value, most do nothing: the daemon works or says that the ledger is damaged."""
    ledger = used.state / "ledger.sqlite3"
    good, chance = ledger.read_bytes(), random.Random(7)  # noqa: S311 - the same damage every time
    for number in range(FLIPS):
        bad = bytearray(good)
        for _ in range(5):
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        ledger.write_bytes(bad)
        for command in (("jobs", "list", "--all"), ("once",)):
            done = used.nemod(*command)
            said = done.stdout + done.stderr
            assert done.returncode in (0, 1), (number, command, said)
            assert "Traceback" not in said, (number, command, said)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda ledger: ledger.write_bytes(b"")], ids=["removed", "replaced"])
def test_a_ledger_that_goes_away_under_the_daemon_is_saved(
    own: Machine, tiny: Path, spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    """Nothing is written where nobody would find it: the daemon saves what it has, says so and ends; nothing is done twice."""
    inbox = own.folder("in", 'after = "keep"')
    own.start()
    shutil.copy(tiny, inbox / "a.mp4")
    own.delivered("a.mp4")
    ledger = own.state / "ledger.sqlite3"
    ledger.rename(tmp_path / "taken")  # as a person's own mistake does; what is there then is spoilt at leisure
    ledger.write_bytes(b"x")
    spoil(ledger)
    assert own.ended() == 1
    saved = own.state / "ledger.sqlite3.saved"
    assert str(saved) in own.told()
    with closing(sqlite3.connect(saved)) as db:
        assert db.execute("SELECT state FROM job").fetchall() == [("done",)]
    saved.replace(ledger)
    own.start()
    assert own.stop() == 0
    assert [path.name for path in (inbox / "done").iterdir()] == ["a.mp4"]


def test_a_journal_without_its_ledger_is_not_played_into_a_new_one(used: Machine) -> None:
    """The words say what is left and what to do; the journal stays as it is."""
    ledger = used.state / "ledger.sqlite3"
    journal = used.state / "ledger.sqlite3-wal"
    ledger.unlink()
    journal.write_bytes(b"the journal of another ledger")
    done = used.nemod("once")
    assert done.returncode == 1
    assert journal.name in done.stderr
    assert journal.read_bytes() == b"the journal of another ledger"
    assert not ledger.exists()


def test_a_lock_that_is_held_is_waited_for_and_then_told(used: Machine) -> None:
    """Another program has the ledger for itself: a command says so, and after that works again."""
    with closing(sqlite3.connect(used.state / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        done = used.nemod("once")
        assert done.returncode == 1
        assert "locked by another program" in done.stderr
        other.execute("ROLLBACK")
    assert used.nemod("once").returncode == 0
