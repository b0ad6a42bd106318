"""The instruction beside a video goes where its video goes; each state that a kill can leave is built by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemod.config.model import After
from nemod.delivery import sidecar
from nemod.delivery.originals import Disposed, Fate, aim_quarantine, dispose, dispose_sidecar, quarantine
from nemod.job import Fingerprint
from tests.delivery.conftest import Make
from tests.support.people import ordinary

WORDS = "make it a square\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An inbox."""
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def files(root: Path) -> list[str]:
    """Every file under a folder, hidden ones too."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def put_away(source: Path, inbox: Path, make: Make, after: After, relpath: str = "clip.mp4") -> str:
    """Dispose of an original and of what lies beside it."""
    originals = inbox / "originals"
    done = dispose(source, make(source), after=after, originals=originals, relpath=relpath)
    return dispose_sidecar(source, done, after=after, originals=originals, relpath=relpath)


def child(source: Path, found: Fingerprint, **env: str) -> str:
    """What `disposer` prints for the trash of another home."""
    numbers = [str(number) for number in (found.size_bytes, found.mtime_ns, found.inode)]
    command = [sys.executable, "-m", "tests.delivery.disposer", "trash", str(source), *numbers]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env={**os.environ, **env}).stdout


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (After.ARCHIVE, ["originals/clip.mp4", "originals/clip.mp4.txt"]),
        (After.KEEP, ["clip.mp4", "clip.mp4.txt"]),
        (After.DELETE, []),
    ],
)
def test_it_goes_where_the_original_goes(inbox: Path, make: Make, after: After, left: list[str]) -> None:
    """Archived, kept or deleted with it, while the folder's own instruction and a reason of ours stay."""
    (inbox / "clip.mp4.txt").write_text(WORDS)
    (inbox / "_instructions.txt").write_text(WORDS)
    (inbox / "clip.mp4.failed.txt").write_text("why")
    assert put_away(inbox / "clip.mp4", inbox, make, after) == ""
    assert files(inbox) == sorted([*left, "_instructions.txt", "clip.mp4.failed.txt"])


def test_it_is_archived_under_the_archived_name_and_overwrites_nothing(inbox: Path, make: Make) -> None:
    """The number of the video is in its name; a stranger who has that name keeps it; any spelling of the suffix will do."""
    make(inbox / "originals" / "clip.mp4", b"an older one")
    (inbox / "originals" / "clip (2).mp4.txt").write_text("a stranger's")
    (inbox / "clip.mp4.TXT").write_text(WORDS)
    assert put_away(inbox / "clip.mp4", inbox, make, After.ARCHIVE) == ""
    kept = inbox / "originals"
    assert (kept / "clip (2).mp4.txt").read_text() == "a stranger's"
    assert (kept / "clip (2).mp4 (2).txt").read_text() == WORDS
    assert not sidecar.beside(inbox / "clip.mp4")


@pytest.mark.skipif(sys.platform == "darwin", reason="the trash of macOS is not a folder that a test may choose")
@pytest.mark.parametrize("killed", ["killed in between", "at once"])
def test_it_is_put_into_the_trash_with_its_original(tmp_path: Path, inbox: Path, make: Make, killed: str) -> None:
    """Also by the next run, for which the original is gone."""
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    source = inbox / "clip.mp4"
    numbers = make(source)
    if killed == "killed in between":
        assert child(source, numbers, **home) == "trashed|"
    (inbox / "clip.mp4.txt").write_text(WORDS)
    assert child(source, numbers, **home) == ("gone|" if killed == "killed in between" else "trashed|")
    assert files(inbox) == []
    assert files(tmp_path / "data" / "Trash" / "files") == ["clip.mp4", "clip.mp4.txt"]


@pytest.mark.skipif(sys.platform == "darwin", reason="the trash of macOS is not a folder that a test may choose")
def test_without_a_trash_both_are_archived(tmp_path: Path, inbox: Path, make: Make) -> None:
    """The original falls back to the archive, and what lies beside it goes there too."""
    (tmp_path / "data").write_text("no folder")
    source = inbox / "clip.mp4"
    numbers = make(source)
    (inbox / "clip.mp4.txt").write_text(WORDS)
    said = child(source, numbers, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))
    assert said.startswith("archived|The trash did not take the original")
    assert "stays where it is" not in said
    assert files(inbox) == ["originals/clip.mp4", "originals/clip.mp4.txt"]


@pytest.mark.parametrize("after", [After.ARCHIVE, After.DELETE])
@pytest.mark.parametrize("relpath", ["clip.mp4", "trip/day 1/clip.mp4"])
def test_a_run_that_was_killed_behind_the_original_is_made_good(inbox: Path, make: Make, after: After, relpath: str) -> None:
    """The original has its new place, or is deleted, and nothing was written down: the next call moves what was left."""
    source, originals = inbox / relpath, inbox / "originals"
    fingerprint = make(source)
    source.with_name("clip.mp4.txt").write_text(WORDS)
    dispose(source, fingerprint, after=after, originals=originals, relpath=relpath)
    for _ in range(2):  # and again behind the instruction
        done = dispose(source, fingerprint, after=after, originals=originals, relpath=relpath)
        assert done.how is (Fate.ARCHIVED if after is After.ARCHIVE else Fate.GONE)
        assert dispose_sidecar(source, done, after=after, originals=originals, relpath=relpath) == ""
    moved = [f"originals/{relpath}", f"originals/{relpath}.txt"] if after is After.ARCHIVE else []
    assert files(inbox) == moved


@pytest.mark.parametrize(
    ("after", "left"), [(After.ARCHIVE, ["originals/clip.mp4.txt"]), (After.KEEP, ["clip.mp4.txt"]), (After.DELETE, [])]
)
def test_what_lies_beside_a_vanished_original_is_put_away_as_asked(
    inbox: Path, make: Make, after: After, left: list[str]
) -> None:
    """Somebody took the original once its output was there; its instruction would lie in the inbox for ever."""
    source = inbox / "clip.mp4"
    fingerprint = make(source)
    source.unlink()
    (inbox / "clip.mp4.txt").write_text(WORDS)
    done = dispose(source, fingerprint, after=after, originals=inbox / "originals", relpath="clip.mp4")
    assert dispose_sidecar(source, done, after=after, originals=inbox / "originals", relpath="clip.mp4") == ""
    assert files(inbox) == left


def test_the_instruction_of_a_new_file_under_the_name_stays(inbox: Path) -> None:
    """Another file lies there now and is a job of its own: what lies beside it is its own."""
    (inbox / "clip.mp4.txt").write_text(WORDS)
    done = Disposed(how=Fate.CHANGED)
    for after in After:
        assert dispose_sidecar(inbox / "clip.mp4", done, after=after, originals=inbox / "originals", relpath="clip.mp4") == ""
    assert files(inbox) == ["clip.mp4.txt"]


def test_only_a_regular_file_is_moved(inbox: Path, make: Make) -> None:
    """A link, a folder and a pipe of that name are not ours to move, and what a link leads to is not touched."""
    (inbox / "elsewhere.txt").write_text(WORDS)
    for number, kind in enumerate(("link", "folder", "pipe")):
        source = inbox / f"{kind}.mp4"
        beside = inbox / f"{kind}.mp4.txt"
        match kind:
            case "link":
                beside.symlink_to("elsewhere.txt")
            case "folder":
                beside.mkdir()
            case _:
                subprocess.run(["mkfifo", beside], check=True)
        assert put_away(source, inbox, make, After.ARCHIVE, relpath=f"{kind}.mp4") == ""
        assert os.path.lexists(beside)
        assert len(files(inbox / "originals")) == number + 1


def test_what_cannot_be_moved_stays_and_is_told() -> None:
    """The archive takes nothing more: a sentence, and the job goes on."""
    with ordinary() as inbox:
        (inbox / "clip.mp4.txt").write_text(WORDS)
        originals = inbox / "originals"
        originals.mkdir(mode=0o500)
        said = sidecar.move_along(inbox / "clip.mp4", originals / "clip.mp4")
        assert said == "The instruction beside it stays where it is: Permission denied."
        assert files(inbox) == ["clip.mp4.txt"]


def test_a_missing_archive_leaves_it_and_is_told(inbox: Path) -> None:
    """The disk that holds the archive is away: the instruction stays, in a sentence."""
    (inbox / "clip.mp4.txt").write_text(WORDS)
    said = sidecar.move_along(inbox / "clip.mp4", inbox / "away" / "originals" / "clip.mp4")
    assert said == "The instruction beside it stays where it is: No such file or directory."
    assert files(inbox) == ["clip.mp4.txt"]


def test_it_crosses_to_another_file_system(inbox: Path, make: Make, elsewhere: Path | None) -> None:
    """An archive on another disk gets it whole, and nothing is left behind."""
    if elsewhere is None:
        pytest.skip("there is no other file system to write to")
    source = inbox / "clip.mp4"
    make(source)
    (inbox / "clip.mp4.txt").write_text(WORDS)
    assert sidecar.move_along(source, elsewhere / "clip.mp4") == ""
    assert files(elsewhere) == ["clip.mp4.txt"]
    assert (elsewhere / "clip.mp4.txt").read_text() == WORDS
    assert files(inbox) == ["clip.mp4"]


def test_it_follows_a_failed_file_and_stays_with_it(inbox: Path, make: Make) -> None:
    """Into the failed folder, where a retry finds it; a retry that fails again leaves both where they are."""
    source, failed = inbox / "clip.mp4", inbox / "failed"
    fingerprint = make(source)
    (inbox / "clip.mp4.txt").write_text(WORDS)
    target = aim_quarantine(failed, "clip.mp4", source=source)
    assert quarantine(source, target, fingerprint, relpath=source.name)
    for _ in range(2):  # killed in between, and again
        assert quarantine(source, target, fingerprint, relpath=source.name)
        assert sidecar.move_along(source, target) == ""
    assert sidecar.move_along(target, target) == ""
    assert files(inbox) == ["failed/clip.mp4", "failed/clip.mp4.txt"]


def test_a_failed_file_is_never_put_beside_a_strangers_instruction(inbox: Path, make: Make) -> None:
    """What an earlier file of the name has left must not be taken for this one's when it is tried again."""
    source, failed = inbox / "clip.mp4", inbox / "failed"
    make(source)
    failed.mkdir()
    (failed / "clip.mp4.txt").write_text("a stranger's")
    assert aim_quarantine(failed, "clip.mp4", source=source) == failed / "clip (2).mp4"


def test_a_reason_of_ours_is_never_an_instruction(inbox: Path) -> None:
    """Not even for a video that is named so that it would be."""
    (inbox / "clip.mp4.failed.txt").write_text("nemod could not compress this video:")
    assert sidecar.beside(inbox / "clip.mp4") is None
    assert sidecar.beside(inbox / "clip.mp4.failed") is None
