"""What a command costs: seconds on the wall and of the processors, and its largest memory with all its children.

Rules kept here:
- processor seconds are the kernel's own sum over the command and every child that it waited for;
- memory is the largest sum over all processes alive at one time, as the kernel shares it out (PSS), five times a second; where
  the kernel tells no such thing, it is that of the largest single process.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.2
KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What it took, how it ended and what it said; `exit_code` is negative when a signal ended it."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    exit_code: int
    said: str


def run(commands: Sequence[Sequence[str | Path]], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Spent:
    """Run them one after the other until one fails, and add up what they cost."""
    wall_s, cpu_s, peak_bytes, said = 0.0, 0.0, 0, ""
    for command in commands:
        one = _run(command, cwd=cwd, env=env, timeout_s=timeout_s - wall_s)
        wall_s, cpu_s, peak_bytes = wall_s + one.wall_s, cpu_s + one.cpu_s, max(peak_bytes, one.peak_bytes)
        said += one.said
        if one.exit_code != 0:
            return Spent(wall_s=wall_s, cpu_s=cpu_s, peak_bytes=peak_bytes, exit_code=one.exit_code, said=said)
    return Spent(wall_s=wall_s, cpu_s=cpu_s, peak_bytes=peak_bytes, exit_code=0, said=said)


def _run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Spent:
    with tempfile.TemporaryFile() as words:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, start_new_session=True
        )
        ended = threading.Event()
        largest: list[int] = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, ended, largest), daemon=True)
        watcher.start()
        # Not SIGKILL: nemod's encoders live in sessions of their own, and only nemod can end them.
        alarm = threading.Timer(max(1.0, timeout_s), os.killpg, (process.pid, signal.SIGTERM))
        alarm.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            alarm.cancel()
            ended.set()
            watcher.join()
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        words.seek(0)
        said = words.read().decode("utf-8", "replace")
    alone = usage.ru_maxrss * (1 if sys.platform == "darwin" else KIB)
    return Spent(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=max(alone, largest[0]),
        exit_code=process.returncode,
        said=said,
    )


def _watch(root: int, ended: threading.Event, largest: list[int]) -> None:
    while not ended.wait(LOOK_S):
        largest[0] = max(largest[0], sum(_shared_out_bytes(pid) for pid in _family(root)))


def _family(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        # A child hangs on the thread that started it.
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting.extend(int(word) for word in children.read_text().split())
            except OSError:  # It has ended since.
                continue
    return found


def _shared_out_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # It has ended since, or this is no Linux.
        return 0
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:")), 0)
