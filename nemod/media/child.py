"""Child processes that cannot outlive their caller's interest: ffmpeg and the probe run through here.

Rules kept here:
- a child leads its own session, so Ctrl-C in a terminal is ours to handle, and reads nothing from stdin;
- its output is read while it runs and kept within bounds, whatever it prints;
- on a time-out or a cancellation its whole process group is killed and waited for before the caller goes on; so it is when it
  has used no processor time for minutes: somebody has paused it, or its drive hangs, and its time-out may be hours away;
- it yields to others, and keeps to the cores that it is given (`polite`);
- it has limits of its own (`launch`): processor time, memory, the size of what it writes; unless it is told otherwise it
  writes no file at all. On Linux it dies with the thread that started it, which is the loop's, in the daemon the main one;
- of our environment it gets what programs need to run, and no secret.
"""

import asyncio
import errno
import math
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nemod.media import confined, held, launch, polite

STDERR_KEPT = 8 * 1024
#: A line longer than this is not one that we wait for; ffmpeg's progress lines have some twenty bytes.
LINE_MOST = 64 * 1024
CHUNK = 64 * 1024
#: How long the pipes of a killed child may stay open; only something that left its process group can hold them.
PIPES_CLOSE_S = 2.0
#: What a child may have of the memory, and of a machine's never less than this: 8K needs some gigabytes.
MEMORY_SHARE, MEMORY_LEAST = 0.75, 4 * 1024**3
#: A child that has used less than this of its time was not at work but waited.
HUNG_SHARE = 0.05
#: One that has used no processor time for so long gets nowhere, and how often that is looked at. Looks are counted, not
#: seconds: a daemon that was paused together with it has not looked.
STILL_S, STILL_EVERY_S = 120.0, 5.0
#: What a child is handed of our environment: where things are, and the language. `PYTHON…` is for the probe.
ENVIRONMENT = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
    | {"PYTHONPATH", "PYTHONHOME"}
)
#: Signals that someone else sends: the system when memory is short, a shutdown, a person.
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
#: How programs say that they got no more memory, also while they crash of it.
_NO_MEMORY = ("Cannot allocate memory", "MemoryError", "bad_alloc", "malloc of size")


class Death(StrEnum):
    """What ended a child that did not end by itself."""

    TIME = "time"  # it was still at work
    HUNG = "hung"  # it had hardly done anything, as far as can be known, or nothing for minutes: a drive that does not answer
    CPU = "cpu"
    MEMORY = "memory"
    FILE_SIZE = "file size"
    OUTSIDE = "outside"
    CRASH = "crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a child ended: exit code (minus the signal's number when killed) and what it said."""

    returncode: int
    stdout: bytes  # empty when the lines were handed on
    stderr_tail: str  # the last 8 KiB, one line per message, safe to print
    timed_out: bool
    hung: bool = False  # with timed_out: it did not work, it waited or was paused

    @property
    def death(self) -> Death | None:
        """What ended it; None when it ended by itself, well or not."""
        if self.timed_out:
            return Death.HUNG if self.hung else Death.TIME
        if self.returncode and any(words in self.stderr_tail for words in _NO_MEMORY):
            return Death.MEMORY
        match -self.returncode:
            case number if number <= 0:
                return None
            case signal.SIGXCPU:
                return Death.CPU
            case signal.SIGXFSZ:
                return Death.FILE_SIZE
            case number if number in _FROM_OUTSIDE:
                return Death.OUTSIDE
            case _:
                return Death.CRASH


async def run(
    argv: Sequence[str | bytes],
    *,
    timeout_s: float | None,
    pass_fds: Sequence[int] = (),
    stdout_limit: int = 16 * 1024 * 1024,
    on_line: Callable[[str], None] | None = None,
    file_bytes: int = 0,
    cpu_s: float | None = None,
    memory_bytes: int | None = None,
    still_s: float = STILL_S,
) -> Finished:
    """Run a child to its end, its time-out or our cancellation.

    Args:
        argv: the program and its arguments; file names as str with surrogate escapes or as bytes.
        timeout_s: seconds after which its process group is killed; None: never.
        pass_fds: descriptors that it inherits under the same numbers, beside those of held files that it is told to read.
        stdout_limit: bytes of its output that are kept; the rest is read and dropped.
        on_line: gets each line of its output as it comes, instead of keeping it.
        file_bytes: how large a file may become that it writes; pipes and devices do not count.
        cpu_s: seconds of processor time that it may use; None: what all processors have until the time-out.
        memory_bytes: what it may have of memory; None: most of the machine's.
        still_s: how long it may use no processor time at all before it counts as hung; where that can be known.

    A child that crashes is run once more: what a file does to it, it does again; a machine's or a person's whim does not.

    Raises:
        OSError: the program cannot be started.
    """
    figures = _figures(_cpu_s(cpu_s, timeout_s), memory_bytes or machine_share(), file_bytes)

    async def once() -> Finished:
        return await _once(argv, timeout_s, pass_fds, stdout_limit, on_line, figures, still_s)

    finished = await once()
    return await once() if finished.death is Death.CRASH else finished


async def _once(
    argv: Sequence[str | bytes],
    timeout_s: float | None,
    pass_fds: Sequence[int],
    stdout_limit: int,
    on_line: Callable[[str], None] | None,
    figures: Sequence[str],
    still_s: float,
) -> Finished:
    program = os.fsdecode(argv[0])
    _find(program)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", launch.__file__, *figures, "--"),
        *argv,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
        pass_fds=(*pass_fds, *held.descriptors(argv)),
        env=_environment(),
    )
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    assert process.stderr is not None  # noqa: S101 - the same
    out, err = bytearray(), bytearray()
    keep_out = _keep_head(process.stdout, out, stdout_limit) if on_line is None else _hand_on(process.stdout, on_line)
    readers = {asyncio.create_task(keep_out), asyncio.create_task(_keep_tail(process.stderr, err))}
    hung = False
    looker = None
    try:
        async with asyncio.timeout(timeout_s) as scope:
            looker = asyncio.create_task(_expire_when_still(process.pid, still_s, scope))
            done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_EXCEPTION)
            for reader in done:
                reader.result()  # a caller's on_line may have raised
            await process.wait()
    except TimeoutError:
        if not scope.expired():
            raise
        still = looker is not None and looker.done()
        hung = still or (used := _used_s(process.pid)) is None or used < HUNG_SHARE * (timeout_s or 0.0)
    finally:
        if looker is not None:
            looker.cancel()
        await _end(process, readers)
    said = _printable(bytes(err))
    if process.returncode == launch.NOT_STARTED and said.startswith(launch.SAYS):
        number = int(said.removeprefix(launch.SAYS).partition("\n")[0])
        raise OSError(number, os.strerror(number), program)
    code, said = await process.wait(), held.plainly(said)
    return Finished(returncode=code, stdout=bytes(out), stderr_tail=said, timed_out=scope.expired(), hung=hung)


def machine_share() -> int:
    """How many bytes of memory one child may have: of the machine, and of the group that we are confined to."""
    whole = max(MEMORY_LEAST, int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    allowed = confined.memory_bytes(Path("/"))
    return whole if allowed is None else min(whole, int(MEMORY_SHARE * allowed))


def _find(program: str) -> None:
    if shutil.which(program) is None:
        number = errno.EACCES if Path(program).exists() else errno.ENOENT
        raise OSError(number, os.strerror(number), program)


def _figures(cpu_s: int | None, memory_bytes: int, file_bytes: int) -> tuple[str, ...]:
    """What `launch` is told."""
    wish = polite.wish()
    cores = "-" if wish.cores is None else ",".join(map(str, sorted(wish.cores)))
    return tuple(str(f) for f in (os.getpid(), wish.niceness, cores, "-" if cpu_s is None else cpu_s, memory_bytes, file_bytes))


def _cpu_s(wanted: float | None, timeout_s: float | None) -> int | None:
    if wanted is not None:
        return math.ceil(wanted)
    return None if timeout_s is None else math.ceil(timeout_s * (os.cpu_count() or 1)) + 1


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key in ENVIRONMENT or key.startswith("LC_")}


def _used_s(pid: int) -> float | None:
    """Processor time that a process has used; None where that cannot be known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _expire_when_still(pid: int, still_s: float, scope: asyncio.Timeout) -> None:
    """Let a time-out come at once when a process uses no processor time any more."""
    before, looks, every_s = _used_s(pid), 0, min(STILL_EVERY_S, still_s)
    while before is None or looks * every_s < still_s:
        await asyncio.sleep(every_s)
        looks = looks + 1 if (used := _used_s(pid)) == before else 0
        before = used
    scope.reschedule(asyncio.get_running_loop().time())


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
