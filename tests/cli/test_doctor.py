"""`nemod doctor`: what it looks at, what it says, and when its exit code is 1."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nemod.cli.exits import ExitCode
from nemod.daemon.service import LEDGER
from nemod.intake import watch
from tests.cli.machine import Home, Ran
from tests.support.cloud import cloud
from tests.support.disks import disks
from tests.support.hardware import with_hardware
from tests.support.people import without_power

Nemod = Callable[..., Ran]
CONFIG = '[folders.clips]\ninbox = "~/clips"\npreset = "discord"\n'


def findings(ran: Ran) -> dict[str, dict[str, Any]]:
    """What it says, by what it looked at."""
    return {finding["what"]: finding for finding in ran.json()}


def configured(home: Home, text: str = CONFIG) -> Path:
    """A config and its inbox."""
    (home.path / "clips").mkdir(exist_ok=True)
    home.configure(text)
    return home.path / "clips"


@contextmanager
def server(status: int) -> Iterator[str]:
    """The address of a server that answers so, and whose clock is an hour behind."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            del timestamp
            return format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def test_all_is_well_on_an_ordinary_machine(home: Home, nemod: Nemod) -> None:
    """Each thing has its line, none of them wants anything done, and the exit code says so."""
    clips = configured(home, CONFIG + 'engine = "local"\n')
    assert home.nemod("once").code == ExitCode.OK
    ran = nemod("doctor", "--json")
    found = findings(ran)
    assert ran.code == ExitCode.OK, ran.out
    assert all(finding["ok"] for finding in found.values())
    assert "one file system with the work" in found["outbox, clips"]["found"]
    assert str(clips) in found["folder clips"]["found"]
    assert found["ledger"]["found"].startswith("sound: 0 jobs")
    assert {"clock", "hardware", "inotify", "encoders", "daemon"} <= found.keys()


def test_the_cloud_is_asked_whether_it_answers_and_what_an_account_holds(
    home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With an account of a person's own; the token is in no line."""
    configured(home)
    with cloud(tmp_path / "sandbox", "--credits", "70") as sandbox:
        for key, value in sandbox.env().items():
            monkeypatch.setenv(key, value)
        ran = nemod("doctor", "--json")
        found = findings(ran)
        assert ran.code == ExitCode.OK, ran.out
        assert found["cloud answers"]["ok"]
        assert found["clock, cloud"]["ok"]
        assert found["credits"]["found"].startswith("70 available")
        assert sandbox.env()["NEMO_TOKEN"] not in ran.out
    gone = nemod("doctor", "--json")
    assert gone.code == ExitCode.FAILED
    assert "api_url" in findings(gone)["cloud answers"]["todo"]


def test_nobody_is_asked_where_no_folder_would_use_the_cloud(home: Home, nemod: Nemod) -> None:
    """`auto` without an account of a person's own opens no connection, so neither does the doctor."""
    configured(home)
    assert "cloud answers" not in findings(nemod("doctor", "--json"))


def test_a_clock_that_is_wrong_is_told_with_the_way_to_set_it(
    home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens end and doors open by the clock."""
    configured(home, CONFIG + 'engine = "nemo"\n')
    with server(404) as late:
        monkeypatch.setenv("NEMO_API_URL", late)
        ran = nemod("doctor", "--json")
    assert ran.code == ExitCode.FAILED
    told = findings(ran)["clock, cloud"]
    assert "60 minutes ahead" in told["found"]
    assert "timedatectl" in told["todo"]


def test_a_cloud_that_cannot_work_now_is_a_fault(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that says so is no answer."""
    configured(home, CONFIG + 'engine = "nemo"\n')
    with server(503) as ill:
        monkeypatch.setenv("NEMO_API_URL", ill)
        ran = nemod("doctor", "--json")
    assert ran.code == ExitCode.FAILED
    assert "status 503" in findings(ran)["cloud answers"]["found"]


def test_limits_of_inotify_are_told_with_the_setting(
    home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each sub-folder of a recursive inbox takes a watch, each inbox an instance."""
    clips = configured(home, CONFIG + "recursive = true\n")
    for number in range(4):
        (clips / str(number)).mkdir()
    (tmp_path / "max_user_instances").write_text("100000\n")
    (tmp_path / "max_user_watches").write_text("4\n")
    monkeypatch.setattr(watch, "LIMITS", tmp_path)
    ran = nemod("doctor", "--json")
    assert ran.code == ExitCode.FAILED
    told = findings(ran)["inotify"]
    assert "5 watches are needed" in told["found"]
    assert "sudo sysctl fs.inotify.max_user_watches=524288" in told["todo"]
    assert "max_user_instances" not in told["todo"]


def test_hardware_is_tried_and_its_lack_is_a_fault_only_where_it_is_asked_for(home: Home, nemod: Nemod, tmp_path: Path) -> None:
    """What ffmpeg was built with is not what the machine has."""
    tool = with_hardware(tmp_path / "tool", "only:qsv")
    configured(home, f'[nemod]\nffmpeg = "{tool}"\nencoder = "auto-hw"\n{CONFIG}')
    ran = nemod("doctor", "--json")
    assert ran.code == ExitCode.OK, ran.out
    assert findings(ran)["hardware"]["found"].startswith("h264_qsv;")
    home.configure(f'[nemod]\nffmpeg = "{tool}"\n{CONFIG}encoder = "nvenc"\n')
    lacking = nemod("doctor", "--json")
    assert lacking.code == ExitCode.FAILED
    assert "h264_nvenc does not work here: Cannot open the device" in findings(lacking)["hardware"]["found"]


def test_a_damaged_ledger_is_found(home: Home, nemod: Nemod) -> None:
    """Even where its beginning is sound: all of it is read."""
    configured(home, CONFIG + 'engine = "local"\n')
    assert home.nemod("once").code == ExitCode.OK
    file = home.state / LEDGER
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    damaged = bytearray(file.read_bytes())
    damaged[-4096 - 2048 : -4096] = b"\xff" * 2048
    damaged[8192:12288] = b"\xff" * 4096
    file.write_bytes(damaged)
    ran = nemod("doctor", "--json")
    assert ran.code == ExitCode.FAILED
    told = findings(ran)["ledger"]
    assert "damaged" in told["found"]
    assert told["todo"]


def test_what_is_not_there_yet_has_its_line_and_what_is_in_the_way_is_a_fault(home: Home, nemod: Nemod) -> None:
    """A folder that the start makes is none; a file where the state should lie is one, and so is a place that takes none."""
    home.configure(CONFIG + 'engine = "local"\n')
    found = findings(nemod("doctor", "--json"))
    assert "not there yet" in found["folder clips"]["found"]
    assert found["state"]["ok"]
    home.state.write_text("in the way")
    ran = nemod("doctor", "--json")
    assert ran.code == ExitCode.FAILED
    assert "is not a folder" in findings(ran)["state"]["found"]
    ran = home.nemod("doctor", "--json", NEMOD_STATE_DIR=str(home.state / "below"))
    assert ran.code == ExitCode.FAILED
    assert "cannot be made" in findings(ran)["state"]["found"]


def test_a_state_that_one_may_not_look_into_is_a_fault_and_no_traceback(home: Home) -> None:
    """As of a service with a user of its own, looked at by somebody else."""
    configured(home, CONFIG + 'engine = "local"\n')
    home.state.mkdir(mode=0)
    argv = [*without_power(), sys.executable, "-m", "nemod", "doctor", "--json"]
    done = subprocess.run(argv, env=home.env(), capture_output=True, text=True, check=False)
    home.state.chmod(0o700)
    assert done.returncode == ExitCode.FAILED
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert "NEMOD_STATE_DIR" in found["state"]["todo"]
    assert "cannot be known" in found["daemon"]["found"]


@pytest.mark.skipif(not os.environ.get("NEMOD_SLOW"), reason="each look at a disk that hangs takes seconds (NEMOD_SLOW=1)")
def test_an_inbox_that_does_not_answer_keeps_the_doctor_from_nothing_else(home: Home, tmp_path: Path) -> None:
    """Neither its file system nor its watches can be asked for."""
    clips = configured(home, CONFIG + 'engine = "local"\n')
    with disks(tmp_path) as hands:
        hands.hang(clips)
        ran = home.nemod("doctor", "--json")
    assert ran.code == ExitCode.FAILED
    assert "does not answer" in findings(ran)["config folders.clips.inbox"]["found"]
    assert {"inotify", "ffmpeg", "state", "daemon"} <= findings(ran).keys()
