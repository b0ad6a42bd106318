"""The daemon: puts the parts together, keeps two loops turning, and ends politely.

The loops are woken by pokes that carry nothing and read the truth again: intake scans the inboxes that somebody poked, work
claims from the ledger whatever has a free slot. A polite stop is a crash with manners: what runs goes back to the queue.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

from nemod import logs
from nemod.config.hours import closed
from nemod.config.model import Config, Folder
from nemod.config.problem import Problem
from nemod.daemon import board as board_file
from nemod.daemon.board import Board
from nemod.daemon.examine import Examiner
from nemod.daemon.fleet import Fleet, Refit
from nemod.daemon.handover import Handover
from nemod.daemon.inlets import Inlets
from nemod.daemon.keeper import Keeper, room_bytes
from nemod.daemon.letters import Letters
from nemod.daemon.locks import Busy, Seat
from nemod.daemon.once import worked_off
from nemod.daemon.outside import Outside
from nemod.daemon.pulse import Pulse
from nemod.daemon.recovery import recover
from nemod.daemon.runner import Runner
from nemod.daemon.signals import listen
from nemod.daemon.timers import Timers, wall_clock
from nemod.engines.base import EngineName
from nemod.failure import NemodError
from nemod.herald.herald import Herald
from nemod.intake.mounts import file_system
from nemod.job import JobId, JobState, Lane, Move
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, LedgerError, engine_scope
from nemod.threads import Threads

log = logs.get(__name__)

LEDGER = "ledger.sqlite3"
LIGHT_SLOTS = 2
#: Jobs that ask the cloud how far it is, or fetch a result, need none of its slots; these are theirs.
POLL_SLOTS = 4
MAIL_EVERY_S = 0.5
#: An engine that waits for a person is asked again this often: what was paid in or installed is noticed by itself.
ENGINES_EVERY_S = 300.0
#: What the daemon does while nothing can be written down.
FULL = "Waiting for room on the disk of the ledger"
#: How long a polite stop waits for what runs.
STOP_S = 6.0


class Ending(Enum):
    """Why the daemon ended."""

    STOPPED = auto()  # a signal
    WORKED_OFF = auto()  # `once`: nothing is left that could be done now
    BROKEN = auto()  # the ledger cannot be written any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended, and what a `once` leaves behind."""

    ending: Ending
    failed: int = 0
    waiting: int = 0


def open_ledger(state: Path) -> Ledger:
    """The ledger of a state folder, made if it is not there.

    Raises:
        LedgerError: it cannot be used.
    """
    return Ledger.open(state / LEDGER, wal=not file_system(state).remote)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A job that runs, and whose slot it takes."""

    task: asyncio.Task[None]
    lane: Lane
    polling: bool
    folder: str


class Service:
    """One daemon over one state folder; the caller holds the lock."""

    def __init__(
        self,
        config: Config,
        state: Path,
        refit: Refit,
        ffmpeg: Path,
        *,
        reread: Callable[[], Config | tuple[Problem, ...]],
        available: Callable[[Folder], frozenset[EngineName]] | None = None,
        seat: Seat | None = None,
        once: bool = False,
        outside: Outside | None = None,
    ) -> None:
        """Prepare; nothing is touched before `run`.

        Args:
            config: to begin with.
            state: the folder of the ledger.
            refit: makes the engines for a config; asked at the start and after every change of the config or the account.
            ffmpeg: who checks outputs.
            reread: reads the config again.
            available: which engines a folder may use; None: any.
            seat: held by the caller for as long as this runs; looked after here.
            once: end when nothing is left that could be done now.
            outside: whoever listens and asks.
        """
        self.config = config
        self.board = Board(state / board_file.FILE)
        self._state = state
        self._fleet = Fleet(refit, available)
        self._ffmpeg = ffmpeg
        self._reread = reread
        self._seat = seat
        self._once = once
        self._outside = outside or Outside()
        self._pulse = Pulse(self._outside.watcher, state, self._outside.around)
        self._running: dict[JobId, _Held] = {}
        self._claims = False  # whatever runs by then, an earlier life has left
        self._failed = 0
        self._work = asyncio.Event()
        self._mail = asyncio.Event()
        self._reload = asyncio.Event()
        self._look = asyncio.Event()  # at engines, of which these have never worked as they are now
        self._doubted = {EngineName.NEMO}
        self._stop: asyncio.Future[Ending] | None = None
        self._timers = Timers()

    async def run(self, ready: Callable[[], None]) -> Outcome:
        """Work until a signal, or for `once` until nothing is left; `ready` is called when the folders are watched.

        Raises:
            LedgerError: the ledger cannot be used.
            Busy: another daemon stands in the way of a folder; nothing was changed.
        """
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads())
        self._stop = loop.create_future()
        desk = Desk(open_ledger(self._state), patient=not self._once)
        inlets = Inlets(desk, self._timers, loop, arrived=self._work.set)
        herald = self._herald = Herald(
            desk, config=lambda: self.config, describe=self._outside.describe, env=os.environ, free=self._work.set
        )
        try:
            await self._pulse.open()
            await desk(Ledger.check)
            self._timers.start()
            if taken := await inlets.configure(self.config.folders, settle_s=self.config.settings.settle_s):
                raise Busy("\n".join(taken))
            await recover(desk, (f.outbox for f in self.config.folders))
            await herald.configure(look=not self._once)
            self._fleet.equip(self.config)
            runner = self._runner(desk)
            await self._fleet.check(desk, EngineName.LOCAL)
            listen(loop, self._stop, Ending.STOPPED, reload=self._reload.set)
            self._arm(inlets)
            ready()
            self._pulse.begin(
                self._timers,
                waits=lambda: desk.full,
                status=lambda: FULL if desk.full else self.board.line(),
                prod=self._work.set,
            )
            log.info("daemon.started", folders=[f.name for f in self.config.folders], state=str(self._state))
            ending = await self._turn(desk, inlets, runner)
            log.info("daemon.stopping", why=ending.name.lower())
            self._pulse.end()
            counts = await desk(Ledger.counts)
            return Outcome(ending=ending, failed=self._failed, waiting=counts[JobState.PARKED] + counts[JobState.QUEUED])
        finally:
            await self._put_down(desk, inlets)

    # -- start and end ----------------------------------------------------------------------------------------------------

    def _runner(self, desk: Desk) -> Runner:
        return Runner(
            desk=desk,
            engines=lambda: self._fleet.engines,
            available=lambda folder: self._fleet.available(self._as_now(folder)),
            policy=lambda folder: self._as_now(folder).engine,
            nemo=lambda: self.config.nemo,
            examiner=Examiner(ffmpeg=self._ffmpeg),
            handover=Handover(desk=desk),
            board=self.board,
            clock=time.time,
        )

    def _arm(self, inlets: Inlets) -> None:
        self._timers.every("rescan", self.config.settings.rescan_s, inlets.poke_all)
        self._timers.every("mail", MAIL_EVERY_S, self._mail.set)
        self._timers.every("engines", ENGINES_EVERY_S, self._look.set)
        self._timers.each_minute("hours", self._work.set if any(f.hours for f in self.config.folders) else None)

    async def _put_down(self, desk: Desk, inlets: Inlets) -> None:
        self._timers.stop()
        desk.hurry()
        running = dict(self._running)
        for held in running.values():
            held.task.cancel()
        telling = asyncio.create_task(self._herald.close())
        await asyncio.wait([telling, *(held.task for held in running.values())], timeout=STOP_S)
        with suppress(LedgerError):  # the next start's recovery does the same
            for job in await desk(Ledger.jobs, states=[JobState.RUNNING]) if self._claims else ():  # also one just claimed
                await desk(Ledger.move, job.id, Move.YIELD, now=time.time())
        await self._fleet.close()
        await inlets.close()
        await self._pulse.close()
        await asyncio.to_thread(desk.close)
        log.info("daemon.stopped")

    # -- the loops --------------------------------------------------------------------------------------------------------

    async def _turn(self, desk: Desk, inlets: Inlets, runner: Runner) -> Ending:
        assert self._stop is not None  # noqa: S101 - run() made it
        loops = [
            asyncio.create_task(inlets.turn(), name="intake"),
            asyncio.create_task(inlets.guard(), name="guard"),
            asyncio.create_task(self._work_loop(desk, inlets, runner), name="work"),
            asyncio.create_task(self._mail_loop(desk, runner), name="mail"),
            asyncio.create_task(self._engine_loop(desk), name="engines"),
            asyncio.create_task(self._reload_loop(desk, inlets), name="reload"),
            asyncio.create_task(self._herald.turn(), name="herald"),
            asyncio.create_task(Keeper(desk=desk, config=lambda: self.config, room=room_bytes).turn(), name="keeper"),
        ]
        try:
            waits: set[asyncio.Future[Any]] = {self._stop, *loops}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done():
                    loop.result()  # a loop never ends by itself: its error is ours
            return self._stop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _work_loop(self, desk: Desk, inlets: Inlets, runner: Runner) -> None:
        assert self._stop is not None  # noqa: S101 - run() made it
        self._claims = True
        self._work.set()
        while True:
            await self._work.wait()
            self._work.clear()
            self._pulse.turned()
            nemo = self.config.nemo
            await desk(Ledger.clock_set_back, now=time.time())
            for fallen in await desk(Ledger.fall_back, now=time.time(), patience_s=nemo.patience_s):
                log.info("job.falls_back", job=fallen.job, file=fallen.relpath, to=fallen.lane, why=fallen.why.detail)
            await desk(Ledger.keep_hours, closed(self.config.folders, wall_clock()), now=time.time())
            claim = partial(self._claim, desk, runner, inlets.silent)
            await claim(Lane.LIGHT, LIGHT_SLOTS)
            await claim(Lane.LOCAL, self.config.settings.workers)
            await claim(Lane.NEMO, nemo.slots)
            await claim(Lane.NEMO, POLL_SLOTS, polling=True)
            due = await desk(Ledger.next_due, now=time.time(), patience_s=nemo.patience_s)
            if due is not None:
                self._timers.at("due", due, now=time.time(), call=self._work.set)
            # What a job did during this turn may open a way for it (a hold: the next engine), so that another turn looks first.
            if self._once and await self._worked_off(desk, inlets) and not self._work.is_set() and not self._stop.done():
                self._stop.set_result(Ending.WORKED_OFF)

    async def _claim(
        self, desk: Desk, runner: Runner, silent: frozenset[str], lane: Lane, slots: int, *, polling: bool = False
    ) -> None:
        """Start the jobs of a lane for which there are slots; what hangs in a folder that does not answer takes none."""
        home = [f.name for f in self.config.folders if EngineName.NEMO not in self._fleet.available(f)]
        while sum((h.lane, h.polling) == (lane, polling) and h.folder not in silent for h in self._running.values()) < slots:
            careful = self._fleet.careful
            # A job that was given back may still have a connection to close; it is nobody else's until then.
            busy = tuple(self._running)
            job = await desk(Ledger.claim, lane, now=time.time(), polling=polling, careful=careful, but=busy, home=home)
            if job is None:
                return
            task = asyncio.create_task(runner.run(job, lane), name=f"job {job.id}")
            self._running[job.id] = _Held(task=task, lane=lane, polling=polling, folder=job.folder.name)
            task.add_done_callback(partial(self._finished, job.id))

    def _as_now(self, folder: Folder) -> Folder:
        """A job's folder with the engine that the config has for it now: who sets it to `local` means jobs in flight, too."""
        now = next((f.engine for f in self.config.folders if f.name == folder.name), folder.engine)
        return replace(folder, engine=now)

    def _finished(self, job: JobId, task: asyncio.Task[None]) -> None:
        assert self._stop is not None  # noqa: S101 - run() made it
        if task.cancelled():
            return  # whoever cancelled it takes care of its job
        self._running.pop(job, None)
        self._work.set()
        self._herald.poke()
        if (error := task.exception()) is not None:
            # Only the ledger itself can fail a runner: without it nothing more may be done.
            if isinstance(error, LedgerError):
                log.critical("ledger.failed", job=job, why=error.failure.detail, hint=error.failure.hint)
            else:
                log.critical("ledger.failed", job=job, exc_info=error)
            if not self._stop.done():
                self._stop.set_result(Ending.BROKEN)

    async def _worked_off(self, desk: Desk, inlets: Inlets) -> bool:
        if self._running or not inlets.at_rest:
            return False
        if not await worked_off(desk, now=time.time()) or not await self._herald.through():
            return False
        failed = await desk(Ledger.jobs, states=[JobState.FAILED])
        self._failed = sum(1 for job in failed if job.finished is not None and job.finished >= inlets.began)
        return True

    # -- words from people ------------------------------------------------------------------------------------------------

    async def _mail_loop(self, desk: Desk, runner: Runner) -> None:
        letters = Letters(
            desk=desk,
            folders=lambda: {f.name: f for f in self.config.folders},
            stop=partial(self._cancel, runner=runner),
            reload=self._reload.set,
            mended=partial(self._refit, desk, mended=True),
        )
        try:
            while True:
                await self._mail.wait()
                self._mail.clear()
                await desk(Ledger.still_there)
                if self._seat is not None:
                    await asyncio.to_thread(self._seat.keep)
                if await letters.read():
                    self._work.set()
        finally:
            letters.close()

    async def _cancel(self, job: JobId, runner: Runner) -> None:
        held = self._running.get(job)
        if held is None:
            return
        held.task.cancel()
        await asyncio.wait([held.task])
        self._running.pop(job, None)
        await runner.cancel(job, None)

    async def _refit(self, desk: Desk, *, mended: bool) -> None:
        """Make the engines anew; `mended`: what held the cloud may be so no more, which it is asked outside the work."""
        try:
            self._fleet.equip(self.config)
        except NemodError as error:
            log.error("config.kept", why=error.failure.detail, hint=error.failure.hint)  # noqa: TRY400 - its words say it all
            return
        if mended:
            await desk(Ledger.unhold, engine_scope(EngineName.NEMO))
            self._doubted.add(EngineName.NEMO)
            self._look.set()
        self._work.set()

    async def _engine_loop(self, desk: Desk) -> None:
        """Ask the engines that may be at work again, or not at all."""
        while True:
            doubted, self._doubted = self._doubted, set()
            await self._fleet.check(desk, *doubted)
            await self._fleet.check_held(desk)
            self._work.set()
            await self._look.wait()
            self._look.clear()

    async def _reload_loop(self, desk: Desk, inlets: Inlets) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            fresh = await asyncio.to_thread(self._reread)
            if isinstance(fresh, Config):
                if later := fresh.settings.later(self.config.settings):
                    log.warning("config.later", why=f"Changed, and counts from the next start on: {', '.join(later)}.")
                mended, self.config = fresh.nemo != self.config.nemo, fresh
                await self._refit(desk, mended=mended)
                await inlets.configure(fresh.folders, settle_s=fresh.settings.settle_s)
                await self._herald.configure(look=True)
                self._arm(inlets)
                self._work.set()
                log.info("config.reloaded", folders=[f.name for f in fresh.folders])
                continue
            for problem in fresh:
                log.error("config.problem", problem=str(problem))
            log.error("config.kept", why="The new config has problems; the old one stays in force.")
