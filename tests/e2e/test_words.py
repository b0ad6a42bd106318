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
