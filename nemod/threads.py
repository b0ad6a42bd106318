"""Threads for calls that may wait for a disk for ever: a hung share must neither use up a pool nor keep the process alive.

The usual pool has few threads and is joined when the process ends; a mount that does not answer would take them one by one, and
SIGTERM would wait for a network that is down. These die with the process.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: How long a disk may take to say what a path is; one that sleeps needs seconds to wake up.
ANSWER_S = 3.0


class Threads(ThreadPoolExecutor):  # asyncio takes no other kind
    """A thread of its own for each call."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin a call."""
        return begin(partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as it is called
        """Nothing is waited for."""


def begin(call: Callable[[], T]) -> Future[T]:
    """Carry out a call in a thread that dies with the process, in the caller's context."""
    future: Future[T] = Future()
    Thread(target=copy_context().run, args=(_carry_out, future, call), daemon=True).start()
    return future


def patiently(call: Callable[[], T]) -> T:
    """What a call returns that asks a disk.

    Raises:
        TimeoutError: the disk does not answer; as other errors of a disk it is an OSError.
    """
    return begin(call).result(ANSWER_S)


def resolved(path: Path) -> Path:
    """A path without links and ".."; as far as its words alone tell where the disk does not answer."""
    try:
        return Path(patiently(partial(os.path.realpath, path)))
    except TimeoutError:
        return Path(os.path.abspath(path))  # noqa: PTH100 - the one that follows no links


def _carry_out(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits in another thread
        future.set_exception(error)
