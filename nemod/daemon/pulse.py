"""Signs of life for whoever started the daemon, and would start it again if it no longer worked, and for whoever asks.

The work loop is what must not stand still. It is prodded after each sign, and only a loop that has turned since gives
the next one; a loop that waits for room on the ledger's disk is well, too: a new start would wait for the same.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from nemod.daemon.health import TURN_S, Answers, Health, State
from nemod.daemon.timers import Timers


class Watcher(Protocol):
    """Whoever wants to hear."""

    every_s: float

    def ready(self) -> None:
        """Every folder is watched."""

    def alive(self, status: str) -> None:
        """The work goes on; what it is, in words."""

    def stopping(self) -> None:
        """No new work is begun."""


class Pulse:
    """What the watcher hears, without one nothing, and what is answered to `nemod health`."""

    def __init__(
        self, watcher: Watcher | None, state: Path | None = None, around: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """Nothing is said yet; without a state folder nobody can ask, not even what is `around`."""
        self._watcher = watcher
        self._turned = True
        self._turn = asyncio.Event()  # set by each beginning of the work loop
        self._now = State.STARTING
        self._prod: Callable[[], None] = lambda: None
        self._waits: Callable[[], bool] = lambda: False
        self._status: Callable[[], str] = str
        self._answers = None if state is None else Answers(state, self._look, around)

    def turned(self) -> None:
        """The work loop is at its beginning again."""
        self._turned = True
        self._turn.set()

    async def open(self) -> None:
        """Let people ask; until `begin` they hear that it starts."""
        if self._answers is not None:
            await self._answers.open()

    async def close(self) -> None:
        """Answer no more."""
        if self._answers is not None:
            await self._answers.close()

    def begin(self, timers: Timers, *, waits: Callable[[], bool], status: Callable[[], str], prod: Callable[[], None]) -> None:
        """All folders are watched: say so, and from now on that it lives.

        Args:
            timers: they ring when it is time for a sign.
            waits: whether the loop stands still for a good reason.
            status: what is done now, in words.
            prod: lets the loop turn.
        """
        self._now, self._waits, self._status, self._prod = State.WORKING, waits, status, prod
        if (watcher := self._watcher) is None:
            return

        def beat() -> None:
            if self._turned or waits():
                self._turned = False
                watcher.alive(status())
            prod()

        watcher.ready()
        timers.every("pulse", watcher.every_s, beat)
        beat()

    def end(self) -> None:
        """The daemon stops."""
        self._now = State.STOPPING
        if self._watcher is not None:
            self._watcher.stopping()

    async def _look(self) -> Health:
        """Whether the work loop turns when it is prodded: it begins again twice, so that it comes to its end between."""
        try:
            async with asyncio.timeout(TURN_S):
                for _ in range(2):
                    if self._now is State.WORKING and not self._waits():
                        self._turn.clear()
                        self._prod()
                        await self._turn.wait()
        except TimeoutError:
            return Health(state=State.STUCK, doing=self._status())
        return Health(state=self._now, doing=self._status())
