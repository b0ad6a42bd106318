"""Which container formats we open, and what the first bytes of a file say about it. Pure.

Rules kept here:
- whatever opens a source, our probe or ffmpeg, is held to `DEMUXERS`: no playlists that name other files or addresses;
- a copy writes the head first, so the head tells a file that is still growing from one that never was a video.
"""

from enum import StrEnum
from pathlib import Path

#: Names for ffmpeg's `-format_whitelist`. Sound formats are in it so that a song gets a clear answer. Left out on purpose:
#: concat, hls, dash (they open what a hostile text names), image2 and the like (pictures), subtitles.
DEMUXERS: tuple[str, ...] = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "asf", "flv", "gif"),
    *("ogg", "mxf", "rm", "dv", "wtv", "h264", "hevc", "m4v", "ivf", "nut"),
    *("mp3", "wav", "flac", "aac"),
)


def source_input(path: Path) -> list[str]:
    """How ffmpeg is told to open an untrusted file: as a file, whatever its name, and as one of `DEMUXERS`."""
    return ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS), "-i", f"file:{path}"]


#: How much of the head `kind_of` wants to see: 16 packets of a Blu-ray transport stream and room to spare.
HEAD_BYTES = 4096


class Head(StrEnum):
    """What the first bytes of a file look like."""

    EMPTY = "empty"  # nothing, or only zeros: reserved by a copy that has not begun
    MEDIA = "media"  # a container that we know
    PICTURE = "picture"
    TEXT = "text"
    OTHER = "other"


_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx", b"uuid"})
_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
_MEDIA = (
    b"\x1a\x45\xdf\xa3",  # EBML: Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11",  # WTV
    b"FLV\x01",
    b"GIF8",
    b"OggS",
    b"\x06\x0e\x2b\x34",  # MXF
    b".RMF",
    b"\x1f\x07\x00",  # DV, 525 lines
    b"\x1f\x07\x80",
    b"\x3f\x07\x00",
    b"\xbf\x07\x00",  # DV, 625 lines
    b"DKIF",  # IVF
    b"nut/multimedia",
    b"\x00\x00\x00\x01",  # H.264 and HEVC without a container
    b"ID3",
    b"fLaC",
)
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\x00", b"MM\x00*", b"8BPS", b"\x00\x00\x01\x00")
_RIFF = {b"AVI ": Head.MEDIA, b"WAVE": Head.MEDIA, b"WEBP": Head.PICTURE}
_TS_SYNC = 0x47
_TS_PACKETS = (188, 192, 204)


def kind_of(head: bytes) -> Head:
    """What a file is, judged by its first `HEAD_BYTES` bytes (fewer when it is shorter)."""
    if not any(head):
        return Head.EMPTY
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return Head.PICTURE
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], Head.OTHER)
    if head[4:8] in _ISO_BOXES or head.startswith(_MEDIA) or _is_transport_stream(head):
        return Head.MEDIA
    if head.startswith(_PICTURES):
        return Head.PICTURE
    return Head.TEXT if _is_text(head) else Head.OTHER


def _is_transport_stream(head: bytes) -> bool:
    # Blu-ray and AVCHD put four bytes of time before each packet, so the first sync byte may come late.
    return any(
        len(head) > start + 2 * step and all(head[i] == _TS_SYNC for i in range(start, len(head), step))
        for step in _TS_PACKETS
        for start in (0, step - 188)
    )


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", "replace").rstrip("\N{REPLACEMENT CHARACTER}")  # a character may be cut at the end
    return all(c.isprintable() or c.isspace() for c in text) and "\N{REPLACEMENT CHARACTER}" not in text
