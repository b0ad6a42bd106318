"""One sandbox for the tests of a module, well-behaved and rich at the start of each, and a client with a small clip."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.caller import Caller
from tests.support.clips import make_clip
from tests.support.cloud import Cloud, cloud

RICH = 10_000


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with sound, some 200 kB."""
    return make_clip(tmp_path_factory.mktemp("small") / "holiday.mp4", seconds=2)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A sandbox for the module."""
    with cloud(tmp_path_factory.mktemp("cloud"), "--upload-limit", "2MB") as made:
        yield made


@pytest.fixture
def caller(shared: Cloud, small: Path) -> Caller:
    """A client with credits."""
    shared.behave()
    shared.credits(RICH)
    return Caller(cloud=shared, clip=small)
