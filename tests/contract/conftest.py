"""Sources for engines."""

from pathlib import Path

import pytest

from tests.support.clips import make_clip


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video, not yet in an MP4."""
    return make_clip(tmp_path_factory.mktemp("second") / "second.mkv", seconds=1, size=(160, 120))


@pytest.fixture(scope="session")
def ready_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same second as a small MP4."""
    made = tmp_path_factory.mktemp("ready") / "made.mp4"
    return make_clip(made, seconds=1, size=(160, 120), extra_args=("-crf", "40", "-movflags", "+faststart"))
