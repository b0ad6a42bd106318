"""Real clips with damage of every kind, the same for the same number: as bad disks, lines and people leave them."""

import random
import re
from collections.abc import Callable
from pathlib import Path

from tests.support.clips import make_clip

#: Containers that are damaged, and how each is made.
KINDS = {
    "mp4": ("-movflags", "+faststart"),
    "mov": (),
    "mkv": (),
    "ts": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    "avi": ("-c:v", "mpeg4", "-c:a", "mp3"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
}
#: How much of the beginning counts as the header.
_HEADER = 2000
#: What parts of containers are called; those of MP4 have their size before their name, the others behind.
_SIZED_BEFORE = frozenset(b"ftyp moov trak mdia minf stbl stsd stts ctts stsc stsz stco elst mdat avc1 mp4a".split())
_ELEMENTS = ("1a45dfa3", "18538067", "1654ae6b", "1f43b675", "1c53bb6b", "114d9b74", "ae", "a3")
_WORDS = (*sorted(_SIZED_BEFORE), b"RIFF", b"LIST", b"movi", b"idx1", b"strh", *map(bytes.fromhex, _ELEMENTS))
#: The beginnings of coded pictures and parameters, behind a length or a start code.
_UNITS = re.compile(rb"\x00\x00[\x00-\x0f][\x00-\xff][\x01\x09\x21\x41\x61\x65\x67\x68]|\x00\x00\x01[\x00-\xff]", re.DOTALL)


def whole(folder: Path, *, seconds: float = 1.0) -> dict[str, bytes]:
    """A small clip in each container."""
    made = {
        kind: make_clip(folder / f"whole.{kind}", seconds=seconds, size=(160, 120), extra_args=args)
        for kind, args in KINDS.items()
    }
    return {kind: path.read_bytes() for kind, path in made.items()}


def garbled(clips: dict[str, bytes], number: int) -> tuple[str, bytes]:
    """The damaged clip of a number: its container and its bytes."""
    dice = random.Random(number)  # noqa: S311 - damage, not a secret
    kind = list(clips)[number % len(clips)]
    damage = _DAMAGES[number // len(clips) % len(_DAMAGES)]
    data = bytearray(clips[kind])
    damage(data, dice)
    return kind, bytes(data)


def _flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 8, 100))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(1, len(data)) :]


def _swap(data: bytearray, dice: random.Random) -> None:
    size = dice.choice((16, 512, 4096))
    one, other = dice.randrange(len(data) - size), dice.randrange(len(data) - size)
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _zero(data: bytearray, dice: random.Random) -> None:
    size = dice.choice((4, 200, 5000))
    start = dice.randrange(len(data) - size)
    data[start : start + size] = bytes(size)


def _header(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 3, 20))):
        data[dice.randrange(_HEADER)] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _lack(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data) - 3000)
    del data[start : start + dice.randrange(1, 3000)]


def _repeat(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data) - 3000)
    data[start:start] = data[start : start + dice.randrange(1, 3000)]


def _size(data: bytearray, dice: random.Random) -> None:
    """A box, chunk or element says that it is empty, endless or absurdly long."""
    words = [word for word in _WORDS if word in data]
    word = dice.choice(words or [bytes(data[:4])])
    place = dice.choice([found.start() for found in re.finditer(re.escape(word), data)])
    before = word in _SIZED_BEFORE
    at = max(0, place - 4) if before else place + len(word)
    data[at : at + 4] = dice.choice((bytes(4), b"\0\0\0\1", b"\0\0\0\7", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff" * 4))
    if dice.random() < 0.3:  # and eight bytes more of it
        data[at + 4 : at + 12] = b"\x7f" + b"\xff" * 7


def _rename(data: bytearray, dice: random.Random) -> None:
    """One part of a header is called as another one: two of these, none of those."""
    words = [word for word in _WORDS if word in data]
    one, other = dice.choice(words or [bytes(data[:4])]), dice.choice(words or [bytes(data[:4])])
    at = data.index(one)
    data[at : at + len(one)] = (other * 2)[: len(one)]


def _double(data: bytearray, dice: random.Random) -> None:
    """A part of the header stands there twice, in front, in its place or at the end."""
    words = [word for word in _WORDS if word in data]
    at = data.index(dice.choice(words or [bytes(data[:4])]))
    part = data[max(0, at - 4) : at + dice.choice((64, 1000, 4000))]
    where = dice.choice((0, at, len(data)))
    data[where:where] = part


def _units(data: bytearray, dice: random.Random) -> None:
    """Coded pictures become others: their types, their lengths and their parameters change in mid-stream."""
    starts = [found.start() for found in _UNITS.finditer(data)]
    for _ in range(dice.choice((1, 5, 30))):
        if not starts:
            return
        at = dice.choice(starts) + dice.choice((2, 3, 4))
        if at < len(data):
            data[at] = dice.choice((0x01, 0x41, 0x65, 0x67, 0x68, 0x06, 0x7F, dice.randrange(256)))


def _times(data: bytearray, dice: random.Random) -> None:
    """Clocks jump: tables of times in an index, times of clusters and packets."""
    marks = [
        mark for mark in (b"stts", b"ctts", b"elst", b"mdhd", b"\xe7", b"\xa3", b"\x00\x00\x01\xe0", b"idx1") if mark in data
    ]
    for _ in range(dice.choice((1, 4, 20))):
        mark = dice.choice(marks or [bytes(data[:4])])
        places = [found.start() for found in re.finditer(re.escape(mark), data)]
        at = dice.choice(places) + len(mark) + dice.randrange(16)
        value = dice.choice((bytes(2), b"\xff\xff", b"\x80\0", dice.randbytes(2)))
        data[at : at + 2] = value


_DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _header, _cut, _zero, _swap, _lack, _repeat),
    *(_size, _rename, _double, _units, _times),
)
