"""The ledger behind an await: one thread of its own, so that a slow or busy disk never stalls the loop.

`await desk(Ledger.claim, lane, now=now)` is `ledger.claim(lane, now=now)` on that thread, with its types.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from nemod.ledger.ledger import Ledger, speaking

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Takes one call after the other to the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        """From now on the ledger belongs to the desk's thread."""
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def __call__(self, method: Callable[Concatenate[Ledger, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the ledger; once begun it is finished, even when the caller is cancelled meanwhile."""
        call = partial(method, self._ledger, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._carry_out, call)

    def _carry_out(self, call: Callable[[], T]) -> T:
        with speaking(self._ledger):  # whatever cannot be read or written is a LedgerError
            return call()

    def close(self) -> None:
        """Wait for the call at hand, then close the ledger."""
        self._thread.submit(self._ledger.close).result()
        self._thread.shutdown()
