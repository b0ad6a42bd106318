"""One life of the daemon, turned by hand: the service's own parts and steps, but nothing happens before the test says so.

A life can be ended at any call to the ledger, before it or after it, as a kill would end it: from then on nothing more is
written and nothing is cleaned up. At such a call something else can happen in the world as well: that is how races are made.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

from nemod.config.model import Config
from nemod.daemon.inlets import Inlets
from nemod.daemon.mailbox import Verb
from nemod.daemon.recovery import recover
from nemod.daemon.service import LIGHT_SLOTS, POLL_SLOTS, Service, open_ledger
from nemod.engines.base import Engine, EngineName
from nemod.herald.herald import Herald
from nemod.job import JobId, Lane
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from tests.crash.model_world import Cloud, Player
from tests.support.clips import ffmpeg

Mine = Callable[[], Awaitable[None] | None]


class Killed(BaseException):
    """The process is no more."""


class MinedDesk:
    """The ledger behind an await, where something may happen at the n-th call from now: before it, or once it is done."""

    def __init__(self, ledger: Ledger) -> None:
        """No mine is laid."""
        self.dead = False
        self._desk = Desk(ledger)
        self._before: dict[int, Mine] = {}
        self._after: dict[int, Mine] = {}
        self._calls = 0

    def lay(self, mines: Mapping[int, tuple[bool, Mine]]) -> None:
        """Lay these, numbered from the next call on; the flag says whether before it. Older ones are taken up."""
        self._calls = 0
        self._before = {n: mine for n, (early, mine) in mines.items() if early}
        self._after = {n: mine for n, (early, mine) in mines.items() if not early}

    async def __call__(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Pass a call on."""
        self._calls += 1
        number = self._calls
        await self._tread(self._before, number)
        answer = await self._desk(method, *args, **kwargs)
        await self._tread(self._after, number)
        return answer

    @property
    def full(self) -> bool:
        """As the desk's own."""
        return self._desk.full

    def hurry(self) -> None:
        """As the desk's own."""
        self._desk.hurry()

    def close(self) -> None:
        """Close the ledger."""
        self._desk.close()

    async def _tread(self, mines: dict[int, Mine], number: int) -> None:
        if not self.dead and (mine := mines.pop(number, None)) is not None and (going := mine()) is not None:
            await going
        if self.dead:
            raise Killed


class Life:
    """A daemon over a state folder, from `begin` to `stop` or `kill`."""

    def __init__(self, config: Callable[[], Config], state: Path, cloud: Cloud, clock: Callable[[], float]) -> None:
        """Nothing is touched yet."""
        self._config = config
        self._state = state
        self._clock = clock
        players: dict[EngineName, Engine] = {name: Player(name, cloud) for name in EngineName}

        def refit(_: Config) -> Mapping[EngineName, Engine]:
            return {name: one for name, one in players.items() if cloud.account or name is EngineName.LOCAL}

        self._service = Service(config(), state, refit, ffmpeg(), reread=config)

    async def begin(self) -> None:
        """Recover and look at the folders, as every start does."""
        loop, service = asyncio.get_running_loop(), self._service
        service._stop = loop.create_future()
        self.desk = MinedDesk(open_ledger(self._state))
        self._as_desk = cast("Desk", self.desk)
        self._inlets = Inlets(self._as_desk, service._timers, loop, arrived=service._work.set)
        service._herald = Herald(self._as_desk, config=self._config, describe=lambda *_: None, env={}, free=lambda: None)
        service._claims = True  # by `work` below, in place of the service's loop
        await recover(self._as_desk, (f.outbox for f in service.config.folders))
        service._fleet.equip(service.config)
        self._runner = service._runner(self._as_desk)
        await self.check()
        await self._inlets.configure(service.config.folders, settle_s=0)
        self._loops = [
            asyncio.create_task(service._mail_loop(self._as_desk, self._runner)),
            asyncio.create_task(service._reload_loop(self._as_desk, self._inlets)),
        ]
        await self._turn(service._mail)

    @property
    def ended(self) -> bool:
        """Whether it was killed on its way."""
        return self.desk.dead

    def die(self) -> None:
        """From now on nothing more is done."""
        self.desk.dead = True

    async def bury(self) -> None:
        """Let go of what the system takes from a dead process: tasks, watches, locks, the ledger's file."""
        self.die()
        rest = [*self._loops, *(held.task for held in self._service._running.values())]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._inlets.close()
        self.desk.close()

    async def stop(self) -> None:
        """End politely."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._service._put_down(self._as_desk, self._inlets)

    async def look(self) -> bool:
        """Look at every inbox once; whether something in them still moves."""
        for name, inlet in list(self._inlets._inlets.items()):
            self._inlets._poked.discard(name)
            if self._inlets._inlets.get(name) is inlet:  # a reload may just have taken it away
                await self._inlets._look(name, inlet)
        return any(inlet.moving for inlet in self._inlets._inlets.values())

    async def check(self) -> None:
        """Ask the engines whether they can work."""
        await self._service._fleet.check(self._as_desk, *EngineName)

    async def work(self, *, together: bool) -> bool:
        """Let jobs run to their next rest, one or as many as there are slots; whether there was any."""
        service, nemo = self._service, self._service.config.nemo
        await self.desk(Ledger.clock_set_back, now=self._clock())
        await self.desk(Ledger.fall_back, now=self._clock(), patience_s=nemo.patience_s)
        for lane, slots, polling in (
            (Lane.LIGHT, LIGHT_SLOTS, False),
            (Lane.LOCAL, 2, False),
            (Lane.NEMO, nemo.slots, False),
            (Lane.NEMO, POLL_SLOTS, True),
        ):
            silent = self._inlets.silent
            count = slots if together else 1
            await service._claim(self._as_desk, self._runner, silent, lane, count, polling=polling)
            if service._running and not together:
                break
        tasks = [held.task for held in service._running.values()]
        if tasks:
            await asyncio.wait(tasks)
            await asyncio.sleep(0)  # their callbacks
        return bool(tasks)

    async def next_due(self) -> float | None:
        """When something waits to go on."""
        patience_s = self._service.config.nemo.patience_s
        found: float | None = await self.desk(Ledger.next_due, now=self._clock(), patience_s=patience_s)
        return found

    def write(self, verb: Verb, job: int | None) -> None:
        """Leave a word in the mailbox, as a command does from a process of its own."""
        with closing(open_ledger(self._state)) as ledger:
            ledger.request(verb, None if job is None else JobId(job), now=self._clock())

    def wake(self) -> None:
        """Somebody has written."""
        self._service._mail.set()

    async def read_mail(self) -> None:
        """Do what stands in the mailbox; a config that was changed is read."""
        await self._turn(self._service._mail)
        if self._service._reload.is_set():
            await self._turn(self._service._reload)

    async def _turn(self, event: asyncio.Event) -> None:
        """Wake a loop and wait until it waits again."""
        event.set()
        while event.is_set() or not event._waiters:
            for loop in self._loops:
                if loop.done():
                    with suppress(Killed):
                        loop.result()
                    return
            await asyncio.sleep(0)
