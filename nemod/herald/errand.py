"""A program that is given a text to read and a bounded time: a person's own, or a child of ours that speaks to the network.

Rules kept here:
- it leads its own session; when its time is over, or ours is, its whole process group is asked to end and then killed;
- it need not read what it is given, nor say anything, nor close what it was given: nobody waits for that;
- of what it says the end is kept; one that says very much is read slowly rather than fast;
- once it has ended by itself, what it has left behind goes on: a person may have meant that;
- on Linux it dies with the daemon, so that it does not run beside itself after a restart.
"""

import asyncio
import os
import signal
from asyncio.subprocess import STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nemod.media import launch
from nemod.text import safe

SAID_KEPT, CHUNK = 8 * 1024, 64 * 1024
#: After so much of it, output is read only so often: a flood must not keep the daemon busy.
FLOOD_BYTES, FLOOD_REST_S = 1_000_000, 0.02
#: How long a program that is asked to end has for that, and how long its pipes may stay open behind its end.
GRACE_S, PIPES_CLOSE_S = 2.0, 0.5
FEED_EVERY_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it ended: exit code (minus the signal's number when killed) and the last 8 KiB that it said.

    `unstarted` is the system's word for why it could not be started.
    """

    returncode: int
    said: bytes
    timed_out: bool
    unstarted: str = ""

    @property
    def well(self) -> bool:
        """Whether it did what it should."""
        return self.returncode == 0 and not self.timed_out

    def last_words(self, lines: int = 3, most: int = 300) -> str:
        """The end of what it said, on one line and safe to print."""
        spoken = [line for line in self.said.decode("utf-8", "replace").splitlines() if line.strip()]
        return safe(" / ".join(spoken[-lines:]))[-most:]


async def run(argv: Sequence[str], *, given: bytes, timeout_s: float, env: Mapping[str, str]) -> Ended:
    """Run a program to its end, its time-out or our cancellation.

    Args:
        argv: the program and its arguments, which are not a shell's.
        given: what it may read from standard input.
        timeout_s: seconds after which it is ended.
        env: all of its environment.

    Raises:
        OSError: no process can be made at all.
    """
    # Pipes of our own: asyncio's would make the end of the program wait for whoever holds them.
    read_given, write_given = os.pipe()
    read_said, write_said = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *launch.unlimited(),
            *argv,
            stdin=read_given,
            stdout=write_said,
            stderr=STDOUT,
            start_new_session=True,
            env=dict(env),
        )
    except BaseException:
        os.close(write_given)
        os.close(read_said)
        raise
    finally:
        os.close(read_given)
        os.close(write_said)
    said = bytearray()
    feeder, reader = asyncio.create_task(_feed(write_given, given)), asyncio.create_task(_keep(read_said, said))
    timed_out = False
    try:
        async with asyncio.timeout(timeout_s) as scope:
            await process.wait()
    except TimeoutError:
        timed_out = scope.expired()
    finally:
        if process.returncode is None:
            await _end(process)
        feeder.cancel()
        await asyncio.wait([reader], timeout=PIPES_CLOSE_S)
        reader.cancel()
        await asyncio.gather(feeder, reader, return_exceptions=True)
    code = -signal.SIGKILL if process.returncode is None else process.returncode
    return _ended(code, bytes(said), timed_out=timed_out)


def _ended(code: int, said: bytes, *, timed_out: bool) -> Ended:
    mark = launch.SAYS.encode()
    if code == launch.NOT_STARTED and said.startswith(mark):
        number = int(said.removeprefix(mark).split(b"\n")[0])
        return Ended(returncode=code, said=b"", timed_out=False, unstarted=os.strerror(number))
    return Ended(returncode=code, said=said, timed_out=timed_out)


async def _end(process: Process) -> None:
    """Ask the group to end, and kill what does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies only
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await process.wait()


async def _feed(pipe: int, given: bytes) -> None:
    os.set_blocking(pipe, False)
    try:
        while given:
            try:
                given = given[os.write(pipe, given) :]
            except BlockingIOError:
                await asyncio.sleep(FEED_EVERY_S)
    except BrokenPipeError:
        pass  # it does not want to know
    finally:
        os.close(pipe)


async def _keep(pipe: int, kept: bytearray) -> None:
    stream = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
    )
    whole = 0
    try:
        while chunk := await stream.read(CHUNK):
            whole += len(chunk)
            kept += chunk
            del kept[:-SAID_KEPT]
            if whole > FLOOD_BYTES:
                await asyncio.sleep(FLOOD_REST_S)
    finally:
        transport.close()
