"""Real clips with damage of every kind, the same for the same number: as bad disks, lines and people leave them."""

import random
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


_DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _header, _cut, _zero, _swap, _lack, _repeat)
