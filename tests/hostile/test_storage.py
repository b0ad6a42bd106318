"""Storage in trouble under the real daemon: it waits and says for what, goes on by itself, and loses nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clips import make_clip
from tests.support.daemon import Machine, eventually, machine
from tests.support.disks import Disks, disks


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Machine]:
    """An empty machine for one test."""
    with machine(tmp_path) as made:
        yield made


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Disks]:
    """Disks to mount below its home."""
    with disks(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video that fits as it is."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.mp4"
    return make_clip(path, seconds=1, size=(160, 120), extra_args=["-movflags", "+faststart"])


def test_a_share_that_hangs_delays_nobody_else_and_no_end(own: Machine, hands: Disks, tiny: Path) -> None:
    """An inbox stops to answer under watch: the other goes on, it is told of, it works again, and SIGTERM ends the daemon."""
    stuck, free = own.folder("stuck"), own.folder("free")
    own.start()
    hands.hang(stuck)
    for number in range(8):  # more than any pool of threads has, were each look to keep one
        shutil.copy(tiny, free / f"{number}.mp4")
        own.delivered(f"{number}.mp4")
    eventually(lambda: own.count("folder.away", folder="stuck"), own.told)
    hands.answer(stuck)
    shutil.copy(tiny, stuck / "after.mp4")
    own.delivered("after.mp4")
    assert own.count("folder.back", folder="stuck")
    hands.hang(stuck)
    shutil.copy(tiny, free / "more.mp4")
    own.delivered("more.mp4")
    assert own.stop() == 0
    assert not own.events("job.bug")
