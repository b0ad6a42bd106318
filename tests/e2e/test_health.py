"""`nemod health`: 0 only while the daemon is there and its work goes on now; quick, without a config, without writing."""

import json
import os
import signal
import socket
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nemod.daemon import health as socket_of
from nemod.daemon.health import State, ask
from nemod.daemon.service import LEDGER
from tests.e2e.conftest import slow
from tests.support.daemon import Machine, eventually, machine
from tests.support.people import ordinary

WELL, ILL = 0, 1


def asked(own: Machine, code: int) -> dict[str, Any]:
    """What programs are told, with this exit code."""
    done = own.nemod("health", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["healthy"] is (code == WELL)
    return said


def test_it_is_well_only_while_its_work_goes_on(own: Machine) -> None:
    """Absent, at work, paused as by SIGSTOP, at work again, standing still behind a locked ledger, killed, ended politely."""
    own.folder("in")
    assert asked(own, ILL)["state"] == State.ABSENT
    assert not own.state.exists(), "asking makes nothing"
    own.start()
    assert asked(own, WELL) | {"words": ""} == {
        "healthy": True,
        "state": "working",
        "words": "",
        "pid": own.pid,
        "doing": "Watching the folders",
    }
    own.config.write_text("this is no config")
    assert own.nemod("health").stdout == "The daemon works: Watching the folders.\n"
    own.folder("in")
    own.send(signal.SIGSTOP)
    try:
        silent = own.nemod("health")
        looked = own.nemod("doctor", "--json")
    finally:
        own.send(signal.SIGCONT)
    assert (silent.returncode, silent.stdout) == (ILL, "")
    assert "did not answer" in silent.stderr
    assert looked.returncode == ILL
    assert "does not answer" in next(found["found"] for found in json.loads(looked.stdout) if found["what"] == "daemon")
    with closing(sqlite3.connect(own.state / LEDGER, isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        stuck = ask(own.state)
        locker.execute("ROLLBACK")
    assert stuck.state is State.STUCK
    eventually(lambda: ask(own.state).healthy, own.told)
    own.stop(signal.SIGKILL)
    assert (own.state / socket_of.FILE).exists(), "what is left of it"
    assert ask(own.state).state is State.ABSENT
    own.start()
    assert ask(own.state).healthy
    assert own.stop() == 0
    assert not (own.state / socket_of.FILE).exists()


@slow
def test_a_name_that_is_too_long_and_a_state_folder_that_takes_no_socket(own: Machine) -> None:
    """The first is reached by way of its folder; for the second the folder of temporary files does."""
    own.folder("in")
    own.state_name = "s" * 200
    temp = own.home / "t"
    temp.mkdir()
    own.more_env["TMPDIR"] = str(temp)
    own.state.mkdir()
    own.start()
    assert ask(own.state).pid == own.pid
    own.stop(signal.SIGKILL)
    (own.state / socket_of.FILE).unlink()
    (own.state / socket_of.FILE).mkdir()
    own.start()
    assert asked(own, WELL)["pid"] == own.pid
    (folder,) = temp.glob("nemod-*")
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o700)
    own.stop()


def test_another_account_is_told_that_it_cannot_know() -> None:
    """Nobody else may ask a daemon, nor learn whether there is one."""
    if os.geteuid():
        pytest.skip("only root may become another account")
    with tempfile.TemporaryDirectory() as name, machine(Path(name)) as own:
        Path(name).chmod(0o755)
        own.home.chmod(0o755)
        own.folder("in")
        own.start()
        with ordinary():
            assert ask(own.state).state is State.UNKNOWN
        assert ask(own.state).pid == own.pid


def test_somebody_elses_socket_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may make a folder of that name among the temporary files; what listens there is not asked."""
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    state, temp = tmp_path / "state", tmp_path / "temp"
    state.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    *_, place = socket_of._places(state)
    place.parent.mkdir(parents=True)
    with closing(socket.socket(socket.AF_UNIX)) as line:
        line.bind(str(place))
        line.listen()
        os.chown(place.parent, 65534, 65534)
        assert ask(state).state is State.ABSENT


def test_the_daemon_looks_around_from_where_it_is(own: Machine) -> None:
    """With its own config and rights, while it works on; without a daemon nobody can be asked."""
    own.folder("in")
    nobody = own.nemod("doctor", "--service")
    assert nobody.returncode == 1
    assert "cannot be asked: it is absent" in nobody.stderr
    own.start()
    done = own.nemod("doctor", "--service", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {finding["what"]: finding["found"] for finding in json.loads(done.stdout)}
    assert found["daemon"] == "running"
    assert f"{own.home / 'in'} on " in found["folder in"]
    assert asked(own, WELL)["state"] == "working"
