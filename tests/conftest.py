"""What holds for the whole suite: how many tests run at once, a machine of one's own, and a video that costs nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.clips import make_clip
from tests.support.cloud import Cloud, cloud
from tests.support.daemon import Machine, machine
from tests.support.relay import Relay, relay

# No test fails for being slow, and the suite tries the same examples each time; NEMOD_SLOW=1 looks for others.
settings.register_profile("nemod", deadline=None, derandomize=os.environ.get("NEMOD_SLOW") != "1")
settings.load_profile("nemod")


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait for a moment, a process or a socket."""
    return (os.cpu_count() or 1) * 2


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each test that has counted what it met."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name.endswith(" met") and report.when == "call":
                    terminalreporter.write_line(f"{value} {name}: {report.nodeid} ({report.duration:.0f} s)")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Machine]:
    """An empty machine for one test."""
    with machine(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video that fits and plays inline as it is, its index first."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.mp4"
    return make_clip(path, seconds=1, size=(160, 120), extra_args=["-movflags", "+faststart"])


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with credits for all, which outlives every daemon."""
    with cloud(tmp_path_factory.mktemp("cloud"), "--credits", "1000000") as made:
        yield made


@pytest.fixture(scope="module")
def way(sandbox: Cloud) -> Iterator[Relay]:
    """The way to it, where somebody may wait."""
    with relay(sandbox.url) as made:
        yield made
