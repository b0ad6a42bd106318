"""The text beside a failed file: it says what to do, and replaces nothing but itself."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nemod.delivery.publish import PublishError
from nemod.delivery.reason import clear_reason, reason_text, write_reason
from nemod.failure import Failure, Kind


def text(name: str = "clip.mov", detail: str = "It holds no picture.") -> str:
    failure = Failure(kind=Kind.UNSUPPORTED, detail=detail, hint="Drop a video.")
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return reason_text(job=7, name=name, failure=failure, preset="discord-10mb", when=when, log_hint="More: nemod jobs show 7")


def test_the_text_says_what_happened_to_which_file_and_what_to_do() -> None:
    """A person needs nothing else to go on."""
    assert text() == (
        "nemod could not compress this video:\n"
        "    clip.mov\n"
        "\n"
        "What happened: It holds no picture.\n"
        "What to do: Drop a video.\n"
        "To try again: nemod jobs retry 7\n"
        "\n"
        "Job 7, preset discord-10mb, 2026-01-02 03:04:05+00:00 (unsupported).\n"
        "More: nemod jobs show 7\n"
    )


def test_a_hostile_name_stays_one_printable_line() -> None:
    """A line break or an escape in a name cannot forge the text."""
    written = text(name=os.fsdecode(b"a\n\x1b[2J\xff.mov"))
    assert written.splitlines()[1] == r"    a\n\x1b[2J\xff.mov"


def test_it_lies_beside_the_file_and_is_replaced_by_a_later_one(tmp_path: Path) -> None:
    """The folder is made when the file itself could not be moved there; a second failure updates the text."""
    target = tmp_path / "failed" / "clip.mov"
    first = write_reason(target, text(), failed=target.parent)
    assert first == tmp_path / "failed" / "clip.mov.failed.txt"
    assert write_reason(target, text(detail="It is cut off."), failed=target.parent) == first
    assert "It is cut off." in first.read_text()
    assert [path.name for path in first.parent.iterdir()] == ["clip.mov.failed.txt"]


def test_a_persons_own_file_is_left_alone(tmp_path: Path) -> None:
    """Whatever lies under the name, a link or a pipe among it, the reason takes the next one."""
    target = tmp_path / "clip.mov"
    (tmp_path / "clip.mov.failed.txt").write_text("my notes")
    os.mkfifo(tmp_path / "clip.mov (2).failed.txt")
    (tmp_path / "clip.mov (3).failed.txt").symlink_to(tmp_path / "outside")
    written = write_reason(target, text(), failed=target.parent)
    assert written.name == "clip.mov (4).failed.txt"
    assert write_reason(target, text(), failed=target.parent) == written
    assert (tmp_path / "clip.mov.failed.txt").read_text() == "my notes"
    assert not (tmp_path / "outside").exists()
    clear_reason(target, failed=tmp_path)
    assert not written.exists()
    assert (tmp_path / "clip.mov.failed.txt").read_text() == "my notes"


def test_the_longest_names_have_a_reason_too(tmp_path: Path) -> None:
    """255 bytes leave no room for a suffix, so the name gives way."""
    name = os.fsdecode(b"\xff" * 251 + b".mov")
    written = write_reason(tmp_path / name, text(name=name), failed=tmp_path)
    assert len(os.fsencode(written.name)) <= 255
    assert written.name.endswith(".failed.txt")
    assert write_reason(tmp_path / name, text(name=name), failed=tmp_path) == written


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    """The hidden half of a text never shows, and is gone afterwards."""
    target = tmp_path / "clip.mov"
    write_reason(target, text(), failed=target.parent)
    clear_reason(target, failed=tmp_path)
    clear_reason(target, failed=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_a_failure(tmp_path: Path) -> None:
    """A file in the folder's place is told as a value."""
    (tmp_path / "failed").touch()
    with pytest.raises(PublishError) as caught:
        write_reason(tmp_path / "failed" / "clip.mov", text(), failed=tmp_path / "failed")
    assert caught.value.failure.kind is Kind.NOT_WRITABLE
