"""What an output keeps of its source: times always, the place only when asked to."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.media.probe import probe
from tests.support.clips import clip
from tests.support.daemon import Machine, machine

FILMED_NS = 1_600_000_000_123_456_789


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One folder drops the place, one keeps it."""
    with machine(tmp_path_factory.mktemp("truth")) as made:
        made.folder("drops", preset="tight")
        made.folder("keeps", preset="keeping")
        made.configure(made.config.read_text() + '[presets.keeping]\nbase = "tight"\nkeep_location = true\n')
        made.start()
        yield made
        assert made.stop() == 0


def through(daemon: Machine, folder: str, name: str) -> tuple[Path, Path]:
    """Send a real clip through a folder: where it came from and where it came out."""
    source = clip(name)
    copied = Path(shutil.copy(source, daemon.home / name))
    os.utime(copied, ns=(FILMED_NS, FILMED_NS))
    shutil.move(copied, daemon.home / folder / name)
    output = daemon.delivered(name, folder=folder)
    return source, output


def numbers(place: str | None) -> list[float]:
    """Latitude and longitude: ISO 6709 allows zeros before them."""
    return [float(number) for number in re.findall(r"[+-][0-9.]+", place or "")]


@pytest.mark.parametrize("name", ["hevc_rot_datatrack.mp4", "stream-of-water.mp4"])
async def test_times_stay_and_the_place_goes(daemon: Machine, name: str) -> None:
    """The file's time and the time of the recording are the source's; the place where it was filmed is not told."""
    was, path = through(daemon, "drops", name)
    source, output = await probe(was, timeout_s=60), await probe(path, timeout_s=60)
    assert path.stat().st_mtime_ns == FILMED_NS
    assert output.creation_time == source.creation_time
    assert source.creation_time
    assert not output.has_location
    assert output.size_bytes <= 100_000


async def test_the_place_stays_when_the_preset_keeps_it(daemon: Machine) -> None:
    """`keep_location = true`."""
    was, path = through(daemon, "keeps", "hevc_rot_datatrack.mp4")
    source, output = await probe(was, timeout_s=60), await probe(path, timeout_s=60)
    assert numbers(source.location)
    assert numbers(output.location) == numbers(source.location)
    assert path.stat().st_mtime_ns == FILMED_NS
