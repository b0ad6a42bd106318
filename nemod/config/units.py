"""Sizes, durations and bit rates as people write and read them. Pure.

MB is 1,000,000 bytes and MiB is 1,048,576; a part of a byte is dropped, so that a limit is never rounded up.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

_SIZES: Mapping[str, int] = {
    "": 1,
    "b": 1,
    **{unit + end: 1000**power for power, unit in enumerate("kmgt", 1) for end in ("", "b")},
    **{unit + "ib": 1024**power for power, unit in enumerate("kmgt", 1)},
}
_DURATIONS: Mapping[str, Decimal] = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_RETENTIONS: Mapping[str, Decimal] = {"m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400), "w": Decimal(604_800)}
_BITRATES: Mapping[str, int] = {"": 1, "bps": 1, "k": 1000, "kbps": 1000, "kbit/s": 1000}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z/]*)\s*", re.IGNORECASE | re.ASCII)
#: "90", "1:30", "1:02:03.5": seconds, minutes and hours as players show them; below 60 each where a larger one stands before.
_CLOCK = re.compile(
    r"(?:(?:(?P<hours>\d{1,4}):(?=[0-5]?\d:))?(?P<minutes>\d{1,4}):(?=[0-5]?\d(?:\.|$)))?(?P<seconds>\d{1,6}(?:\.\d{1,6})?)",
    re.ASCII,
)

#: What a file's size can be on any system, and what SQLite can store.
_MOST_BYTES = 2**63 - 1
_LONGEST_S = 366 * 86400
#: Below it no voice is left; above it no AAC encoder goes. A rate outside is a forgotten or a doubled "k".
_LEAST_BPS, _MOST_BPS = 6_000, 512_000

_SIZE_HINT = 'write it like "10MB" (10,000,000 bytes), "10MiB" (10,485,760 bytes) or as a whole number of bytes'
_DURATION_HINT = 'write it like "500ms", "2s", "15m" or "1h"'
_RETENTION_HINT = 'write it like "30d", "2w" or "12h"'
_BITRATE_HINT = 'write it like "96k", "128kbps" or as a whole number of bits per second'


class UnitError(ValueError):
    """A value that does not say what it should; `what` is wrong, `hint` says how to write it."""

    def __init__(self, what: str, hint: str) -> None:
        """Keep both; the message is the two of them."""
        super().__init__(f"{what}; {hint}" if hint else what)
        self.what = what
        self.hint = hint


def parse_size(value: object) -> int:
    """Bytes from "10MB", "10MiB", "1.5 GB" or a whole number; raises UnitError for anything else, zero included."""
    size = _quantity(value, _SIZES)
    if size is None:
        raise UnitError(f"{shown(value)} is not a size", _SIZE_HINT)
    if not 1 <= size <= _MOST_BYTES:
        raise UnitError(f"{shown(value)} is {'less than one byte' if size < 1 else 'more than any file holds'}", _SIZE_HINT)
    return int(size)


def parse_duration(value: object) -> float:
    """Seconds from "500ms", "2s", "15m" or "1h"; raises UnitError for anything else, zero and bare numbers included."""
    seconds = _quantity(value, _DURATIONS)
    if seconds is None:
        raise UnitError(f"{shown(value)} is not a duration", _DURATION_HINT)
    if not 0 < seconds <= _LONGEST_S:
        raise UnitError(f"{shown(value)} is {'longer than a year' if seconds else 'no time at all'}", _DURATION_HINT)
    return float(seconds)


def parse_retention(value: object) -> float:
    """Seconds from "12h", "30d" or "2w", from a minute to ten years; raises UnitError for anything else."""
    seconds = _quantity(value, _RETENTIONS)
    if seconds is None or not 60 <= seconds <= 10 * _LONGEST_S:
        raise UnitError(f"{shown(value)} is not a time from a minute to ten years", _RETENTION_HINT)
    return float(seconds)


def parse_time(value: object) -> float:
    """Seconds into a video from "0:10", "1:02:03.5", "10s" or a number of seconds; raises UnitError for anything else."""
    if isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        hours, minutes, seconds = clock.group("hours", "minutes", "seconds")
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S:
        return float(value)
    seconds_in = _quantity(value, _DURATIONS)
    if seconds_in is None or seconds_in > _LONGEST_S:
        raise UnitError(f"{shown(value)} is not a time in a video", 'write it like "0:10", "1:02:03.5" or "10s"')
    return float(seconds_in)


def parse_bitrate(value: object) -> int:
    """Bits per second from "96k", "128kbps" or a whole number; raises UnitError for anything else."""
    rate = _quantity(value, _BITRATES)
    if rate is None:
        raise UnitError(f"{shown(value)} is not a bit rate", _BITRATE_HINT)
    if not _LEAST_BPS <= rate <= _MOST_BPS:
        raise UnitError(f"{shown(value)} is not between 6k and 512k bits per second", _BITRATE_HINT)
    return int(rate)


def _quantity(value: object, units: Mapping[str, int] | Mapping[str, Decimal]) -> Decimal | None:
    """The value in the units' base; None when it is neither a number and a known unit nor a bare number that may be one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value) if "" in units else None
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (factor := units.get(match[2].lower())) is None:
        return None
    return Decimal(match[1]) * factor


def shown(value: object) -> str:
    """A value as a person would write it in TOML, cut short, for messages."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = f'"{value}"'
        case int() if abs(value) > _MOST_BYTES:
            text = "that number"  # Python refuses to print integers of thousands of digits
        case int() | float():
            text = str(value)
        case list():
            text = "a list"
        case dict():
            text = "a table"
        case _:
            text = "a date or time"
    return text if len(text) <= 80 else f"{text[:77]}…{text[-1]}"


def format_size(size_bytes: int) -> str:
    """A size for reading: "10.0 MB", "312.4 KB", "999 bytes"."""
    if abs(size_bytes) < 1000:
        return f"{size_bytes} bytes"
    amount, unit = size_bytes / 1000, "KB"
    for bigger in ("MB", "GB", "TB"):
        if abs(round(amount, 1)) < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.1f} {unit}"


def format_exact(size_bytes: int) -> str:
    """A size to the byte: "10,000,000 bytes"."""
    return f"{size_bytes:,} bytes"


def format_limit(size_bytes: int) -> str:
    """The shortest text that `parse_size` reads back as exactly this size: "8MB", "10MiB", "1234567B"."""
    for unit, factor in sorted(_SIZES.items(), key=lambda item: -item[1]):
        if len(unit) >= 2 and size_bytes >= factor and size_bytes * 10 % factor == 0:
            whole, tenth = divmod(size_bytes * 10 // factor, 10)
            return f"{whole}{f'.{tenth}' if tenth else ''}{unit.upper().replace('I', 'i')}"
    return f"{size_bytes}B"


def format_duration(seconds: float) -> str:
    """A duration for reading, to the nearest second: "0:07", "1:05", "1:02:03"."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
