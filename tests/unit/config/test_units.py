"""Sizes, durations and bit rates."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.config import units
from nemod.config.units import UnitError

MOST = 2**63 - 1


@pytest.mark.parametrize(
    ("written", "size_bytes"),
    [
        ("10MB", 10_000_000),
        ("300KB", 300_000),
        ("10MiB", 10_485_760),
        ("1.5 GB", 1_500_000_000),
        (" 8mb ", 8_000_000),
        ("8M", 8_000_000),
        ("2kib", 2048),
        ("1TB", 10**12),
        ("12345", 12345),
        ("7B", 7),
        (10_000_000, 10_000_000),
        ("0.29GB", 290_000_000),  # binary fractions would make it a byte less
        ("1.9999B", 1),
        (MOST, MOST),
    ],
)
def test_a_size_is_read_to_the_byte(written: object, size_bytes: int) -> None:
    """MB is decimal, MiB is binary, and what is less than a byte is dropped."""
    assert units.parse_size(written) == size_bytes


@pytest.mark.parametrize(
    "written",
    [
        *(0, -1, True, False, 1.5, float("nan"), float("inf"), None, [], {}, MOST + 1, 10**4000),
        *(
            "",
            " ",
            "MB",
            "0MB",
            "0.0001KB",
            "-3MB",
            "+3MB",
            "1e6",
            "10 MBit",
            "10iB",
            "10ib",
            "1,5MB",
            "10MB!",
            "nan",
            "\u0661\u0660MB",
        ),
        *("9" * 400, "9" * 400 + "TB", "10\nMB x"),
    ],
)
def test_what_is_no_size_is_refused_with_a_hint(written: object) -> None:
    """Zero, negative, boolean, not a number, foreign digits and unknown units are refused, never guessed."""
    with pytest.raises(UnitError) as caught:
        units.parse_size(written)
    assert "10MB" in caught.value.hint
    assert len(caught.value.what) < 140


@pytest.mark.parametrize(
    ("written", "seconds"), [("2s", 2), ("500ms", 0.5), ("15m", 900), ("1h", 3600), ("1.5 s", 1.5), ("30S", 30)]
)
def test_a_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    """Milliseconds, seconds, minutes and hours are understood."""
    assert units.parse_duration(written) == seconds


@pytest.mark.parametrize("written", [2, 2.0, True, "2", "", "s", "0s", "-1s", "1d", "1h30m", "9" * 400 + "h", "9000h", None])
def test_what_is_no_duration_is_refused_with_a_hint(written: object) -> None:
    """A bare number does not say which unit, so it is refused like any other riddle."""
    with pytest.raises(UnitError) as caught:
        units.parse_duration(written)
    assert '"2s"' in caught.value.hint


@pytest.mark.parametrize(("written", "bps"), [("96k", 96_000), ("128kbps", 128_000), (64_000, 64_000), ("64000", 64_000)])
def test_a_bit_rate_is_read_in_bits_per_second(written: object, bps: int) -> None:
    """A rate has a k or is a whole number of bits."""
    assert units.parse_bitrate(written) == bps


@pytest.mark.parametrize("written", [96, "96", "0k", "96000k", True, 96.5, "96KB", ""])
def test_a_rate_that_cannot_be_meant_is_refused(written: object) -> None:
    """A forgotten k (96 bits per second) or a doubled one is caught."""
    with pytest.raises(UnitError) as caught:
        units.parse_bitrate(written)
    assert "96k" in caught.value.hint


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (10_000_000, "10.0 MB"), (999_960, "1.0 MB"), (2**40, "1.1 TB")],
)
def test_a_size_is_written_for_reading(size_bytes: int, text: str) -> None:
    """One decimal, decimal units, and never a thousand of a smaller unit."""
    assert units.format_size(size_bytes) == text


def test_an_exact_size_names_every_byte() -> None:
    """Where a byte matters it is shown."""
    assert units.format_exact(10_000_000) == "10,000,000 bytes"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (65, "1:05"), (59.6, "1:00"), (3599.7, "1:00:00"), (3723, "1:02:03")]
)
def test_a_duration_is_written_like_a_clock(seconds: float, text: str) -> None:
    """Minutes and seconds, and hours when there are any."""
    assert units.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(8_000_000, "8MB"), (10_485_760, "10MiB"), (1_500_000_000, "1.5GB"), (999, "999B")]
)
def test_a_limit_is_written_short(size_bytes: int, text: str) -> None:
    """A limit's text is what a person would write."""
    assert units.format_limit(size_bytes) == text


@given(st.integers(1, MOST))
def test_a_written_limit_reads_back_exactly(size_bytes: int) -> None:
    """Whatever the size, its short text means the same number of bytes."""
    assert units.parse_size(units.format_limit(size_bytes)) == size_bytes


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_no_value_makes_the_readers_stumble(value: object) -> None:
    """Any value is either read or refused in words."""
    for read in (units.parse_size, units.parse_duration, units.parse_bitrate):
        with suppress(UnitError):
            assert read(value) > 0
