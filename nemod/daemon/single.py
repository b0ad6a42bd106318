"""One file, now, without a config and without a daemon: the same runner over a ledger that lives as long as the call.

What makes an output safe in the daemon (judge, last gate, publishing without overwriting) is therefore the same code here.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from nemod.config import naming
from nemod.config.model import After, EnginePolicy, Folder, Nemo, Preset
from nemod.daemon.board import Board
from nemod.daemon.examine import Examiner
from nemod.daemon.handover import Handover
from nemod.daemon.runner import Runner
from nemod.daemon.scratch import scratch
from nemod.daemon.service import open_ledger
from nemod.daemon.source import fingerprint_of
from nemod.delivery.publish import sweep
from nemod.engines.base import Engine, Progress
from nemod.failure import Failure, Kind, NemodError
from nemod.job import Job, JobId, Lane, Sighting
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger


class Unusable(NemodError):  # noqa: N818 - a state, not an error
    """There is nothing to start with."""


class _Shown(Board):
    """A board that tells somebody instead of writing a file."""

    def __init__(self, show: Callable[[Progress], None]) -> None:
        super().__init__()
        self._show = show

    def show(self, job: JobId, progress: Progress) -> None:
        super().show(job, progress)
        self._show(progress)


async def compress_file(
    source: Path,
    preset: Preset,
    *,
    engine: Engine,
    ffmpeg: Path,
    outbox: Path,
    output_name: str,
    show: Callable[[Progress], None],
) -> Job:
    """Compress a file into a folder; the source is left as it is, whatever happens.

    Args:
        source: the file.
        preset: what its output must be.
        engine: who makes it.
        ffmpeg: who checks it.
        outbox: an existing folder for the output.
        output_name: the output's name without its extension; a taken one gets a number.
        show: told how far it is.

    Returns:
        The job as it ended: DONE, or another state with its `failure`.

    Raises:
        NemodError: the source is not there or the ledger cannot be made.
    """
    source, outbox = await asyncio.to_thread(source.absolute), await asyncio.to_thread(outbox.absolute)
    try:
        fingerprint = fingerprint_of(source)
    except OSError as error:
        failure = Failure(kind=Kind.SOURCE_GONE, detail=f"The file cannot be opened: {error.strerror or error}.")
        raise Unusable(failure) from error
    folder = Folder(
        name="compress",
        inbox=source.parent,
        outbox=outbox,
        originals=source.parent,
        failed=None,
        preset=preset,
        engine=EnginePolicy.LOCAL,
        after=After.KEEP,
        output_name=naming.literal(output_name),
    )
    sighting = Sighting(relpath=source.name, fingerprint=fingerprint)
    # What a call that was killed has left there, unless somebody may still be at work in it.
    await asyncio.to_thread(sweep, outbox, frozenset(), ours=frozenset(), now=time.time())
    with scratch() as state:
        desk = Desk(await asyncio.to_thread(open_ledger, state))
        try:
            return await _work_off(desk, folder, sighting, engine, ffmpeg, _Shown(show))
        finally:
            await asyncio.to_thread(desk.close)


async def _work_off(desk: Desk, folder: Folder, sighting: Sighting, engine: Engine, ffmpeg: Path, board: Board) -> Job:
    runner = Runner(
        desk=desk,
        engines=lambda: {engine.name: engine},
        available=lambda _: frozenset({engine.name}),
        policy=lambda folder: folder.engine,
        nemo=Nemo,
        examiner=Examiner(ffmpeg=ffmpeg, patient=False),
        handover=Handover(desk=desk),
        board=board,
        clock=time.time,
    )
    found = await desk(Ledger.reconcile, folder, resting=[sighting], seen=[sighting], sees=lambda _: True, now=time.time())
    (number,) = found.added
    try:
        while True:
            for lane in Lane:
                if (job := await desk(Ledger.claim, lane, now=time.time())) is not None:
                    await runner.run(job, lane)
                    break
            else:
                break  # nothing to claim: it has ended, or waits for something that a person should hear of now
    except asyncio.CancelledError:
        await runner.cancel(number, None)
        raise
    ended = await desk(Ledger.job, number)
    assert ended is not None  # noqa: S101 - jobs are never deleted
    return ended
