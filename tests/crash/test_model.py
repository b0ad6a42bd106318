"""A model test of the daemon: people, time, faults and deaths in any order, over the real ledger, intake, service and runner.

The daemon is turned by hand (`model_life`), so a failing run can be made shorter and told again. Only the engines play scripts.
By default a few runs that are always the same; NEMOD_SLOW=1 tries many, with fresh seeds that are printed when one fails.
"""

import asyncio
import io
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from nemod import logs
from nemod.config.model import After, EnginePolicy, SessionScope
from nemod.daemon.mailbox import Verb
from nemod.failure import Failure, Kind
from nemod.job import JobState
from nemod.ledger.ledger import Ledger
from tests.crash.model_house import NAMES, PRESETS, START_S, Clock, Deed, House
from tests.crash.model_laws import Laws
from tests.crash.model_life import Life, Mine
from tests.crash.model_world import Clips, Fail, Pause, Pay, Script, make_clips, remember_readings

SLOW = os.environ.get("NEMOD_SLOW") == "1"
RUNS = int(os.environ.get("NEMOD_RUNS", "200")) if SLOW else 12


#: Nothing waits longer than this, whatever the clock does: an hour's back-off with its jitter.
FURTHEST_S = 4400.0


class Event(Enum):
    """What may happen in the middle of a job."""

    DEATH = auto()
    STOP = auto()
    LOOK = auto()
    REWRITE = auto()
    REMOVE = auto()
    REPLACE = auto()
    RENAME = auto()
    VANISH = auto()
    CANCEL = auto()
    FIRST = auto()
    RELOAD = auto()


WHERE = st.sampled_from(["in", "out"])
WHAT = st.sampled_from(["big", "big", "small", "text", "half"])
ANY = st.integers(0, 7)
FAILURES = st.sampled_from(
    [
        Kind.TRANSIENT,
        Kind.REFUSED,
        Kind.UNCERTAIN,
        Kind.TOO_LARGE,
        Kind.IMPOSSIBLE,
        Kind.CREDITS,
        Kind.UNREACHABLE,
        Kind.THROTTLED,
        Kind.PROTOCOL,
        Kind.NO_SPACE,
        None,
    ]
)
ACTS = st.one_of(
    st.just(Pay()),
    st.builds(Pause, seconds=st.sampled_from([0.0, 30.0]), polling=st.booleans()),
    st.builds(Fail, kind=FAILURES, times=st.sampled_from([1, 1, 2, 9])),
)
SCRIPTS = st.builds(Script, acts=st.lists(ACTS, max_size=3).map(tuple), heavy=st.sampled_from([0, 0, 1, 2, 9]))
MINES = st.lists(st.tuples(st.integers(1, 24), st.booleans(), st.sampled_from(Event), ANY), max_size=2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Small real videos."""
    return make_clips(tmp_path_factory.mktemp("clips"))


class Daemon(RuleBasedStateMachine):
    """Each rule is something that may happen; the laws are held against what is there after each of them."""

    clips: Clips
    clock: Clock
    roots: Iterator[Path]
    tally: Counter[str]

    def __init__(self) -> None:
        """An empty house with a daemon in it."""
        super().__init__()
        self.clock.now = START_S
        self.house = House(root=next(self.roots), clips=self.clips, clock=self.clock)
        self.laws = Laws(house=self.house)
        self.loop = asyncio.Runner()
        self.died = False
        self.step: asyncio.Future[Any] = self.loop.get_loop().create_future()
        self.stopping: asyncio.Future[None] | None = None
        self._begin()

    def _go(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(step)

    def _begin(self) -> None:
        self.life = Life(self.house.config, self.house.root / "state", self.house.cloud, self.clock)
        self._go(self.life.begin())

    # -- people -----------------------------------------------------------------------------------------------------------

    @initialize(drops=st.lists(st.tuples(WHERE, st.sampled_from(NAMES), WHAT, SCRIPTS, st.booleans()), min_size=1, max_size=3))
    def fill(self, drops: list[tuple[str, str, str, Script, bool]]) -> None:
        """Nobody starts with nothing to do."""
        for where, name, what, script, old in drops:
            self.house.drop(where, name, what, script, old=old)
        self._go(self._look_twice())

    @rule(where=WHERE, name=st.sampled_from(NAMES), what=WHAT, script=SCRIPTS, old=st.booleans())
    def drop(self, where: str, name: str, what: str, script: Script, old: bool) -> None:  # noqa: FBT001 - drawn
        self.house.drop(where, name, what, script, old=old)

    @rule(deed=st.sampled_from(Deed), number=ANY, where=WHERE, name=st.sampled_from(NAMES), what=WHAT, script=SCRIPTS)
    def meddle(self, deed: Deed, number: int, where: str, name: str, what: str, script: Script) -> None:
        self.house.do(deed, number, where, name, what, script)

    @rule(verb=st.sampled_from([Verb.CANCEL, Verb.RETRY, Verb.PAY_AGAIN, Verb.RELEASE, Verb.FIRST]), number=ANY)
    def ask(self, verb: Verb, number: int) -> None:
        self._ask(verb, self._job(number))
        self._go(self.life.read_mail())

    @rule(
        where=WHERE,
        used=st.sampled_from([True, True, False]),
        preset=st.sampled_from(sorted(PRESETS)),
        engine=st.sampled_from(EnginePolicy),
        after=st.sampled_from([After.ARCHIVE, After.KEEP, After.DELETE]),
        session=st.sampled_from(SessionScope),
    )
    def configure(
        self,
        where: str,
        used: bool,  # noqa: FBT001 - drawn
        preset: str,
        engine: EnginePolicy,
        after: After,
        session: SessionScope,
    ) -> None:
        self.house.used[where] = used
        self.house.settings(where, preset=PRESETS[preset], engine=engine, after=after, session=session)
        self._ask(Verb.RELOAD, None)
        self._go(self.life.read_mail())

    # -- the world --------------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from([None, Kind.CREDITS, Kind.UNREACHABLE]), careful=st.booleans(), account=st.booleans())
    def cloud_changes(self, kind: Kind | None, careful: bool, account: bool) -> None:  # noqa: FBT001 - drawn
        cloud = self.house.cloud
        cloud.unready = None if kind is None else Failure(kind=kind, detail="It was drawn.", hint="None.")
        cloud.careful = careful
        if account != cloud.account:
            cloud.account = account
            self._ask(Verb.ACCOUNT, None)
            self._go(self.life.read_mail())
        self._go(self.life.check())

    @rule(seconds=st.sampled_from([-90_000.0, -60.0, 1.0, 40.0, 700.0, 90_000.0]))
    def time_jumps(self, seconds: float) -> None:
        self.clock.now += seconds

    # -- the daemon -------------------------------------------------------------------------------------------------------

    @rule(mines=MINES)
    def look(self, mines: list[tuple[int, bool, Event, int]]) -> None:
        self._do(self._look_twice, mines)

    @rule(mines=MINES, together=st.booleans(), times=st.sampled_from([1, 2, 4]))
    def work(self, mines: list[tuple[int, bool, Event, int]], together: bool, times: int) -> None:  # noqa: FBT001 - drawn
        async def work() -> None:
            await self._look_twice()
            for _ in range(times):
                if self.life.ended or self.stopping or not await self.life.work(together=together):
                    return

        self._do(work, mines)

    @rule(politely=st.booleans())
    def restart(self, politely: bool) -> None:  # noqa: FBT001 - drawn
        self.tally["restarts" if politely else "deaths"] += 1
        self.died = self.died or not politely
        self._go(self.life.stop() if politely else self.life.bury())
        self._begin()

    @rule()
    def become_quiet(self) -> None:
        self._go(self._work_off())

    @invariant()
    def laws_hold(self) -> None:
        self.tally["steps"] += 1
        self.laws.hold_now()

    def teardown(self) -> None:
        """Once nothing stands in the way, everything comes to its end."""
        try:
            house = self.house
            house.come_back()
            house.used = dict.fromkeys(house.used, True)
            house.cloud.unready, house.cloud.account = None, True
            for verb in (Verb.RELOAD, Verb.ACCOUNT):
                self._ask(verb, None)
                self._go(self.life.read_mail())
            self._go(self.life.check())
            self._become_quiet()
            if not self.died:
                self.laws.work_is_cleared()
            self._go(self.life.stop())
            self._begin()  # what a death left is swept
            self._become_quiet()
            self.laws.hold_at_the_end()
            self.tally.update(runs=1, jobs=self.laws.newest, payments=len(house.cloud.payments))
        finally:
            self._go(self.life.bury())
            self.loop.close()
            shutil.rmtree(self.house.root)

    # -- how --------------------------------------------------------------------------------------------------------------

    def _become_quiet(self) -> None:
        """Work off everything; a person pays in whenever the credits are used up."""
        held = None
        for _ in range(60):
            quiet = self._go(self._work_off())
            held = [hold for hold in self._go(self.life.desk(Ledger.holds)) if hold.until is None]
            if quiet and not held:
                return
            self._go(self.life.check())
        jobs = self._go(self.life.desk(Ledger.jobs, states=[JobState.QUEUED]))
        raise AssertionError(f"it never becomes quiet: {[(job.id, job.due, job.failure) for job in jobs]}, held: {held}")

    async def _work_off(self) -> bool:
        """Go on until nothing is due at any time; False when that does not come."""
        for _ in range(200):
            moving = await self._look_twice()
            if moving or await self.life.work(together=False):
                continue
            due = await self.life.next_due()
            if due is None:
                return True
            assert due <= self.clock.now + FURTHEST_S, "a clock that was set back makes nothing wait for as long"
            self.clock.now = due
        return False

    async def _look_twice(self) -> bool:
        await self.life.look()
        return await self.life.look()

    def _do(self, step: Callable[[], Coroutine[Any, Any, Any]], mines: list[tuple[int, bool, Event, int]]) -> None:
        """Take a step in which something else happens at some calls to the ledger; a life that ends thereby is followed."""
        self.life.desk.lay({number: (early, self._mine(event, arg)) for number, early, event, arg in mines})
        try:
            self._go(self._outlive(step))
        finally:
            self.life.desk.lay({})
        if self.life.ended:
            self.tally["deaths"] += 1
            self.died = True
            self._go(self.life.bury())
            self._begin()
        elif self.stopping is not None:
            self.stopping = None
            self._begin()
        else:
            self._go(self.life.read_mail())

    async def _outlive(self, step: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.step = asyncio.ensure_future(step())
        await asyncio.wait([self.step])
        if self.stopping is not None:
            await self.stopping
        elif not self.life.ended:
            self.step.result()
        elif not self.step.cancelled():
            self.step.exception()  # it died with the life that it was a part of

    def _mine(self, event: Event, arg: int) -> Mine:
        house = self.house
        script = Script()

        async def end() -> None:
            self.step.cancel()  # as the service does: first nothing new is begun, then what runs is put down
            await asyncio.wait([self.step])
            await self.life.stop()

        def stop() -> None:
            if self.stopping is None:
                self.stopping = asyncio.ensure_future(end())

        async def look() -> None:
            await self.life.look()

        def word(verb: Verb, job: int | None) -> None:
            self._ask(verb, job)
            self.life.wake()

        mines: dict[Event, Mine] = {
            Event.DEATH: self.life.die,
            Event.STOP: stop,
            Event.LOOK: look,
            Event.REWRITE: lambda: house.rewrite(arg, "big", script),
            Event.REMOVE: lambda: house.remove(arg),
            Event.REPLACE: lambda: house.drop("in" if arg % 2 else "out", NAMES[arg % 3], "small", script, old=True),
            Event.RENAME: lambda: house.rename(arg, NAMES[arg % 3]),
            Event.VANISH: lambda: house.vanish("in" if arg % 2 else "out"),
            Event.CANCEL: lambda: word(Verb.CANCEL, self._job(arg)),
            Event.FIRST: lambda: word(Verb.FIRST, self._job(arg)),
            Event.RELOAD: lambda: word(Verb.RELOAD, None),
        }
        return mines[event]

    def _job(self, number: int) -> int:
        """One of the newest jobs; people seldom ask for others."""
        return max(1, self.laws.newest - number % 4)

    def _ask(self, verb: Verb, job: int | None) -> None:
        self.life.write(verb, job)
        if verb is Verb.CANCEL and job is not None:
            self.house.cancelled.add(job)
        if verb is Verb.PAY_AGAIN and job is not None:
            self.house.paying[job] = self.house.paying.get(job, 0) + 1


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where houses are built: in memory where that is possible, for each step waits for the disk some ten times."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="nemod-model-") as root:
        yield Path(root)


# Who dies here is only dropped, and leaves his files to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.timeout(3600)
def test_no_order_of_events_breaks_a_law(
    clips: Clips, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever people, time, faults and deaths do in whatever order, nothing is lost, doubled, paid twice or left over."""
    clock = Clock()
    remember_readings(monkeypatch)
    logs.setup("json", "critical", io.StringIO())
    monkeypatch.setattr(time, "time", clock)
    Daemon.clips, Daemon.clock, Daemon.tally = clips, clock, Counter()
    Daemon.roots = (place / str(number) for number in range(10**6))
    profile = settings(
        max_examples=RUNS,
        stateful_step_count=40 if SLOW else 20,
        derandomize=not SLOW,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Daemon, settings=profile)
    finally:
        with capsys.disabled():
            sys.stdout.write(f"model: {dict(Daemon.tally)}\n")
