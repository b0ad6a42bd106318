"""What signals ask of the daemon: SIGHUP to read the config again, SIGTERM and SIGINT to end, a second one at once.

By Python's own handlers: asyncio's put signals into a pipe, and a flood of SIGHUP that fills it loses SIGTERM.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from threading import Timer
from typing import TypeVar

T = TypeVar("T")

#: How long a polite stop may take in all before it ends as on a second signal: a disk may hang.
END_S = 9.0


def listen(loop: asyncio.AbstractEventLoop, stop: "asyncio.Future[T]", stopped: T, *, reload: Callable[[], None]) -> None:
    """Resolve `stop` with `stopped` on the signals that end us, and call `reload` in the loop on SIGHUP."""

    def asked_to_stop(number: int) -> None:
        if stop.done():
            os._exit(128 + number)  # the second signal insists; the ledger needs no goodbye
        stop.set_result(stopped)
        impatient = Timer(END_S, os._exit, [128 + number])  # not of the loop, which is over before the last threads are
        impatient.daemon = True
        impatient.start()

    def heard(number: int, _frame: object) -> None:
        if not loop.is_closed():
            if number == signal.SIGHUP:
                loop.call_soon_threadsafe(reload)
            else:
                loop.call_soon_threadsafe(asked_to_stop, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, heard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one that came during the start counts now
