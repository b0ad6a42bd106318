"""The top level of MP4 and QuickTime files, from real files and from hostile ones."""

from io import BytesIO
from pathlib import Path

import pytest

from nemod.media.boxes import Boxes, payload_bytes, read_boxes
from tests.support.clips import clip, make_clip


def box(kind: bytes, payload: bytes = b"", *, size: int | None = None) -> bytes:
    """A box of the short form."""
    return (8 + len(payload) if size is None else size).to_bytes(4, "big") + kind + payload


def read(data: bytes) -> Boxes:
    """Read a file that exists in memory only."""
    return read_boxes(BytesIO(data), len(data))


def test_reads_a_real_file() -> None:
    """A phone's MP4 has its index in front, and nearly all of it is payload."""
    path = clip("stream-of-water.mp4")
    with path.open("rb") as file:
        boxes = read_boxes(file, path.stat().st_size)
    assert boxes.mp4
    assert boxes.indexed
    assert boxes.faststart
    assert not boxes.fragmented
    assert not boxes.place
    assert 0.95 * path.stat().st_size < payload_bytes(path) < path.stat().st_size


@pytest.mark.parametrize("name", ["iphone_hlg_rot.MOV", "hevc_rot_datatrack.mp4"])
def test_finds_the_place_that_phones_note(name: str) -> None:
    """Apple's and Android's ways to note a place are both found."""
    with clip(name).open("rb") as file:
        assert read_boxes(file, clip(name).stat().st_size).place


def test_tells_quicktime_from_mp4() -> None:
    """The brand decides, whatever the name ends in; without one it is not an MP4."""
    assert read(box(b"ftyp", b"isom" + bytes(4))).mp4
    assert not read(box(b"ftyp", b"qt  " + bytes(4))).mp4
    assert not read(box(b"moov") + box(b"mdat")).mp4


def test_knows_fragments_made_by_ffmpeg(tmp_path: Path) -> None:
    """A fragmented file is told by its boxes."""
    path = make_clip(tmp_path / "a.mp4", seconds=1, extra_args=["-movflags", "+frag_keyframe+empty_moov"])
    with path.open("rb") as file:
        assert read_boxes(file, path.stat().st_size).fragmented


def test_an_index_at_the_end_is_no_faststart() -> None:
    """The order of index and data decides."""
    assert read(box(b"moov") + box(b"mdat", b"x")).faststart
    assert not read(box(b"mdat", b"x") + box(b"moov")).faststart
    assert not read(box(b"mdat", b"x")).faststart


def test_large_and_open_sizes() -> None:
    """64-bit sizes and a last box that reaches to the end are read; a cut file holds what is there."""
    large = (1).to_bytes(4, "big") + b"mdat" + (16 + 5).to_bytes(8, "big") + b"12345"
    assert read(large + box(b"moov")).payload_bytes == 5
    assert read(large + box(b"moov")).indexed
    assert read(box(b"moov") + box(b"mdat", b"1234", size=0)).payload_bytes == 4
    assert read(box(b"moov") + box(b"mdat", b"1234", size=4000)).payload_bytes == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"hello, this is a text",
        box(b"mdat", size=3),
        b"\0\0\0\1mdat\0\0",
        b"\0\0\0\1mdat" + bytes(8),
        b"\xff" * 64,
    ],
)
def test_garbage_ends_the_reading(data: bytes) -> None:
    """Nothing is raised and nothing is believed that cannot be a box."""
    boxes = read(data)
    assert (boxes.mp4, boxes.indexed, boxes.payload_bytes) == (False, False, 0)


def test_a_place_is_not_seen_where_there_is_none() -> None:
    """Words that contain a box's name are no box, and one that lies across two pieces is still found."""
    assert not read(box(b"moov", b"the velocity of XMP_ things")).place
    place = box(b"\xa9xyz", b"\0\x0f\x15\xc7+51.5-000.1/")
    assert read(box(b"moov", place)).place
    for gap in range(1024 * 1024 - 8, 1024 * 1024 + 1):
        assert read(box(b"moov", bytes(gap) + place)).place


def test_a_track_whose_data_lies_elsewhere_is_told(tmp_path: Path) -> None:
    """Whatever a track's data reference says but "in this file" is told, also where it begins at the seam of two reads."""
    made = make_clip(tmp_path / "a.mp4", seconds=1).read_bytes()
    assert not read(made).elsewhere
    assert read(made.replace(b"url \0\0\0\1", b"url \0\0\0\0")).elsewhere
    assert read(made.replace(b"url \0\0\0\1", b"alis\0\0\0\1")).elsewhere
    for before in range(1024 * 1024 - 40, 1024 * 1024 + 4):
        assert read(box(b"moov", bytes(before) + b"dref" + bytes(40))).elsewhere
        own = b"dref" + bytes(7) + b"\1\0\0\0\x0curl \0\0\0\1"
        assert not read(box(b"moov", bytes(before) + own + bytes(40))).elsewhere


def test_what_an_mp4_need_not_hold_is_told() -> None:
    """A second index, a compressed one, an unknown box and what lies behind the last box: players may not agree on these."""
    plain = box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"mvhd")) + box(b"mdat", b"x")
    assert not read(plain).odd
    assert not read(plain + bytes(4) + b"mdat" + b"to the end").odd
    assert read(plain + box(b"moov")).odd
    assert read(plain + b"PK\3\4").odd
    assert read(plain + box(b"meta")).odd
    assert read(box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"cmov")) + box(b"mdat", b"x")).odd


def test_millions_of_boxes_are_not_all_read() -> None:
    """A file of empty boxes costs neither the time nor the memory of all of them; it counts as odd."""
    many = read(box(b"free") * 1_000_000)
    assert len(many.boxes) < 500_000
    assert many.odd
