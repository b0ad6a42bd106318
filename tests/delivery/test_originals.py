"""Originals and failed files: each state that a kill can leave is built by hand, and the next call finds its way."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.config.model import After
from nemod.delivery import place, transfer
from nemod.delivery.originals import Disposed, Fate, aim_quarantine, dispose, quarantine
from nemod.delivery.publish import PublishError
from nemod.failure import Kind
from nemod.job import Fingerprint
from tests.delivery.conftest import Make

DATA = b"video" * 1000


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An inbox."""
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def originals(inbox: Path) -> Path:
    """The archive, not made yet."""
    return inbox / "originals"


def files(root: Path) -> list[str]:
    """Every file under a folder, hidden ones too."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def child(*arguments: str | Path, **env: str) -> tuple[str, str]:
    """Fate and note as `disposer` prints them."""
    command = [sys.executable, "-m", "tests.delivery.disposer", *arguments]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env={**os.environ, **env})
    how, _, note = done.stdout.partition("|")
    return how, note


def numbers(fingerprint: Fingerprint) -> tuple[str, str, str]:
    return str(fingerprint.size_bytes), str(fingerprint.mtime_ns), str(fingerprint.inode)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("after", [After.ARCHIVE, After.KEEP, After.DELETE])
def test_each_wish_is_done(inbox: Path, originals: Path, make: Make, after: After) -> None:
    """Archived, kept or deleted: exactly that, and nothing else moves."""
    source = inbox / "clip.mov"
    done = dispose(source, make(source), after=after, originals=originals, relpath="clip.mov")
    match after:
        case After.ARCHIVE:
            assert done == Disposed(how=Fate.ARCHIVED, path=originals / "clip.mov")
            assert files(inbox) == ["originals/clip.mov"]
        case After.KEEP:
            assert done == Disposed(how=Fate.KEPT)
            assert files(inbox) == ["clip.mov"]
        case _:
            assert done == Disposed(how=Fate.DELETED)
            assert files(inbox) == []


@pytest.mark.parametrize("after", list(After))
def test_a_changed_file_is_never_touched(inbox: Path, originals: Path, make: Make, after: After) -> None:
    """New bytes, a new time or a new inode under the name: another file, whatever was asked for."""
    source = inbox / "clip.mov"
    old = make(source)
    newer = make(source, b"something new")
    assert dispose(source, old, after=after, originals=originals, relpath="clip.mov").how is Fate.CHANGED
    later = Fingerprint(size_bytes=newer.size_bytes, mtime_ns=newer.mtime_ns + 1, inode=newer.inode)
    assert dispose(source, later, after=after, originals=originals, relpath="clip.mov").how is Fate.CHANGED
    other = Fingerprint(size_bytes=newer.size_bytes, mtime_ns=newer.mtime_ns, inode=newer.inode + 1)
    assert dispose(source, other, after=after, originals=originals, relpath="clip.mov").how is Fate.CHANGED
    assert source.read_bytes() == b"something new"
    assert files(inbox) == ["clip.mov"]


@pytest.mark.parametrize("after", list(After))
def test_a_file_that_is_gone_is_disposed_of(inbox: Path, originals: Path, make: Make, after: After) -> None:
    """Somebody else was faster, even with the whole sub-folder; no archive is made for it."""
    source = inbox / "trip" / "clip.mov"
    fingerprint = make(source)
    source.unlink()
    source.parent.rmdir()
    done = dispose(source, fingerprint, after=after, originals=originals, relpath="trip/clip.mov")
    assert done == Disposed(how=Fate.GONE)
    assert not originals.exists()


def test_the_archive_repeats_sub_folders_and_overwrites_nothing(inbox: Path, originals: Path, make: Make) -> None:
    """Files of one name get numbers; emptied sub-folders are left."""
    kept = []
    for number in range(3):
        source = inbox / "trip" / "clip.mov"
        fingerprint = make(source, b"take %d" % number)
        done = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="trip/clip.mov")
        assert done.path is not None
        kept.append((done.path.name, done.path.read_bytes(), done.path.stat().st_mtime_ns))
    old = 1_600_000_000_123_456_789
    expected = [("clip.mov", b"take 0", old), ("clip (2).mov", b"take 1", old), ("clip (3).mov", b"take 2", old)]
    assert kept == expected
    assert (inbox / "trip").is_dir()


def test_any_name_can_be_archived(inbox: Path, originals: Path, make: Make) -> None:
    """Bytes that are not UTF-8, line breaks and the full 255 bytes survive, and a second one still finds a name."""
    for raw in (b"caf\xe9\n\x1b.mov", b"-rf.mov", "🎬".encode() * 62 + b".movie.", b"n" * 255):
        name = os.fsdecode(raw)
        for _ in range(2):
            source = inbox / name
            done = dispose(source, make(source), after=After.ARCHIVE, originals=originals, relpath=name)
            assert done.how is Fate.ARCHIVED
            again = dispose(source, make(source, b"another"), after=After.ARCHIVE, originals=originals, relpath=name)
            assert again.how is Fate.ARCHIVED
            assert again.path != done.path


def test_after_the_move_a_second_call_says_the_same(inbox: Path, originals: Path, make: Make) -> None:
    """The fact was not recorded: the file is found where the first call put it, under its number."""
    make(originals / "clip.mov", b"an older one")
    source = inbox / "clip.mov"
    fingerprint = make(source)
    first = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov")
    assert first.path == originals / "clip (2).mov"
    assert dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov") == first
    assert files(inbox) == ["originals/clip (2).mov", "originals/clip.mov"]


def test_between_link_and_unlink_a_second_call_ends_the_move(inbox: Path, originals: Path, make: Make) -> None:
    """Two names with one inode: the one in the inbox goes, no third one comes."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    originals.mkdir()
    os.link(source, originals / "clip.mov")
    done = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov")
    assert done == Disposed(how=Fate.ARCHIVED, path=originals / "clip.mov")
    assert files(inbox) == ["originals/clip.mov"]


def test_one_file_seen_by_two_paths_is_not_two(inbox: Path, originals: Path, make: Make) -> None:
    """Where the archive is the inbox by another path, the only name of the file is not taken for a second one."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    originals.symlink_to(inbox)
    done = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov")
    assert done.path == originals / "clip (2).mov"
    assert (inbox / "clip (2).mov").read_bytes() == DATA


def test_within_the_placeholder_way_a_second_call_ends_the_move(inbox: Path, originals: Path, make: Make) -> None:
    """The empty file that carries our time is replaced, not numbered around."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    make(originals / "clip.mov", b"")
    done = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov")
    assert done.path == originals / "clip.mov"
    assert (originals / "clip.mov").read_bytes() == DATA
    assert files(inbox) == ["originals/clip.mov"]


def test_after_a_copy_was_published_a_second_call_removes_the_source(inbox: Path, originals: Path, make: Make) -> None:
    """A whole copy under another inode, as from another file system, is known by its bytes."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    make(originals / "clip.mov")
    done = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov")
    assert done == Disposed(how=Fate.ARCHIVED, path=originals / "clip.mov")
    assert files(inbox) == ["originals/clip.mov"]


def test_the_same_size_and_time_are_not_the_same_file(inbox: Path, originals: Path, make: Make) -> None:
    """One byte differs: both are kept."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    make(originals / "clip.mov", DATA[:-1] + b"!")
    done = dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov")
    assert done.path == originals / "clip (2).mov"
    assert (originals / "clip (2).mov").read_bytes() == DATA
    assert (originals / "clip.mov").read_bytes() != DATA


def test_a_copy_that_was_cut_off_is_made_anew(inbox: Path, originals: Path, make: Make) -> None:
    """The hidden rest of a killed copy never counts as the file and does not stay."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    make(transfer.partial(originals, fingerprint), DATA[:100])
    assert transfer._carry(source, originals / "clip.mov", fingerprint)
    assert files(inbox) == ["originals/clip.mov"]
    assert (originals / "clip.mov").read_bytes() == DATA


def test_the_rest_of_a_copy_goes_when_its_source_has_changed(inbox: Path, originals: Path, make: Make) -> None:
    """A source that was replaced during a killed copy leaves no hidden file in the archive."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    make(transfer.partial(originals, fingerprint), DATA[:100])
    make(source, b"new")
    assert dispose(source, fingerprint, after=After.ARCHIVE, originals=originals, relpath="clip.mov").how is Fate.CHANGED
    assert files(inbox) == ["clip.mov"]


def test_a_copy_keeps_times_and_permissions(inbox: Path, originals: Path, make: Make) -> None:
    """Across file systems the original is the same to a person: bytes, times, mode."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    source.chmod(0o640)
    originals.mkdir()
    assert transfer._carry(source, originals / "clip.mov", fingerprint)
    found = (originals / "clip.mov").stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns) == (0o640, fingerprint.mtime_ns)
    assert not source.exists()


def test_a_copy_never_replaces_a_file(inbox: Path, originals: Path, make: Make) -> None:
    """A taken name is an error before a byte is copied."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    make(originals / "clip.mov", b"another")
    with pytest.raises(FileExistsError):
        transfer._carry(source, originals / "clip.mov", fingerprint)
    assert files(inbox) == ["clip.mov", "originals/clip.mov"]
    assert (originals / "clip.mov").read_bytes() == b"another"


def test_a_file_that_changed_during_its_copy_stays(inbox: Path, originals: Path, make: Make) -> None:
    """What was read is not the accepted file, so nothing of it is published and the source is left."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    originals.mkdir()
    make(source, b"grown" * 2000)
    assert not transfer._carry(source, originals / "clip.mov", fingerprint)
    assert files(inbox) == ["clip.mov"]


def test_an_archive_on_another_file_system(inbox: Path, elsewhere: Path | None, make: Make) -> None:
    """The whole way across a border, twice, and with the fact of the first time lost."""
    if elsewhere is None:  # no second file system here: the copying itself is tested above
        return
    source = inbox / "clip.mov"
    archive = elsewhere / "originals"
    fingerprint = make(source)
    first = dispose(source, fingerprint, after=After.ARCHIVE, originals=archive, relpath="a/clip.mov")
    assert first == Disposed(how=Fate.ARCHIVED, path=archive / "a" / "clip.mov")
    assert dispose(source, fingerprint, after=After.ARCHIVE, originals=archive, relpath="a/clip.mov") == first
    second = dispose(source, make(source, b"other"), after=After.ARCHIVE, originals=archive, relpath="a/clip.mov")
    assert second.path == archive / "a" / "clip (2).mov"
    assert files(archive) == ["a/clip (2).mov", "a/clip.mov"]
    assert files(inbox) == []


def test_an_archive_that_cannot_be_is_a_failure_and_loses_nothing(inbox: Path, make: Make) -> None:
    """The parent of the archive is missing, as with a disk that is not mounted."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    missing = inbox.parent / "not mounted" / "originals"
    with pytest.raises(PublishError) as caught:
        dispose(source, fingerprint, after=After.ARCHIVE, originals=missing, relpath="clip.mov")
    assert caught.value.failure.kind is Kind.NOT_WRITABLE
    assert source.read_bytes() == DATA


def test_a_read_only_inbox_keeps_its_original(open_folder: Path, make: Make) -> None:
    """What we may not remove stays, with a sentence that says so, and the folder is not held for it."""
    source = open_folder / "inbox" / "clip.mov"
    fingerprint = make(source)
    source.parent.chmod(0o555)
    answers = {after: child("-u", after, source, *numbers(fingerprint)) for after in After}
    moved = child("-u", "quarantine", source, *numbers(fingerprint))[0]
    source.parent.chmod(0o755)
    assert {how for how, _ in answers.values()} == {"kept"}
    assert [after for after, (_, note) in answers.items() if "stays where it is" not in note] == [After.KEEP]
    assert moved == "False"
    assert files(open_folder) == ["inbox/clip.mov"]


@pytest.mark.skipif(sys.platform == "darwin", reason="the trash of macOS is not a folder that a test may choose")
def test_the_trash_takes_an_original(tmp_path: Path, inbox: Path, make: Make) -> None:
    """The file lies in the person's trash and nowhere else."""
    source = inbox / "clip.mov"
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    how, note = child("trash", source, *numbers(make(source)), **home)
    assert (how, note) == ("trashed", "")
    assert files(tmp_path / "data") == ["Trash/files/clip.mov", "Trash/info/clip.mov.trashinfo"]
    assert files(inbox) == []


@pytest.mark.skipif(sys.platform == "darwin", reason="the trash of macOS is not a folder that a test may choose")
def test_without_a_trash_the_archive_takes_it(tmp_path: Path, inbox: Path, make: Make) -> None:
    """A machine without a desktop loses nothing, says so, and says the same when asked again."""
    source = inbox / "clip.mov"
    fingerprint = make(source)
    (tmp_path / "data").write_bytes(b"no folder")
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    how, note = child("trash", source, *numbers(fingerprint), **home)
    assert how == "archived"
    assert "trash did not take" in note
    assert files(inbox) == ["originals/clip.mov"]
    assert child("trash", source, *numbers(fingerprint), **home)[0] == "archived"


def test_a_failed_file_is_aimed_moved_and_found_again(inbox: Path, make: Make) -> None:
    """The intent is a free name in the same sub-folder; moving twice is moving once."""
    failed = inbox / "failed"
    make(failed / "trip" / "clip.mov", b"an older failure")
    source = inbox / "trip" / "clip.mov"
    fingerprint = make(source)
    target = aim_quarantine(failed, "trip/clip.mov", source=source)
    assert target == failed / "trip" / "clip (2).mov"
    assert quarantine(source, target, fingerprint, relpath=source.name)
    assert quarantine(source, target, fingerprint, relpath=source.name)
    assert files(inbox) == ["failed/trip/clip (2).mov", "failed/trip/clip.mov"]


def test_a_retry_that_failed_again_stays_where_it_is(inbox: Path, make: Make) -> None:
    """A file that lies in the failed folder already gets no new number each time."""
    failed = inbox / "failed"
    source = failed / "clip.mov"
    fingerprint = make(source)
    target = aim_quarantine(failed, "clip.mov", source=source)
    assert target == source
    assert quarantine(source, target, fingerprint, relpath=source.name)
    assert files(inbox) == ["failed/clip.mov"]


def test_every_state_of_a_killed_quarantine_ends_well(inbox: Path, make: Make) -> None:
    """Linked but not unlinked, copied but not unlinked, an empty placeholder: one file in the end."""
    source, target = inbox / "clip.mov", inbox / "failed" / "clip.mov"
    for state in ("linked", "copied", "placeholder"):
        fingerprint = make(source)
        target.parent.mkdir(exist_ok=True)
        if state == "linked":
            os.link(source, target)
        else:
            make(target, DATA if state == "copied" else b"")
        assert quarantine(source, target, fingerprint, relpath=source.name), state
        assert files(inbox) == ["failed/clip.mov"], state
        assert target.read_bytes() == DATA, state
        target.unlink()


def test_a_failed_file_that_is_not_the_same_is_not_moved(inbox: Path, make: Make) -> None:
    """Changed, or gone and not in the failed folder: the answer is no, and nothing is touched."""
    source, target = inbox / "clip.mov", inbox / "failed" / "clip.mov"
    fingerprint = make(source)
    make(source, b"still growing")
    assert not quarantine(source, target, fingerprint, relpath=source.name)
    assert files(inbox) == ["clip.mov"]
    source.unlink()
    assert not quarantine(source, target, fingerprint, relpath=source.name)
    make(target, b"another failure")
    assert not quarantine(source, target, fingerprint, relpath=source.name)


def test_a_failed_file_overwrites_nothing(inbox: Path, make: Make) -> None:
    """A name that was taken since the intent is an error, so that the caller aims again."""
    source, target = inbox / "clip.mov", inbox / "failed" / "clip.mov"
    fingerprint = make(source)
    make(target, b"somebody else's")
    with pytest.raises(FileExistsError):
        quarantine(source, target, fingerprint, relpath=source.name)
    assert source.read_bytes() == DATA
    assert target.read_bytes() == b"somebody else's"


def test_an_empty_file_can_fail_twice(inbox: Path, make: Make) -> None:
    """An empty file of the same time is not mistaken for a placeholder, so both lie in the failed folder."""
    failed = inbox / "failed"
    for _ in range(2):
        source = inbox / "empty.mp4"
        fingerprint = make(source, b"")
        assert not place.is_placeholder(source, failed / "empty.mp4")
        assert quarantine(source, aim_quarantine(failed, "empty.mp4"), fingerprint, relpath=source.name)
    assert files(inbox) == ["failed/empty (2).mp4", "failed/empty.mp4"]
