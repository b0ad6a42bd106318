"""The hours in which a folder may begin new work: "22:00-06:00", "mon-fri 20:00-07:00, sat-sun 00:00-24:00". Pure.

Rules kept here:
- times are those of the wall clock where nemod runs, so a night stays a night when the clocks change;
- a span that ends before it begins goes over midnight, and its day is the one on which it begins.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from nemod.config.model import Folder, Span
from nemod.config.units import UnitError, shown

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_MINUTES = 24 * 60
_GROUPS = {"daily": range(7), "weekdays": range(5), "weekend": range(5, 7), "weekends": range(5, 7)}
_SPAN = re.compile(r"(?:(?P<days>[a-z][a-z ]*(?:-[a-z ]+)?)\s+)?(?P<start>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)")
_ALWAYS = Span(days=tuple(range(7)), start=0, end=_DAY_MINUTES)
_HINT = 'write it like "22:00-06:00" or "mon-fri 20:00-07:00, sat-sun 00:00-24:00"'


def parse_hours(value: object) -> tuple[Span, ...]:
    """Opening hours from a text, none if that means always; raises UnitError for anything else."""
    if not isinstance(value, str) or not value.strip():
        raise UnitError(f"{shown(value)} names no hours", _HINT)
    text = value.lower().replace("\N{EN DASH}", "-")
    spans = tuple(_span(part.strip(), value) for part in text.split(","))
    return () if _ALWAYS in spans else spans


def hours_text(hours: tuple[Span, ...]) -> str:
    """The inverse of `parse_hours`."""
    return ", ".join(f"{_days_text(span.days)}{_clock(span.start)}-{_clock(span.end)}" for span in hours or (_ALWAYS,))


def is_open(hours: tuple[Span, ...], at: datetime) -> bool:
    """Whether new work may begin at a moment of the wall clock; without any hours it always may."""
    minute = at.hour * 60 + at.minute
    today, yesterday = at.weekday(), (at - timedelta(days=1)).weekday()
    return not hours or any(
        (today in span.days and span.start <= minute < span.end)
        or (yesterday in span.days and minute < span.end - _DAY_MINUTES)
        for span in hours
    )


def next_opening(hours: tuple[Span, ...], at: datetime) -> datetime:
    """When new work may begin: now, or the next beginning of a span, which is within eight days."""
    if is_open(hours, at):
        return at
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (
        midnight + timedelta(days=ahead, minutes=span.start)
        for ahead in range(8)
        for span in hours
        if (midnight + timedelta(days=ahead)).weekday() in span.days
    )
    return min(start for start in starts if start > at)


def closed(folders: Iterable[Folder], at: datetime) -> dict[str, float]:
    """The folders that may begin nothing new at a moment of the wall clock, and when they may again (epoch seconds)."""
    return {f.name: _epoch(next_opening(f.hours, at), after=at) for f in folders if not is_open(f.hours, at)}


def _epoch(opening: datetime, *, after: datetime) -> float:
    """An opening in epoch seconds; in the hour that comes twice when summer ends, the one that is still to come."""
    first = opening.timestamp()
    return first if first > after.timestamp() else opening.replace(fold=1).timestamp()


def _span(part: str, whole: str) -> Span:
    found = _SPAN.fullmatch(part)
    if found is None:
        raise UnitError(f"{shown(whole)} names no hours", _HINT)
    start, end = _minutes(found["start"], whole), _minutes(found["end"], whole)
    if start in {end, _DAY_MINUTES}:
        raise UnitError(
            f"{shown(whole)}: nothing lies between {found['start']} and {found['end']}", '"00:00-24:00" is a whole day'
        )
    return Span(days=_days(found["days"], whole), start=start, end=end if end > start else end + _DAY_MINUTES)


def _minutes(text: str, whole: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > _DAY_MINUTES:
        raise UnitError(f"{shown(whole)}: {text} is not a time of the day", _HINT)
    return hour * 60 + minute


def _days(text: str | None, whole: str) -> tuple[int, ...]:
    if text is None:
        return tuple(range(7))
    if (group := _GROUPS.get(text.strip())) is not None:
        return tuple(group)
    words = [word.strip() for word in text.split("-")]
    numbers = [next((n for n, day in enumerate(DAYS) if len(word) > 2 and day.startswith(word)), None) for word in words]
    if None in numbers or len(numbers) > 2:
        raise UnitError(f"{shown(whole)}: {shown(text)} are no days", "mon tue wed thu fri sat sun, mon-fri, weekdays, weekend")
    first, last = numbers[0] or 0, numbers[-1] or 0
    days = tuple((first + ahead) % 7 for ahead in range((last - first) % 7 + 1))
    return tuple(sorted(days)) if len(days) == len(DAYS) else days


def _days_text(days: tuple[int, ...]) -> str:
    return "" if len(days) == len(DAYS) else f"{DAYS[days[0]][:3]}-{DAYS[days[-1]][:3]} "


def _clock(minutes: int) -> str:
    within = minutes if minutes <= _DAY_MINUTES else minutes - _DAY_MINUTES
    return f"{within // 60:02}:{within % 60:02}"
