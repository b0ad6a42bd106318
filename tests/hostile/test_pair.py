"""Two daemons that want the same: a ledger, an inbox, or what the other writes. One of them works, the other says why not."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.daemon import CONFIG, PATIENCE_S, Machine, eventually
from tests.support.disks import Disks

SLOW = bool(os.environ.get("NEMOD_SLOW"))
AT_ONCE = 8 if SLOW else 3


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Machine]:
    """A second machine, whose config a test writes."""
    (tmp_path / "other").mkdir()
    made = Machine(home=tmp_path / "other")
    try:
        yield made
    finally:
        made.kill()


def watching(machine: Machine, inbox: Path, outbox: Path, *lines: str) -> None:
    """Let a machine have one folder."""
    for place in (inbox, outbox):
        place.mkdir(parents=True, exist_ok=True)
    more = "\n".join(lines)
    places = f'inbox = "{inbox}"\noutbox = "{outbox}"\noriginals = "{machine.home}/originals"\nfailed = "{machine.home}/failed"'
    machine.configure(f'{CONFIG}[folders.in]\n{places}\npreset = "discord"\n{more}\n')


def begin(machine: Machine, *words: str) -> subprocess.Popen[bytes]:
    """Start a command without waiting for it."""
    argv = [sys.executable, "-m", "nemod", *words]
    with (machine.home / f"log {machine.state_name}").open("ab") as log:
        return subprocess.Popen(argv, env=machine.env(), cwd=machine.home, stdout=subprocess.DEVNULL, stderr=log)


def refused(machine: Machine, *words: str) -> None:
    """Nothing starts there, and these words say why."""
    for command in ("run", "once") if SLOW else ("once",):
        done = machine.nemod(command)
        assert done.returncode == 3, done.stderr
        assert all(word in done.stderr for word in words), done.stderr
        assert "Traceback" not in done.stderr


def test_one_ledger_has_one_daemon(own: Machine, tiny: Path) -> None:
    """While it works, is stopped in its tracks, and when its lock's file is deleted; a kill frees all at once."""
    inbox = own.folder("in")
    own.start()
    refused(own, "running already")
    own.send(signal.SIGSTOP)
    refused(own, "running already")
    own.send(signal.SIGCONT)
    (own.state / "daemon.lock").unlink()
    eventually((own.state / "daemon.lock").exists, own.told)
    own.send(signal.SIGSTOP)
    (own.state / "daemon.lock").unlink()  # and it cannot put it back: the inbox is still held
    refused(own, "Another nemod watches", str(inbox))
    assert own.stop(signal.SIGKILL) == -signal.SIGKILL
    shutil.copy(tiny, inbox / "a.mp4")
    assert own.nemod("once").returncode == 0
    assert own.states() == [JobState.DONE]


def test_one_inbox_has_one_daemon_whatever_it_is_called(own: Machine, other: Machine, hands: Disks, tmp_path: Path) -> None:
    """By its path, a link, a detour and a second mount: the daemon with another ledger is told whose it is."""
    inbox = own.folder("in")
    own.start()
    (tmp_path / "link").symlink_to(inbox)
    again = hands.again(inbox, tmp_path / "again")
    for name in (inbox, tmp_path / "link", tmp_path / "link" / ".." / "in", again) if SLOW else (tmp_path / "link", again):
        watching(other, name, tmp_path / "out")
        refused(other, "Another nemod watches")
    assert own.stop() == 0


@pytest.mark.parametrize("ledgers", [1, AT_ONCE], ids=["one ledger", "a ledger each"])
def test_of_many_that_start_at_once_exactly_one_works(own: Machine, tiny: Path, ledgers: int) -> None:
    """On one ledger, or on one inbox with a ledger each; the others end with the same code, and commands disturb nobody."""
    inbox = own.folder("in")
    machines = [Machine(home=own.home, state_name=f"state {number % ledgers}") for number in range(AT_ONCE)]
    begun = [begin(machine, "run") for machine in machines]
    beside = [begin(machines[0], *words) for words in (("status",), ("doctor",), ("jobs", "cancel", "1"))]
    try:
        eventually(lambda: sum(one.poll() is not None for one in begun) >= AT_ONCE - 1, own.told)
        codes = [one.poll() for one in begun]
        assert sorted(codes, key=str) == [3] * (AT_ONCE - 1) + [None], codes
        shutil.copy(tiny, inbox / "a.mp4")
        eventually((inbox / "originals" / "a.mp4").exists)
    finally:
        for one in begun:
            one.terminate()
        for one in (*begun, *beside):
            one.wait(PATIENCE_S)
    assert [path.name for path in (inbox / "done").glob("*.mp4")] == ["a.mp4"]


def test_two_daemons_never_feed_each_other(own: Machine, other: Machine, tiny: Path, tmp_path: Path) -> None:
    """The inbox of one is the outbox of the other: whoever comes second is held, at the start and by a reload."""
    one, two = tmp_path / "one", tmp_path / "two"
    watching(own, one, two)
    watching(other, two, one)
    own.start()
    refused(other, "Another nemod", str(two))
    watching(other, tmp_path / "free", tmp_path / "out")
    other.start()
    watching(other, two, tmp_path / "out")
    other.send(signal.SIGHUP)
    eventually(lambda: other.count("folder.away"), other.told)
    shutil.copy(tiny, one / "a.mp4")
    own.delivered("a.mp4")
    assert own.stop() == 0
    eventually(lambda: other.count("folder.back"), other.told)  # nobody writes there now: what lies there is an ordinary file
    other.delivered("a.mp4")
    assert other.stop() == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]
