"""The top level of an MP4 or QuickTime file, read without a demuxer: what lies where, and whether a place was noted.

Rules kept here:
- only headers are read, and the index (moov) in pieces: a file of any size costs little memory;
- only so many boxes are read: a file can hold millions of empty ones;
- what cannot be a box ends the reading; nothing here raises on garbage.
Source: ISO/IEC 14496-12, 4.2 (boxes), 8.1.1 (mdat), 8.2.1 (moov), 8.7.2 (dref), 8.8.1 (mvex).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

#: The atoms and keys in which cameras note where they were. Short ones only where they stand as a box with a plausible
#: size before them, for "velocity" holds "loci"; `gpmd` and `camm` are tracks with the path of the camera.
_PLACE = re.compile(
    rb"\x00[\x00-\xff]{3}(?:\xa9xyz|loci\x00\x00\x00\x00|XMP_|GPMF)|\x00\x00[\x00-\xff]{2}(?:gpmd|camm)\x00{6}|ISO6709"
)
#: Where a track's data lies, in any other way than "in this very file": one entry, an address that is empty.
_ELSEWHERE = re.compile(rb"dref(?!\x00{4}\x00\x00\x00\x01\x00\x00\x00\x0curl \x00\x00\x00\x01)")
#: A word of each match: finding bytes is many times faster than matching a pattern at every place of a large index.
_PLACE_WORDS = (b"\xa9xyz", b"loci", b"XMP_", b"GPMF", b"gpmd", b"camm", b"ISO6709")
_ELSEWHERE_WORDS = (b"dref",)
_SPAN_MOST = 32  # bytes that one match may look at
_PIECE = 1024 * 1024
#: A day of fragments of a second each; what lies behind so many is not looked at.
_BOXES_MOST = 200_000
#: What an MP4 consists of, and its index; a second index, say, or one that is compressed, is another film to other players.
_ORDINARY = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid"})
_FRAGMENTS = frozenset({b"styp", b"sidx", b"moof", b"mfra", b"prft", b"emsg"})
_IN_INDEX = frozenset({b"mvhd", b"trak", b"mvex", b"udta", b"iods", b"meta", b"free", b"skip"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box: where its payload starts and how long that is, in bytes; shorter than announced at the end of a cut file."""

    kind: bytes
    start: int
    payload: int  # as far as the file goes
    cut: bool = False  # it says that it is longer than the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What the top level of a file says."""

    boxes: tuple[Box, ...] = ()
    brand: bytes | None = None  # of the first ftyp; None: none, as in old QuickTime files
    fragmented: bool = False
    place: bool = False  # something in it may tell where it was filmed
    elsewhere: bool = False  # a track says that its data lies in another file or at an address
    odd: bool = False  # it holds what an MP4 need not hold, so players may not agree on what it is

    @property
    def mp4(self) -> bool:
        """Whether it is ISO base media rather than QuickTime."""
        return self.brand is not None and self.brand != b"qt  "

    @property
    def indexed(self) -> bool:
        """Whether there is an index at all; without one nothing can be played."""
        return any(box.kind == b"moov" for box in self.boxes)

    @property
    def faststart(self) -> bool:
        """Whether the index lies before the data, so that playing starts before all has arrived."""
        kinds = [box.kind for box in self.boxes]
        return b"moov" in kinds and (b"mdat" not in kinds or kinds.index(b"moov") < kinds.index(b"mdat"))

    @property
    def truncated(self) -> bool:
        """Whether the data or the index goes on behind the end of the file."""
        return any(box.cut and box.kind in (b"mdat", b"moov") for box in self.boxes)

    @property
    def payload_bytes(self) -> int:
        """Bytes of coded picture and sound; the rest of the file is overhead."""
        return sum(box.payload for box in self.boxes if box.kind == b"mdat")


def read_boxes(file: BinaryIO, size_bytes: int) -> Boxes:
    """Read the top level of a seekable file of that size; empty when it is no such file."""
    boxes = tuple(islice(_walk(file, 0, size_bytes), _BOXES_MOST))
    kinds = Counter(box.kind for box in boxes)
    behind = boxes[-1].start + boxes[-1].payload if boxes else 0
    brand: bytes | None = None
    fragmented, place = b"moof" in kinds, b"uuid" in kinds  # XMP lies in one of these, and may hold a position
    elsewhere, odd = False, behind != size_bytes or kinds[b"ftyp"] > 1 or kinds[b"moov"] > 1
    odd |= not kinds.keys() <= _ORDINARY | _FRAGMENTS
    for box in boxes:
        match box.kind:
            case b"ftyp" if brand is None:
                file.seek(box.start)
                brand = file.read(4)
            case b"moov":
                inner = {found.kind for found in islice(_walk(file, box.start, box.start + box.payload), _BOXES_MOST)}
                fragmented |= b"mvex" in inner
                odd |= not inner <= _IN_INDEX
                place |= _holds(file, box, _PLACE_WORDS, _PLACE)
                elsewhere |= _holds(file, box, _ELSEWHERE_WORDS, _ELSEWHERE)
            case _:
                pass
    return Boxes(boxes=boxes, brand=brand, fragmented=fragmented, place=place, elsewhere=elsewhere, odd=odd)


def payload_bytes(path: Path) -> int:
    """Bytes of coded picture and sound in an MP4.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return read_boxes(file, path.stat().st_size).payload_bytes


def _walk(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header or len(head) < header or not all(0x20 <= c < 0x7F or c == 0xA9 for c in kind):
            return
        cut = size > end - start
        yield Box(kind=kind, start=start + header, payload=max(0, min(size, end - start) - header), cut=cut)
        start += size


def _holds(file: BinaryIO, box: Box, words: tuple[bytes, ...], wanted: re.Pattern[bytes]) -> bool:
    """Whether a box holds something, wherever in it; read in pieces, of which most hold none of its words."""
    file.seek(box.start)
    left, seam = box.payload, b""
    while left > 0 and (piece := file.read(min(_PIECE, left))):
        left -= len(piece)
        text = seam + piece
        # What begins in the last bytes of a piece is looked at together with the next one.
        last = len(text) - (_SPAN_MOST if left > 0 else 0)
        if any(word in text for word in words) and any(found.start() < last for found in wanted.finditer(text)):
            return True
        seam = text[last:]
    return False
