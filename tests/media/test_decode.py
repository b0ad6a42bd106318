"""The full decode finds what the headers hide."""

from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.media.decode import DecodeError, decode_errors
from tests.support.clips import clip, ffmpeg, make_clip


async def test_a_sound_file_has_no_errors() -> None:
    """A good clip decodes to its end."""
    assert await decode_errors(ffmpeg(), clip("stream-of-water.mp4"), timeout_s=60) is None


async def test_hidden_pictures_are_no_error(tmp_path: Path) -> None:
    """Frames that share a time stamp decode well, though a muxer would complain."""
    path = make_clip(tmp_path / "a.webm", seconds=1, audio=False, extra_args=["-c:v", "libvpx", "-auto-alt-ref", "1"])
    assert await decode_errors(ffmpeg(), path, timeout_s=60) is None


async def test_broken_pictures_are_found(tmp_path: Path) -> None:
    """Bytes overwritten in the middle are told in ffmpeg's words, without its addresses."""
    data = bytearray(clip("stream-of-water.mp4").read_bytes())
    data[100_000:140_000] = b"\xff" * 40_000
    path = tmp_path / "broken.mp4"
    path.write_bytes(data)
    error = await decode_errors(ffmpeg(), path, timeout_s=60)
    assert error
    assert "0x" not in error.partition(":")[0]


async def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """A playlist is not followed, not even to a good file."""
    path = tmp_path / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile {clip('stream-of-water.mp4')}\n")
    assert await decode_errors(ffmpeg(), path, timeout_s=60)


async def test_names_of_any_bytes(tmp_path: Path) -> None:
    """A name with a newline, a colon and bytes that are not UTF-8 is only a name."""
    path = tmp_path / "-http:x\n\udcff.mp4"
    path.write_bytes(clip("stream-of-water.mp4").read_bytes())
    assert await decode_errors(ffmpeg(), path, timeout_s=60) is None


@pytest.mark.parametrize("number", ["KILL", "TERM", "SEGV"])
async def test_who_is_killed_from_outside_says_nothing_of_the_file(tmp_path: Path, number: str) -> None:
    """Short memory, a shutdown or a person ended the check: that is no error of decoding. A crash of its own is one."""
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nkill -{number} $$\n")
    program.chmod(0o755)
    if number == "SEGV":
        assert await decode_errors(program, clip("stream-of-water.mp4"), timeout_s=60)
    else:
        with pytest.raises(DecodeError) as stopped:
            await decode_errors(program, clip("stream-of-water.mp4"), timeout_s=60)
        assert stopped.value.failure.kind is Kind.TRANSIENT
