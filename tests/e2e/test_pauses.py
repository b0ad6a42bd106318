"""When the machine is needed: folders that begin nothing new, by a person's word or by the clock."""

import json
import shutil
import signal
from datetime import datetime, timedelta
from pathlib import Path

from nemod.cli.exits import ExitCode
from nemod.job import JobState
from tests.support.daemon import Machine, eventually


def closed_now() -> str:
    """Hours that begin in some two hours."""
    now = datetime.now()  # noqa: DTZ005 - the clock on the wall is meant
    return f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"


def test_a_paused_daemon_finishes_what_runs_and_begins_nothing_until_it_may(own: Machine, needy: Path, tiny: Path) -> None:
    """The word outlives a restart, another folder that is not paused goes on, and what waits says for what."""
    inbox, other = own.folder("in", preset="tight"), own.folder("other")
    own.start()
    shutil.copy(needy, inbox / "runs.mkv")
    eventually(own.encoding, own.told)
    assert own.nemod("pause", "in").returncode == 0
    own.delivered("runs.mkv")
    shutil.copy(tiny, inbox / "waits.mp4")
    own.wait_for(JobState.QUEUED, "waits.mp4")
    shutil.copy(tiny, other / "goes on.mp4")
    own.delivered("goes on.mp4")
    assert own.stop() == 0
    own.start()
    shutil.copy(tiny, other / "goes on still.mp4")
    own.delivered("goes on still.mp4")
    assert own.states("waits.mp4") == [JobState.QUEUED]

    status = json.loads(own.nemod("status", "--json").stdout)
    (pause,) = status["pauses"]
    assert (pause["folder"], pause["why"], pause["until"]) == ("in", "asked", None)
    assert "nemod resume in" in own.nemod("status").stdout
    (waits,) = (job for job in status["jobs"] if job["source"].endswith("waits.mp4"))
    assert waits["stage"] == "waiting: The folder is paused."
    assert "nemod resume" in own.nemod("jobs", "release", str(waits["id"])).stdout + own.told()

    assert json.loads(own.nemod("resume", "--json").stdout) == {"paused": []}
    own.delivered("waits.mp4")
    assert own.stop() == 0


def test_outside_its_hours_a_folder_waits_and_says_until_when(own: Machine, tiny: Path) -> None:
    """A changed config counts at once; a single run does not wait for the night."""
    inbox = own.folder("in", f'hours = "{closed_now()}"')
    shutil.copy(tiny, inbox / "a.mp4")
    assert own.nemod("once").returncode == ExitCode.WAITING
    assert own.states("a.mp4") == [JobState.QUEUED]
    status = json.loads(own.nemod("status", "--json").stdout)
    assert [(p["folder"], p["why"]) for p in status["pauses"]] == [("in", "hours")]
    (job,) = status["jobs"]
    assert job["stage"].startswith("waiting until ")
    assert "outside the hours" in job["stage"]
    own.start()
    own.folder("in")
    own.send(signal.SIGHUP)
    own.delivered("a.mp4")
    assert own.stop() == 0


def test_a_word_about_a_folder_that_nobody_knows_is_refused(own: Machine) -> None:
    """With a guess at what was meant; and one folder cannot go on while all are paused."""
    own.folder("discord")
    said = own.nemod("pause", "discrod")
    assert (said.returncode, "discord" in said.stderr) == (2, True)
    assert json.loads(own.nemod("pause", "--json").stdout) == {"paused": [None]}
    said = own.nemod("resume", "discord")
    assert (said.returncode, "nemod resume" in said.stderr) == (1, True)
    assert own.nemod("resume").returncode == 0
    assert "not paused" in own.nemod("resume").stdout
