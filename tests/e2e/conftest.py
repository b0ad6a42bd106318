"""A machine for each module, so that a daemon is started once, and one for each test that ends its daemon."""

import os
from pathlib import Path

import pytest

from tests.support.clips import clip, make_clip, run_ffmpeg

slow = pytest.mark.skipif(not os.environ.get("NEMOD_SLOW"), reason="waits for minutes; set NEMOD_SLOW=1")


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one that fits and plays inline as it is, without sound."""
    path = tmp_path_factory.mktemp("quiet") / "quiet.mp4"
    return make_clip(path, seconds=2, size=(160, 120), audio=False, extra_args=["-movflags", "+faststart"])


@pytest.fixture(scope="session")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its index at the end, as cameras write it."""
    return make_clip(tmp_path_factory.mktemp("late") / "late.mp4", seconds=4, size=(160, 120))


@pytest.fixture(scope="session")
def water(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real clip, four times over, its index first."""
    path = tmp_path_factory.mktemp("water") / "water.mp4"
    run_ffmpeg("-stream_loop", "3", "-i", clip("stream-of-water.mp4"), "-c", "copy", "-movflags", "+faststart", path)
    return path


@pytest.fixture(scope="session")
def needy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds that need an encode for the preset `tight`."""
    return make_clip(tmp_path_factory.mktemp("needy") / "needy.mkv", seconds=2)


@pytest.fixture(scope="session")
def lengthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of video that takes a while to encode, and hardly any time to make: two seconds, again and again."""
    folder = tmp_path_factory.mktemp("lengthy")
    short = make_clip(folder / "short.mkv", seconds=2, size=(1280, 720))
    run_ffmpeg("-stream_loop", "29", "-i", short, "-c", "copy", folder / "lengthy.mkv")
    return folder / "lengthy.mkv"
