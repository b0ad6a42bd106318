"""A disk is asked which names it takes, and nothing is left of the question; disks that refuse some are in `tests.hostile`."""

from pathlib import Path

from nemod.delivery import spelling
from nemod.delivery.names import Spelling


def test_a_name_that_the_disk_takes_stays(tmp_path: Path) -> None:
    """However odd, and whether its folder is there or not; nobody sees that it was tried."""
    for folder in (tmp_path, tmp_path / "not there"):
        assert spelling.spelling(folder, "odd: name?", ".mp4") is Spelling.OWN
        assert spelling.inside(folder, "trip: 1/day?/clip.mp4") == Path("trip: 1/day?")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_question_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    """A trial that was cut off lies in a folder that is found again."""
    name = "odd?.mp4"
    trial = spelling.trial_folder(tmp_path, name)
    trial.mkdir()
    (trial / name).touch()
    assert spelling.spelling(tmp_path, "odd?", ".mp4") is Spelling.OWN
    assert list(tmp_path.iterdir()) == []
