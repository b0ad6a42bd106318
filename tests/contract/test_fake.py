"""The contract on a scripted engine that pays, waits and resumes: so that the tests themselves are known to test."""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from nemod.config.model import Preset
from nemod.engines.base import EngineError, Progress, Task, Token
from nemod.failure import Failure, Kind
from nemod.media.probe import probe
from nemod.media.verdict import How
from tests.contract.contract import EngineContract, World, drive
from tests.support.fake_engine import Deliver, Fail, FakeEngine, Pause, Pay

LIMIT_BYTES = 50_000


class TestFakeEngine(EngineContract):
    """It pays twice and waits twice on its way."""

    @pytest.fixture
    async def worlds(self, tmp_path: Path, second: Path, ready_made: Path) -> Callable[[], World]:
        """A journal each."""
        media = await probe(second, timeout_s=60)
        numbers = count()

        def world() -> World:
            root = tmp_path / str(next(numbers))
            for name in ("work", "source"):
                (root / name).mkdir(parents=True)
            source = Path(shutil.copy(second, root / "source"))
            script = (
                Progress(stage="asking"),
                Pay(what="the edit"),
                Pause(seconds=0),
                Progress(stage="rendering", fraction=0.5),
                Pay(what="the render"),
                Pause(seconds=0),
                Deliver(file=ready_made),
            )
            task = Task(
                job=1,
                source=source,
                media=media,
                how=How.ENCODE,
                preset=Preset(name="tight"),
                limit_bytes=LIMIT_BYTES,
                folder=root / "work",
            )
            asked = FakeEngine(script, root / "journal")
            return World(engine=lambda: FakeEngine(script, root / "journal"), task=task, paid=asked.paid, price=2)

        return world

    async def test_giving_up_is_an_engine_error_and_what_was_paid_stays_paid(self, worlds: Callable[[], World]) -> None:
        """The failure comes through as it is; a run from the token before it pays nothing again."""
        made = worlds()
        failure = Failure(kind=Kind.REFUSED, detail="It would rather not.")
        journal = made.task.folder.parent / "journal"
        world = World(
            engine=lambda: FakeEngine((Pay(what="the edit"), Fail(failure=failure)), journal),
            task=made.task,
            paid=made.paid,
            price=1,
        )
        for token in (None, Token("fake1:0"), Token("fake1:1")):
            with pytest.raises(EngineError) as raised:
                await drive(world, token)
            assert raised.value.failure == failure
            assert len(world.paid()) == 1

    async def test_a_token_of_another_version_is_refused(self, worlds: Callable[[], World]) -> None:
        """Rather than misread."""
        with pytest.raises(EngineError):
            await drive(worlds(), Token("fake2:1"))
