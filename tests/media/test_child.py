"""Children end when they are done, when their time is up and when nobody wants them any more."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from nemod.media.child import STDERR_KEPT, run

PYTHON = sys.executable


async def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has collected yet still counts as there."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.05)  # a grandchild is collected by init, in its own time
    return False


async def test_tells_how_it_ended() -> None:
    """Exit code and output come back, with carriage returns folded and escape codes made harmless."""
    finished = await run(["sh", "-c", r"echo out; printf 'one\rtwo\033[1m' >&2; exit 3"], timeout_s=30)
    assert finished.returncode == 3
    assert finished.stdout == b"out\n"
    assert finished.stderr_tail == "one\ntwo\N{REPLACEMENT CHARACTER}[1m"
    assert not finished.timed_out


async def test_hands_on_lines() -> None:
    """Lines go to the caller as they come, the last one even without its end, and are not kept."""
    lines: list[str] = []
    finished = await run(["printf", "frame=1\nframe=2\nend"], timeout_s=30, on_line=lines.append)
    assert lines == ["frame=1", "frame=2", "end"]
    assert finished.stdout == b""


async def test_keeps_within_bounds() -> None:
    """A child that prints without end costs only the memory that was allowed for it."""
    code = "import sys; sys.stdout.write('x' * 300000); sys.stderr.write('y' * 300000 + 'last')"
    finished = await run([PYTHON, "-c", code], timeout_s=60, stdout_limit=1000)
    assert finished.stdout == b"x" * 1000
    assert len(finished.stderr_tail) == STDERR_KEPT
    assert finished.stderr_tail.endswith("last")


async def test_kills_the_whole_group_when_time_is_up(tmp_path: Path) -> None:
    """At the time-out the children of the child end too."""
    note = tmp_path / "pid"
    finished = await run(["sh", "-c", f"sleep 300 & echo $! > {note}; wait"], timeout_s=1.0)
    assert finished.timed_out
    assert finished.returncode == -9
    assert await _gone(int(note.read_text()))


async def test_cancelling_leaves_no_process(tmp_path: Path) -> None:
    """Once a cancelled run has ended, its child is no more."""
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    task = asyncio.create_task(run(["sh", "-c", f"echo $$ > {fifo}; exec sleep 300"], timeout_s=None))
    pid = int(await asyncio.to_thread(fifo.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_an_error_of_the_listener_ends_the_child() -> None:
    """What a line's listener raises reaches the caller, even a TimeoutError, which is not the child's."""

    def refuse(line: str) -> None:
        raise TimeoutError(line)

    with pytest.raises(TimeoutError, match="first"):
        await run(["sh", "-c", "echo first; exec sleep 300"], timeout_s=60, on_line=refuse)


async def test_is_nice_when_asked() -> None:
    """A niceness comes on top of our own."""
    finished = await run([PYTHON, "-c", "import os; print(os.nice(0))"], timeout_s=30, niceness=4)
    assert int(finished.stdout) == min(os.nice(0) + 4, 19)


async def test_a_missing_program_is_an_os_error(tmp_path: Path) -> None:
    """What cannot be started is reported as such."""
    with pytest.raises(FileNotFoundError):
        await run([str(tmp_path / "none")], timeout_s=30)
