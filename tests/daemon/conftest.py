"""A daemon's parts over a real ledger, real folders and real clips; only the engines play scripts."""

import io
import json
import logging
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from nemod import logs
from nemod.config.model import EnginePolicy, Folder, Nemo, Preset
from nemod.daemon.board import Board
from nemod.daemon.examine import Examiner
from nemod.daemon.handover import Handover
from nemod.daemon.runner import Runner
from nemod.daemon.source import fingerprint_of
from nemod.engines.base import Engine, EngineName
from nemod.job import Job, JobId, Lane, Sighting
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from tests.support.clips import ffmpeg, make_clip
from tests.support.fake_engine import Act, FakeEngine

LIMIT_BYTES = 30_000
FRONT = ("-movflags", "+faststart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """A second of video in several sizes: two above the limit, and two within it."""

    big: Path
    heavy: Path  # as an output: sound, but too large
    made: Path
    short: Path  # half as long as the others


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Small real videos."""
    place = tmp_path_factory.mktemp("clips")
    coded = ("-crf", "40", "-b:a", "32k", *FRONT)
    found = Clips(
        big=make_clip(place / "big.mkv", seconds=1, size=(160, 120)),
        heavy=make_clip(place / "heavy.mp4", seconds=1, size=(160, 120), extra_args=("-crf", "10", *FRONT)),
        made=make_clip(place / "made.mp4", seconds=1, size=(160, 120), extra_args=coded),
        short=make_clip(place / "short.mp4", seconds=0.4, size=(120, 120), extra_args=coded),
    )
    assert max(found.made.stat().st_size, found.short.stat().st_size) <= LIMIT_BYTES
    assert min(found.big.stat().st_size, found.heavy.stat().st_size) > LIMIT_BYTES
    return found


@dataclass(slots=True, kw_only=True)
class Works:
    """A ledger, a folder and the engines; `go` works off whatever is due, as the daemon's loop would."""

    root: Path
    folder: Folder
    desk: Desk
    log: io.StringIO
    engines: dict[EngineName, Engine] = field(default_factory=dict)
    nemo: Nemo = field(default_factory=lambda: Nemo(patience_s=0))
    board: Board = field(default_factory=Board)

    def engine(self, name: EngineName, *script: Act) -> FakeEngine:
        """Put a scripted engine in a place."""
        made = FakeEngine(script, self.root / f"{name}.journal", name=name)
        self.engines[name] = made
        return made

    async def drop(self, clip: Path, name: str | None = None) -> JobId:
        """A file that has come to rest in the inbox."""
        lies = self.folder.inbox / (name or clip.name)
        shutil.copyfile(clip, lies)
        seen = Sighting(relpath=lies.name, fingerprint=fingerprint_of(lies))
        found = await self.desk(
            Ledger.reconcile, self.folder, resting=[seen], seen=[seen], sees=lambda _: False, now=time.time()
        )
        return found.added[0]

    @property
    def runner(self) -> Runner:
        """Who moves jobs."""
        return Runner(
            desk=self.desk,
            engines=lambda: self.engines,
            available=lambda _: frozenset(self.engines),
            policy=lambda folder: folder.engine,
            nemo=lambda: self.nemo,
            examiner=Examiner(ffmpeg=ffmpeg()),
            handover=Handover(desk=self.desk),
            board=self.board,
            clock=time.time,
        )

    async def step(self) -> Job | None:
        """Claim a job from anywhere and run it; which one."""
        await self.desk(Ledger.fall_back, now=time.time(), patience_s=self.nemo.patience_s)
        for lane, polling in ((Lane.LIGHT, False), (Lane.LOCAL, False), (Lane.NEMO, False), (Lane.NEMO, True)):
            job = await self.desk(Ledger.claim, lane, now=time.time(), polling=polling)
            if job is not None:
                await self.runner.run(job, lane)
                return job
        return None

    async def go(self) -> None:
        """Work off whatever is due; what waits for no time at all is due."""
        while await self.step() is not None:
            pass

    async def read(self, job: JobId) -> Job:
        """The job as it is now."""
        found = await self.desk(Ledger.job, job)
        assert found is not None
        return found

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log with this event."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    """A folder that may use any engine, and no engine yet."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / "state").mkdir()
    folder = Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=inbox / "failed",
        preset=Preset(name="tight", limit_bytes=LIMIT_BYTES),
        engine=EnginePolicy.AUTO,
    )
    desk = Desk(Ledger.open(tmp_path / "state" / "ledger.sqlite"))
    log = io.StringIO()
    logs.setup("json", "debug", log)
    yield Works(root=tmp_path, folder=folder, desk=desk, log=log)
    desk.close()


@pytest.fixture(autouse=True)
def unlogged() -> Iterator[None]:
    """Logging as it was before."""
    root, ours = logging.getLogger(), logging.getLogger("nemod")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)
