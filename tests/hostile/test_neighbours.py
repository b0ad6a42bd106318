"""Neighbours of a working daemon: a second one with a ledger of its own, commands, and reloads of sound and broken configs."""

import shutil
import signal
from pathlib import Path

from nemod.job import JobState
from tests.support.clips import make_clip
from tests.support.daemon import CONFIG, Machine, eventually, leftovers


def test_two_daemons_share_an_outbox_while_one_is_killed_commanded_and_reloaded(own: Machine, tmp_path: Path) -> None:
    """Eight videos, four names: eight outputs within the limit, no encode spoilt by the other's sweep, nothing left behind."""
    needy = make_clip(tmp_path / "needy.mkv", seconds=2)
    ours = own.folder("in", 'outbox = "~/out"', preset="tight")
    sound = own.config.read_text()
    home = tmp_path / "beside"
    theirs = home / "in"
    theirs.mkdir(parents=True)
    other = Machine(home=home)
    other.configure(f'{CONFIG}[folders.in]\ninbox = "~/in"\noutbox = "{own.home}/out"\npreset = "tight"\n')
    own.start()
    try:
        for number in range(4):
            shutil.copy(needy, ours / f"{number}.mkv")
            shutil.copy(needy, theirs / f"{number}.mkv")
        eventually(own.encoding, own.told)
        other.start()  # and sweeps the outbox in which the first one is at work
        eventually(other.jobs, other.told)
        other.stop(signal.SIGKILL)
        other.start()
        for number in range(6):
            own.configure("broken [" if number % 2 else sound)
            own.send(signal.SIGHUP)
        own.configure(sound)
        assert own.nemod("reload").returncode in (0, 2)
        assert own.nemod("once").returncode == 3
        assert own.nemod("jobs", "first", "4").returncode in (0, 1)
        own.until_done("in", 4)
        other.until_done("in", 4)
        assert other.stop() == 0
    finally:
        other.kill()
    assert own.stop() == 0
    outputs = list((own.home / "out").iterdir())
    assert len(outputs) == 8
    assert max(path.stat().st_size for path in outputs) <= 100_000
    assert leftovers(own.home / "out") == []
    for machine in (own, other):
        assert machine.states() == [JobState.DONE] * 4
        assert not machine.events("job.bug", "job.waiting", "job.attempt_failed", "job.refused")
