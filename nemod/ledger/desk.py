"""The ledger behind an await: one thread of its own, so that a slow or busy disk never stalls the loop.

`await desk(Ledger.claim, lane, now=now)` is `ledger.claim(lane, now=now)` on that thread, with its types.

Rules kept here:
- each method of the ledger is one transaction, so what a full disk did not take can be written again as a whole;
- a patient desk does so until there is room: whoever waits for a fact does nothing meanwhile, and so nothing twice.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from nemod import logs
from nemod.failure import Kind
from nemod.ledger.ledger import Ledger, LedgerError, speaking

log = logs.get(__name__)

#: A disk without room for the ledger is tried again this often.
FULL_EVERY_S = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Takes one call after the other to the ledger."""

    def __init__(self, ledger: Ledger, *, patient: bool = False) -> None:
        """From now on the ledger belongs to the desk's thread; `patient`: a call waits while its disk is full."""
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._patient = patient
        self._full = False

    @property
    def full(self) -> bool:
        """Whether calls wait for room on the disk."""
        return self._full

    async def __call__(self, method: Callable[Concatenate[Ledger, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the ledger; once begun it is finished, even when the caller is cancelled meanwhile."""
        call = partial(method, self._ledger, *args, **kwargs)
        waited = False
        while True:
            try:
                done = await asyncio.get_running_loop().run_in_executor(self._thread, self._carry_out, call)
            except LedgerError as error:
                if not self._patient or error.failure.kind is not Kind.NO_SPACE:
                    raise
                if not self._full:
                    self._full = True
                    log.error("ledger.full", why=error.failure.detail, hint=error.failure.hint)  # noqa: TRY400 - its words say it all
            else:
                if waited and self._full:
                    self._full = False
                    log.info("ledger.back")
                return done
            waited = True
            await asyncio.sleep(FULL_EVERY_S)

    def hurry(self) -> None:
        """Wait no longer: the process ends, and the next one's recovery makes good for what cannot be written."""
        self._patient = False

    def _carry_out(self, call: Callable[[], T]) -> T:
        with speaking(self._ledger):  # whatever cannot be read or written is a LedgerError
            return call()

    def close(self) -> None:
        """Wait for the call at hand, then close the ledger."""
        self._thread.submit(self._ledger.close).result()
        self._thread.shutdown()
