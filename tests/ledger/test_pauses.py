"""A pause keeps jobs from beginning, and none that has begun from going on."""

import dataclasses
from pathlib import Path

from nemod.engines.base import EngineName
from nemod.job import JobState, Lane, Move
from nemod.ledger.pauses import EVERY, Why, pause_of
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import MEDIA, NOW, ROUTE

LATER = NOW + 1000


def test_a_paused_folder_begins_nothing_until_it_is_resumed(bench: Bench) -> None:
    """By its own name, or by a word to all of them."""
    bench.add("a.mov")
    for folder in (bench.folder.name, EVERY):
        assert bench.ledger.pause(folder, now=NOW)
        assert not bench.ledger.pause(folder, now=NOW), "it was paused already"
        assert bench.claim() is None
        (job,) = bench.ledger.jobs()
        paused = pause_of(job, bench.ledger.pauses(), now=NOW)
        assert paused is not None
        assert (paused.folder, paused.why, paused.until) == (folder, Why.ASKED, None)
        assert bench.ledger.resume(folder) == 1
        assert bench.ledger.resume(folder) == 0
    assert bench.claim() is not None


def test_to_resume_everything_takes_back_every_word(bench: Bench) -> None:
    """Those for single folders, too; hours are no word of a person's."""
    for folder in ("x", "y", EVERY):
        bench.ledger.pause(folder, now=NOW)
    bench.ledger.keep_hours({"x": LATER}, now=NOW)
    assert bench.ledger.resume("y") == 1
    assert bench.ledger.resume() == 2
    assert [(p.folder, p.why) for p in bench.ledger.pauses()] == [("x", Why.HOURS)]


def test_another_folder_goes_on(bench: Bench) -> None:
    """While one is paused."""
    bench.add("a.mov")
    bench.ledger.pause("another", now=NOW)
    assert bench.claim() is not None


def test_hours_end_by_themselves(bench: Bench) -> None:
    """What was written down of them is not in the way of the moment at which they begin, and wakes who waits for it."""
    bench.add("a.mov")
    bench.ledger.keep_hours({bench.folder.name: LATER}, now=NOW)
    assert bench.claim() is None
    assert bench.ledger.next_due(now=NOW) == LATER
    (job,) = bench.ledger.jobs()
    assert pause_of(job, bench.ledger.pauses(), now=NOW) is not None
    assert pause_of(job, bench.ledger.pauses(), now=LATER) is None
    bench.ledger.keep_hours({}, now=NOW)
    assert bench.ledger.pauses() == ()
    assert bench.claim(now=NOW) is not None


def test_an_edit_that_may_have_been_paid_goes_on(bench: Bench) -> None:
    """What the cloud makes is polled and fetched, whatever the hours."""
    job = bench.running()
    bench.ledger.examined(job, MEDIA, dataclasses.replace(ROUTE, engines=(EngineName.NEMO,)))
    bench.ledger.open_attempt(job, EngineName.NEMO, How.ENCODE, Path("/work"), now=NOW)
    bench.ledger.pause(now=NOW)
    for polling in (False, True):
        assert bench.ledger.move(job, Move.YIELD, now=NOW, lane=Lane.NEMO, polling=polling)
        found = bench.ledger.claim(Lane.NEMO, now=NOW, polling=polling)
        assert found is not None
        assert pause_of(found, bench.ledger.pauses(), now=NOW) is None


def test_a_finished_output_is_judged_and_delivered(bench: Bench) -> None:
    """It only has to be brought home."""
    job = bench.encoded()
    bench.ledger.move(job, Move.YIELD, now=NOW)
    bench.ledger.pause(now=NOW)
    assert bench.claim() is not None
    assert bench.ledger.aim(job, bench.folder.outbox / "a.mp4")
    bench.ledger.delivered(job, 5)
    bench.ledger.move(job, Move.YIELD, now=NOW)
    assert bench.claim() is not None


def test_an_encode_that_was_cut_short_is_new_work(bench: Bench) -> None:
    """It would begin from its first frame."""
    job = bench.running()
    bench.ledger.examined(job, MEDIA, ROUTE)
    bench.ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, Path("/work"), now=NOW)
    bench.ledger.pause(now=NOW)
    bench.ledger.move(job, Move.YIELD, now=NOW, lane=Lane.LOCAL)
    assert bench.claim(Lane.LOCAL) is None
    (waiting,) = bench.ledger.jobs()
    assert waiting.state is JobState.QUEUED
    assert pause_of(waiting, bench.ledger.pauses(), now=NOW) is not None
