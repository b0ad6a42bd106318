"""The alarm clock: it rings in the loop, also for what is past, and a name has one alarm."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from nemod.daemon.timers import Timers, wall_clock


@pytest.fixture
async def timers() -> AsyncIterator[Timers]:
    """A running clock."""
    clock = Timers()
    clock.start()
    yield clock
    clock.stop()


async def rings(alarm: asyncio.Event) -> None:
    await asyncio.wait_for(alarm.wait(), 20)


async def test_an_alarm_for_a_past_moment_rings_at_once(timers: Timers) -> None:
    """The scheduler would drop it after a second; a job that was due during a suspend would wait for ever."""
    alarm, now = asyncio.Event(), time.time()
    timers.at("due", now - 3600, now=now, call=alarm.set)
    await rings(alarm)


async def test_an_alarm_that_comes_late_still_rings(timers: Timers) -> None:
    """The loop was busy, or the machine asleep, for longer than the second that the scheduler grants by default."""
    alarm = asyncio.Event()
    timers.soon("wake", 0.01, alarm.set)
    time.sleep(1.1)  # noqa: ASYNC251 - this is the busy loop
    await rings(alarm)


async def test_it_rings_in_the_loops_thread(timers: Timers) -> None:
    """A plain function would be called in a thread of a pool, where nothing of the loop may be touched."""
    where, alarm = list[threading.Thread](), asyncio.Event()

    def call() -> None:
        where.append(threading.current_thread())
        alarm.set()

    timers.soon("wake", 0.01, call)
    await rings(alarm)
    assert where == [threading.current_thread()]


async def test_a_new_alarm_replaces_the_one_of_its_name(timers: Timers) -> None:
    """The earlier one never rings, others are not touched."""
    rung, last = list[str](), asyncio.Event()
    now = time.time()
    timers.at("due", now + 0.2, now=now, call=lambda: rung.append("old"))
    timers.at("due", now + 0.1, now=now, call=lambda: rung.append("new"))
    timers.soon("last", 0.5, last.set)
    await rings(last)
    assert rung == ["new"]


async def test_an_alarm_may_set_itself_again(timers: Timers) -> None:
    """Re-arming from the callback loses nothing."""
    times, enough = list[int](), asyncio.Event()

    def call() -> None:
        times.append(1)
        if len(times) == 3:
            enough.set()
        else:
            timers.soon("again", 0.01, call)

    timers.soon("again", 0.01, call)
    await rings(enough)
    assert len(times) == 3


async def test_a_repeated_alarm_goes_on_until_the_clock_stops(timers: Timers) -> None:
    """And not a moment longer; stopping twice is no fault."""
    count, enough = list[int](), asyncio.Event()

    def call() -> None:
        count.append(1)
        if len(count) >= 2:
            enough.set()

    timers.every("rescan", 0.05, call)
    await rings(enough)
    timers.stop()
    before = len(count)
    await asyncio.sleep(0.2)
    assert len(count) == before
    timers.stop()


def test_the_clock_on_the_wall_is_the_one_where_the_machine_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone that is changed counts at once; a process alone goes on by the one that it began with."""
    monkeypatch.setenv("TZ", "Etc/GMT+11")
    west = wall_clock()
    monkeypatch.setenv("TZ", "Etc/GMT-11")
    assert 21 < (wall_clock() - west).total_seconds() / 3600 < 23
    monkeypatch.undo()
    time.tzset()
