"""APScheduler as an alarm clock, never a store: every callback pokes and returns at once; no work lives in one.

Traps of APScheduler 3.11, each with its remedy here: past dates are dropped after a second by default
(`misfire_grace_time=None`, `coalesce=True`); plain functions run in a thread (callbacks are coroutines); re-arming a job
while its coroutine runs loses the new date, and `shutdown` cancels running coroutines (they never wait for anything).
APScheduler's own intervals and crons count up every time that was missed, one by one: a clock that is put right by years, as on
a machine without one of its own, would keep them busy for minutes. Ours go on from now.
It goes by the wall clock alone: set back by a day, every alarm would be a day late. So the clocks are compared each second, and
when the wall clock has moved against the steady one every alarm rings at once; who is woken reads the truth and sets a new one.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

#: An alarm is never set further away than this, so that a suspend or a changed clock delays nothing for long.
FURTHEST_S = 60.0
#: How often the clocks are compared, and how far they may differ: ordinary corrections are slow.
COMPARE_EVERY_S, JUMP_S = 1.0, 2.0


def wall_clock() -> datetime:
    """The time on the wall, where the machine is now: a running process does not notice by itself that its zone was changed."""
    time.tzset()
    return datetime.now()  # noqa: DTZ005 - the clock on the wall has no zone


class Timers:
    """Named alarms that call a function in the loop's thread; the function must be quick."""

    def __init__(self) -> None:
        """No alarm is set."""
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._comparing: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to ring; needs a running loop."""
        logging.getLogger("apscheduler.executors").setLevel(logging.NOTSET)
        self._scheduler.start()
        self._compare(asyncio.get_running_loop(), _difference())

    def stop(self) -> None:
        """Ring no more."""
        if self._comparing is not None:
            self._comparing.cancel()
        if self._scheduler.running:
            # An alarm that rings in this moment is cancelled, which APScheduler would tell with a traceback.
            logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
            self._scheduler.shutdown(wait=False)

    def at(self, name: str, when: float, *, now: float, call: Callable[[], None]) -> None:
        """Ring once at `when` (epoch seconds), or earlier if that is far away; replaces an alarm of that name."""
        moment = datetime.fromtimestamp(min(max(when, now), now + FURTHEST_S), UTC)
        self._scheduler.add_job(_ring(call), "date", run_date=moment, id=name, replace_existing=True)

    def every(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Ring again and again."""
        self._scheduler.add_job(_ring(call), _Every(timedelta(seconds=seconds)), id=name, replace_existing=True)

    def each_minute(self, name: str, call: Callable[[], None] | None) -> None:
        """Ring when a minute begins, by the clock on the wall; None: no more."""
        if call is not None:
            self._scheduler.add_job(_ring(call), _Onward(CronTrigger(second=0, timezone=UTC)), id=name, replace_existing=True)
        elif self._scheduler.get_job(name) is not None:
            self._scheduler.remove_job(name)

    def soon(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Ring once after so many seconds; replaces an alarm of that name."""
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        self._scheduler.add_job(_ring(call), "date", run_date=moment, id=name, replace_existing=True)

    def _compare(self, loop: asyncio.AbstractEventLoop, before: float) -> None:
        if abs((now := _difference()) - before) > JUMP_S:
            for alarm in self._scheduler.get_jobs():
                alarm.modify(next_run_time=datetime.now(UTC))
            before = now
        # A clock that was wrong for less than a second may have sent the scheduler to sleep for years.
        self._scheduler.wakeup()
        self._comparing = loop.call_later(COMPARE_EVERY_S, self._compare, loop, before)


class _Every(BaseTrigger):  # type: ignore[misc]  # it knows no types
    """Again after an interval from now: what was missed is missed."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + self._interval


class _Onward(BaseTrigger):  # type: ignore[misc]
    """Another trigger's next time from now: what was missed is missed."""

    def __init__(self, trigger: BaseTrigger) -> None:
        self._trigger = trigger

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime | None:
        found: datetime | None = self._trigger.get_next_fire_time(None, now + timedelta(microseconds=1))
        return found


def _difference() -> float:
    return time.time() - time.monotonic()


def _ring(call: Callable[[], None]) -> Callable[[], object]:
    async def ring() -> None:
        call()

    return ring
