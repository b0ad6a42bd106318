"""`cores` and `niceness` as the system tells them of the daemon's real children."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from nemod.resources import usable_cores
from tests.support.daemon import Machine, eventually


def politeness(pid: int) -> tuple[int, int]:
    """How many cores a process may use, and its niceness, as /proc tells."""
    cores = len(os.sched_getaffinity(pid)) if sys.platform == "linux" else 0
    return cores, int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[16])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds processes to cores and tells of it")
def test_encodes_keep_to_their_cores_and_yield(own: Machine, lengthy: Path) -> None:
    """Two encodes share one core; the daemon itself stays as it is; a change counts from the next start on and says so."""
    if len(usable_cores()) < 2:
        pytest.skip("there is only one core here")
    inbox = own.folder("in", preset="roomy")
    wishes = own.config.read_text().replace("[nemod]\n", "[nemod]\nworkers = 2\ncores = 1\nniceness = 13\n")
    own.configure(wishes)
    before = politeness(os.getpid())
    own.start()
    for name in ("a", "b"):
        shutil.copy(lengthy, inbox / f"{name}.mkv")
    eventually(lambda: len(own.encoding()) == 2, own.told)
    for pid in own.encoding():
        threads = [politeness(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]
        assert set(threads) == {(1, 13)}
    bound = {frozenset(os.sched_getaffinity(pid)) for pid in own.encoding()}
    assert len(bound) == 1, "one core for both"
    assert politeness(own.pid) == before
    own.configure(wishes.replace("cores = 1", "cores = 999"))
    own.send(signal.SIGHUP)
    eventually(lambda: own.count("config.later", why="Changed, and counts from the next start on: cores."), own.told)
    faulty = own.nemod("config", "check")
    assert faulty.returncode == 2
    assert f"there are only {len(usable_cores())} here" in faulty.stderr
    own.stop()
