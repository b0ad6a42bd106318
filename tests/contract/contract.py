"""What every engine promises (see `nemod.engines.base`), as tests that run on any of them: subclass and give a bench."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from nemod.engines.base import Checkpoint, Engine, EngineError, Event, Output, Progress, Task, Token, Wait
from nemod.media.probe import probe
from tests.support.daemon import processes


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One engine's surroundings: what survives it, and what is asked of it."""

    engine: Callable[[], Engine]  # a new one, as after a restart
    task: Task
    paid: Callable[[], list[str]]  # what it has paid for so far
    price: int  # payments of one undisturbed run


class EngineContract:
    """The six rules."""

    @pytest.fixture
    def worlds(self) -> Callable[[], World]:
        """Makes worlds, each untouched; a subclass says how."""
        raise NotImplementedError

    async def test_nothing_happens_between_a_checkpoint_and_the_next_pull(self, worlds: Callable[[], World]) -> None:
        """Rule 1: while the ledger writes the token down, however long that takes, the engine holds its breath."""
        world = worlds()
        token: Token | None = None
        while True:
            async with aclosing(world.engine().run(world.task, token)) as events:
                async for event in events:
                    if isinstance(event, Checkpoint):
                        before = state(world)
                        await asyncio.sleep(0.02)
                        assert state(world) == before
                    token = event.token if isinstance(event, Checkpoint | Wait) else token
            if isinstance(event, Output):
                return
            await after(event)

    async def test_cut_anywhere_it_comes_to_the_same_end(self, worlds: Callable[[], World]) -> None:
        """Rules 2, 3 and 5: closed at each of its events and resumed by a new engine from the last token it told.

        The output is as good, nothing was paid twice, and after each close no child is left.
        """
        whole = await drive(worlds(), None)
        made = [event for event in whole if isinstance(event, Output)]
        assert len(made) == 1
        for cut in range(1, len(whole)):
            world = worlds()
            token = last_token(await drive(world, None, most=cut))
            assert children(world) == []
            rest = await drive(world, token)
            assert isinstance(rest[-1], Output)
            await whole_and_within(world, rest[-1])
            assert len(world.paid()) == world.price

    async def test_what_costs_money_is_announced_first(self, worlds: Callable[[], World]) -> None:
        """Rule 3: whatever has been paid when an event arrives, a checkpoint came before it."""
        world = worlds()
        announced = 0
        token: Token | None = None
        for _ in range(40):
            async with aclosing(world.engine().run(world.task, token)) as events:
                async for event in events:
                    assert len(world.paid()) <= announced
                    announced += isinstance(event, Checkpoint)
                    token = event.token if isinstance(event, Checkpoint | Wait) else token
            if isinstance(event, Output):
                break
            await after(event)
        assert len(world.paid()) == world.price

    async def test_a_wait_or_an_output_is_the_last_word(self, worlds: Callable[[], World]) -> None:
        """Rule 4: after it the generator is at its end."""
        world = worlds()
        token: Token | None = None
        while True:
            events = world.engine().run(world.task, token)
            event = await until_last(events)
            with pytest.raises(StopAsyncIteration):
                await anext(events)
            if isinstance(event, Output):
                return
            await after(event)
            token = event.token

    async def test_a_lost_source_is_an_engine_error(self, worlds: Callable[[], World]) -> None:
        """Rule 4: the source vanishes under its hands; what is raised is an `EngineError` with a sentence, or it needs none."""
        world = worlds()
        world.task.source.unlink()
        try:
            ended = await drive(world, None)
        except EngineError as error:
            assert error.failure.detail  # noqa: PT017 - one of two good ends
        else:
            assert isinstance(ended[-1], Output)
        assert children(world) == []

    async def test_a_cancelled_pull_leaves_no_child(self, worlds: Callable[[], World]) -> None:
        """Rule 5: a running generator is ended by cancelling its task; afterwards nothing works on."""
        world = worlds()
        events = world.engine().run(world.task, None)
        await anext(events)
        pulling = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        pulling.cancel()
        await asyncio.wait([pulling], timeout=5)
        assert pulling.done()
        await events.aclose()
        assert children(world) == []

    async def test_tokens_are_words_that_a_ledger_can_keep(self, worlds: Callable[[], World]) -> None:
        """Rule 6: not empty, and with the number of a version in front."""
        for event in await drive(worlds(), None):
            token = None if isinstance(event, Progress) else event.token
            if token is not None:
                assert token.partition(":")[0].strip("0123456789") != token.partition(":")[0]

    async def test_it_is_ready(self, worlds: Callable[[], World]) -> None:
        """What can work says that nothing keeps it from working, as often as it is asked."""
        engine = worlds().engine()
        assert [await engine.ready(), await engine.ready()] == [None, None]

    async def test_the_output_lies_in_the_folder_of_the_task(self, worlds: Callable[[], World]) -> None:
        """Nothing is written anywhere else, the source is not touched."""
        world = worlds()
        before = world.task.source.read_bytes()
        beside = set(world.task.source.parent.iterdir())
        events = await drive(world, None)
        assert isinstance(events[-1], Output)
        assert events[-1].path.is_relative_to(world.task.folder)
        assert world.task.source.read_bytes() == before
        assert set(world.task.source.parent.iterdir()) == beside


async def drive(world: World, token: Token | None, *, most: int | None = None) -> list[Event]:
    """Run to the output across all waits, a new engine after each, or to so many events; what came."""
    seen: list[Event] = []
    while True:
        async with aclosing(world.engine().run(world.task, token)) as events:
            async for event in events:
                seen.append(event)
                if isinstance(event, Output) or len(seen) == most:
                    return seen
        token = await after(seen[-1])


async def after(event: Event) -> Token:
    """Let the time pass that an engine waits for; the token to go on with."""
    assert isinstance(event, Wait), "a run ends with a wait or an output"
    await asyncio.sleep(max(0.0, event.until - time.time()))
    return event.token


async def until_last(events: AsyncGenerator[Event, None]) -> Wait | Output:
    """Pull until the last word."""
    while True:
        event = await anext(events)
        if isinstance(event, Wait | Output):
            return event


def last_token(events: list[Event]) -> Token | None:
    """What the ledger knows when a run is cut here."""
    return next((e.token for e in reversed(events) if isinstance(e, Checkpoint | Wait)), None)


def state(world: World) -> object:
    """All that an engine can change outside."""
    return world.paid(), sorted((p, p.lstat().st_size) for p in world.task.folder.rglob("*"))


def children(world: World) -> list[int]:
    """Processes that work in the task's folder or on its source."""
    marks = (bytes(world.task.folder), bytes(world.task.source))
    return [pid for pid, words in processes() if any(mark in word for mark in marks for word in words)]


async def whole_and_within(world: World, output: Output) -> None:
    """The output is a video as long as its source, within the limit."""
    made = await probe(output.path, timeout_s=60)
    assert made.size_bytes <= world.task.limit_bytes
    assert made.duration_s == pytest.approx(world.task.media.duration_s, abs=0.5)
    assert not made.damaged
