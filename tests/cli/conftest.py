"""A home of its own for each test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.machine import Home, Ran, inside
from tests.support.clips import make_clip, run_ffmpeg


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty machine."""
    path = tmp_path / "home"
    path.mkdir()
    return Home(path=path)


@pytest.fixture
def nemod(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command inside this process: as good for what starts nothing, and twenty times as fast."""
    return inside(home, monkeypatch, capsys)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of video that takes a while to encode, and hardly any time to make: two seconds, again and again."""
    folder = tmp_path_factory.mktemp("long")
    short = make_clip(folder / "short.mkv", seconds=2, size=(1280, 720))
    run_ffmpeg("-stream_loop", "29", "-i", short, "-c", "copy", folder / "long.mkv")
    return folder / "long.mkv"
