"""Engines are asked whether they work, and held, without ever stopping the others."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Config
from nemod.daemon.fleet import Fleet
from nemod.engines.base import Engine, EngineName
from nemod.failure import Failure, Kind
from nemod.ledger.ledger import Ledger, engine_scope
from tests.daemon.conftest import Works
from tests.support.fake_engine import FakeEngine

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL
CONFIG = Config(file=Path("config.toml"))
OUT = Failure(kind=Kind.CREDITS, detail="No credits.")
SCOPE = engine_scope(NEMO)


class Bad(FakeEngine):
    """An engine with a fault of its own."""

    async def ready(self) -> Failure | None:
        """Nobody expects this."""
        raise ZeroDivisionError


def fleet(*engines: Engine) -> Fleet:
    """These, whatever the config."""
    made = Fleet(lambda _: {engine.name: engine for engine in engines}, None)
    made.equip(CONFIG)
    return made


def cloud(works: Works, unready: Failure | None = None, *, careful: bool = False) -> FakeEngine:
    """An engine in the cloud's place."""
    return FakeEngine((), works.root / "journal", name=NEMO, unready=unready, careful=careful)


async def test_an_engine_that_cannot_work_is_held_and_one_that_can_is_not(works: Works) -> None:
    """Each change is told once."""
    engine = cloud(works, OUT)
    one = fleet(engine)
    for _ in range(2):
        await one.check(works.desk, NEMO, LOCAL)
    (hold,) = await works.desk(Ledger.holds)
    assert (hold.scope, hold.until, hold.failure) == (SCOPE, None, OUT)
    engine.unready = None
    for _ in range(2):
        await one.check(works.desk, NEMO)
    assert await works.desk(Ledger.holds) == ()
    assert [len(works.told(event)) for event in ("engine.held", "engine.back")] == [1, 1]


@pytest.mark.parametrize(
    ("kind", "until", "asked"),
    [
        (Kind.CREDITS, None, True),
        (Kind.CREDENTIALS, None, True),
        (Kind.TOOL_MISSING, 9e9, True),
        (Kind.CREDITS, 9e9, False),
        (Kind.PLAN, None, False),
        (Kind.UNREACHABLE, 9e9, False),
    ],
)
async def test_what_waits_for_a_person_is_asked_again(works: Works, kind: Kind, until: float | None, *, asked: bool) -> None:
    """Credits are bought without a word to us; what time mends, and a day's budget, end by themselves."""
    await works.desk(Ledger.hold, SCOPE, until=until, failure=replace(OUT, kind=kind), now=1.0)
    await fleet(cloud(works)).check_held(works.desk)
    assert (await works.desk(Ledger.holds) == ()) is asked


async def test_whether_a_plan_is_enough_no_question_can_tell(works: Works) -> None:
    """It shows after an edit was paid: a start must not pay for that answer again."""
    await works.desk(Ledger.hold, SCOPE, until=None, failure=replace(OUT, kind=Kind.PLAN), now=1.0)
    await fleet(cloud(works)).check(works.desk, NEMO)
    assert [h.scope for h in await works.desk(Ledger.holds)] == [SCOPE]


async def test_an_engine_with_a_fault_of_its_own_stops_nobody(works: Works) -> None:
    """It is held for a while, and the log has the traceback."""
    await fleet(Bad((), works.root / "journal", name=NEMO)).check(works.desk, NEMO)
    (hold,) = await works.desk(Ledger.holds)
    assert hold.failure.kind is Kind.BUG
    assert hold.until is not None
    assert "ZeroDivisionError" in works.told("engine.bug")[0]["exception"]


async def test_every_engine_that_was_ever_made_is_closed_once(works: Works) -> None:
    """A job may still have the old one when the config is read again."""
    made: list[FakeEngine] = []

    def refit(_: Config) -> Mapping[EngineName, Engine]:
        made.append(cloud(works))
        return {NEMO: made[-1], LOCAL: made[0]}

    one = Fleet(refit, None)
    for _ in range(3):
        one.equip(CONFIG)
    await one.close()
    assert [engine.closed for engine in made] == [1, 1, 1]


def test_an_engine_that_is_not_there_is_not_careful(works: Works) -> None:
    """Without a cloud nobody need wait for its proof."""
    assert not fleet().careful
    assert not fleet(cloud(works)).careful
    assert fleet(cloud(works, careful=True)).careful
