"""APScheduler as an alarm clock, never a store: every callback pokes and returns at once; no work lives in one.

Traps of APScheduler 3.11, each with its remedy here: past dates are dropped after a second by default
(`misfire_grace_time=None`, `coalesce=True`); plain functions run in a thread (callbacks are coroutines); re-arming a job
while its coroutine runs loses the new date, and `shutdown` cancels running coroutines (they never wait for anything).
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

#: An alarm is never set further away than this, so that a suspend or a changed clock delays nothing for long.
FURTHEST_S = 60.0


class Timers:
    """Named alarms that call a function in the loop's thread; the function must be quick."""

    def __init__(self) -> None:
        """No alarm is set."""
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def start(self) -> None:
        """Begin to ring; needs a running loop."""
        logging.getLogger("apscheduler.executors").setLevel(logging.NOTSET)
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more."""
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
        self._scheduler.add_job(_ring(call), "interval", seconds=seconds, id=name, replace_existing=True)

    def soon(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Ring once after so many seconds; replaces an alarm of that name."""
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        self._scheduler.add_job(_ring(call), "date", run_date=moment, id=name, replace_existing=True)


def _ring(call: Callable[[], None]) -> Callable[[], object]:
    async def ring() -> None:
        call()

    return ring
