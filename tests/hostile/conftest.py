"""An empty machine, disks to mount below it, and a video that costs nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.disks import Disks, disks


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Disks]:
    """Disks to mount below its home."""
    with disks(tmp_path) as made:
        yield made
