"""`nemod run`, `nemod once` and what can be seen and asked of their jobs."""

import json
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nemod.cli.exits import ExitCode
from tests.cli.machine import PATIENCE_S, Home, Ran, eventually
from tests.support.clips import clip

KEYS = {
    *("id", "folder", "source", "state", "stage", "engine", "preset", "limit_bytes", "input_bytes", "output_bytes", "output"),
    *("outputs", "quality"),
    *("attempts", "due", "failure", "created", "finished", "percent", "speed", "left_s"),
}
CONFIG = '[nemod]\nsettle = "100ms"\n[folders.clips]\ninbox = "~/clips"\npreset = "discord"\n'


@pytest.fixture
def clips(home: Home) -> Path:
    """The inbox of a config with one quick folder."""
    home.configure(CONFIG)
    inbox = home.path / "clips"
    inbox.mkdir()
    return inbox


def states(home: Home) -> list[str]:
    """The states of all jobs, by number."""
    return [job["state"] for job in home.nemod("jobs", "list", "--all", "--json").json()]


def test_the_first_start_writes_a_config_says_where_and_delivers(home: Home) -> None:
    """On an empty machine two lines say where to drop a video and where to find the result, and there it is."""
    with home.daemon() as daemon:
        assert daemon.stdout is not None
        written, drop, find = (daemon.stdout.readline() for _ in range(3))
        assert "~/.config/nemod/config.toml" in written
        assert drop == "Drop a video into  ~/Compress/discord-10mb  (and 2 more folders: nemod folders list)\n"
        assert find.startswith("Find the result in ~/Compress/discord-10mb/done")
        inbox = home.path / "Compress" / "discord-10mb"
        shutil.copy(clip("bear_odd.webm"), inbox / "bear.webm")
        eventually((inbox / "done" / "bear.mp4").exists)
        eventually(lambda: states(home) == ["done"])
        status = home.nemod("status", "--json").json()
        assert status["running"]
        assert status["counts"]["done"] == 1
        second = home.nemod("run")
        assert second.code == ExitCode.RUNNING
        assert "running already" in second.err
        assert home.nemod("once").code == ExitCode.RUNNING
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE_S) == ExitCode.OK
    events = [json.loads(line)["event"] for line in (home.path / "log").read_text().splitlines()]
    assert {"daemon.started", "job.delivered", "daemon.stopped"} <= set(events)
    assert stat.S_IMODE(home.state.stat().st_mode) == 0o700


def test_a_running_daemon_shows_progress_and_does_what_it_is_asked(home: Home, clips: Path, long_clip: Path) -> None:
    """While one job runs another waits: progress is seen, the running one is cancelled, a new folder is taken up."""
    home.configure(f'{CONFIG}[folders.tight]\ninbox = "~/tight"\npreset = "mms"\n')
    with home.daemon() as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        shutil.copy(long_clip, home.path / "tight" / "long.mkv")

        def progressing() -> bool:
            jobs = home.nemod("status", "--json").json()["jobs"]
            return [(j["state"], j["percent"] is not None) for j in jobs] == [("running", True)]

        eventually(progressing)
        assert "long.mkv" in home.nemod("status").out
        cancelled = home.nemod("jobs", "cancel", "1")
        assert (cancelled.code, cancelled.out) == (ExitCode.OK, "Job 1 is cancelled.\n")
        assert (home.path / "tight" / "long.mkv").exists()
        again = home.nemod("jobs", "cancel", "1")
        assert again.code == ExitCode.FAILED
        assert "nothing to cancel" in again.err
        assert home.nemod("folders", "add", "late", "--preset", "discord").code == ExitCode.OK
        shutil.copy(clip("bear_odd.webm"), home.path / "Compress" / "late" / "bear.webm")
        eventually((home.path / "Compress" / "late" / "done" / "bear.mp4").exists)
        removed = json.loads(home.nemod("folders", "remove", "late", "--json").out)
        assert removed["removed"] == "late"
        assert Path(removed["file"]).is_file()
        eventually(lambda: '"folders": ["clips", "tight"]' in (home.path / "log").read_text().split("config.reloaded")[-1])
        assert (home.path / "Compress" / "late" / "done" / "bear.mp4").is_file(), "no video is touched"
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(PATIENCE_S) == ExitCode.OK
    assert clips.is_dir()


def test_once_says_by_its_code_what_became_of_the_inboxes(home: Home, clips: Path) -> None:
    """0 with nothing left, 1 when a file failed; a later run has nothing to do with old failures."""
    shutil.copy(clip("bear_odd.webm"), clips / "bear.webm")
    assert home.nemod("once").code == ExitCode.OK
    assert (clips / "done" / "bear.mp4").exists()
    (clips / "text.mp4").write_text("once upon a time")
    assert home.nemod("once").code == ExitCode.FAILED
    assert home.nemod("once").code == ExitCode.OK
    assert states(home) == ["done", "failed"]


def test_once_ends_with_75_while_an_engine_is_held(home: Home, clips: Path, nemod: Callable[..., Ran]) -> None:
    """Without an ffmpeg the file waits where it is; the status says for what, and how to help."""
    home.configure(CONFIG.replace("[folders", 'ffmpeg = "/no/such/ffmpeg"\n[folders'))
    shutil.copy(clip("bear_odd.webm"), clips / "bear.webm")
    assert home.nemod("once").code == ExitCode.WAITING
    status = nemod("status", "--json").json()
    assert not status["running"]
    assert [(j["state"], j["due"] is not None) for j in status["jobs"]] == [("queued", True)]
    assert "/no/such/ffmpeg" in status["jobs"][0]["stage"]
    (hold,) = status["holds"]
    assert hold["scope"] == "engine:local"
    assert hold["failure"]["hint"] in nemod("status").out
    doctor = nemod("doctor", "--json")
    assert doctor.code == ExitCode.FAILED
    assert [finding["what"] for finding in doctor.json() if not finding["ok"]] == ["ffmpeg"]
    assert nemod("jobs", "release", "1").code == ExitCode.OK
    assert nemod("jobs", "cancel", "1").out == "Job 1 is cancelled; its file stays where it is.\n"


def test_jobs_can_be_seen_and_asked_without_a_daemon(home: Home, clips: Path, nemod: Callable[..., Ran]) -> None:
    """A list and a job in full, as table and JSON; retry and cancel change the ledger at once, other words get a reason."""
    shutil.copy(clip("bear_odd.webm"), clips / "bear.webm")
    (clips / "te\nxt.mp4").write_text("once upon a time")
    home.nemod("once")
    jobs = {job["state"]: job for job in nemod("jobs", "list", "--json").json()}
    done, failed = jobs["done"], jobs["failed"]
    assert set(done) == set(failed) == KEYS
    assert done["output"] == str(clips / "done" / "bear.mp4")
    assert done["output_bytes"] == (clips / "done" / "bear.mp4").stat().st_size
    assert (done["engine"], done["stage"], done["limit_bytes"], done["attempts"]) == ("local", "delivered", 20_000_000, 1)
    assert done["created"] <= done["finished"]
    assert failed["source"] == str(clips / "failed" / "te\nxt.mp4")
    assert set(failed["failure"]) == {"kind", "detail", "hint"}
    assert [j["id"] for j in nemod("jobs", "list", "--state", "failed", "--json").json()] == [failed["id"]]

    table = nemod("jobs", "list").out.splitlines()
    assert len(table) == 3
    assert any(r"te\nxt.mp4" in line for line in table)
    shown = nemod("jobs", "show", str(done["id"]), "--json").json()
    assert set(shown) > KEYS
    assert shown["history"][-1]["now"] == "done"
    assert shown["media"]["container"].startswith("matroska")
    assert shown["tries"][0]["how"] == "encode"
    assert "running -> done" in nemod("jobs", "show", str(done["id"])).out

    number = str(failed["id"])
    assert nemod("jobs", "retry", number).code == ExitCode.OK
    assert nemod("jobs", "first", number).out == f"Job {number} goes next.\n"
    assert nemod("jobs", "cancel", number).code == ExitCode.OK
    refused = nemod("jobs", "retry", str(done["id"]))
    assert refused.code == ExitCode.FAILED
    assert "only a failed or cancelled job" in refused.err
