"""Ends and starts: politely, at once, by force in the middle of an encode, and two daemons at a time."""

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from nemod.daemon.service import LEDGER
from nemod.job import JobState
from tests.support.daemon import Machine, eventually, every, leftovers

OK, RUNNING = 0, 3


def test_a_polite_end_in_an_encode_goes_on_at_the_next_start(own: Machine, lengthy: Path, needy: Path) -> None:
    """SIGTERM ends ffmpeg as well and leaves the job queued; the next daemon takes it up, and the file waiting behind it."""
    long, inbox = own.folder("long", preset="roomy"), own.folder("in", preset="tight")
    own.start()
    shutil.copy(lengthy, long / "lengthy.mkv")
    eventually(own.encoding, own.told)
    shutil.copy(needy, inbox / "behind.mkv")
    own.wait_for(JobState.QUEUED, "behind.mkv")
    assert own.stop(signal.SIGTERM) == OK
    assert own.encoding() == []
    assert own.count("daemon.stopped") == 1
    assert own.states() == [JobState.QUEUED, JobState.QUEUED]
    assert (long / "lengthy.mkv").exists()
    assert (inbox / "behind.mkv").exists()
    own.start()
    eventually(own.encoding, own.told)
    own.nemod("jobs", "cancel", str(own.jobs("lengthy.mkv")[0].id))
    own.delivered("behind.mkv")
    assert own.stop() == OK
    assert not leftovers(inbox)
    assert not leftovers(long)


def test_a_second_signal_ends_at_once(own: Machine, lengthy: Path) -> None:
    """A polite end that hangs, here on a locked ledger, is cut short; the next start makes good for it."""
    inbox = own.folder("in", preset="roomy")
    own.start()
    shutil.copy(lengthy, inbox / "lengthy.mkv")
    eventually(own.encoding, own.told)
    with closing(sqlite3.connect(own.state / LEDGER, isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        own.send(signal.SIGTERM)
        eventually(lambda: own.count("daemon.stopping"), own.told)
        assert own.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        locker.execute("ROLLBACK")
    assert own.count("daemon.stopped") == 0
    assert own.states() == [JobState.RUNNING]
    own.start()
    assert own.count("daemon.recovered") == 1
    own.nemod("jobs", "cancel", "1")
    own.wait_for(JobState.CANCELLED, "lengthy.mkv")


def test_a_kill_in_the_middle_of_encodes_changes_nothing_of_the_end(own: Machine, needy: Path) -> None:
    """Killed twice while ffmpeg works, whose orphans go on as they like: every file is delivered, once and whole."""
    inbox = own.folder("in", preset="tight")
    names = [f"clip {number}.mkv" for number in range(3)]
    for name in names:
        shutil.copy(needy, inbox / name)
    for _ in range(2):
        own.start()
        eventually(own.encoding, own.told)
        assert own.stop(signal.SIGKILL) == -signal.SIGKILL
        outputs = own.home / "in" / "done"
        assert all(path.suffix == ".mp4" for path in outputs.iterdir() if not path.name.startswith("."))
    own.start()
    for name in names:
        output = own.delivered(name)
        assert output.stat().st_size <= 100_000
        assert (inbox / "originals" / name).read_bytes() == needy.read_bytes()
    assert own.stop() == OK
    assert own.states() == [JobState.DONE] * 3
    assert sorted(path.name for path in (inbox / "done").iterdir()) == [name.replace(".mkv", ".mp4") for name in names]
    eventually(lambda: not own.encoding(), own.told)
    assert not leftovers(inbox)
    for output in (inbox / "done").iterdir():
        assert own.nemod("check", str(output), "--for", "compress-video").returncode == OK


def test_an_orphaned_encode_spoils_nothing(own: Machine, lengthy: Path, tiny: Path) -> None:
    """The ffmpeg of a killed daemon still writes when the next one works: its folder is swept away beneath it."""
    inbox = own.folder("in", preset="roomy")
    own.start()
    shutil.copy(lengthy, inbox / "lengthy.mkv")
    eventually(own.encoding, own.told)
    orphans = own.encoding()
    own.stop(signal.SIGKILL)
    (inbox / "lengthy.mkv").unlink()
    shutil.copy(tiny, inbox / "next.mp4")
    own.start()
    output = own.delivered("next.mp4")
    own.wait_for(JobState.CANCELLED, "lengthy.mkv")
    eventually(lambda: [path.name for path in every(inbox / "done")] == [output.name], own.told)
    assert own.stop() == OK
    assert [path.name for path in every(inbox / "done")] == [output.name]
    for pid in set(orphans) & set(own.encoding()):
        own.end_orphan(pid)
    eventually(lambda: not own.encoding())
    assert [path.name for path in every(inbox / "done")] == [output.name]


def test_a_reload_adds_a_folder_and_keeps_the_old_config_over_a_broken_one(own: Machine, tiny: Path) -> None:
    """SIGHUP reads again; with problems every one is told and nothing changes."""
    first = own.folder("first")
    own.start()
    second = own.folder("second")
    shutil.copy(tiny, second / "waiting.mp4")
    own.send(signal.SIGHUP)
    own.delivered("waiting.mp4")
    sound = own.config.read_text()
    own.configure(sound.replace('preset = "discord"', 'preset = "discrod"'))
    own.send(signal.SIGHUP)
    eventually(lambda: own.count("config.kept"), own.told)
    problems = [line["problem"] for line in own.events("config.problem")]
    assert len(problems) == 2
    assert all('did you mean "discord"?' in problem for problem in problems)
    for inbox in (first, second):
        shutil.copy(tiny, inbox / "after.mp4")
        own.delivered("after.mp4", folder=inbox.name)
    assert own.stop() == OK


def test_a_second_daemon_is_refused(own: Machine, tiny: Path) -> None:
    """Neither the same ledger nor the same inbox is shared; the first daemon does not notice."""
    inbox = own.folder("in")
    own.start()
    assert own.nemod("run").returncode == RUNNING
    assert own.nemod("once").returncode == RUNNING
    other = own.beside()
    refused = other.nemod("run")
    assert refused.returncode == RUNNING
    assert str(inbox) in refused.stderr
    shutil.copy(tiny, inbox / "still.mp4")
    own.delivered("still.mp4")
    assert own.stop() == OK


def test_a_job_that_a_kill_interrupted_can_be_cancelled_while_no_daemon_runs(own: Machine, lengthy: Path) -> None:
    """Nobody holds it any more: it is cancelled at once, its file stays, and the next start does not take it."""
    inbox = own.folder("in", preset="roomy")
    own.start()
    shutil.copy(lengthy, inbox / "long.mkv")
    eventually(own.encoding, own.told)
    own.kill()
    for orphan in own.encoding():
        own.end_orphan(orphan)
    (job,) = own.jobs()
    done = own.nemod("jobs", "cancel", str(job.id))
    assert done.returncode == 0, done.stderr
    assert "cancelled" in done.stdout
    assert own.nemod("once").returncode == 0
    assert own.states() == [JobState.CANCELLED]
    assert (inbox / "long.mkv").is_file()
    assert not leftovers(inbox)
