"""Disks to mount below a home, and a daemon for a whole file of attacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Machine, leftovers, machine
from tests.support.disks import Disks, disks


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Disks]:
    """Disks to mount below its home."""
    with disks(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One daemon for all of them; at the end it is still there, has met no bug and leaves nothing behind."""
    with machine(tmp_path_factory.mktemp("daemon")) as made:
        made.folder("in")
        made.folder("tight", preset="tight")
        made.start()
        yield made
        assert not made.events("job.bug")
        assert made.stop() == 0
        assert not leftovers(made.home)
