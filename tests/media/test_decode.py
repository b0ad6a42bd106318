"""The full decode finds what the headers hide."""

from pathlib import Path

from nemod.media.decode import decode_errors
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
