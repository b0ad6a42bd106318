"""A person's own words beside a video, as people and their editors write them."""

import subprocess
from pathlib import Path

import pytest

from nemod.intake.names import instructs
from nemod.intake.scan import scan
from nemod.intake.sidecar import MOST_BYTES, MOST_CHARACTERS, Sidecar, instruction_for
from tests.support.people import ordinary


def words(source: Path, inbox: Path) -> str | None:
    found = instruction_for(source, inbox)
    return None if found is None else found.text


def test_the_nearest_one_counts(tmp_path: Path) -> None:
    """Beside the video, then its folder's, then those above up to the inbox, and never beyond it."""
    inbox = tmp_path / "inbox"
    source = inbox / "trip" / "day 1" / "clip.mp4"
    source.parent.mkdir(parents=True)
    (tmp_path / "_instructions.txt").write_text("outside")
    assert instruction_for(source, inbox) is None
    for folder, text in ((inbox, "all"), (inbox / "trip", "the trip"), (source.parent, "that day")):
        file = folder / "_instructions.txt"
        file.write_text(text)
        assert instruction_for(source, inbox) == Sidecar(text=text, file=file, shared=True)
    own = source.with_name("clip.mp4.txt")
    own.write_text("  make it a square\n")
    assert instruction_for(source, inbox) == Sidecar(text="make it a square", file=own, shared=False)
    assert words(source.with_name("clip.mov"), inbox) == "that day"


def test_a_failed_file_keeps_its_own_and_its_folders_instruction(tmp_path: Path) -> None:
    """It lies in the failed folder, wherever that is; its folder in the inbox still speaks for it."""
    inbox, failed = tmp_path / "inbox", tmp_path / "failed"
    (inbox / "trip").mkdir(parents=True)
    (inbox / "trip" / "_instructions.txt").write_text("the trip")
    (failed / "trip").mkdir(parents=True)
    source = failed / "trip" / "clip (2).mp4"
    found = instruction_for(source, inbox, relpath="trip/clip.mp4")
    assert found is not None
    assert (found.text, found.shared) == ("the trip", True)
    source.with_name("clip (2).mp4.txt").write_text("own")
    found = instruction_for(source, inbox, relpath="trip/clip.mp4")
    assert found is not None
    assert (found.text, found.shared) == ("own", False)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("\ufeffgrößer 🎬".encode(), "größer 🎬"),
        ("\ufeff画面变亮".encode("utf-16-le"), "画面变亮"),
        ("\ufeff画面变亮".encode("utf-16-be"), "画面变亮"),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        (b"one\r\ntwo\r\n", "one\ntwo"),
        (b"n\0ul", "nul"),
        (b"", None),
        (b" \r\n\t", None),
        (b"\xef\xbb\xbf", None),
        (b"x" * 5000, "x" * MOST_CHARACTERS),
        (b"y" * (MOST_BYTES + 1), "y" * MOST_CHARACTERS),
    ],
)
def test_any_text_is_taken_as_it_is(tmp_path: Path, data: bytes, text: str | None) -> None:
    """Marks, encodings, line ends, far too much of it: never an error."""
    (tmp_path / "clip.mp4.txt").write_bytes(data)
    assert words(tmp_path / "clip.mp4", tmp_path) == text


def test_an_empty_one_takes_its_video_out_of_the_folders_instruction(tmp_path: Path) -> None:
    """There is nothing special to say of this one."""
    (tmp_path / "_instructions.txt").write_text("all")
    (tmp_path / "clip.mp4.txt").write_text("\n")
    assert words(tmp_path / "clip.mp4", tmp_path) is None
    assert words(tmp_path / "other.mp4", tmp_path) == "all"


@pytest.mark.parametrize("name", ["clip.mp4.txt", "_instructions.txt"])
def test_links_pipes_and_folders_say_nothing(tmp_path: Path, name: str) -> None:
    """A link could lead to a secret, and a pipe would wait for its writer for ever."""
    (tmp_path / "secret").write_text("secret")
    for kind in ("link", "pipe", "folder"):
        path = tmp_path / kind / name
        path.parent.mkdir()
        match kind:
            case "link":
                path.symlink_to(tmp_path / "secret")
            case "pipe":
                subprocess.run(["mkfifo", path], check=True)
            case _:
                path.mkdir()
        assert words(tmp_path / kind / "clip.mp4", tmp_path / kind) is None


def test_one_that_cannot_be_read_is_an_error() -> None:
    """To go on without it would be to pay for what nobody asked for."""
    with ordinary() as inbox:
        (inbox / "clip.mp4.txt").write_text("secret")
        (inbox / "clip.mp4.txt").chmod(0)
        with pytest.raises(PermissionError):
            instruction_for(inbox / "clip.mp4", inbox)


def test_a_name_as_long_as_names_get_has_none(tmp_path: Path) -> None:
    """No file can have four bytes more, and asking for one is no error."""
    assert instruction_for(tmp_path / ("n" * 251 + ".mp4"), tmp_path) is None


def test_an_inbox_shows_them_to_nobody(tmp_path: Path) -> None:
    """No job, and not one line that they were left alone; another text is still told of."""
    for name in ("clip.mp4", "clip.mp4.txt", "early.MOV.TXT", "_instructions.txt", "README.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link.mp4.txt").symlink_to("README.txt")
    found = scan(tmp_path, recursive=False, ignore=(), exclude=frozenset())
    assert [sighting.relpath for sighting in found.sightings] == ["clip.mp4"]
    assert {odd.relpath for odd in found.odd} == {"README.txt", "link.mp4.txt"}


def test_what_an_instruction_is_called() -> None:
    """The whole name of a video and .txt, or the one name for a folder."""
    for name in ("clip.mp4.txt", "CLIP.MP4.TXT", "_instructions.txt", "_Instructions.txt"):
        assert instructs(name)
    for name in ("instructions.txt", "clip.txt", "clip.mp4.failed.txt", "song.mp3.txt", ".txt"):
        assert not instructs(name)
