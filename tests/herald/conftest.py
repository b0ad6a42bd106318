"""A herald over a real ledger, with whoever listens; jobs end as a test wants, by a connection of its own."""

import asyncio
import io
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nemod import logs
from nemod.cli.detail import detail_now
from nemod.config.model import Config, Folder, Notify, Settings, Tell
from nemod.herald.herald import Herald
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from tests.daemon.conftest import unlogged as unlogged  # noqa: PLC0414 - used by every test here by itself
from tests.ledger.conftest import Bench
from tests.ledger.values import folder
from tests.support.ears import Ears, ears

PATIENCE_S = 60.0


@dataclass(slots=True, kw_only=True)
class House:
    """A ledger, its folders, and the herald that was started last."""

    root: Path
    log: io.StringIO
    desks: list[Desk] = field(default_factory=list)
    benches: dict[str, Bench] = field(default_factory=dict)
    config: Config = field(default_factory=lambda: Config(file=Path("config.toml")))
    herald: Herald | None = None
    turning: asyncio.Task[None] | None = None
    freed: int = 0

    def place(self, name: str = "clips", **more: Any) -> Bench:
        """A folder, and the jobs in it."""
        made = replace(folder(self.root / name, name), **more)
        bench = Bench(ledger=Ledger.open(self.root / "ledger.sqlite"), folder=made)
        self.benches[name] = bench
        return bench

    def program(self, script: str, name: str = "program") -> tuple[str, ...]:
        """A script as a folder names it."""
        file = self.root / name
        file.write_text(f"#!/bin/sh\ncd {self.root}\n{script}\n")
        file.chmod(0o755)
        return (str(file),)

    async def start(
        self, *urls: str, digest_s: float = 0.1, on: tuple[Tell, ...] = tuple(Tell), hook_timeout_s: float = 60
    ) -> Herald:
        """A herald's life begins."""
        folders: tuple[Folder, ...] = tuple(bench.folder for bench in self.benches.values())
        notify = Notify(urls=urls, on=on, digest_s=digest_s)
        settings = Settings(hook_timeout_s=hook_timeout_s)
        self.config = Config(file=self.root / "config.toml", folders=folders, notify=notify, settings=settings)
        desk = Desk(Ledger.open(self.root / "ledger.sqlite"))
        self.desks.append(desk)
        made = Herald(desk, config=lambda: self.config, describe=detail_now, env=os.environ, free=self._free)
        self.herald = made
        await made.configure()
        self.turning = asyncio.create_task(made.turn())
        return made

    async def stop(self) -> None:
        """And ends."""
        if self.turning is not None and self.herald is not None:
            self.turning.cancel()
            with suppress(asyncio.CancelledError):
                await self.turning
            await self.herald.close()
        self.turning = None

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log with this event."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, self.log.getvalue()
            await asyncio.sleep(0.02)

    def _free(self) -> None:
        self.freed += 1


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """An empty one."""
    log = io.StringIO()
    logs.setup("json", "debug", log)
    made = House(root=tmp_path, log=log)
    yield made
    await made.stop()
    for desk in made.desks:
        desk.close()
    for bench in made.benches.values():
        bench.ledger.close()


@pytest.fixture
def listener() -> Iterator[Ears]:
    """Somebody who hears messages."""
    with ears() as made:
        yield made


@pytest.fixture
def other() -> Iterator[Ears]:
    """Somebody else."""
    with ears() as made:
        yield made
