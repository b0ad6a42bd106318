"""Only a work loop that turns, or that waits for a good reason, is told to be alive."""

import asyncio
from dataclasses import dataclass, field

from nemod.daemon.pulse import Pulse
from nemod.daemon.timers import Timers


@dataclass(slots=True, kw_only=True)
class Manager:
    """Whoever would start it again."""

    every_s: float = 0.02
    heard: list[str] = field(default_factory=list)

    def ready(self) -> None:
        """Note it."""
        self.heard.append("ready")

    def alive(self, status: str) -> None:
        """Note it."""
        self.heard.append(status)

    def stopping(self) -> None:
        """Note it."""
        self.heard.append("stopping")


async def test_a_loop_that_stands_still_is_no_more_told_to_be_alive() -> None:
    """It is prodded all the same; when it turns again, or waits for room, it is told again."""
    manager, timers = Manager(), Timers()
    pulse = Pulse(manager)
    prods, prodding = 0, asyncio.Event()
    turns, full = True, False

    def prod() -> None:
        nonlocal prods
        prods += 1
        prodding.set()
        if turns:
            pulse.turned()

    async def prodded(times: int) -> None:
        until = prods + times
        while prods < until:
            prodding.clear()
            await prodding.wait()

    timers.start()
    try:
        pulse.begin(timers, waits=lambda: full, status=lambda: "well", prod=prod)
        assert manager.heard == ["ready", "well"]
        await prodded(3)
        assert manager.heard.count("well") > 2
        turns = False
        await prodded(2)  # the first of them still tells of the last turn
        before = manager.heard.count("well")
        await prodded(3)
        assert manager.heard.count("well") == before
        full = True
        await prodded(2)
        assert manager.heard.count("well") > before
        pulse.end()
        assert manager.heard[-1] == "stopping"
    finally:
        timers.stop()


async def test_without_anybody_who_listens_nothing_happens() -> None:
    """As on a machine without systemd."""
    timers = Timers()
    timers.start()
    pulse = Pulse(None)
    pulse.begin(timers, waits=lambda: False, status=str, prod=lambda: None)
    pulse.turned()
    pulse.end()
    timers.stop()
