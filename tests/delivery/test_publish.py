"""Publishing: whole or not at all, never over another file, and after a kill at any point once."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemod.delivery import place
from nemod.delivery.publish import (
    GOING,
    STRANGE_S,
    WORK,
    PublishError,
    already_published,
    clear_work,
    make_work,
    prepare_outbox,
    publish,
    stamp,
    sweep,
    unstage,
    withdraw,
    work_folder,
)
from nemod.failure import Kind, Scope, failure_of


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """An outbox that is ready."""
    folder = tmp_path / "done"
    prepare_outbox(folder)
    return folder


@pytest.fixture
def staged(outbox: Path) -> Path:
    """A finished file in an attempt's folder."""
    path = make_work(work_folder(outbox, 7, 1, "abc")) / "out.mp4"
    path.write_bytes(b"finished")
    return path


def visible(outbox: Path) -> dict[str, bytes]:
    """What a person sees in a folder."""
    return {path.name: path.read_bytes() for path in outbox.iterdir() if path.name != WORK}


def test_a_delivery_leaves_one_file_and_nothing_else(outbox: Path, staged: Path) -> None:
    """After all the steps the outbox holds the file and no trace of the work."""
    publish(staged, outbox / "clip.mp4")
    unstage(staged)
    clear_work(staged.parent)
    assert [path.name for path in outbox.iterdir()] == ["clip.mp4"]
    assert (outbox / "clip.mp4").read_bytes() == b"finished"


@pytest.mark.parametrize("second_name", [True, False])
def test_what_cannot_be_completed_is_taken_back(outbox: Path, staged: Path, *, second_name: bool) -> None:
    """With its staged name or, where there are no links, without; somebody else's file stays, and asking again does nothing."""
    target = outbox / "clip part 1 of 2.mp4"
    publish(staged, target)
    if not second_name:
        staged.unlink()
    for _ in range(2):
        withdraw(staged, target, size_bytes=len(b"finished"))
        assert visible(outbox) == {}
        assert staged.read_bytes() == b"finished"
    target.write_bytes(b"somebody's")
    withdraw(staged, target, size_bytes=len(b"finished"))
    assert visible(outbox) == {target.name: b"somebody's"}


def test_another_file_is_never_overwritten(outbox: Path, staged: Path) -> None:
    """A taken name is an error, and both files are as they were."""
    (outbox / "clip.mp4").write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        publish(staged, outbox / "clip.mp4")
    assert visible(outbox) == {"clip.mp4": b"somebody else's"}
    assert staged.read_bytes() == b"finished"


def test_a_link_under_the_target_is_a_taken_name(outbox: Path, staged: Path, tmp_path: Path) -> None:
    """A dangling link in the outbox does not lead the file out of it."""
    (outbox / "clip.mp4").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        publish(staged, outbox / "clip.mp4")
    assert not (tmp_path / "outside").exists()


def test_sub_folders_appear_with_their_first_file(outbox: Path, staged: Path) -> None:
    """A target in a sub-folder needs no preparation."""
    publish(staged, outbox / "trip" / "day 1" / "clip.mp4")
    assert (outbox / "trip" / "day 1" / "clip.mp4").read_bytes() == b"finished"


def test_a_file_in_a_folders_place_is_not_a_taken_name(outbox: Path, staged: Path) -> None:
    """Aiming at another name would not help, so it is a failure."""
    (outbox / "trip").write_bytes(b"a file")
    with pytest.raises(PublishError) as caught:
        publish(staged, outbox / "trip" / "clip.mp4")
    assert caught.value.failure.kind is Kind.NOT_WRITABLE


def test_a_kill_between_link_and_fact_is_recognised(outbox: Path, staged: Path) -> None:
    """Two names with one inode are ours; two files with the same bytes are not."""
    target = outbox / "clip.mp4"
    assert not already_published(staged, target, size_bytes=8)
    publish(staged, target)
    assert already_published(staged, target, size_bytes=8)
    target.unlink()
    target.write_bytes(b"finished")
    assert not already_published(staged, target, size_bytes=8)


def test_a_kill_after_a_rename_is_recognised_by_the_size(outbox: Path, staged: Path) -> None:
    """Without hard links the staged name is gone, and the recorded size is the proof."""
    target = outbox / "clip.mp4"
    place.rename(staged, target)
    assert already_published(staged, target, size_bytes=8)
    assert not already_published(staged, target, size_bytes=9)


def test_unstaging_twice_is_once(outbox: Path, staged: Path) -> None:
    """A kill after the unlink changes nothing, nor does a work folder that is gone."""
    publish(staged, outbox / "clip.mp4")
    unstage(staged)
    unstage(staged)
    clear_work(staged.parent)
    unstage(staged)
    assert visible(outbox) == {"clip.mp4": b"finished"}


def test_a_lost_staged_file_is_told_from_a_bad_outbox(outbox: Path, staged: Path) -> None:
    """The folder is fine, so the folder is not held."""
    staged.unlink()
    with pytest.raises(PublishError) as caught:
        publish(staged, outbox / "clip.mp4")
    assert caught.value.failure.kind is Kind.TRANSIENT
    assert visible(outbox) == {}


@pytest.mark.parametrize("way", [place.rename, place.rename_by_placeholder, place.move])
def test_every_way_of_renaming_refuses_a_taken_name(outbox: Path, staged: Path, way: Callable[[Path, Path], None]) -> None:
    """Whatever the file system offers, the other file survives, and so does ours."""
    (outbox / "clip.mp4").write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        way(staged, outbox / "clip.mp4")
    assert staged.read_bytes() == b"finished"
    assert visible(outbox) == {"clip.mp4": b"somebody else's"}
    way(staged, outbox / "clip (2).mp4")
    assert not staged.exists()
    assert visible(outbox)["clip (2).mp4"] == b"finished"


def test_a_placeholder_that_a_kill_left_is_replaced(outbox: Path, staged: Path) -> None:
    """It is empty and carries the staged file's time; an empty file of somebody else does not."""
    target = outbox / "clip.mp4"
    stamp(staged, 1_600_000_000_000_000_000)
    target.touch()
    with pytest.raises(FileExistsError):
        publish(staged, target)
    mtime_ns = staged.lstat().st_mtime_ns
    os.utime(target, ns=(mtime_ns, mtime_ns))
    assert not already_published(staged, target, size_bytes=8)
    publish(staged, target)
    assert visible(outbox) == {"clip.mp4": b"finished"}
    assert already_published(staged, target, size_bytes=8)


def test_a_kill_while_the_placeholder_is_made_is_got_over(outbox: Path, staged: Path) -> None:
    """It is empty and has no time of ours yet; what lies beside it tells that it is ours, and goes with it."""
    target = outbox / "clip.mp4"
    code = (
        "import os, sys; from pathlib import Path; from nemod.delivery import place; "
        "sys.addaudithook(lambda event, _: event == 'os.utime' and os.kill(os.getpid(), 9)); "
        "place.rename_by_placeholder(*map(Path, sys.argv[1:]))"
    )
    assert subprocess.run([sys.executable, "-c", code, staged, target], check=False).returncode == -9
    assert target.read_bytes() == b""
    place.rename_by_placeholder(staged, target)
    assert visible(outbox) == {"clip.mp4": b"finished"}


def test_a_failed_rename_takes_its_placeholder_away(outbox: Path, staged: Path) -> None:
    """No empty file stays behind when the replacing did not work."""
    folder = staged.parent
    with pytest.raises(OSError, match="directory"):
        place.rename_by_placeholder(folder, outbox / "clip.mp4")
    assert visible(outbox) == {}


def test_the_stamp_gives_the_sources_time_and_ordinary_permissions(outbox: Path) -> None:
    """A private temporary file becomes one like any other of this user; asked in a child, for the umask is the process's."""
    path = make_work(work_folder(outbox, 1, 1, "t")) / "out.mp4"
    path.write_bytes(b"x")
    path.chmod(0o600)
    code = (
        "import os, sys; from pathlib import Path; from nemod.delivery.publish import stamp; "
        "os.umask(0o027); stamp(Path(sys.argv[1]), 1_500_000_000_000_000_000); assert os.umask(0o022) == 0o027"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_mtime_ns == 1_500_000_000_000_000_000
    assert [entry.name for entry in path.parent.iterdir()] == ["out.mp4"]


def test_stamping_what_is_not_there_is_a_failure(outbox: Path) -> None:
    """A vanished file is told as a value, not as the system's error."""
    with pytest.raises(PublishError):
        stamp(make_work(work_folder(outbox, 1, 1, "t")) / "none.mp4", 0)


def test_a_work_folder_is_private_and_found_again(outbox: Path) -> None:
    """A second run of the same attempt meets what the first one left."""
    folder = make_work(work_folder(outbox, 3, 4, "tok"))
    assert folder == outbox / ".nemod-work" / "3-4-tok"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "pass.log").touch()
    assert [path.name for path in make_work(work_folder(outbox, 3, 4, "tok")).iterdir()] == ["pass.log"]


def test_a_work_folder_is_never_made_through_a_link(outbox: Path, tmp_path: Path) -> None:
    """Somebody's link in the outbox does not lead our files elsewhere."""
    (tmp_path / "trap").mkdir()
    (outbox / WORK).symlink_to(tmp_path / "trap")
    with pytest.raises(PublishError) as caught:
        make_work(work_folder(outbox, 1, 1, "t"))
    assert caught.value.failure.kind is Kind.NOT_WRITABLE
    assert list((tmp_path / "trap").iterdir()) == []
    assert sweep(outbox, frozenset(), ours=frozenset({outbox / WORK / "1-1-t"}), now=0) == ()


def test_clearing_one_attempt_leaves_the_others(outbox: Path) -> None:
    """The home of the work folders goes with the last of them, and clearing again is no error."""
    one, other = make_work(work_folder(outbox, 1, 1, "a")), make_work(work_folder(outbox, 2, 1, "b"))
    clear_work(one)
    clear_work(one)
    assert other.is_dir()
    clear_work(other)
    assert list(outbox.iterdir()) == []


def test_only_work_folders_are_cleared(outbox: Path) -> None:
    """A path from a damaged ledger does not delete a person's folder."""
    (outbox / "holiday").mkdir()
    with pytest.raises(ValueError, match="not a work folder"):
        clear_work(outbox / "holiday")
    assert (outbox / "holiday").is_dir()


def test_the_sweep_takes_a_home_of_work_that_a_power_cut_has_left_empty(outbox: Path) -> None:
    """Nothing was in it, so nothing is named."""
    (outbox / WORK).mkdir()
    assert sweep(outbox, frozenset(), ours=frozenset(), now=0) == ()
    assert list(outbox.iterdir()) == []


def test_the_sweep_takes_orphans_and_follows_no_link(outbox: Path, tmp_path: Path) -> None:
    """What an open attempt points to stays; a link is removed and what it leads to is not."""
    kept, orphan = make_work(work_folder(outbox, 1, 1, "a")), make_work(work_folder(outbox, 1, 2, "b"))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"mine")
    (orphan / "deep").mkdir()
    (orphan / "deep" / "link").symlink_to(precious)
    (outbox / WORK / "link").symlink_to(precious)
    ours = frozenset({kept, orphan, outbox / WORK / "link"})
    assert sweep(outbox, frozenset({kept}), ours=ours, now=0) == (orphan, outbox / WORK / "link")
    assert [path.name for path in (outbox / WORK).iterdir()] == [kept.name]
    assert (precious / "file").read_bytes() == b"mine"
    assert sweep(outbox, frozenset(), ours=ours, now=0) == (kept,)
    assert list(outbox.iterdir()) == []
    assert sweep(outbox, frozenset(), ours=ours, now=0) == ()


def test_what_another_is_at_work_on_is_left_alone_until_it_is_forgotten(outbox: Path) -> None:
    """Two ledgers may share an outbox: a folder that this one does not know is swept when nothing moved in it for a day."""
    theirs = make_work(work_folder(outbox, 1, 1, "theirs"))
    (theirs / "pass.log").write_bytes(b"at it")
    os.utime(theirs, (0, 0))
    left = make_work(outbox / WORK / f"{GOING}half")
    now = (theirs / "pass.log").stat().st_mtime
    assert sweep(outbox, frozenset(), ours=frozenset(), now=now + STRANGE_S) == (left,)
    assert sweep(outbox, frozenset(), ours=frozenset(), now=now + STRANGE_S + 1) == (theirs,)


def test_a_folder_in_which_orphans_still_make_files_goes_whole(outbox: Path) -> None:
    """The ffmpeg of a killed daemon opens its files by name, whenever it gets to it: nothing of it stays behind."""
    folder = make_work(work_folder(outbox, 1, 1, "a"))
    busy = (
        "import itertools, os, sys\nfor n in itertools.count():\n    os.close(os.open(f'{sys.argv[1]}/{os.getpid()}-{n}', 65))"
    )
    orphans = [subprocess.Popen([sys.executable, "-S", "-c", busy, str(folder)], stderr=subprocess.DEVNULL) for _ in range(4)]
    try:
        while len({path.name.partition("-")[0] for path in folder.iterdir()}) < len(orphans):
            pass
        clear_work(folder)
        assert [orphan.wait(10) for orphan in orphans] == [1] * len(orphans)  # none could make a further file
        assert list(outbox.iterdir()) == []
    finally:
        for orphan in orphans:
            orphan.kill()
            orphan.wait()


def test_an_outbox_that_cannot_be_is_said_with_a_hint(tmp_path: Path) -> None:
    """A missing parent is an unmounted disk and is not made; a file in its place is no outbox."""
    (tmp_path / "file").touch()
    for outbox in (tmp_path / "not mounted" / "done", tmp_path / "file"):
        with pytest.raises(PublishError) as caught:
            prepare_outbox(outbox)
        assert caught.value.failure.kind is Kind.NOT_WRITABLE
        assert caught.value.failure.hint
    assert not (tmp_path / "not mounted").exists()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, Kind.NO_SPACE),
        (errno.EDQUOT, Kind.NO_SPACE),
        (errno.EROFS, Kind.NOT_WRITABLE),
        (errno.EACCES, Kind.NOT_WRITABLE),
        (errno.EPERM, Kind.NOT_WRITABLE),
        (errno.ENOENT, Kind.NOT_WRITABLE),
        (errno.EIO, Kind.TRANSIENT),
        (errno.ESTALE, Kind.NOT_WRITABLE),
        (errno.ENOTCONN, Kind.NOT_WRITABLE),
        (None, Kind.TRANSIENT),
    ],
)
def test_each_error_of_the_system_has_its_kind(code: int | None, kind: Kind) -> None:
    """Full, closed and gone hold the folder; anything else is tried again. The sentence names the place."""
    error = OSError(code, os.strerror(code)) if code else OSError()
    failure = failure_of(error, "the outbox")
    assert failure.kind is kind
    assert "the outbox" in failure.detail
    assert bool(failure.hint) == (failure.scope is Scope.FOLDER)
