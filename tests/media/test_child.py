"""Children end when they are done, when their time is up and when nobody wants them any more."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemod.media import polite
from nemod.media.child import STDERR_KEPT, Death, run
from nemod.resources import usable_cores

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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells here what processor time a process has used")
async def test_ends_a_child_that_gets_nowhere_long_before_its_time_is_up() -> None:
    """One that was paused is told as hung; one that works, however little it says, is left alone."""
    paused = await run(["sh", "-c", "kill -STOP $$"], timeout_s=None, still_s=0.5)
    assert paused.death is Death.HUNG
    assert paused.returncode == -9
    busy = await run([PYTHON, "-c", "import time\nwhile time.process_time() < 2: pass"], timeout_s=None, still_s=0.5)
    assert busy.death is None
    assert busy.returncode == 0


async def test_kills_the_whole_group_when_time_is_up(tmp_path: Path) -> None:
    """At the time-out the children of the child end too."""
    note = tmp_path / "pid"
    finished = await run(["sh", "-c", f"sleep 300 & echo $! > {note}; wait"], timeout_s=1.0, file_bytes=100)
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


@pytest.mark.parametrize("niceness", [0, 11])
async def test_a_child_is_as_polite_as_is_wished(niceness: int) -> None:
    """It yields as much as that, and no less than we do ourselves; it has the last of the cores that we may use."""
    polite.be(niceness=niceness, cores=1)
    told = "import os; print(os.nice(0), *(os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else ()))"
    finished = await run([PYTHON, "-c", told], timeout_s=30)
    yields, *cores = map(int, finished.stdout.split())
    assert yields == max(os.nice(0), niceness)
    assert cores == ([max(os.sched_getaffinity(0))] if sys.platform == "linux" else [])
    assert polite.workers() == 1
    polite.be(niceness=niceness, cores=100_000)
    assert polite.workers() == len(usable_cores())


async def test_a_missing_program_is_an_os_error(tmp_path: Path) -> None:
    """What cannot be started is reported as such."""
    with pytest.raises(FileNotFoundError):
        await run([str(tmp_path / "none")], timeout_s=30)


#: What a child is, in its own words.
_SELF = """
import json, os, resource
print(json.dumps({name: resource.getrlimit(getattr(resource, name))[0]
    for name in ("RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA")} | {"env": dict(os.environ)}))
"""


async def test_has_limits_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child is bound in everything, and of our environment knows only where things are."""
    monkeypatch.setenv("NEMO_TOKEN", "a secret")
    monkeypatch.setenv("FFREPORT", "file=here.log")
    finished = await run([PYTHON, "-c", _SELF], timeout_s=30, cpu_s=17, memory_bytes=2**32, file_bytes=1000)
    told = json.loads(finished.stdout)
    assert (told["RLIMIT_CORE"], told["RLIMIT_CPU"], told["RLIMIT_FSIZE"]) == (0, 17, 1000)
    assert told["RLIMIT_DATA"] == 2**32 or sys.platform != "linux"
    assert not {"NEMO_TOKEN", "FFREPORT"} & told["env"].keys()
    assert told["env"]["PATH"] == os.environ["PATH"]


async def test_is_told_apart_what_ended_it(tmp_path: Path) -> None:
    """A limit, a crash and a kill from outside are different things."""
    file = tmp_path / "file"
    deaths = {
        "import os; os.kill(os.getpid(), 9)": Death.OUTSIDE,
        "import os; os.abort()": Death.CRASH,
        "raise SystemExit(3)": None,
        "while True: pass": Death.CPU,
        "x = bytes(10**10)": Death.MEMORY,
    }
    for code, death in deaths.items():
        if death is Death.MEMORY and sys.platform != "linux":
            continue
        assert (await run([PYTHON, "-c", code], timeout_s=60, cpu_s=1, memory_bytes=2**30)).death is death, code
    finished = await run(["dd", "if=/dev/zero", f"of={file}", "bs=100", "count=100"], timeout_s=30, file_bytes=5000)
    assert finished.death is Death.FILE_SIZE
    assert file.stat().st_size == 5000
    assert (await run(["sleep", "300"], timeout_s=1)).death is Death.HUNG
    # In doubt, as where /proc is missing, a drive is blamed before a video is.
    busy = await run(["sh", "-c", "while :; do :; done"], timeout_s=3)
    assert busy.death is (Death.TIME if sys.platform == "linux" else Death.HUNG)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_dies_with_its_parent(tmp_path: Path) -> None:
    """A killed daemon leaves no child at work."""
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    code = "import asyncio, sys; from nemod.media.child import run; asyncio.run(run(['sh', '-c', sys.argv[1]], timeout_s=None))"
    parent = subprocess.Popen([PYTHON, "-c", code, f"echo $$ > {fifo}; exec sleep 300"])
    pid = int(fifo.read_text())
    parent.kill()
    parent.wait()
    assert asyncio.run(_gone(pid))


async def test_what_is_no_program_is_an_os_error(tmp_path: Path) -> None:
    """Something that cannot be run says so, whatever its mode."""
    text = tmp_path / "text"
    text.write_text("not a program")
    with pytest.raises(PermissionError):
        await run([str(text)], timeout_s=30)
    text.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        await run([str(text)], timeout_s=30)


async def test_a_crash_counts_when_it_happens_twice(tmp_path: Path) -> None:
    """What crashes once by somebody's whim is run again and ends well; what a file does to a program, it does again."""
    once = ["sh", "-c", 'mkdir "$0/met" && kill -SEGV $$; echo well', str(tmp_path)]
    finished = await run(once, timeout_s=30)
    assert (finished.returncode, finished.stdout, finished.death) == (0, b"well\n", None)
    always = ["sh", "-c", 'mkdir "$0/$$"; ls "$0" | wc -l >&2; kill -SEGV $$', str(tmp_path)]
    finished = await run(always, timeout_s=30)
    assert (finished.death, finished.stderr_tail.strip()) == (Death.CRASH, "3")
