"""Facts go in and come out as the same values, and a closed attempt is never written again."""

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Folder
from nemod.engines.base import EngineName, Part, Token
from nemod.failure import Failure, Kind
from nemod.job import JobId, JobState, Lane, Move
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, Request
from nemod.media.info import MediaInfo, Window
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import ACCEPT, AUDIO, MEDIA, NOW, REFUSE, ROUTE, WHY, folder, sighting

SILENT = replace(MEDIA, video=None, audio=(), header_duration_s=None, others=("data", "subtitle"), damaged=True)


@pytest.mark.parametrize("media", [MEDIA, SILENT, replace(MEDIA, audio=(replace(AUDIO, title="\udce9\n"),))])
def test_what_was_examined_comes_back_as_it_was(bench: Bench, media: MediaInfo) -> None:
    """Titles of tracks may hold any bytes, too; looking well ends a row of failures."""
    job = bench.running()
    bench.ledger.move(job, Move.YIELD, now=NOW, failure=WHY, counts=True)
    bench.ledger.examined(job, media, ROUTE)
    after = bench.read(job)
    assert (after.media, after.route, after.tries, after.failure) == (media, ROUTE, 0, None)


def test_an_attempt_is_filled_step_by_step(bench: Bench) -> None:
    """Token, staged file, verdict; a lost file takes the verdict with it and leaves the token."""
    ledger, job = bench.ledger, bench.running()
    work = Path(os.fsdecode(b"/work/\xff"))
    attempt = ledger.open_attempt(job, EngineName.NEMO, How.REMUX, work, now=NOW)
    ledger.checkpoint(attempt, Token("1:asking"), now=NOW)
    ledger.staged(attempt, work / "out.mp4", token=None, note="made well")
    ledger.judged(attempt, ACCEPT, now=NOW)
    found = bench.read(job).attempt
    assert found is not None
    assert (found.engine, found.how, found.folder, found.staged) == (EngineName.NEMO, How.REMUX, work, work / "out.mp4")
    assert (found.token, found.note, found.verdict, found.closed) == (Token("1:asking"), "made well", ACCEPT, False)
    ledger.unstaged(attempt)
    found = bench.read(job).attempt
    assert found is not None
    assert (found.token, found.staged, found.verdict) == (Token("1:asking"), None, None)
    ledger.staged(attempt, work / "out.mp4", token=Token("1:rendered"), note="")
    found = bench.read(job).attempt
    assert found is not None
    assert found.token == Token("1:rendered")


def test_an_output_in_parts_is_written_with_its_windows_and_names(bench: Bench) -> None:
    """Names may hold any bytes; a lost part takes all with it, and a retry begins without any."""
    ledger, job = bench.ledger, bench.running()
    work = Path(os.fsdecode(b"/work/\xff"))
    windows = (Window(start_s=0.0, end_s=10.5, last_s=3.25), Window(start_s=10.5, end_s=21.0, picture_s=10.0))
    parts = tuple(Part(path=work / f"{n}.mp4", window=w, size_bytes=n + 5) for n, w in enumerate(windows))
    targets = tuple(Path(os.fsdecode(b"/out/\xff")) / f"a part {n} of 2.mp4" for n in (1, 2))
    attempt = ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, work, now=NOW)
    ledger.staged(attempt, parts[0].path, token=None, note="in 2 parts", parts=parts)
    assert ledger.aim(job, *targets)
    found = bench.read(job)
    assert found.attempt is not None
    assert (found.attempt.parts, found.attempt.staged) == (parts, parts[0].path)
    assert found.attempt.files == tuple(part.path for part in parts)
    assert (found.target, found.targets) == (targets[0], targets)
    ledger.unstaged(attempt)
    found = bench.read(job)
    assert found.attempt is not None
    assert (found.attempt.parts, found.attempt.files) == ((), ())
    ledger.move(job, Move.CANCEL, now=NOW)
    assert ledger.retry(job, folder=None, found=None, present=True, now=NOW)
    assert (bench.read(job).target, bench.read(job).targets) == (None, ())


def test_rows_of_before_there_were_parts_and_codecs_still_read(bench: Bench) -> None:
    """A snapshot of a folder and what a source is, without the keys that came later."""
    job = bench.encoded()
    later = {
        "folder": ("codec", "audio", "speed", "measure", "on_impossible", "start_s", "end_s"),
        "media": ("window", "origin_s"),
    }
    for column, keys in later.items():
        paths = ", ".join(f"'$.{'preset.' if column == 'folder' else ''}{key}'" for key in keys)
        bench.ledger.execute(f"UPDATE job SET {column} = json_remove({column}, {paths})")  # noqa: S608 - our own words
    bench.ledger.execute("UPDATE attempt SET verdict = json_remove(verdict, '$.quality')")
    found = bench.read(job)
    assert (found.folder, found.media) == (bench.folder, MEDIA)
    assert found.attempt is not None
    assert found.attempt.verdict == ACCEPT


def test_a_refusal_closes_its_attempt_for_good(bench: Bench) -> None:
    """Nothing that comes late is written into it."""
    ledger, job = bench.ledger, bench.running()
    attempt = ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=NOW)
    ledger.judged(attempt, REFUSE, now=NOW)
    before = bench.read(job)
    assert before.attempt is None
    assert before.refusals == (REFUSE,)
    ledger.checkpoint(attempt, Token("late"), now=NOW)
    ledger.staged(attempt, Path("/late"), token=None, note="late")
    ledger.unstaged(attempt)
    ledger.judged(attempt, ACCEPT, now=NOW)
    ledger.close_attempt(attempt, failure=WHY, now=NOW)
    assert bench.read(job) == before


def test_a_failed_attempt_keeps_its_reason(bench: Bench) -> None:
    """With what a server asked for, and a hint."""
    ledger, job = bench.ledger, bench.running()
    attempt = ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, bench.work(job), now=NOW)
    why = Failure(kind=Kind.THROTTLED, detail="Too fast: “später”.", hint="Wait.", retry_at=NOW + 1.5)
    ledger.close_attempt(attempt, failure=why, now=NOW)
    (found,) = bench.read(job).attempts
    assert (found.failure, found.closed) == (why, True)


def test_a_delivery_and_an_original_are_recorded(bench: Bench) -> None:
    """Where the output lies, how large it is, and where the original went."""
    job = bench.delivered()
    bench.ledger.disposed(job, "archived", bench.folder.originals / "clip.mov")
    bench.ledger.move(job, Move.FINISH, now=NOW)
    after = bench.read(job)
    assert (after.target, after.delivered_bytes) == (bench.folder.outbox / "clip.mov.mp4", ACCEPT.size_bytes)
    assert (after.disposed, after.source, after.present) == ("archived", bench.folder.originals / "clip.mov", False)


def test_jobs_are_read_by_state_and_number(bench: Bench) -> None:
    """Oldest first, and of the newest only so many as asked for."""
    a, b, c = bench.add("a.mov", "b.mov", "c.mov")
    bench.ledger.move(b, Move.CANCEL, now=NOW)
    ledger = bench.ledger
    assert [j.id for j in ledger.jobs()] == [a, b, c]
    assert [j.id for j in ledger.jobs(newest=2)] == [b, c]
    assert [j.id for j in ledger.jobs(states=[JobState.QUEUED])] == [a, c]
    assert ledger.jobs(states=[]) == ()
    assert ledger.counts() == dict.fromkeys(JobState, 0) | {JobState.QUEUED: 2, JobState.CANCELLED: 1}
    assert ledger.job(JobId(99)) is None


def test_words_for_the_daemon_stay_in_order_until_they_are_struck(bench: Bench, file: Path) -> None:
    """They come from another connection, which the data version tells; a kill before they were heard loses none."""
    before = bench.ledger.data_version()
    command = Ledger.open(file)
    command.request("cancel", JobId(7), now=NOW)
    command.request("ask", JobId(8), now=NOW + 1, text="Add a title.")
    command.request("reload", None, now=NOW + 1)
    command.close()
    assert bench.ledger.data_version() != before
    assert bench.ledger.requests() == (
        Request(id=1, verb="cancel", job=JobId(7), at=NOW),
        Request(id=2, verb="ask", job=JobId(8), at=NOW + 1, text="Add a title."),
        Request(id=3, verb="reload", job=None, at=NOW + 1),
    )
    bench.ledger.strike(2)
    assert [request.id for request in bench.ledger.requests()] == [1, 3]


async def _running_job(desk: Desk, here: Folder) -> JobId:
    seen = [sighting()]
    await desk(Ledger.reconcile, here, resting=seen, seen=seen, sees=lambda _: True, now=NOW)
    job = await desk(Ledger.claim, Lane.LIGHT, now=NOW)
    assert job is not None
    return job.id


async def test_the_desk_takes_calls_in_their_order_with_their_answers(file: Path, tmp_path: Path) -> None:
    """One thread of its own; an error comes back to the one who asked."""
    desk = Desk(Ledger.open(file))
    here = folder(tmp_path)
    job = await _running_job(desk, here)
    with pytest.raises(sqlite3.IntegrityError):
        await desk(Ledger.move, job, Move.FINISH, now=NOW)
    assert await desk(Ledger.hold, f"folder:{here.name}", until=None, failure=WHY, now=NOW) == 1
    assert [h.failure for h in await desk(Ledger.holds)] == [WHY]
    desk.close()
