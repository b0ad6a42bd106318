"""Chapters in an MP4 as a `chpl` box (Nero's, which ffmpeg, VLC and most players read), and not as a track.

A chapter track would be a third stream, which platforms that want picture and sound refuse. ffmpeg writes the two together
or none, so it is asked for a tag of just the bytes that the box needs; the tag is then taken out and the box put behind the
others. Rules kept here:
- the size of the index does not change, so no offset in it does;
- where the tag is not found nothing is touched.

Source: libavformat's `mov_read_chpl`; times are in 100 ns, titles in UTF-8 of up to 255 bytes, 255 chapters at most.
"""

from collections.abc import Sequence
from pathlib import Path
from struct import pack
from typing import BinaryIO

from nemod.media.info import Chapter

#: The tag whose place the box takes, as ffmpeg names it; in the file it is a `keyw` box that holds a `data` box.
SPACE_TAG = "keywords"
_MOST, _TITLE_MOST = 255, 255
_TICKS_PER_S = 10_000_000
#: Of the tag: two box heads of 8, the type and the locale of 4 each.
_TAG_HEAD = 24
_PAD = b"-"


class ChaptersError(Exception):
    """The file has not the place that was to be kept for chapters."""


def box(marks: Sequence[Chapter]) -> bytes:
    """The box that holds them; empty for none."""
    if not marks:
        return b""
    body = b"".join(_entry(mark) for mark in marks[:_MOST])
    payload = pack(">IIB", 1 << 24, 0, min(len(marks), _MOST)) + body
    return pack(">I4s", 8 + len(payload), b"chpl") + payload


def space(marks: Sequence[Chapter]) -> str:
    """The text of `SPACE_TAG` that makes it as long as the box."""
    return _PAD.decode() * (len(box(marks)) - _TAG_HEAD)


def write(path: Path, marks: Sequence[Chapter]) -> None:
    """Turn the tag of a finished MP4 into the box, in place; with no chapters nothing is done.

    Raises:
        ChaptersError: the tag is not where it was to be; the file is as it was.
        OSError: it cannot be read or written.
    """
    wanted = box(marks)
    if not wanted:
        return
    with path.open("r+b") as file:
        moov = _only(_find(file, b"moov", 0, path.stat().st_size))
        udta = _only(_find(file, b"udta", *moov))
        meta = _only(_find(file, b"meta", *udta))
        tags = _only(_find(file, b"ilst", meta[0] + 4, meta[1]))  # a meta box begins with version and flags
        tag = _only(_find(file, b"keyw", *tags))
        start = tag[0] - 8
        if tag[1] - start != len(wanted):
            raise ChaptersError
        file.seek(tag[1])
        behind = file.read(udta[1] - tag[1])
        file.seek(start)
        file.write(behind + wanted)
        for payload, end in (tags, meta):
            file.seek(payload - 8)
            file.write(pack(">I", end - (payload - 8) - len(wanted)))


def _entry(mark: Chapter) -> bytes:
    title = mark.title.encode("utf-8", "replace")
    while len(title) > _TITLE_MOST:
        title = title[:_TITLE_MOST].decode("utf-8", "ignore").encode()  # never half a character
    return pack(">QB", round(mark.start_s * _TICKS_PER_S), len(title)) + title


Span = tuple[int, int]  # where a box's payload starts and ends


def _only(found: list[Span]) -> Span:
    if len(found) != 1:
        raise ChaptersError
    return found[0]


def _find(file: BinaryIO, kind: bytes, start: int, end: int) -> list[Span]:
    found: list[Span] = []
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        if size < header or start + size > end:
            raise ChaptersError
        if head[4:8] == kind:
            found.append((start + header, start + size))
        start += size
    return found
