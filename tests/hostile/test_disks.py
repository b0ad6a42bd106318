"""Disks that are full, shut or pulled while the daemon works: it waits with words, goes on by itself, loses nothing."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.clips import make_clip
from tests.support.daemon import CONFIG, Machine, eventually, leftovers
from tests.support.disks import Disks
from tests.support.people import without_power

SLOW = bool(os.environ.get("NEMOD_SLOW"))


@pytest.fixture(scope="session")
def needy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second that needs an encode for the preset `tight`."""
    return make_clip(tmp_path_factory.mktemp("needy") / "needy.mkv", seconds=1, size=(320, 240))


def fill(disk: Path) -> Path:
    """Write until a disk takes nothing more; what filled it."""
    path = disk / "filled"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def _try_read_only(disk: Path) -> bool:
    """Whether a disk could be made read-only; it cannot while a file on it is open for writing."""
    return subprocess.run(["mount", "-o", "remount,ro", disk], capture_output=True, check=False).returncode == 0


@contextmanager
def no_larger_than(process: int, size_bytes: int) -> Iterator[None]:
    """Let a running process make no file larger, which to it is what a used up quota is."""
    if sys.platform != "linux":
        pytest.skip("only Linux lets one process limit another")
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    yield
    with suppress(ProcessLookupError):  # it has ended
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


def go_on(own: Machine) -> None:
    """Held folders are tried again: by themselves after half a minute, or at a person's word, which is quicker."""
    if not SLOW:
        own.nemod("jobs", "release", *(str(job.id) for job in own.jobs()))


def test_a_ledger_without_room_is_waited_for(own: Machine, tiny: Path) -> None:
    """Its file may not grow: the daemon says so once, does nothing it could not note, goes on, and ends politely."""
    inbox = own.folder("in", 'after = "keep"')
    own.start()
    shutil.copy(tiny, inbox / "a.mp4")
    own.delivered("a.mp4")
    with no_larger_than(own.pid, 60_000):
        shutil.copy(tiny, inbox / "b.mp4")
        shutil.copy(tiny, inbox / "c.mp4")
        eventually(lambda: own.count("ledger.full"), own.told)
        assert "Waiting for room" in own.nemod("health").stdout, "who waits for room is well, and says so"
        assert own.nemod("status").returncode == 0
    own.delivered("b.mp4")
    own.delivered("c.mp4")
    assert own.count("ledger.full") == own.count("ledger.back") == 1
    with no_larger_than(own.pid, 60_000):
        shutil.copy(tiny, inbox / "d.mp4")
        eventually(lambda: own.count("ledger.full") == 2, own.told)
        assert own.stop() == 0
        own.start()
    own.delivered("d.mp4")
    assert own.stop() == 0
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert own.states() == [JobState.DONE] * 4
    assert not own.events("job.bug", "ledger.failed")
    assert "Traceback" not in own.told()


def test_every_disk_may_be_full(own: Machine, hands: Disks, needy: Path) -> None:
    """Of the outbox, the originals, the failed files, the inbox: each folder waits, says for what, and goes on; no hot loop."""
    own.folder("enc", 'outbox = "~/small/out"', preset="tight")
    own.folder("arch", 'originals = "~/olds/originals"', preset="tight")
    own.folder("fail", 'failed = "~/bad/failed"', preset="hopeless")
    own.folder("all", 'ignore = ["filled"]', preset="tight")
    full = [hands.small(own.home / name, "1m") for name in ("small", "olds", "bad", "all")]
    own.start()
    shutil.copy(needy, full[-1] / "all.mkv")
    filled = [fill(disk) for disk in full]
    for name in ("enc", "arch", "fail"):
        shutil.copy(needy, own.home / name / f"{name}.mkv")
    names = ("enc", "arch", "fail", "all")
    eventually(lambda: all(own.count("folder.held", folder=name, kind="no_space") for name in names), own.told)
    assert len(own.told().splitlines()) < 40
    assert {job.source.read_bytes() for job in own.jobs()} == {needy.read_bytes()}
    for disk, path in zip(full, filled, strict=True):
        path.unlink()
        hands.resize(disk, "20m")
    go_on(own)
    for name in ("enc", "arch", "all"):
        assert own.delivered(f"{name}.mkv").stat().st_size <= 100_000
    (failed,) = own.wait_for(JobState.FAILED, "fail.mkv")
    assert own.stop() == 0
    assert failed.failure is not None
    assert failed.failure.kind == "impossible"
    originals = [*own.home.rglob("originals/*.mkv"), *own.home.rglob("failed/*.mkv")]
    assert [path.read_bytes() for path in originals] == [needy.read_bytes()] * 4
    assert leftovers(own.home) == []
    assert not own.events("job.bug", "job.attempt_failed", "job.waiting")


def test_drives_are_pulled_while_the_daemon_works(own: Machine, hands: Disks, needy: Path, tmp_path: Path) -> None:
    """Of all, the outbox, the originals, in the middle of an encode: nothing is written below, lost or twice."""
    bases = {name: hands.small(tmp_path / f"base {name}", "20m") for name in ("all", "out", "olds")}
    drives = {name: hands.again(base, own.home / name) for name, base in bases.items()}
    (drives["all"] / "in").mkdir()
    text = {
        "all": f'inbox = "{drives["all"]}/in"',
        "out": f'inbox = "~/i2"\noutbox = "{drives["out"]}/out"',
        "olds": f'inbox = "~/i3"\noriginals = "{drives["olds"]}/originals"',
    }
    for name in ("i2", "i3"):
        (own.home / name).mkdir()
    own.configure(CONFIG + "".join(f'[folders.{name}]\npreset = "tight"\n{lines}\n' for name, lines in text.items()))
    inboxes = {"all": drives["all"] / "in", "out": own.home / "i2", "olds": own.home / "i3"}
    own.start()
    for name, inbox in inboxes.items():
        shutil.copy(needy, inbox / f"{name}.mkv")
        eventually(partial(own.count, "job.examined", folder=name), own.told)
    eventually(lambda: own.encoding() or _done(own, "olds"), own.told)
    for drive in drives.values():
        hands.pull(drive)
    eventually(lambda: own.count("folder.away", folder="all"), own.told)
    for name in ("out", "olds"):  # where the test was slower than the daemon, there is nothing to hold any more
        eventually(partial(_held_or_done, own, name), own.told)
    assert [list(drive.iterdir()) for drive in drives.values()] == [[], [], []]
    assert JobState.CANCELLED not in own.states()
    for name, drive in drives.items():
        hands.again(bases[name], drive)
    eventually(lambda: own.count("folder.back", folder="all"), own.told)
    go_on(own)
    for name in drives:
        own.delivered(f"{name}.mkv")
    assert own.stop() == 0
    assert sorted(own.states()) == [JobState.DONE] * 3
    outputs = [*own.home.rglob("*.mp4")]
    assert sorted(path.name for path in outputs) == ["all.mp4", "olds.mp4", "out.mp4"]
    assert [path.read_bytes() for path in own.home.rglob("originals/*.mkv")] == [needy.read_bytes()] * 3
    assert leftovers(own.home) == []
    assert not own.events("job.bug", "job.failed", "job.cancelled")


def _held_or_done(own: Machine, folder: str) -> bool:
    return own.count("folder.held", folder=folder) > 0 or _done(own, folder)


def _done(own: Machine, folder: str) -> bool:
    return JobState.DONE in own.states(folder=folder)


def test_modes_and_mounts_change_while_the_daemon_works(own: Machine, hands: Disks, needy: Path, tiny: Path) -> None:
    """An outbox read-only in the middle of an encode; inboxes whose files may not be removed: delivered once, and said so."""
    own.folder("enc", 'outbox = "~/ro/out"', preset="tight")
    own.folder("shut", 'outbox = "~/shut out"', preset="tight")
    for after in ("archive", "delete", "trash"):
        own.folder(after, f'after = "{after}"', 'outbox = "~/' + after + ' out"', 'originals = "~/' + after + ' old"')
    ro = hands.small(own.home / "ro", "20m")
    shut = own.home / "shut out"
    own.start(*without_power())
    for name in ("enc", "shut"):
        shutil.copy(needy, own.home / name / f"{name}.mkv")
        eventually(partial(own.count, "job.examined", folder=name), own.told)
    shut.chmod(0o500)
    eventually(lambda: _try_read_only(ro), own.told)
    for after in ("archive", "delete", "trash"):
        shutil.copy(tiny, own.home / after / "kept.mp4")
        (own.home / after).chmod(0o500)
        own.delivered("kept.mp4", folder=after)
    for name in ("enc", "shut"):
        eventually(partial(_held_or_done, own, name), own.told)
    for after in ("archive", "delete", "trash"):  # the next look at the same inbox, behind a look at everything
        (own.home / after).chmod(0o700)
        shutil.copy(tiny, own.home / after / "next.mp4")
        own.delivered("next.mp4", folder=after)
    hands.read_only(ro, yes=False)
    shut.chmod(0o700)
    go_on(own)
    for name in ("enc", "shut"):
        assert own.delivered(f"{name}.mkv").stat().st_size <= 100_000
    assert own.stop() == 0
    for after in ("archive", "delete", "trash"):
        assert sorted(path.name for path in (own.home / f"{after} out").iterdir()) == ["kept.mp4", "next.mp4"]
        assert (own.home / after / "kept.mp4").read_bytes() == tiny.read_bytes()
        assert own.count("job.original", how="kept", file="kept.mp4")
        assert len(own.jobs(folder=after)) == 2
        assert not (own.home / after / "next.mp4").exists()
    assert leftovers(own.home) == []
    assert not own.events("job.bug", "job.failed", "job.cancelled")
