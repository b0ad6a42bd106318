"""The first bytes tell what never will be a video from what may become one."""

import pytest

from nemod.media.formats import DEMUXERS, HEAD_BYTES, Head, kind_of
from tests.support.clips import clip

TS = (b"\x47" + bytes(187)) * 8
M2TS = (bytes(4) + b"\x47" + bytes(187)) * 8


@pytest.mark.parametrize(
    "name", ["stream-of-water.mp4", "bear_odd.webm", "iphone_hlg_rot.MOV", "subs_ssa.mkv", "flower.gif", "interlaced.mpg"]
)
def test_real_clips_are_media(name: str) -> None:
    """Every kind of clip is known by its head, however little of it there is."""
    data = clip(name).read_bytes()
    assert kind_of(data[:HEAD_BYTES]) is Head.MEDIA
    assert kind_of(data[:16]) is Head.MEDIA


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", Head.EMPTY),
        (bytes(HEAD_BYTES), Head.EMPTY),
        (TS, Head.MEDIA),
        (M2TS, Head.MEDIA),
        (b"RIFF\x00\x10\x00\x00AVI LIST", Head.MEDIA),
        (b"RIFF\x00\x10\x00\x00WEBPVP8 ", Head.PICTURE),
        (b"\x89PNG\r\n\x1a\n" + bytes(8), Head.PICTURE),
        (b"\xff\xd8\xff\xe0" + bytes(12), Head.PICTURE),
        (b"\x00\x00\x00\x18ftypheic" + bytes(8), Head.PICTURE),
        (b"#EXTM3U\nhttp://example.com/a.ts\n", Head.TEXT),
        ("1\n00:00:01,000 --> 00:00:02,000\nÄh\n".encode(), Head.TEXT),
        ("é".encode() * 50 + b"\xc3", Head.TEXT),  # cut inside a character
        (b"\x7fELF" + bytes(60), Head.OTHER),
        (b"\x47" + bytes(400), Head.OTHER),  # one sync byte is no transport stream
    ],
)
def test_heads(head: bytes, kind: Head) -> None:
    """Zeros are a copy that has not begun, texts and pictures are told from the rest."""
    assert kind_of(head) is kind


def test_nothing_that_opens_other_files_is_allowed() -> None:
    """Playlists and picture sequences name files and addresses; they stay closed."""
    assert not {"concat", "hls", "dash", "image2", "sdp", "rtsp", "tedcaptions", "imf", "lavfi"} & set(DEMUXERS)
