"""The board: what runs, for people; never in the way of the work."""

import json
import os
from pathlib import Path

import pytest

from nemod.daemon.board import EVERY_S, FILE, Board, Running, read_board
from nemod.engines.base import Progress
from nemod.job import JobId
from tests.support.daemon import eventually


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_shown_can_be_read_by_others(tmp_path: Path) -> None:
    """Another process reads the same figures, and nothing once the job is over."""
    board = Board(tmp_path / FILE)
    board.show(JobId(7), Progress(stage="pass 1", fraction=0.25, speed=2.0, left_s=30.0))
    running = Running(stage="pass 1", fraction=0.25, speed=2.0, left_s=30.0)
    assert board.jobs == {JobId(7): running}
    eventually(lambda: read_board(tmp_path) == {JobId(7): running})
    assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()
    board.remove(JobId(7))
    eventually(lambda: read_board(tmp_path) == {})
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_file_is_not_written_for_every_frame(tmp_path: Path) -> None:
    """In memory every report counts; on the disk one in half a second."""
    clock = Clock()
    board = Board(tmp_path / FILE, clock)
    for percent in range(50):
        board.show(JobId(7), Progress(stage="pass 1", fraction=percent / 100))
    assert board.jobs[JobId(7)].fraction == 0.49
    eventually(lambda: read_board(tmp_path))
    assert read_board(tmp_path)[JobId(7)].fraction == 0.0
    clock.now += EVERY_S
    board.show(JobId(7), Progress(stage="pass 1", fraction=0.5))
    eventually(lambda: read_board(tmp_path)[JobId(7)].fraction == 0.5)


def test_a_job_that_waits_is_shown_with_what_it_waits_for(tmp_path: Path) -> None:
    """It does not run any more; when it does again, that counts."""
    board = Board(tmp_path / FILE)
    board.rest(JobId(7))
    assert board.jobs == {}
    board.show(JobId(7), Progress(stage="rendering in the cloud", fraction=0.5))
    board.rest(JobId(7))
    board.remove(JobId(7))
    assert board.jobs == {}
    eventually(lambda: read_board(tmp_path) == {JobId(7): Running(stage="rendering in the cloud", rests=True)})
    board.show(JobId(7), Progress(stage="downloading"))
    board.remove(JobId(7))
    eventually(lambda: read_board(tmp_path) == {})


def test_a_board_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """Only the display is lost; the same for one that shows nothing outside."""
    board = Board(tmp_path / "gone" / FILE)
    board.show(JobId(7), Progress(stage="pass 1"))
    board.remove(JobId(7))
    board.remove(JobId(7))
    inner = Board()
    inner.show(JobId(7), Progress(stage="pass 1"))
    assert JobId(7) in inner.jobs


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"jobs": []}', '{"jobs": {"x": {}}}', '{"jobs": {"7": {"pace": 1}}}', "\udcff"]
)
def test_a_board_of_anything_else_is_empty(tmp_path: Path, text: str) -> None:
    """An old version's, a half one, somebody's joke."""
    (tmp_path / FILE).write_bytes(os.fsencode(text))
    assert read_board(tmp_path) == {}


def test_no_board_is_an_empty_one(tmp_path: Path) -> None:
    """The daemon may never have run here."""
    assert read_board(tmp_path) == {}
