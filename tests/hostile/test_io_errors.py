"""Disks that fail now and then: a call answers with an error, and everything after it as if nothing had been.

Inbox, outbox, originals and failed files lie on a disk of ours (see `tests.support.stick`). One daemon works on it, and each
video meets one fault at the n-th call of one kind. A file that could not be synced has lost its bytes, as it is on real disks:
the next sync of it says that all is well.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from nemod.job import ENDED, JobState
from tests.support.daemon import CONFIG, Machine, eventually, leftovers
from tests.support.disks import Disks

SLOW = bool(os.environ.get("NEMOD_SLOW"))
#: What changes a disk or tells whether it was changed; of the others, which are a hundred to a video, some are tried.
EFFECTS = ("create", "write", "fsync", "fsyncdir", "rename", "unlink", "mkdir", "rmdir", "setattr", "flush")
LOOKS = ("open", "read", "readdir", "opendir", "lookup", "getattr")
#: Quotas, shares that forget and that are gone, disks that turn read-only, what is busy.
OTHERS = (errno.EDQUOT, errno.ENOSPC, errno.ESTALE, errno.ENOTCONN, errno.EROFS, errno.EBUSY, errno.ETXTBSY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The call that fails: the how-manieth of its kind, counted from 0, and with which error."""

    call: str
    skip: int
    code: int = errno.EIO


#: Without NEMOD_SLOW=1: what was lost, left or blamed on the video before it was mended; of the ledger's disk, what ends it.
KNOWN = (Fault(call="create", skip=0), Fault(call="fsync", skip=1), Fault(call="setattr", skip=2))
KNOWN_LEDGER = (Fault(call="write", skip=3), Fault(call="fsync", skip=1))


def faults() -> Iterator[tuple[Fault, ...]]:
    """Kinds of faults, each counted up until no call is left that could fail."""
    for call in EFFECTS:
        yield tuple(Fault(call=call, skip=skip) for skip in range(100))
    for call in LOOKS:
        yield tuple(Fault(call=call, skip=skip) for skip in range(0, 600, 40 if call in {"lookup", "getattr"} else 1))
    for code in OTHERS:
        for call in ("create", "write", "fsync", "rename"):
            yield tuple(Fault(call=call, skip=skip, code=code) for skip in range(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A daemon at work on a disk that fails when it is told to."""

    own: Machine
    hands: Disks
    base: Path
    video: Path

    def meet(self, number: int, fault: Fault) -> bool:
        """Let one video meet a fault, and see what becomes of it; False when there was no such call."""
        before = len(self.hands.faults(self.base))
        self.hands.fault(self.base, fault.code, fault.call, skip=fault.skip)
        name = f"clip{number}.mp4"
        shutil.copy2(self.video, self.base / "in" / name)
        eventually(lambda: self.ended(name), self.own.told)
        (job,) = self.own.jobs(name)
        lies = {place: sorted((self.base / place).glob(f"clip{number}[. ]*")) for place in ("in", "out", "old", "bad")}
        said = f"{fault}: {job.failure} {lies}"
        assert job.state is JobState.DONE, said
        assert {place: [path.name for path in paths] for place, paths in lies.items()} == {
            "in": [],
            "out": [name],
            "old": [name],
            "bad": [],
        }, said
        assert all(path.read_bytes() == self.video.read_bytes() for paths in lies.values() for path in paths), said
        return len(self.hands.faults(self.base)) > before

    def ended(self, name: str) -> bool:
        """Whether a video has come to its end; one that waits is sent on."""
        jobs = self.own.jobs(name)
        if any(job.failure is not None and job.state in {JobState.QUEUED, JobState.PARKED} for job in jobs):
            self.own.nemod("jobs", "release", *(str(job.id) for job in jobs))
        return bool(jobs) and all(job.state in ENDED for job in jobs)


@pytest.mark.timeout(7200)
def test_a_fault_of_the_disk_loses_and_doubles_nothing(
    own: Machine, hands: Disks, tiny: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Whatever fails, the video waits, goes on and comes out whole and once, its original is put away, and nothing is left."""
    base, disk = tmp_path / "base", own.home / "disk"
    (base / "in").mkdir(parents=True)
    hands.stick(base, disk)
    places = {"inbox": "in", "outbox": "out", "originals": "old", "failed": "bad"}
    lines = "".join(f'{word} = "{disk}/{place}"\n' for word, place in places.items())
    own.configure(f'{CONFIG}[folders.in]\npreset = "discord"\n{lines}')
    video = Path(shutil.copy(tiny, tmp_path / "video.mp4"))
    os.utime(video, (10**9, 10**9))
    own.start()
    bench, number, met = Bench(own=own, hands=hands, base=base, video=video), 0, 0
    for kind in faults() if SLOW else [(fault,) for fault in KNOWN]:
        for fault in kind:
            number += 1
            hit = bench.meet(number, fault)
            met += hit
            if not hit:
                break
    record_property("faults met", met)
    assert met >= (120 if SLOW else len(KNOWN)), f"only {met} faults were met"
    with suppress(FileNotFoundError):
        Path(f"{base}.fault").unlink()
    hands.fault(base, 0, times=0)
    assert own.stop() == 0
    own.start()  # what could not be removed is swept
    assert own.stop() == 0
    assert leftovers(base) == []
    assert not own.events("job.bug", "job.failed", "job.cancelled")
    assert "Traceback" not in own.told()


@pytest.mark.timeout(7200)
def test_a_fault_of_the_ledgers_disk_is_told_and_got_over(
    own: Machine, hands: Disks, tiny: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """What it cannot read or write is waited for, or ends the daemon with words; the next life goes on; nothing is twice."""
    base = tmp_path / "base"
    base.mkdir()
    hands.stick(base, own.state)
    inbox = own.folder("in")
    own.start()
    tried = (
        [Fault(call=call, skip=skip) for call in (*EFFECTS, "read", "open") for skip in range(0, 40, 2)]
        if SLOW
        else KNOWN_LEDGER
    )
    name = ""
    for number, fault in enumerate(tried):
        name = f"clip{number}.mp4"
        hands.fault(base, fault.code, fault.call, skip=fault.skip)
        shutil.copy(tiny, inbox / name)
        eventually(partial(_delivers, own, name), own.told)
    met = len(hands.faults(base))
    hands.fault(base, 0, times=0)
    record_property("faults of the ledger's disk met", met)
    eventually(lambda: _delivers(own, name) and own.process is not None and own.process.poll() is None, own.told)
    assert own.stop() == 0
    for place in ("done", "originals"):
        assert sorted(path.name for path in (inbox / place).iterdir()) == sorted(f"clip{n}.mp4" for n in range(len(tried)))
    assert leftovers(inbox) == []
    assert "Traceback" not in own.told()


def _delivers(own: Machine, name: str) -> bool:
    """Whether a file is delivered; a daemon that has ended is started again."""
    assert own.process is not None
    if own.process.poll() is not None:
        with suppress(AssertionError):  # it may meet its fault at the start
            own.start()
    return any('"job.delivered"' in line and f'"{name}"' in line for line in own.told().splitlines())
