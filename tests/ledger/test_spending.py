"""What may be paid is written down before it is, or not at all; and whose session a job goes on in."""

from dataclasses import replace
from pathlib import Path

import pytest

from nemod.engines.base import EngineName, Token
from nemod.job import AttemptId, Fingerprint, JobId, JobState, Lane, Move
from nemod.ledger.ledger import Spending
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import MEDIA, NOW, REFUSE, ROUTE, WHY

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL


def opened(bench: Bench, job: JobId, engine: EngineName = NEMO) -> AttemptId:
    """A new try for a job."""
    return bench.ledger.open_attempt(job, engine, How.ENCODE, bench.work(job), now=NOW)


def tried(bench: Bench, job: JobId, token: str, engine: EngineName = NEMO) -> AttemptId:
    """A try that came as far as a token and was refused."""
    attempt = opened(bench, job, engine)
    bench.ledger.checkpoint(attempt, Token(token), now=NOW)
    bench.ledger.judged(attempt, REFUSE, now=NOW)
    return attempt


def token(bench: Bench, job: JobId) -> Token | None:
    """Where the open try of a job goes on from."""
    attempt = bench.read(job).attempt
    assert attempt is not None
    return attempt.token


def spent(bench: Bench, job: JobId) -> bool:
    """Whether the job may have paid in this round."""
    return bench.read(job).spent


def test_an_announcement_is_written_with_its_token(bench: Bench) -> None:
    """It may be paid from then on; what it did cost comes later, and nothing at all takes the suspicion away."""
    ledger, job = bench.ledger, bench.running()
    attempt = opened(bench, job)
    assert not spent(bench, job)
    assert ledger.checkpoint(attempt, Token("1:loaded"), now=NOW)
    assert not spent(bench, job)
    assert ledger.checkpoint(attempt, Token("1:asking"), now=NOW, expects=50)
    assert spent(bench, job)
    assert ledger.spendings() == (Spending(job=job, at=NOW, expected=50, cost=None),)
    assert ledger.checkpoint(attempt, Token("1:asked"), now=NOW + 9, cost=0)
    assert not spent(bench, job)
    assert ledger.checkpoint(attempt, Token("1:asking"), now=NOW + 10, expects=50)
    assert ledger.checkpoint(attempt, Token("1:asked"), now=NOW + 11, cost=42.5)
    assert spent(bench, job)
    assert token(bench, job) == "1:asked"
    assert [s.cost for s in ledger.spendings(job=job)] == [42.5, 0]
    assert ledger.spendings(job=JobId(99)) == ()


def test_a_cost_and_the_next_announcement_may_come_at_once(bench: Bench) -> None:
    """The cost belongs to what was announced before."""
    attempt = opened(bench, bench.running())
    bench.ledger.checkpoint(attempt, Token("1:a"), now=NOW, expects=50)
    bench.ledger.checkpoint(attempt, Token("1:b"), now=NOW + 1, expects=60, cost=40)
    assert [(s.expected, s.cost) for s in bench.ledger.spendings()] == [(60, None), (50, 40)]


def test_what_is_announced_again_is_the_same_spending(bench: Bench) -> None:
    """A kill between the message and its cost: it is not sent again, so it counts once, for the budget, too."""
    ledger = bench.ledger
    attempt = opened(bench, bench.running())
    for moment in (NOW, NOW + 60):
        assert ledger.checkpoint(attempt, Token("1:asking"), now=moment, expects=50, budget=60)
    assert [(s.at, s.expected, s.cost) for s in ledger.spendings()] == [(NOW + 60, 50, None)]
    ledger.checkpoint(attempt, Token("1:asked"), now=NOW, cost=42)
    assert not ledger.checkpoint(attempt, Token("1:again"), now=NOW, expects=50, budget=60)
    assert [s.cost for s in ledger.spendings()] == [42]


@pytest.mark.parametrize(
    ("budget", "day_start", "allowed"),
    [(None, 0.0, True), (120, NOW, True), (119.5, NOW, False), (50, NOW + 10, True), (49, NOW + 10, False)],
)
def test_a_budget_lets_pass_what_fits_into_the_day(
    bench: Bench, budget: float | None, day_start: float, *, allowed: bool
) -> None:
    """What is not known counts as expected, what is known as it is; what is refused leaves nothing, not even a token."""
    ledger, job = bench.ledger, bench.running()
    attempt = opened(bench, job)
    ledger.checkpoint(attempt, Token("1:a"), now=NOW, expects=50)
    ledger.checkpoint(attempt, Token("1:b"), now=NOW + 1, cost=20)
    other = opened(bench, bench.running("other.mov"))
    ledger.checkpoint(other, Token("1:c"), now=NOW + 2, expects=50)
    assert ledger.spent_since(NOW) == 70
    known = ledger.spendings()
    done = ledger.checkpoint(attempt, Token("1:d"), now=NOW + 20, expects=50, budget=budget, day_start=day_start)
    assert done is allowed
    assert token(bench, job) == ("1:d" if allowed else "1:b")
    assert len(ledger.spendings()) == len(known) + allowed


def test_a_closed_attempt_announces_nothing(bench: Bench) -> None:
    """Its engine comes too late."""
    job = bench.running()
    attempt = tried(bench, job, "1:a")
    assert bench.ledger.checkpoint(attempt, Token("1:late"), now=NOW, expects=50)
    assert bench.ledger.spendings() == ()
    assert bench.read(job).attempts[0].token == "1:a"  # noqa: S105 - no secret


def test_waiting_keeps_the_token_and_forgets_failures(bench: Bench) -> None:
    """A job that comes on has not failed in a row."""
    ledger, job = bench.ledger, bench.running()
    attempt = opened(bench, job)
    ledger.move(job, Move.YIELD, now=NOW, failure=WHY, counts=True)
    ledger.move(job, Move.CLAIM, now=NOW)
    ledger.rest(job, attempt, Token("1:rendering"), until=NOW + 30, polling=True, now=NOW)
    now = bench.read(job)
    assert (now.state, now.due, now.polling, now.tries, now.failure) == (JobState.QUEUED, NOW + 30, True, 0, None)
    assert token(bench, job) == "1:rendering"


def test_a_job_that_has_ended_meanwhile_does_not_wait(bench: Bench) -> None:
    """Its failure stays."""
    ledger, job = bench.ledger, bench.running()
    attempt = opened(bench, job)
    ledger.move(job, Move.CANCEL, now=NOW, failure=WHY)
    ledger.rest(job, attempt, Token("1:rendering"), until=NOW + 30, polling=True, now=NOW)
    now = bench.read(job)
    assert (now.state, now.polling, now.failure) == (JobState.CANCELLED, False, WHY)


def test_another_lane_is_no_place_for_polls(bench: Bench) -> None:
    """Being put back in the same one changes nothing."""
    ledger, job = bench.ledger, bench.running()
    attempt = opened(bench, job)
    ledger.rest(job, attempt, Token("1:rendering"), until=NOW, polling=True, now=NOW)
    for lane, polling, after in ((None, None, True), (Lane.NEMO, None, False), (None, True, True), (Lane.NEMO, True, True)):
        ledger.move(job, Move.CLAIM, now=NOW)
        ledger.move(job, Move.YIELD, now=NOW, lane=lane, polling=polling)
        assert bench.read(job).polling is after
    ledger.move(job, Move.CLAIM, now=NOW)
    ledger.recover()
    assert bench.read(job).polling


def test_a_follow_up_goes_on_in_the_same_session(bench: Bench) -> None:
    """The newest token of the cloud; this machine has no use for one."""
    job = bench.running()
    tried(bench, job, "1:first")
    tried(bench, job, "1:second")
    opened(bench, job)
    assert token(bench, job) == "1:second"
    bench.ledger.judged(bench.read(job).attempts[-1].id, REFUSE, now=NOW)
    opened(bench, job, LOCAL)
    assert token(bench, job) is None
    assert bench.ledger.own_token(job) == "1:second"


def failed(bench: Bench, job: JobId) -> None:
    """The whole way of a failure."""
    assert bench.folder.failed is not None
    bench.ledger.failing(job, WHY)
    bench.ledger.aim_quarantine(job, bench.folder.failed / "clip.mov")
    bench.ledger.quarantined(job, source=bench.folder.failed / "clip.mov", moved=True)
    assert bench.ledger.move(job, Move.FAIL, now=NOW)


def again(bench: Bench, job: JobId, *, pay_again: bool, found: Fingerprint | None = None) -> None:
    """A person's retry, up to the moment before the next try."""
    assert bench.ledger.retry(job, folder=None, found=found, present=False, now=NOW, pay_again=pay_again)
    assert bench.ledger.move(job, Move.CLAIM, now=NOW)


def test_a_plain_retry_goes_on_in_the_session_and_pay_again_does_not(bench: Bench) -> None:
    """Nothing is paid twice unless a person says so; what was said so holds for later rounds."""
    job = bench.running()
    tried(bench, job, "1:first")
    failed(bench, job)
    again(bench, job, pay_again=False)
    opened(bench, job)
    assert token(bench, job) == "1:first"
    failed(bench, job)
    again(bench, job, pay_again=True)
    opened(bench, job)
    assert token(bench, job) is None
    bench.ledger.checkpoint(bench.read(job).attempts[-1].id, Token("1:anew"), now=NOW)
    failed(bench, job)
    again(bench, job, pay_again=False)
    opened(bench, job)
    assert token(bench, job) == "1:anew"


def test_other_bytes_are_another_video(bench: Bench) -> None:
    """The session knows the old one; a file that was only moved is the same."""
    job = bench.running()
    tried(bench, job, "1:first")
    failed(bench, job)
    mark = bench.read(job).fingerprint
    again(bench, job, pay_again=False, found=replace(mark, inode=99))
    opened(bench, job)
    assert token(bench, job) == "1:first"
    failed(bench, job)
    again(bench, job, pay_again=False, found=replace(mark, size_bytes=1))
    opened(bench, job)
    assert token(bench, job) is None


def test_a_parked_job_can_be_told_to_pay_again(bench: Bench) -> None:
    """Its open try ends; a plain retry is refused."""
    ledger, job = bench.ledger, bench.running()
    ledger.examined(job, MEDIA, ROUTE)
    attempt = opened(bench, job)
    ledger.checkpoint(attempt, Token("1:asking"), now=NOW, expects=50)
    ledger.move(job, Move.PARK, now=NOW, failure=WHY)
    assert not ledger.retry(job, folder=None, found=None, present=False, now=NOW)
    again(bench, job, pay_again=True)
    assert bench.read(job).attempts == ()
    opened(bench, job)
    assert token(bench, job) is None
    assert list(bench.states(job)) == ["queued", "running", "parked", "queued", "running"]


def test_the_cloud_was_told_of_a_refusal_when_another_try_followed(bench: Bench) -> None:
    """Of earlier rounds in the same session only; a new one knows nothing."""
    job = bench.running()
    tried(bench, job, "1:first")
    tried(bench, job, "1:second")
    tried(bench, job, "local", LOCAL)
    assert bench.ledger.answered(job) == ()
    failed(bench, job)
    again(bench, job, pay_again=False)
    assert bench.ledger.answered(job) == (REFUSE,)
    failed(bench, job)
    again(bench, job, pay_again=True)
    assert bench.ledger.answered(job) == ()


def test_a_session_is_shared_by_key_or_handed_down(bench: Bench) -> None:
    """The newest token of the others; a job on its own has nobody's."""
    ledger = bench.ledger
    a, b, c = (bench.running(name) for name in ("a.mov", "b.mov", "c.mov"))
    assert ledger.session_token(a) is None
    for job, words in ((a, "1:a"), (b, "1:b")):
        tried(bench, job, words)
    assert ledger.session_token(c) is None
    for job in (a, b, c):
        ledger.execute("UPDATE job SET session_key = 'folder:clips' WHERE id = ?", (job,))
    assert [ledger.session_token(job) for job in (a, b, c)] == ["1:b", "1:a", "1:b"]


def test_a_child_goes_on_in_its_parents_session(bench: Bench) -> None:
    """It takes over what is known of the source, has no original to put anywhere, and shares a key with its family."""
    ledger, job = bench.ledger, bench.running()
    ledger.examined(job, MEDIA, ROUTE)
    tried(bench, job, "1:first")
    child = ledger.add_child(job, "Now add a title.", now=NOW + 5)
    assert child is not None
    parent, made = bench.read(job), bench.read(child)
    assert (made.parent, made.instruction, made.media, made.route) == (job, "Now add a title.", MEDIA, None)
    assert (made.state, made.present, made.source, made.relpath) == (JobState.QUEUED, False, parent.source, parent.relpath)
    assert (made.folder.after.value, made.folder.failed) == ("keep", None)
    assert made.session_key == parent.session_key == f"job:{job}"
    assert ledger.session_token(child) == "1:first"
    second = ledger.add_child(child, None, now=NOW + 6)
    assert second is not None
    assert bench.read(second).session_key == f"job:{job}"
    assert bench.read(second).asked
    assert ledger.add_child(JobId(99), None, now=NOW) is None


def test_a_child_that_is_retried_stays_a_child(bench: Bench) -> None:
    """It keeps what it knows of the source, and no config makes it move an original."""
    ledger, job = bench.ledger, bench.running()
    ledger.examined(job, MEDIA, ROUTE)
    child = ledger.add_child(job, "Now add a title.", now=NOW)
    assert child is not None
    ledger.move(child, Move.CANCEL, now=NOW)
    mark = Fingerprint(size_bytes=1, mtime_ns=1, inode=1)
    assert ledger.retry(child, folder=bench.folder, found=mark, present=True, now=NOW)
    made = bench.read(child)
    assert (made.media, made.folder.failed, made.folder.after.value) == (MEDIA, None, "keep")
    assert (made.fingerprint, made.present) == (bench.read(job).fingerprint, False)


def test_material_lies_in_a_folder_that_is_still_needed(bench: Bench) -> None:
    """As long as its job is open; where no words of a person went into it, it is not kept."""
    ledger, job = bench.ledger, bench.running()
    route = replace(ROUTE, engines=(NEMO,))
    ledger.examined(job, MEDIA, route)
    attempt = opened(bench, job)
    ledger.staged(attempt, bench.work(job) / "deep" / "out.mp4", token=None, note="")
    ledger.judged(attempt, REFUSE, now=NOW)
    assert ledger.open_folders() == frozenset()
    ledger.examined(job, MEDIA, route, instruction="Cut it.")
    assert ledger.open_folders() == {bench.work(job)}
    second = ledger.open_attempt(
        job, LOCAL, How.ENCODE, Path("/work/2"), now=NOW, material=bench.work(job) / "deep" / "out.mp4"
    )
    assert ledger.open_folders() == {bench.work(job), Path("/work/2")}
    found = bench.read(job).attempt
    assert found is not None
    assert (found.id, found.material) == (second, bench.work(job) / "deep" / "out.mp4")
    ledger.move(job, Move.CANCEL, now=NOW)
    assert ledger.open_folders() == frozenset()


def test_a_new_try_has_not_failed_yet(bench: Bench) -> None:
    """What the engine before it met counts no more."""
    job = bench.running()
    bench.ledger.move(job, Move.YIELD, now=NOW, failure=WHY, counts=True)
    opened(bench, job)
    assert bench.read(job).tries == 0
