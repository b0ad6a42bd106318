"""The embedded engine's face: it gives its work a fresh folder and tells how far the work is.

Rules kept here:
- it opens no network connection;
- it starts over from nothing in a fresh folder each time: a child that a killed daemon left behind can spoil nothing;
- when the generator is closed, the work is cancelled and its children are dead before that returns.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

from nemod.engines.base import EngineError, EngineName, Event, Output, Progress, Task, Token
from nemod.engines.local.faults import of_folder, with_room
from nemod.engines.local.parts import Fitting
from nemod.engines.local.tools import Tools, inspect
from nemod.failure import Failure, Kind


class LocalEngine:
    """Encodes on this machine with an ffmpeg."""

    def __init__(self, ffmpeg: Path) -> None:
        """Use this ffmpeg; it is asked once what it can do."""
        self._ffmpeg = ffmpeg
        self._tools: Tools | None = None

    @property
    def name(self) -> EngineName:
        """Which engine it is."""
        return EngineName.LOCAL

    @property
    def careful(self) -> bool:
        """Never: it costs nothing."""
        return False

    async def close(self) -> None:
        """It keeps nothing open."""

    async def ready(self) -> Failure | None:
        """TOOL_MISSING when there is no ffmpeg that can do the work."""
        if self._tools is None:
            found = await inspect(self._ffmpeg)
            if isinstance(found, Failure):
                return found
            self._tools = found
        return None

    async def run(self, task: Task, token: Token | None) -> AsyncGenerator[Event, None]:
        """Pass through, re-wrap or encode; a token is never needed, since nothing is paid and nothing is kept."""
        del token
        if failure := await self.ready():
            raise EngineError(failure)
        assert self._tools is not None  # noqa: S101 - ready() has said so
        reports: asyncio.Queue[Progress | None] = asyncio.Queue()
        try:
            folder = await asyncio.to_thread(_fresh, task.folder)
        except OSError as error:
            raise EngineError(of_folder(error)) from error
        work = Fitting(tools=self._tools, task=task, folder=folder, report=reports.put_nowait)
        made: asyncio.Task[Output] = asyncio.create_task(work.output())
        made.add_done_callback(lambda _: reports.put_nowait(None))
        try:
            while (report := await reports.get()) is not None:
                yield report
            output = await made
        except OSError as error:
            raise EngineError(with_room(of_folder(error), task.limit_bytes)) from error
        except EngineError as error:
            if error.failure.kind is Kind.UNSUPPORTED and (lost := await asyncio.to_thread(_out_of_reach, folder)):
                raise EngineError(of_folder(lost)) from error  # what a child says then sounds like a fault of the video
            raise EngineError(with_room(error.failure, task.limit_bytes)) from error
        finally:
            made.cancel()
            await asyncio.gather(made, return_exceptions=True)
        yield output


def _out_of_reach(folder: Path) -> OSError | None:
    """Why nothing can be written to a work folder now; None when it can."""
    proof = folder / "proof"
    try:
        proof.write_bytes(b"1")
        proof.unlink()
    except OSError as error:
        return error
    return None


def _fresh(folder: Path) -> Path:
    for old in folder.iterdir():
        shutil.rmtree(old, ignore_errors=True)
    fresh = folder / secrets.token_hex(4)
    fresh.mkdir()
    return fresh
