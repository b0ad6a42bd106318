"""Signs of life for whoever started the daemon, and would start it again if it no longer worked.

The work loop is what must not stand still. It is prodded after each sign, and only a loop that has turned since gives
the next one; a loop that waits for room on the ledger's disk is well, too: a new start would wait for the same.
"""

from collections.abc import Callable
from typing import Protocol

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
    """What the watcher hears; without one, nothing happens."""

    def __init__(self, watcher: Watcher | None) -> None:
        """Nothing is said yet."""
        self._watcher = watcher
        self._turned = True

    def turned(self) -> None:
        """The work loop is at its beginning again."""
        self._turned = True

    def begin(self, timers: Timers, *, waits: Callable[[], bool], status: Callable[[], str], prod: Callable[[], None]) -> None:
        """All folders are watched: say so, and from now on that it lives.

        Args:
            timers: they ring when it is time for a sign.
            waits: whether the loop stands still for a good reason.
            status: what is done now, in words.
            prod: lets the loop turn.
        """
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
        if self._watcher is not None:
            self._watcher.stopping()
