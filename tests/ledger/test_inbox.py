"""Looks at an inbox against the jobs there are: new, known, gone, changed, come back, not seen."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.engines.base import EngineName
from nemod.failure import Kind
from nemod.job import JobState, Move
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import NOW, WHY, folder, sighting

LATER = NOW + 100


def test_a_new_file_becomes_a_job(bench: Bench) -> None:
    """With the folder as it is now, due at once, its source where it lies."""
    found = bench.look(sighting("sub/clip.mov"))
    (job,) = map(bench.read, found.added)
    assert found.gone == ()
    assert (job.state, job.due, job.created, job.present) == (JobState.QUEUED, NOW, NOW, True)
    assert (job.folder, job.relpath, job.source) == (bench.folder, "sub/clip.mov", bench.folder.inbox / "sub/clip.mov")
    assert job.fingerprint == sighting("sub/clip.mov").fingerprint


def test_a_known_file_is_no_news(bench: Bench) -> None:
    """However often it is seen, and whatever has become of its job."""
    bench.look(sighting())
    for _ in range(3):
        found = bench.look(sighting())
        assert (found.added, found.gone) == ((), ())
    job = bench.claim()
    assert job is not None
    assert bench.look(sighting()).added == ()
    bench.ledger.move(job.id, Move.CANCEL, now=NOW)
    assert bench.look(sighting()).added == ()
    assert len(bench.ledger.jobs()) == 1


def test_present_files_are_those_that_have_a_job_and_still_lie_there(bench: Bench, tmp_path: Path) -> None:
    """By inbox, as the look that found them saw them; what is disposed of or lost is not among them."""
    here = [sighting("a.mov"), sighting(os.fsdecode(b"\xff.mov"), inode=2**63), sighting("c.mov")]
    gone = bench.look(*here).added[0]
    bench.ledger.lost(gone)
    assert bench.ledger.present(bench.folder.inbox) == set(here[1:])
    assert bench.ledger.present(tmp_path / "other") == frozenset()


def test_a_file_that_only_moves_is_seen_but_no_job(bench: Bench) -> None:
    """Not at rest: it becomes none, but it keeps the job that it has."""
    (job,) = bench.look(sighting()).added
    growing = sighting("new.mov", size=5)
    found = bench.ledger.reconcile(bench.folder, resting=[], seen=[sighting(), growing], sees=lambda _: True, now=NOW)
    assert (found.added, found.gone) == ((), ())
    assert bench.read(job).present


@pytest.mark.parametrize("move", [Move.YIELD, Move.PARK])
def test_a_waiting_job_whose_file_is_gone_is_cancelled(bench: Bench, move: Move) -> None:
    """With the reason, and with nothing left open."""
    job = bench.running()
    bench.ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=NOW)
    bench.ledger.move(job, move, now=NOW)
    assert bench.look(now=LATER).gone == (job,)
    after = bench.read(job)
    assert (after.state, after.present, after.finished, after.attempt) == (JobState.CANCELLED, False, LATER, None)
    assert after.failure is not None
    assert after.failure.kind is Kind.SOURCE_GONE
    assert bench.look().gone == ()


def test_a_job_that_runs_finds_out_by_itself(bench: Bench) -> None:
    """The look only tells it that its file is gone."""
    job = bench.running()
    assert bench.look().gone == ()
    assert (bench.read(job).state, bench.read(job).present) == (JobState.RUNNING, False)


@pytest.mark.parametrize("way", ["delivered", "failing"])
def test_a_job_that_only_has_to_be_ended_is_not_cancelled(bench: Bench, way: str) -> None:
    """What is delivered, or on its way to the failed folder, goes on without its file."""
    if way == "delivered":
        job = bench.delivered()
    else:
        job = bench.running()
        bench.ledger.failing(job, WHY)
    bench.ledger.move(job, Move.YIELD, now=NOW)
    assert bench.look().gone == ()
    assert (bench.read(job).state, bench.read(job).present) == (JobState.QUEUED, False)


@pytest.mark.parametrize("change", [{"size": 31_000_000}, {"mtime_ns": 6}, {"inode": 8}])
def test_a_file_changed_under_its_name_is_another_job(bench: Bench, change: dict[str, int]) -> None:
    """Each part of the fingerprint tells; the old job has lost its file."""
    (old,) = bench.look(sighting()).added
    found = bench.look(sighting(**change))  # type: ignore[arg-type]
    assert found.gone == (old,)
    assert len(found.added) == 1
    assert bench.read(found.added[0]).present


@pytest.mark.parametrize("how", ["archived", "trashed", "deleted", "gone", "changed"])
def test_a_file_dropped_again_with_its_old_times_is_done_again(bench: Bench, how: str) -> None:
    """Once the original is disposed of, the very same sighting is a new job, even without a look in between."""
    job = bench.delivered()
    bench.ledger.disposed(job, how, None)
    bench.ledger.move(job, Move.FINISH, now=NOW)
    assert not bench.read(job).present
    found = bench.look(sighting())
    assert len(found.added) == 1
    assert found.gone == ()


def test_a_file_that_is_kept_is_not_done_again(bench: Bench) -> None:
    """As long as it lies there; removed and dropped again it is new."""
    job = bench.delivered()
    bench.ledger.disposed(job, "kept", None)
    bench.ledger.move(job, Move.FINISH, now=NOW)
    assert bench.look(sighting()).added == ()
    assert bench.look().added == ()
    assert bench.read(job).state is JobState.DONE
    assert len(bench.look(sighting()).added) == 1


@pytest.mark.parametrize("moved", [True, False])
def test_a_failed_file_is_tried_again_only_when_it_was_moved_away(bench: Bench, *, moved: bool) -> None:
    """One that could not be moved stays present, or it would fail for ever."""
    job, ledger = bench.running(), bench.ledger
    ledger.failing(job, WHY)
    ledger.aim_quarantine(job, Path("/failed/clip.mov"))
    ledger.quarantined(job, source=bench.folder.inbox / "clip.mov", moved=moved)
    ledger.move(job, Move.FAIL, now=NOW)
    assert bool(bench.look(sighting()).added) is moved


def test_a_lost_file_that_comes_back_is_new(bench: Bench) -> None:
    """The runner saw that it was not there; whoever drops it again means it."""
    job = bench.running()
    bench.ledger.move(job, Move.CANCEL, now=NOW)
    bench.ledger.lost(job)
    assert len(bench.look(sighting()).added) == 1


def test_what_a_look_could_not_see_is_unknown(bench: Bench) -> None:
    """A sub-folder that could not be read makes nothing gone; what lies beside it is."""
    hidden, shown = bench.look(sighting("dark/a.mov"), sighting("b.mov")).added
    found = bench.look(sees=lambda relpath: not relpath.startswith("dark/"))
    assert found.gone == (shown,)
    assert bench.read(hidden).state is JobState.QUEUED
    assert bench.read(hidden).present


def test_folders_do_not_know_each_others_files(bench: Bench, tmp_path: Path) -> None:
    """A look at one inbox says nothing of another."""
    (job,) = bench.look(sighting()).added
    other = replace(bench, folder=folder(tmp_path, "other"))
    assert other.look().gone == ()
    assert len(other.look(sighting()).added) == 1
    assert bench.read(job).present


def test_names_that_are_not_utf_8_come_back_byte_for_byte(bench: Bench, tmp_path: Path) -> None:
    """In the file's name and in every path of the folder."""
    odd = replace(folder(tmp_path / os.fsdecode(b"caf\xe9")), name="clips")
    name = os.fsdecode(b"sub\xff/\xfe\n-rf.mov")
    here = replace(bench, folder=odd)
    (job,) = map(here.read, here.look(sighting(name)).added)
    assert os.fsencode(job.relpath) == b"sub\xff/\xfe\n-rf.mov"
    assert job.folder == odd
    assert job.source == odd.inbox / name
    assert here.look(sighting(name)).added == ()
    assert here.ledger.outboxes() == {odd.outbox}


@pytest.mark.parametrize("inode", [0, 2**63 - 1, 2**63, 2**64 - 1])
def test_inodes_of_64_bits_fit(bench: Bench, inode: int) -> None:
    """Some network file systems use the highest bit, which SQLite takes for a sign."""
    (job,) = bench.look(sighting(inode=inode)).added
    assert bench.read(job).fingerprint.inode == inode
    assert bench.look(sighting(inode=inode)).added == ()
