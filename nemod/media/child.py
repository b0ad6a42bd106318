"""Child processes that cannot outlive their caller's interest: ffmpeg and the probe run through here.

Rules kept here:
- a child leads its own session, so Ctrl-C in a terminal is ours to handle, and reads nothing from stdin;
- its output is read while it runs and kept within bounds, whatever it prints;
- on a time-out or a cancellation its whole process group is killed and waited for before the caller goes on.
"""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

STDERR_KEPT = 8 * 1024
#: A line longer than this is not one that we wait for; ffmpeg's progress lines have some twenty bytes.
LINE_MOST = 64 * 1024
CHUNK = 64 * 1024
#: How long the pipes of a killed child may stay open; only something that left its process group can hold them.
PIPES_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a child ended: exit code (minus the signal's number when killed) and what it said."""

    returncode: int
    stdout: bytes  # empty when the lines were handed on
    stderr_tail: str  # the last 8 KiB, one line per message, safe to print
    timed_out: bool


async def run(
    argv: Sequence[str | bytes],
    *,
    timeout_s: float | None,
    pass_fds: Sequence[int] = (),
    stdout_limit: int = 16 * 1024 * 1024,
    on_line: Callable[[str], None] | None = None,
    niceness: int = 0,
) -> Finished:
    """Run a child to its end, its time-out or our cancellation.

    Args:
        argv: the program and its arguments; file names as str with surrogate escapes or as bytes.
        timeout_s: seconds after which its process group is killed; None: never.
        pass_fds: descriptors that it inherits under the same numbers.
        stdout_limit: bytes of its output that are kept; the rest is read and dropped.
        on_line: gets each line of its output as it comes, instead of keeping it.
        niceness: how much it yields to others, 0 to 19.

    Raises:
        OSError: the program cannot be started (with a niceness that shows as exit code 126 or 127 instead).
    """
    # A preexec_fn is not safe beside threads, so `nice` itself does it: it replaces itself, pid and group stay the same.
    nice = shutil.which("nice") if niceness else None
    prefix = (nice, "-n", str(niceness)) if nice else ()
    process = await asyncio.create_subprocess_exec(
        *prefix, *argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True, pass_fds=tuple(pass_fds)
    )
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    assert process.stderr is not None  # noqa: S101 - the same
    out, err = bytearray(), bytearray()
    keep_out = _keep_head(process.stdout, out, stdout_limit) if on_line is None else _hand_on(process.stdout, on_line)
    readers = {asyncio.create_task(keep_out), asyncio.create_task(_keep_tail(process.stderr, err))}
    try:
        async with asyncio.timeout(timeout_s) as scope:
            done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_EXCEPTION)
            for reader in done:
                reader.result()  # a caller's on_line may have raised
            await process.wait()
    except TimeoutError:
        if not scope.expired():
            raise
    finally:
        await _end(process, readers)
    return Finished(
        returncode=await process.wait(), stdout=bytes(out), stderr_tail=_printable(bytes(err)), timed_out=scope.expired()
    )


async def _end(process: Process, readers: set[asyncio.Task[None]]) -> None:
    """Kill what is left of the group and collect it; nothing to do after an ordinary end."""
    if process.returncode is None or not all(reader.done() for reader in readers):
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies only
            os.killpg(process.pid, signal.SIGKILL)
    _, open_still = await asyncio.wait(readers, timeout=PIPES_CLOSE_S)
    for reader in open_still:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await process.wait()


async def _keep_head(stream: asyncio.StreamReader, kept: bytearray, limit: int) -> None:
    while chunk := await stream.read(CHUNK):
        kept += chunk[: limit - len(kept)]


async def _keep_tail(stream: asyncio.StreamReader, kept: bytearray) -> None:
    while chunk := await stream.read(CHUNK):
        kept += chunk
        del kept[:-STDERR_KEPT]


async def _hand_on(stream: asyncio.StreamReader, on_line: Callable[[str], None]) -> None:
    rest = b""
    while chunk := await stream.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-LINE_MOST:]
        for line in lines:
            on_line(line.decode("utf-8", "replace").rstrip("\r"))
    if rest:
        on_line(rest.decode("utf-8", "replace"))


def _printable(raw: bytes) -> str:
    """Text that a terminal and a log can take: ffmpeg repeats file names and tags as they are."""
    text = raw.decode("utf-8", "replace").replace("\r", "\n")
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text).strip()
