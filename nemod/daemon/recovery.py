"""What a start puts right after the life before it: jobs go back to the queue, and what nobody needs is removed."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from nemod import logs
from nemod.delivery.publish import sweep
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger

log = logs.get(__name__)

#: How long the start waits for the outboxes to be swept; one that does not answer is swept whenever it does.
SWEEP_S = 10.0


async def recover(desk: Desk, outboxes: Iterable[Path]) -> None:
    """Take back what a killed daemon held, and sweep these outboxes and all that the ledger's jobs had.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    if recovered := await desk(Ledger.recover):
        log.info("daemon.recovered", jobs=recovered)
    keep, ours = await desk(Ledger.open_folders), await desk(Ledger.work_folders)
    if known := await desk(Ledger.outboxes) | frozenset(outboxes):
        await asyncio.wait([asyncio.create_task(_swept(outbox, keep, ours)) for outbox in known], timeout=SWEEP_S)


async def _swept(outbox: Path, keep: frozenset[Path], ours: frozenset[Path]) -> None:
    for swept in await asyncio.to_thread(sweep, outbox, keep, ours=ours, now=time.time()):
        log.info("delivery.swept", folder=str(swept))
