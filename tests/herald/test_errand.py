"""A program of a person's may do anything: it gets its text and its time, and nobody else waits for it."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nemod.herald import errand
from nemod.herald.errand import SAID_KEPT, Ended

ENV = {"PATH": os.environ["PATH"]}


async def run(*argv: str, given: bytes = b"", timeout_s: float = 60) -> Ended:
    """A program to its end."""
    return await errand.run(argv, given=given, timeout_s=timeout_s, env=ENV)


async def sh(script: str, *, given: bytes = b"", timeout_s: float = 60) -> Ended:
    """A shell's script."""
    return await run("sh", "-c", script, given=given, timeout_s=timeout_s)


def alive(file: Path) -> bool:
    """Whether the process whose number stands in a file does anything still."""
    number = file.read_text().strip()
    said = subprocess.run(["ps", "-o", "stat=", "-p", number], capture_output=True, text=True, check=False).stdout
    return bool(said.strip()) and not said.startswith("Z")


async def test_it_reads_what_it_is_given_and_its_words_and_code_are_kept() -> None:
    """More than a pipe holds; both of its outputs."""
    given = b"x" * 300_000
    ended = await sh("wc -c; echo error >&2; exit 3", given=given)
    assert (ended.returncode, ended.well, ended.said.split()) == (3, False, [b"300000", b"error"])
    assert ended.last_words() == "300000 / error"
    assert (await sh("true")).well


@pytest.mark.parametrize("script", ["true", "exec <&-; sleep 0.1", "head -c 5 >/dev/null"])
async def test_it_need_not_read_what_it_is_given(script: str) -> None:
    """Nor keep its standard input open."""
    assert (await sh(script, given=b"x" * 1_000_000)).well


async def test_who_floods_us_is_read_and_only_the_end_is_kept() -> None:
    """And the loop has time for others meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    beside = asyncio.create_task(others())
    ended = await sh("head -c 4000000 /dev/zero | tr '\\0' 'x'; printf '\\033[31mlast\\377\\n'")
    beside.cancel()
    assert ended.well
    assert len(ended.said) == SAID_KEPT
    assert ended.last_words().endswith("x\\x1b[31mlast\N{REPLACEMENT CHARACTER}")
    assert turns > 10


async def test_a_program_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """Also when neither listens to a polite word."""
    script = (
        f"trap '' TERM; (trap '' TERM; sleep 600) & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/self; sleep 600; sleep 600"
    )
    ended = await sh(script, timeout_s=1)
    assert (ended.timed_out, ended.well) == (True, False)
    assert not alive(tmp_path / "self")
    assert not alive(tmp_path / "child")


async def test_a_polite_word_comes_first() -> None:
    """A script can tidy up."""
    ended = await sh("trap 'echo tidy; exit 0' TERM; sleep 600 & wait", timeout_s=1)
    assert (ended.timed_out, ended.said.strip()) == (True, b"tidy")


async def test_what_a_program_leaves_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It holds every pipe, and goes on: its author wanted that."""
    ended = await sh(f"sleep 600 & echo $! > {tmp_path}/child; echo started", timeout_s=300)
    try:
        assert (ended.well, ended.said.strip()) == (True, b"started")
        assert alive(tmp_path / "child")
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)


async def test_who_is_cancelled_ends_the_program(tmp_path: Path) -> None:
    """A stop of the daemon leaves none behind."""
    task = asyncio.create_task(sh(f"echo $$ > {tmp_path}/self; exec sleep 600"))
    until = time.monotonic() + 60
    while not (tmp_path / "self").exists() or not (tmp_path / "self").read_text():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(tmp_path / "self")


async def test_a_program_that_cannot_be_started_is_told_as_that(tmp_path: Path) -> None:
    """It is not there, not executable, a directory, or no program."""
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    plain.write_text("no program")
    odd.write_text("no program")
    odd.chmod(0o755)
    for program in (tmp_path / "gone", plain, tmp_path, odd):
        ended = await run(str(program))
        assert (ended.well, bool(ended.unstarted)) == (False, True), program
    assert not (await run(sys.executable, "-c", "import os; os._exit(126)")).unstarted


async def test_it_has_the_environment_that_it_is_given_and_no_descriptor_of_ours() -> None:
    """Nothing else of the daemon's."""
    ended = await run(sys.executable, "-c", "import os; print(sorted(os.environ), sorted(os.listdir('/dev/fd')))")
    names, numbers = ended.said.decode().split("] [")
    assert set(names.strip("[ ").replace("'", "").split(", ")) <= {"PATH", "LC_CTYPE"}
    assert len(numbers.split(",")) == 4  # its three streams, and the directory that is read
