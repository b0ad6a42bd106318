"""The daemon with a cloud among its engines: who runs at once, who goes elsewhere, and what a changed account sets free."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from nemod.config.model import Config, EnginePolicy, Nemo, Settings
from nemod.daemon.mailbox import Verb
from nemod.daemon.service import Ending, Outcome, Service, open_ledger
from nemod.engines.base import Engine, EngineName
from nemod.failure import Failure, Kind
from nemod.job import Job, JobState
from nemod.ledger.ledger import HoldRow, engine_scope
from tests.daemon.conftest import Clips, Works
from tests.support.clips import ffmpeg
from tests.support.fake_engine import Act, Deliver, FakeEngine, Pause, Pay

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL
OUT = Failure(kind=Kind.CREDITS, detail="No credits.", hint="Buy some.")
EDIT = Pay(what="the edit", expects=50, cost=42)


class House:
    """A daemon in this process, over the folder of a bench; `account` is what its engines are made of."""

    def __init__(self, works: Works, clips: Clips) -> None:
        self.works = works
        self.clips = clips
        self.config = Config(
            file=works.root / "config.toml", settings=Settings(settle_s=0.05), nemo=Nemo(patience_s=0), folders=(works.folder,)
        )
        self.made: list[FakeEngine] = []
        self.unready: Failure | None = None
        self.script: tuple[Act, ...] = (EDIT, Pause(seconds=0.01, polling=True), Deliver(file=clips.made))

    def refit(self, _: Config) -> Mapping[EngineName, Engine]:
        """An engine in the cloud's place, as the account is now, and this machine."""
        cloud = FakeEngine(self.script, self.works.root / "cloud", name=NEMO, unready=self.unready)
        local = FakeEngine((Deliver(file=self.clips.made),), self.works.root / "local")
        self.made += [cloud, local]
        return {NEMO: cloud, LOCAL: local}

    def service(self, *, once: bool = True) -> Service:
        """One life of the daemon."""
        folder = replace(self.works.folder)
        self.config = replace(self.config, folders=(folder,))
        state = self.works.root / "life"
        state.mkdir(exist_ok=True)
        return Service(self.config, state, self.refit, ffmpeg(), reread=lambda: self.config, once=once)

    async def live(self) -> Outcome:
        """Work off what lies in the inbox."""
        return await self.service().run(lambda: None)

    def drop(self, *names: str) -> None:
        """Files in the inbox."""
        for name in names:
            (self.works.folder.inbox / name).write_bytes(self.clips.big.read_bytes())

    def jobs(self) -> tuple[Job, ...]:
        """As the ledger has them now."""
        with closing(open_ledger(self.works.root / "life")) as ledger:
            return ledger.jobs()

    def holds(self) -> tuple[HoldRow, ...]:
        """Who takes nothing new."""
        with closing(open_ledger(self.works.root / "life")) as ledger:
            return ledger.holds()

    def tell(self, verb: Verb) -> None:
        """A word in the mailbox."""
        with closing(open_ledger(self.works.root / "life")) as ledger:
            ledger.request(verb, None, now=time.time())


@pytest.fixture
def house(works: Works, clips: Clips) -> House:
    """A daemon that is not running yet."""
    return House(works, clips)


async def test_every_job_is_paid_and_delivered_once(house: House) -> None:
    """More of them than there are slots, all polling in between."""
    names = [f"{number}.mkv" for number in range(9)]
    house.drop(*names)
    assert (await house.live()).ending is Ending.WORKED_OFF
    assert [job.state for job in house.jobs()] == [JobState.DONE] * len(names)
    assert len(house.made[0].paid()) == len(set(house.made[0].paid())) == len(names)
    assert {token is None for _, token in house.made[0].tasks} == {True, False}
    assert house.made[1].paid() == []


async def test_a_cloud_without_credits_leaves_the_work_to_this_machine(house: House) -> None:
    """Found out beside the work; a folder that knows only the cloud waits, and the daemon says for what."""
    house.unready = OUT
    house.drop("a.mkv", "b.mkv")
    house.script = (Pay(what="nothing", expects=1e9), Deliver(file=house.clips.made))
    house.config = replace(house.config, nemo=replace(house.config.nemo, max_credits_per_day=1))
    assert (await house.live()).waiting == 0
    assert [job.state for job in house.jobs()] == [JobState.DONE, JobState.DONE]
    assert house.made[0].paid() == []
    house.works.folder = replace(house.works.folder, engine=EnginePolicy.NEMO)
    house.drop("c.mkv")
    assert (await house.live()).waiting == 1
    (hold,) = house.holds()
    assert (hold.scope, hold.failure.kind) == (engine_scope(NEMO), Kind.CREDITS)


@pytest.mark.parametrize("verb", [Verb.ACCOUNT, Verb.RELOAD])
async def test_a_changed_account_or_config_sets_the_cloud_free(house: House, verb: Verb) -> None:
    """The engines are made anew and asked; what waited goes on without a restart."""
    house.works.folder = replace(house.works.folder, engine=EnginePolicy.NEMO)
    house.unready = OUT
    house.drop("a.mkv")
    service = house.service(once=False)
    life = asyncio.create_task(service.run(lambda: None))
    await until(lambda: [h.failure for h in house.holds()] == [OUT], life)
    house.unready = None
    house.config = replace(house.config, nemo=replace(house.config.nemo, slots=2))
    house.tell(verb)
    await until(lambda: [job.state for job in house.jobs()] == [JobState.DONE], life)
    assert house.holds() == ()
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    assert [engine.closed for engine in house.made] == [1] * len(house.made) == [1, 1, 1, 1]


async def test_who_has_paid_is_not_stopped_by_want_of_credits(house: House) -> None:
    """A life that ends between edit and result; in the next one the account is empty, and the result is fetched."""
    house.works.folder = replace(house.works.folder, engine=EnginePolicy.NEMO)
    house.script = (EDIT, Pause(seconds=1, polling=True), Deliver(file=house.clips.made))
    house.drop("a.mkv")
    life = asyncio.create_task(house.service(once=False).run(lambda: None))
    await until(lambda: [job.polling for job in house.jobs()] == [True], life)
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    house.unready = OUT
    assert (await house.live()).ending is Ending.WORKED_OFF
    assert [job.state for job in house.jobs()] == [JobState.DONE]
    assert [h.failure.kind for h in house.holds()] == [Kind.CREDITS]
    assert len(house.made[0].paid()) == 1


async def test_a_careful_account_has_one_job_under_way(house: House) -> None:
    """No second upload begins before the first result is there."""
    house.drop("a.mkv", "b.mkv", "c.mkv")

    def refit(config: Config) -> Mapping[EngineName, Engine]:
        engines = dict(house.refit(config))
        engines[NEMO] = FakeEngine(house.script, house.works.root / "cloud", name=NEMO, careful=True)
        house.made.append(engines[NEMO])  # type: ignore[arg-type]
        return engines

    state = house.works.root / "life"
    state.mkdir()
    service = Service(house.config, state, refit, ffmpeg(), reread=lambda: house.config, once=True)
    assert (await service.run(lambda: None)).ending is Ending.WORKED_OFF
    order = [task.job for task, _ in house.made[-1].tasks]
    assert order[::2] == order[1::2]  # each is at its end before another begins
    assert sorted(order[::2]) == [1, 2, 3]


async def until(holds: Callable[[], bool], life: asyncio.Task[Outcome]) -> None:
    """Wait until something holds, as long as the daemon lives."""
    for _ in range(1800):
        if life.done():
            raise AssertionError(life.result())
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("waited in vain")
