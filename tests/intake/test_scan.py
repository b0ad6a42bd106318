"""What lies in an inbox, on real directories."""

import os
import socket
from pathlib import Path

import pytest

from nemod.intake.scan import InboxUnavailable, Odd, Oddity, Scan, identity, scan
from tests.support.people import ordinary


def look(
    inbox: Path,
    *,
    recursive: bool = False,
    ignore: tuple[str, ...] = (),
    exclude: frozenset[Path] = frozenset(),
    expect: tuple[int, int] | None = None,
) -> Scan:
    return scan(inbox, recursive=recursive, ignore=ignore, exclude=exclude, expect=expect)


def names(found: Scan) -> set[str]:
    return {sighting.relpath for sighting in found.sightings}


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_sighting_says_which_file_it_is(tmp_path: Path) -> None:
    """Size, modification time and inode are the file's own."""
    path = write(tmp_path / "clip.mp4", b"12345")
    os.utime(path, ns=(5, 7))
    (sighting,) = look(tmp_path).sightings
    fingerprint = sighting.fingerprint
    assert (sighting.relpath, fingerprint.size_bytes, fingerprint.mtime_ns) == ("clip.mp4", 5, 7)
    assert fingerprint.inode == path.stat().st_ino


def test_every_name_is_seen(tmp_path: Path) -> None:
    """Newlines, dashes, emoji, 255 bytes and bytes that are not UTF-8 are names like any other."""
    wanted = [b"new\nline.mp4", b"-rf.mp4", "🎬.mp4".encode(), b"x" * 251 + b".mp4", b"caf\xe9.mp4", b"no suffix", b"empty.mkv"]
    made = 0
    for name in wanted:
        try:
            write(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))))  # noqa: PTH118 - bytes
            made += 1
        except OSError:
            assert name == b"caf\xe9.mp4"  # APFS takes UTF-8 only
    found = {os.fsencode(name) for name in names(look(tmp_path))}
    assert len(found) == made
    assert found <= set(wanted)


def test_sub_folders_are_entered_only_when_asked(tmp_path: Path) -> None:
    """Without `recursive` only the top counts; with it everything but hidden and ignored folders."""
    for relpath in ("a.mp4", "sub/b.mp4", "sub/deep/c.mp4", ".hidden/d.mp4", "@eaDir/e.mp4", "drafts/f.mp4"):
        write(tmp_path / relpath)
    assert names(look(tmp_path)) == {"a.mp4"}
    assert names(look(tmp_path, recursive=True, ignore=("drafts",))) == {"a.mp4", "sub/b.mp4", "sub/deep/c.mp4"}


def test_excluded_folders_are_never_seen_by_any_spelling(tmp_path: Path) -> None:
    """Our own outputs stay out, even if the inbox or the outbox is named through a link, or the outbox is not there yet."""
    inbox = tmp_path / "inbox"
    write(inbox / "a.mp4")
    write(inbox / "done" / "a.mp4")
    write(inbox / "sub" / "originals" / "a.mp4")
    link = tmp_path / "link"
    link.symlink_to(inbox)
    exclude = frozenset({link / "done", inbox / "sub" / ".." / "sub" / "originals", inbox / "failed"})
    assert names(look(inbox, recursive=True, exclude=exclude)) == {"a.mp4"}
    assert names(look(link, recursive=True, exclude=exclude)) == {"a.mp4"}


def test_what_is_no_file_is_reported_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder named like a video, links, a FIFO and a socket are named for the log; the scan does not hang on them."""
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "ordinary folder").mkdir()
    write(tmp_path / "notes.txt")
    write(tmp_path / "clip.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "clip.mp4")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    # Bound from inside: the path of a socket is limited to about a hundred bytes.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mp4")
    found = look(tmp_path)
    assert names(found) == {"clip.mp4"}
    assert {odd.relpath: odd.what for odd in found.odd} == {
        "folder.mp4": Oddity.FOLDER,
        "notes.txt": Oddity.OTHER,
        "link.mp4": Oddity.LINK,
        "dangling.mp4": Oddity.DANGLING,
        "circle.mp4": Oddity.DANGLING,
        "pipe.mp4": Oddity.FIFO,
        "socket.mp4": Oddity.SOCKET,
    }
    assert found.sees("gone.mp4")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """A link to a folder above would be walked for ever, one elsewhere would take files that were never dropped here."""
    inbox = tmp_path / "inbox"
    write(inbox / "a.mp4")
    write(tmp_path / "elsewhere" / "b.mp4")
    (inbox / "up").symlink_to(tmp_path)
    (inbox / "elsewhere").symlink_to(tmp_path / "elsewhere")
    found = look(inbox, recursive=True)
    assert names(found) == {"a.mp4"}
    assert set(found.odd) == {Odd(relpath="up", what=Oddity.LINK), Odd(relpath="elsewhere", what=Oddity.LINK)}


def test_a_file_without_read_permission_is_a_sighting(tmp_path: Path) -> None:
    """Seeing is not reading; whoever opens it says what is wrong."""
    write(tmp_path / "locked.mp4").chmod(0)
    assert names(look(tmp_path)) == {"locked.mp4"}


def test_an_inbox_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A missing inbox, or a file in its place, is never an empty one."""
    for inbox in (tmp_path / "missing", write(tmp_path / "file")):
        with pytest.raises(InboxUnavailable) as caught:
            look(inbox)
        assert str(inbox) not in caught.value.failure.detail
        with pytest.raises(InboxUnavailable):
            identity(inbox)


def test_a_closed_inbox_is_an_error_and_a_closed_sub_folder_a_blind_spot() -> None:
    """What may not be read hides its files; nobody may take that for their absence."""
    with ordinary() as own:
        write(own / "a.mp4")
        write(own / "closed" / "b.mp4")
        write(own / "listed" / "c.mp4")
        (own / "closed").chmod(0)
        (own / "listed").chmod(0o400)
        try:
            found = look(own, recursive=True)
            assert names(found) == {"a.mp4"}
            hidden = {path for path in ("closed/b.mp4", "listed/c.mp4", "listed/d.mp4", "closed.mp4") if not found.sees(path)}
            assert hidden == {"closed/b.mp4", "listed/c.mp4"}
            own.chmod(0)
            with pytest.raises(InboxUnavailable):
                look(own)
        finally:
            for path in (own, own / "closed", own / "listed"):
                path.chmod(0o700)


def test_an_empty_inbox_on_another_device_has_lost_its_mount(tmp_path: Path) -> None:
    """An empty mount point says nothing of the files that the mount holds; one with files is believed."""
    device, inode = identity(tmp_path)
    elsewhere = (device + 1, inode)
    with pytest.raises(InboxUnavailable):
        look(tmp_path, expect=elsewhere)
    (tmp_path / "done").mkdir()
    with pytest.raises(InboxUnavailable):
        look(tmp_path, expect=elsewhere)
    write(tmp_path / "a.mp4")
    found = look(tmp_path, expect=elsewhere)
    assert (names(found), found.identity) == ({"a.mp4"}, (device, inode))


def test_an_inbox_that_was_made_again_is_believed(tmp_path: Path) -> None:
    """Who deletes the folder and makes a new one has emptied it; it lies on the same device."""
    inbox = tmp_path / "inbox"
    write(inbox / "a.mp4")
    before = look(inbox).identity
    (inbox / "a.mp4").unlink()
    inbox.rename(tmp_path / "old")
    inbox.mkdir()
    found = look(inbox, expect=before)
    assert found.sightings == ()
    assert found.identity != before


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """A service that scans every minute for years must close what it opens, in deep trees and after errors too."""
    write(tmp_path / "a" / "b" / "c" / "d.mp4")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        look(tmp_path, recursive=True)
        with pytest.raises(InboxUnavailable):
            look(tmp_path / "missing")
    assert len(list(Path("/dev/fd").iterdir())) == before
