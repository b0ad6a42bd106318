"""`nemod once` says by its exit code what became of the inboxes."""

import shutil
from pathlib import Path

from nemod.job import JobState
from tests.support.daemon import Machine

OK, FAILED, USAGE, WAITING = 0, 1, 2, 75


def test_once_works_off_what_lies_there(own: Machine, tiny: Path, needy: Path) -> None:
    """Every folder and file, an encode among them, and then it ends with 0; again, and there is nothing to do."""
    shutil.copy(tiny, own.folder("one") / "tiny.mp4")
    shutil.copy(needy, own.folder("two", preset="tight") / "needy.mkv")
    assert own.nemod("once").returncode == OK
    assert (own.home / "one" / "done" / "tiny.mp4").is_file()
    assert (own.home / "two" / "done" / "needy.mp4").stat().st_size <= 100_000
    assert own.nemod("once").returncode == OK
    assert own.states() == [JobState.DONE, JobState.DONE]


def test_once_fails_with_a_file_that_fails_and_still_does_the_others(own: Machine, tiny: Path) -> None:
    """1, and the good file is delivered all the same; an old failure is no news."""
    inbox = own.folder("in")
    (inbox / "bad.mp4").write_text("once upon a time")
    shutil.copy(tiny, inbox / "good.mp4")
    assert own.nemod("once").returncode == FAILED
    assert (inbox / "done" / "good.mp4").is_file()
    assert (inbox / "failed" / "bad.mp4.failed.txt").is_file()
    assert own.nemod("once").returncode == OK


def test_once_ends_with_75_while_the_engine_is_held(own: Machine, needy: Path) -> None:
    """Without an ffmpeg the source waits where it is; with one, the next run delivers it."""
    inbox = own.folder("in", preset="tight")
    sound = own.config.read_text()
    own.configure(sound.replace("[nemod]", '[nemod]\nffmpeg = "/no/such/ffmpeg"'))
    shutil.copy(needy, inbox / "needy.mkv")
    assert own.nemod("once").returncode == WAITING
    assert (inbox / "needy.mkv").read_bytes() == needy.read_bytes()
    own.configure(sound)
    assert own.nemod("once").returncode == OK
    assert (inbox / "done" / "needy.mp4").is_file()


def test_once_tells_of_an_outbox_that_cannot_be(own: Machine, tiny: Path) -> None:
    """A file lies in its place: 75, words that say so, and nothing is touched; when it is gone the job goes on."""
    inbox = own.folder("in", 'outbox = "~/out"')
    (own.home / "out").write_text("in the way")
    shutil.copy(tiny, inbox / "tiny.mp4")
    held = own.nemod("once")
    assert held.returncode == WAITING
    assert "folder.held" in held.stderr
    assert (inbox / "tiny.mp4").is_file()
    (own.home / "out").unlink()
    assert own.nemod("once").returncode == OK
    assert (own.home / "out" / "tiny.mp4").is_file()
