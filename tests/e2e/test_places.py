"""Places that come and go: an inbox that is away cancels nothing, an outbox that is shut holds its folder until it is open."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.e2e.conftest import slow
from tests.support.daemon import Machine, eventually


@pytest.fixture
def daemon(own: Machine) -> Iterator[Machine]:
    """A daemon with several folders, of which one is in trouble."""
    own.folder("long", preset="roomy")
    own.folder("in", 'outbox = "~/out"', preset="tight")
    own.folder("other")
    own.start()
    yield own
    assert own.stop() == 0
    assert not own.events("job.bug")


def test_an_inbox_that_goes_away_and_comes_back_goes_on(daemon: Machine, lengthy: Path, needy: Path, tiny: Path) -> None:
    """As with a drive pulled out and plugged in again: what waits there still waits, the other folder works on."""
    inbox, away = daemon.home / "in", daemon.home / "away"
    shutil.copy(lengthy, daemon.home / "long" / "a.mkv")
    eventually(daemon.encoding, daemon.told)
    shutil.copy(needy, inbox / "b.mkv")
    daemon.wait_for(JobState.QUEUED, "b.mkv")
    inbox.rename(away)
    eventually(lambda: daemon.count("folder.away"), daemon.told)
    shutil.copy(tiny, daemon.home / "other" / "meanwhile.mp4")
    daemon.delivered("meanwhile.mp4")
    assert JobState.CANCELLED not in daemon.states()
    away.rename(inbox)
    eventually(lambda: daemon.count("folder.back"), daemon.told)
    daemon.nemod("jobs", "cancel", str(daemon.jobs("a.mkv")[0].id))
    assert daemon.delivered("b.mkv").stat().st_size <= 100_000
    shutil.copy(needy, inbox / "c.mkv")
    daemon.delivered("c.mkv")
    assert daemon.states(folder="in") == [JobState.DONE, JobState.DONE]


def test_an_inbox_that_is_removed_and_made_again_is_watched_again(own: Machine, tiny: Path) -> None:
    """No look comes by the clock for an hour: that it went is seen and told, and so is what is dropped into the new one."""
    inbox = own.folder("in")
    own.configure(own.config.read_text().replace('rescan = "5s"', 'rescan = "1h"'))
    own.start()
    shutil.copy(tiny, inbox / "before.mp4")
    own.delivered("before.mp4")
    shutil.rmtree(inbox)

    def holds() -> list[str]:
        return [hold["scope"] for hold in json.loads(own.nemod("status", "--json").stdout)["holds"]]

    eventually(lambda: holds() == ["folder:in"], own.told)
    inbox.mkdir()
    shutil.copy(tiny, inbox / "after.mp4")
    assert own.delivered("after.mp4").read_bytes() == tiny.read_bytes()
    eventually(lambda: not holds(), own.told)
    shutil.copy(tiny, inbox / "later.mp4")
    own.delivered("later.mp4")
    assert own.stop() == 0
    assert not own.events("job.bug")


def test_a_shut_outbox_holds_the_folder_until_it_is_released(daemon: Machine, needy: Path, tiny: Path) -> None:
    """A file lies where the outbox should be: the job waits and says for what; once it is gone, a word sets it going."""
    inbox = daemon.home / "in"
    daemon.block(daemon.home / "out")
    shutil.copy(needy, inbox / "held.mkv")
    eventually(lambda: daemon.count("folder.held", folder="in"), daemon.told)
    (job,) = daemon.wait_for(JobState.QUEUED, "held.mkv")
    assert job.failure is not None
    assert job.failure.hint
    shutil.copy(tiny, daemon.home / "other" / "free.mp4")
    daemon.delivered("free.mp4")
    assert (inbox / "held.mkv").read_bytes() == needy.read_bytes()
    (daemon.home / "out").unlink()
    assert daemon.nemod("jobs", "release", str(job.id)).returncode == 0
    assert daemon.delivered("held.mkv").stat().st_size <= 100_000
    assert not daemon.count("job.failed")


@slow
def test_a_shut_outbox_is_found_open_by_itself(daemon: Machine, needy: Path) -> None:
    """Nobody says a word: the folder is tried again after half a minute."""
    inbox = daemon.home / "in"
    daemon.block(daemon.home / "out")
    shutil.copy(needy, inbox / "held.mkv")
    eventually(lambda: daemon.count("folder.held", folder="in"), daemon.told)
    (daemon.home / "out").unlink()
    daemon.delivered("held.mkv")
