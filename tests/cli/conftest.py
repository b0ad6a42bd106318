"""A home of its own for each test."""

from pathlib import Path

import pytest

from tests.cli.machine import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty machine."""
    path = tmp_path / "home"
    path.mkdir()
    return Home(path=path)
