"""A server that floods us waits: what it sent is worked on in turns with everything else that the loop has to do.

httpcore makes what it can of a read before it waits again; thousands of interim replies (1xx) in it, or chunks of a byte, would
keep every other folder waiting for as long as the flood lasts. So a read is small, and who takes long over one is given less
at the next, and only after a pause as long as the work.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, cast

#: Seconds of processor time over one read from which on a server counts as one that floods.
LONG_S = 0.01
PAUSE_MOST_S, READ_BYTES, LESS_BYTES = 0.2, 16_384, 4_096

Read = Callable[..., Awaitable[bytes]]


class _Stream(Protocol):
    """What is used of a connection of httpcore's."""

    read: Read


async def trace(event: str, info: Mapping[str, object]) -> None:
    """A hook for httpx (the extension `trace`) that makes a connection fair as soon as it is there."""
    if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
        stream = cast("_Stream", info["return_value"])
        stream.read = in_turns(stream.read)


def in_turns(read: Read) -> Read:
    """A read of a connection that waits, and takes less, after one that gave much to do; called from one thread only."""
    ended: float | None = None

    async def fair(max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's own signature
        nonlocal ended
        took_s = 0.0 if ended is None else time.thread_time() - ended
        if took_s > LONG_S:
            await asyncio.sleep(min(took_s, PAUSE_MOST_S))
        most = LESS_BYTES if took_s > LONG_S else READ_BYTES
        got = await read(min(max_bytes, most), timeout)
        ended = time.thread_time()
        return got

    return fair
