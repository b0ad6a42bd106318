"""What a person asks of jobs while the daemon runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.daemon import Machine, eventually, leftovers, machine


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One daemon that is spoken to."""
    with machine(tmp_path_factory.mktemp("words")) as made:
        made.folder("in", preset="roomy")
        made.start()
        yield made
        eventually(lambda: not leftovers(made.home / "in"), made.told)
        assert made.stop() == 0


def test_a_running_encode_can_be_cancelled(daemon: Machine, lengthy: Path) -> None:
    """Its ffmpeg ends, its source stays, nothing is delivered; what was cancelled is not taken up again by itself."""
    source = daemon.home / "in" / "lengthy.mkv"
    shutil.copy(lengthy, source)
    eventually(daemon.encoding, daemon.told)
    (job,) = daemon.jobs("lengthy.mkv")
    assert daemon.nemod("jobs", "cancel", str(job.id)).returncode == 0
    daemon.wait_for(JobState.CANCELLED, "lengthy.mkv")
    assert daemon.encoding() == []
    assert source.stat().st_size == lengthy.stat().st_size
    (daemon.home / "in" / "poke.mp4").write_text("a poke that fails")
    daemon.wait_for(JobState.FAILED, "poke.mp4")
    assert daemon.states("lengthy.mkv") == [JobState.CANCELLED]
    assert not list((daemon.home / "in" / "done").glob("lengthy*"))


def test_a_failed_file_can_be_mended_and_tried_again(daemon: Machine, tiny: Path) -> None:
    """`jobs retry` takes the file from the failed folder; delivered, neither it nor its reason stays there."""
    inbox = daemon.home / "in"
    (inbox / "mended.mp4").write_text("not yet")
    (job,) = daemon.wait_for(JobState.FAILED, "mended.mp4")
    failed = inbox / "failed" / "mended.mp4"
    assert job.source == failed
    failed.write_bytes(tiny.read_bytes())
    assert daemon.nemod("jobs", "retry", str(job.id)).returncode == 0
    assert daemon.delivered("mended.mp4").read_bytes() == tiny.read_bytes()
    assert not list((inbox / "failed").glob("mended*"))
    assert (inbox / "originals" / "mended.mp4").read_bytes() == tiny.read_bytes()


def test_a_retry_that_fails_again_says_so_again(daemon: Machine) -> None:
    """The file stays in the failed folder under its name, with one reason beside it."""
    inbox = daemon.home / "in"
    (inbox / "hopeless.mp4").write_text("never")
    (job,) = daemon.wait_for(JobState.FAILED, "hopeless.mp4")
    assert daemon.nemod("jobs", "retry", str(job.id)).returncode == 0
    eventually(lambda: daemon.count("job.failed", file="hopeless.mp4") == 2, daemon.told)
    assert sorted(path.name for path in (inbox / "failed").glob("hopeless*")) == ["hopeless.mp4", "hopeless.mp4.failed.txt"]


def test_a_retry_of_a_file_that_came_back_makes_no_second_output(own: Machine, lengthy: Path, needy: Path) -> None:
    """It was cancelled, taken away and dropped again: it is another job's now, and the answer says so."""
    own.folder("busy", preset="roomy")
    inbox = own.folder("in", preset="tight")
    own.start()
    shutil.copy(lengthy, own.home / "busy" / "ahead.mkv")
    eventually(own.encoding, own.told)
    shutil.copy(needy, inbox / "back.mkv")
    eventually(lambda: any(job.route is not None for job in own.jobs("back.mkv")), own.told)
    (first,) = own.jobs("back.mkv")
    assert own.nemod("jobs", "cancel", str(first.id)).returncode == 0
    own.wait_for(JobState.CANCELLED, "back.mkv")
    (inbox / "back.mkv").rename(own.home / "away.mkv")
    eventually(lambda: not own.jobs("back.mkv")[0].present, own.told)
    (own.home / "away.mkv").rename(inbox / "back.mkv")
    eventually(lambda: len(own.jobs("back.mkv")) == 2, own.told)
    own.nemod("jobs", "retry", str(first.id))
    eventually(lambda: own.count("request.answered", verb="retry"), own.told)
    (answer,) = [line for line in own.events("request.answered") if line["verb"] == "retry"]
    assert not answer["done"]
    assert "another job" in answer["says"]
    (ahead,) = own.jobs("ahead.mkv")
    assert own.nemod("jobs", "cancel", str(ahead.id)).returncode == 0
    own.delivered("back.mkv")
    eventually(lambda: not leftovers(inbox), own.told)
    assert own.states("back.mkv") == [JobState.CANCELLED, JobState.DONE]
    assert [path.name for path in (inbox / "done").iterdir()] == ["back.mp4"]
    assert own.stop() == 0
