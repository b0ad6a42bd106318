"""Opening hours: over midnight, on some days, in the words that people write."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from nemod.config.hours import closed, hours_text, is_open, next_opening, parse_hours
from nemod.config.units import UnitError
from tests.ledger.values import folder

#: 2026-11-20 is a Friday.
FRIDAY, SATURDAY, SUNDAY, MONDAY = 20, 21, 22, 23


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of that week."""
    return datetime(2026, 11, day, hour, minute)  # noqa: DTZ001 - the wall clock has no zone


@pytest.fixture
def berlin() -> Iterator[None]:
    """A clock that is put forward on 2026-03-29 and back on 2026-10-25."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("hours", "moment", "expected"),
    [
        ("22:00-06:00", at(FRIDAY, 21, 59), False),
        ("22:00-06:00", at(FRIDAY, 22), True),
        ("22:00-06:00", at(SATURDAY, 5, 59), True),
        ("22:00-06:00", at(SATURDAY, 6), False),
        ("9:00 - 17:30", at(FRIDAY, 17, 29), True),
        ("9:00\N{EN DASH}17:30", at(FRIDAY, 17, 30), False),
        ("mon-fri 22:00-06:00", at(SATURDAY, 3), True),  # Friday's night
        ("mon-fri 22:00-06:00", at(SUNDAY, 3), False),
        ("mon-fri 22:00-06:00", at(MONDAY, 3), False),  # Sunday's night
        ("Weekend 00:00-24:00", at(SUNDAY, 23, 59), True),
        ("weekend 00:00-24:00", at(MONDAY, 0), False),
        ("fri-mon 10:00-11:00", at(MONDAY, 10), True),
        ("friday 10:00-11:00", at(FRIDAY, 10), True),
        ("mon-fri 20:00-07:00, sat-sun 00:00-24:00", at(SATURDAY, 12), True),
        ("mon-fri 20:00-07:00, sat-sun 00:00-24:00", at(FRIDAY, 12), False),
    ],
)
def test_hours_are_open_when_their_words_say_so(hours: str, moment: datetime, expected: bool) -> None:  # noqa: FBT001
    """A span over midnight belongs to the day on which it begins."""
    assert is_open(parse_hours(hours), moment) is expected


@pytest.mark.parametrize(
    "words", ["22:00-06:00", "mon-fri 20:00-07:00, sat-sun 00:00-24:00", "sat-mon 00:00-24:00", "sun-sun 09:05-10:00"]
)
def test_hours_are_written_as_they_are_read(words: str) -> None:
    """What `config show` prints can stand in a config."""
    assert hours_text(parse_hours(words)) == words
    assert parse_hours(hours_text(())) == ()


def test_folders_that_are_closed_are_named_with_the_moment_of_their_opening() -> None:
    """In seconds of the epoch, as the ledger counts."""
    night = replace(folder(Path("/x")), hours=parse_hours("22:00-06:00"))
    assert closed([night, folder(Path("/y"))], at(FRIDAY, 12)) == {"clips": at(FRIDAY, 22).timestamp()}
    assert closed([night], at(FRIDAY, 23)) == {}


@pytest.mark.parametrize(
    ("moment", "fold", "waits_s"),
    [
        ((3, 29, 1, 45), 0, 2700),  # half past two does not come; half past three is the next one
        ((10, 25, 2, 15), 0, 900),
        ((10, 25, 2, 15), 1, 900),  # the first half past two is over, and a second one is to come
    ],
)
def test_a_closed_folder_opens_later_than_now_also_in_the_hour_that_comes_twice(
    berlin: None, moment: tuple[int, int, int, int], fold: int, waits_s: int
) -> None:
    """A moment that has passed would let its jobs begin at once."""
    del berlin
    now = datetime(2026, *moment, fold=fold)  # noqa: DTZ001 - the wall clock has no zone
    early = replace(folder(Path("/x")), hours=parse_hours("02:30-05:00"))
    assert closed([early], now) == {"clips": now.timestamp() + waits_s}


def test_a_week_that_begins_on_any_day_is_always() -> None:
    """Which is written in one way."""
    assert parse_hours("sun-sat 00:00-24:00") == ()
    assert hours_text(parse_hours("wed-tue 22:00-06:00")) == "22:00-06:00"
    assert parse_hours("wed-tue 22:00-06:00") == parse_hours("22:00-06:00")


def test_without_hours_it_is_always_open() -> None:
    """Which is what a folder is that says nothing."""
    assert is_open((), at(FRIDAY, 12))


@pytest.mark.parametrize(
    ("hours", "moment", "opens"),
    [
        ("22:00-06:00", at(FRIDAY, 12), at(FRIDAY, 22)),
        ("22:00-06:00", at(FRIDAY, 23), at(FRIDAY, 23)),
        ("sun 10:00-11:00", at(SUNDAY, 11), at(SUNDAY + 7, 10)),
        ("mon-fri 20:00-07:00", at(SATURDAY, 12), at(MONDAY, 20)),
        ("mon 9:00-10:00, sun 9:00-10:00", at(FRIDAY, 12), at(SUNDAY, 9)),
    ],
)
def test_the_next_opening_is_the_earliest(hours: str, moment: datetime, opens: datetime) -> None:
    """Now while it is open, else the next beginning, also next week's."""
    assert next_opening(parse_hours(hours), moment) == opens


@pytest.mark.parametrize(
    "words",
    [
        *("", "22", "22:00", "22:00-22:00", "25:00-06:00", "22:60-06:00", "24:00-06:00", "noon-15:00", 22, None),
        *("xyz 10:00-11:00", "mon- 10:00-11:00", "mon-fri-sun 10:00-11:00", "10:00-11:00,", "mondayish 10:00-11:00"),
        *("m 10:00-11:00", "mo 10:00-11:00"),
    ],
)
def test_what_names_no_hours_is_said_with_an_example(words: object) -> None:
    """Before any job waits for hours that nobody meant."""
    with pytest.raises(UnitError) as caught:
        parse_hours(words)
    assert caught.value.hint
