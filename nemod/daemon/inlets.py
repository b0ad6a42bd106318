"""All inboxes of the daemon: each locked, watched and looked at whenever somebody pokes.

Rules kept here:
- an inbox that is away (unmounted, deleted, forbidden) holds its folder and makes none of its files "gone";
- when it is back, it is watched anew: the old watch followed the old folder;
- each inbox has one errand at a time and waits for no other: a share that hangs delays its own folder only, which is held
  until it answers.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nemod import logs
from nemod.config.model import Folder
from nemod.daemon.handover import clear
from nemod.daemon.locks import Busy, Claim
from nemod.daemon.timers import Timers
from nemod.failure import Failure, Kind
from nemod.intake.intake import Intake
from nemod.intake.mounts import file_system
from nemod.intake.scan import InboxUnavailable
from nemod.intake.watch import Watcher
from nemod.job import JobId
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, folder_scope

log = logs.get(__name__)

#: Pokes within this time are one: a burst of a thousand files is not a thousand scans.
PAUSE_S = 0.1
AWAY_EVERY_S = 2.0
GUARD_EVERY_S = 1.0
#: After this long without an answer a folder is held: a look may list a hundred thousand files, a glance asks for a few.
LOOK_S, GLANCE_S = 60.0, 10.0
#: How long an errand in a folder that is given up may take to its own end.
PART_S = 2.0
#: What is added to the moment at which a file could be at rest, so that clocks and rounding never cost a second look.
MARGIN_S = 0.02


@dataclass(slots=True, kw_only=True)
class _Inlet:
    intake: Intake
    claim: Claim | None = None
    away: bool = False
    taken: Failure | None = None  # another daemon has it, or what belongs to it
    moving: bool = True  # before the first look nobody knows
    errand: asyncio.Task[None] | None = None
    since: float = field(default_factory=time.monotonic)  # when the errand began
    patience_s: float = LOOK_S
    silent: bool = False  # the errand has outrun the patience

    @property
    def places(self) -> frozenset[Path]:
        """Where nemod writes for this folder."""
        folder = self.intake.folder
        return frozenset(p for p in (folder.outbox, folder.originals, folder.failed) if p is not None)

    def give_up(self) -> None:
        """Begin nothing more, and let others have the inbox."""
        if self.errand is not None:
            self.errand.cancel()
        if self.claim is not None:
            self.claim.release()


class Inlets:
    """Folders by name; `turn` is their loop."""

    def __init__(self, desk: Desk, timers: Timers, loop: asyncio.AbstractEventLoop, *, arrived: Callable[[], None]) -> None:
        """No folder yet; `arrived` is called whenever the ledger may have something new."""
        self._desk = desk
        self._timers = timers
        self._arrived = arrived
        self._inlets: dict[str, _Inlet] = {}
        self._poked: set[str] = set()
        self._wake = asyncio.Event()
        self._broken: asyncio.Future[None] = loop.create_future()  # by an errand that failed in a way nobody foresaw

        def poke_from_thread(name: str) -> None:
            with suppress(RuntimeError):  # the loop has ended; the watcher ends a moment later
                loop.call_soon_threadsafe(self.poke, name)

        self._watcher = Watcher(poke_from_thread)
        self.began = time.time()

    @property
    def at_rest(self) -> bool:
        """Whether every inbox has been looked at and nothing in it moves."""
        return not self._poked and not any(inlet.moving for inlet in self._inlets.values())

    @property
    def silent(self) -> frozenset[str]:
        """The folders that do not answer now."""
        return frozenset(name for name, inlet in self._inlets.items() if inlet.silent)

    def poke(self, name: str) -> None:
        """Something may have changed in a folder."""
        if name in self._inlets:
            self._poked.add(name)
            self._wake.set()

    def poke_all(self) -> None:
        """Look everywhere."""
        for name in self._inlets:
            self.poke(name)

    async def configure(self, folders: Iterable[Folder], *, settle_s: float) -> tuple[str, ...]:
        """Watch these folders from now on, and no others; returns why another daemon forbids one, in sentences."""
        wanted, greeted = {f.name: f for f in folders}, list[asyncio.Task[None]]()
        changed = [n for n, i in self._inlets.items() if wanted.get(n) != i.intake.folder]
        await self._part({name: self._inlets.pop(name) for name in changed})
        for name, folder in wanted.items():
            if name not in self._inlets:
                inlet = self._inlets[name] = _Inlet(intake=Intake(folder, self._desk, settle_s=settle_s))
                self._begin(inlet, self._greet(name, inlet), GLANCE_S)
                greeted.extend([] if inlet.errand is None else [inlet.errand])
        if greeted:
            await asyncio.wait(greeted, timeout=GLANCE_S)
        self.poke_all()
        return tuple(i.taken.detail for i in self._inlets.values() if i.taken is not None)

    async def _part(self, inlets: Mapping[str, _Inlet]) -> None:
        """Let go of inboxes; one that hangs keeps its thread, and what that brings back is dropped."""
        try:
            if errands := [inlet.errand for inlet in inlets.values() if inlet.errand is not None and not inlet.silent]:
                await asyncio.wait(errands, timeout=PART_S)
        finally:
            for inlet in inlets.values():
                inlet.give_up()
        for name in inlets:
            await asyncio.to_thread(self._watcher.unwatch, name)
            # What held it was said of the old words; nobody would be left to take it back, should the inbox be there again.
            await self._desk(Ledger.unhold, folder_scope(name))

    async def close(self) -> None:
        """Stop watching and let go of the inboxes."""
        for inlet in self._inlets.values():
            inlet.give_up()
        await asyncio.to_thread(self._watcher.close)

    async def guard(self) -> None:
        """Notice inboxes that went away or came back, and folders that do not answer: nobody else tells of them."""
        while True:
            await asyncio.sleep(GUARD_EVERY_S)
            for name, inlet in list(self._inlets.items()):
                if self._inlets.get(name) is not inlet:
                    continue  # the config has changed meanwhile
                if inlet.errand is None:
                    self._begin(inlet, self._glance(name, inlet), GLANCE_S)
                elif self._desk.full:
                    inlet.since = time.monotonic()  # it is the ledger that does not answer
                elif not inlet.silent and time.monotonic() - inlet.since > inlet.patience_s:
                    inlet.silent = True
                    await self._gone_away(name, inlet, _silence(name))
                    self._arrived()  # its slots are free

    async def turn(self) -> None:
        """Look at whatever was poked, for ever; an inbox that is being looked at is looked at again after that."""
        while not self._broken.done():
            await self._wake.wait()
            self._wake.clear()
            for name in sorted(self._poked):
                inlet = self._inlets.get(name)
                if inlet is None:
                    self._poked.discard(name)
                elif inlet.errand is None:
                    self._poked.discard(name)
                    inlet.moving = True
                    self._begin(inlet, self._look(name, inlet), LOOK_S)
            await asyncio.sleep(PAUSE_S)
        self._broken.result()

    def _begin(self, inlet: _Inlet, errand: Coroutine[Any, Any, None], patience_s: float) -> None:
        inlet.errand = asyncio.create_task(errand)
        inlet.since, inlet.patience_s = time.monotonic(), patience_s
        inlet.errand.add_done_callback(partial(self._ended, inlet))

    def _ended(self, inlet: _Inlet, errand: asyncio.Task[None]) -> None:
        inlet.errand = None
        if inlet.silent:  # it has answered after all
            inlet.silent = False
            self.poke(inlet.intake.folder.name)
        if not errand.cancelled() and (error := errand.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)
        self._wake.set()

    async def _greet(self, name: str, inlet: _Inlet) -> None:
        """The first that is done with an inbox."""
        try:
            await self._connect(name, inlet)
        except InboxUnavailable as error:
            await self._gone_away(name, inlet, error)

    async def _glance(self, name: str, inlet: _Inlet) -> None:
        """See whether it is still the same folder, and whether the places beside it answer at all."""
        await asyncio.to_thread(_touch, inlet.places)
        if inlet.away or inlet.claim is None:
            return
        try:
            await self._hold_on(inlet, inlet.claim)  # a place may have come into being, or be another folder now
        except InboxUnavailable as error:
            await self._gone_away(name, inlet, error)
            return
        if not await asyncio.to_thread(self._watcher.alive, name):
            self.poke(name)

    async def _look(self, name: str, inlet: _Inlet) -> None:
        try:
            if inlet.away or not await asyncio.to_thread(self._watcher.alive, name):
                await self._connect(name, inlet)
            changed, next_s = await inlet.intake.look(mono=time.monotonic(), now=time.time())
        except InboxUnavailable as error:
            await self._gone_away(name, inlet, error)
            return
        if inlet.away:
            inlet.away = False
            log.info("folder.back", folder=name)
            await self._desk(Ledger.unhold, folder_scope(name))
        inlet.moving = next_s is not None
        if next_s is not None:
            self._timers.soon(f"settle {name}", next_s + MARGIN_S, lambda: self.poke(name))
        for job in changed.added:
            log.info("job.added", job=job, folder=name)
        for job in changed.gone:
            log.info("job.cancelled", job=job, folder=name, why="Its file is no longer there.")
            await self._tidy(job)
        self._arrived()

    async def _tidy(self, job: JobId) -> None:
        """Remove what a job had begun before its file went away."""
        if (ended := await self._desk(Ledger.job, job)) is not None:
            await clear(ended)

    async def _connect(self, name: str, inlet: _Inlet) -> None:
        """Lock an inbox and watch it.

        Raises:
            InboxUnavailable: it is away, or another daemon has it.
        """
        folder = inlet.intake.folder
        if inlet.claim is not None:
            inlet.claim.release()
        inlet.claim, inlet.taken = Claim(folder.inbox, inlet.places), None
        await self._hold_on(inlet, inlet.claim)
        remote = (await asyncio.to_thread(file_system, folder.inbox)).remote
        watching = await asyncio.to_thread(
            self._watcher.watch, name, folder.inbox, recursive=folder.recursive, remote=remote, exclude=inlet.places
        )
        level = logging.WARNING if watching.note else logging.INFO
        log.log(level, "intake.watching", folder=name, inbox=str(folder.inbox), method=watching.method, note=watching.note)

    async def _hold_on(self, inlet: _Inlet, claim: Claim) -> None:
        try:
            await asyncio.to_thread(claim.take)
        except Busy as busy:
            claim.release()
            hint = "Stop it, or give the two different folders."
            inlet.taken = Failure(kind=Kind.NOT_WRITABLE, detail=str(busy), hint=hint)
            raise InboxUnavailable(inlet.taken) from None

    async def _gone_away(self, name: str, inlet: _Inlet, error: InboxUnavailable) -> None:
        inlet.moving = False
        if not inlet.away:
            inlet.away = True
            log.warning("folder.away", folder=name, inbox=str(inlet.intake.folder.inbox), why=error.failure.detail)
        await self._desk(Ledger.hold, folder_scope(name), until=None, failure=error.failure, now=time.time())
        self._timers.soon(f"away {name}", AWAY_EVERY_S, lambda: self.poke(name))


def _touch(places: Iterable[Path]) -> None:
    """Ask the disk for places; whether they are there does not matter, only that there is an answer."""
    for place in places:
        with suppress(OSError):
            place.stat()


def _silence(name: str) -> InboxUnavailable:
    return InboxUnavailable(
        Failure(
            kind=Kind.NOT_WRITABLE,
            detail=f"The disk or network share behind the folder {name} does not answer.",
            hint="Check its drive or its network. The other folders are worked on; this one goes on by itself.",
        )
    )
