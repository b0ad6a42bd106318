"""The daemon's mailbox is emptied: each word from a person is carried out, and struck.

Rules kept here:
- letters are carried out one after the other, as they were written;
- none of them ends the daemon;
- one about a job whose disk does not answer is left alone after a moment, and goes on by itself when the disk does: the others
  do not wait for it, but for those about the same job.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nemod import logs
from nemod.config.model import Folder
from nemod.daemon.mailbox import Verb, answer
from nemod.job import JobId
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, LedgerError, Request

log = logs.get(__name__)

#: A letter that is not carried out by then waits for a disk.
MOMENT_S = 3.0


@dataclass(slots=True, kw_only=True)
class Letters:
    """Reads the mailbox when it has changed; `stop` ends a running job, `reload` and `mended` are for words about no job."""

    desk: Desk
    folders: Callable[[], Mapping[str, Folder]]
    stop: Callable[[JobId], Awaitable[None]]
    reload: Callable[[], None]
    mended: Callable[[], Awaitable[None]]
    _version: int = -1
    _slow: dict[JobId | None, asyncio.Task[None]] = field(default_factory=dict)

    async def read(self) -> bool:
        """Carry out what is there; returns whether there can have been anything.

        Raises:
            LedgerError: the ledger cannot be used.
        """
        for job, task in tuple(self._slow.items()):
            if task.done():
                del self._slow[job]
                self._version = -1  # others may have waited for it
                task.result()
        if (version := await self.desk(Ledger.data_version)) == self._version:
            return False
        self._version = version
        for request in await self.desk(Ledger.requests):
            if request.job not in self._slow:
                await self._begin(request)
        return True

    def close(self) -> None:
        """Wait for no disk any more."""
        for task in self._slow.values():
            task.cancel()

    async def _begin(self, request: Request) -> None:
        task = self._slow[request.job] = asyncio.create_task(self._carry_out(request))
        await asyncio.wait([task], timeout=MOMENT_S)
        if task.done():
            del self._slow[request.job]
            task.result()

    async def _carry_out(self, request: Request) -> None:
        if request.verb == Verb.ACCOUNT:
            await self.mended()
        elif request.verb == Verb.RELOAD:
            self.reload()
        else:
            try:
                came = await answer(self.desk, request, self.folders(), now=time.time())
                log.info("request.answered", verb=request.verb, job=request.job, done=came.done, says=came.says)
                if came.running is not None:
                    await self.stop(came.running)
            except LedgerError:
                raise
            except Exception:
                # The boundary: a word that hits a bug is struck, too: it would end this daemon and each that is started.
                log.exception("request.bug", verb=request.verb, job=request.job)
        await self.desk(Ledger.strike, request.id)
