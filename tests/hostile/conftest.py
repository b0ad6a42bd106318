"""An empty machine, disks to mount below it, and a video that costs nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clips import make_clip
from tests.support.daemon import Machine, machine
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
