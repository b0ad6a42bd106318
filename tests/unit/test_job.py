"""The table of moves and the next step, each enumerated whole."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from nemod.engines.base import EngineName
from nemod.failure import Failure
from nemod.job import (
    ENDED,
    TRANSITIONS,
    Attempt,
    AttemptId,
    Job,
    JobId,
    JobState,
    Lane,
    Move,
    Route,
    Step,
    follower,
    materials,
    next_engine,
    next_step,
    without_cloud,
)
from nemod.media.verdict import How, Reason, Verdict
from tests.ledger.values import ACCEPT, MEDIA, NOW, REFUSE, ROUTE, WHY, folder, sighting

LOCAL, NEMO = EngineName.LOCAL, EngineName.NEMO
S, M = JobState, Move
ALLOWED = {
    (S.QUEUED, M.CLAIM): S.RUNNING,
    (S.QUEUED, M.CANCEL): S.CANCELLED,
    (S.RUNNING, M.YIELD): S.QUEUED,
    (S.RUNNING, M.RECOVER): S.QUEUED,
    (S.RUNNING, M.FINISH): S.DONE,
    (S.RUNNING, M.PARK): S.PARKED,
    (S.RUNNING, M.FAIL): S.FAILED,
    (S.RUNNING, M.CANCEL): S.CANCELLED,
    (S.PARKED, M.RELEASE): S.QUEUED,
    (S.PARKED, M.CANCEL): S.CANCELLED,
    (S.FAILED, M.RELEASE): S.QUEUED,
    (S.CANCELLED, M.RELEASE): S.QUEUED,
}
BLANK = Job(
    id=JobId(1),
    folder=folder(Path("/home/ann")),
    relpath="clip.mov",
    fingerprint=sighting().fingerprint,
    present=True,
    state=JobState.RUNNING,
    due=NOW,
    rank=0,
    tries=0,
    source=Path("/home/ann/clips/clip.mov"),
    created=NOW,
)
OPEN = Attempt(id=AttemptId(1), engine=LOCAL, how=How.ENCODE, folder=Path("/work"))
CLOSED = replace(OPEN, verdict=REFUSE, closed=True)


@pytest.mark.parametrize(("state", "move"), list(product(JobState, Move)))
def test_every_state_with_every_move(state: JobState, move: Move) -> None:
    """What is not in the list does not happen."""
    assert TRANSITIONS[state].get(move) is ALLOWED.get((state, move))


def test_ended_is_what_no_time_and_no_runner_moves() -> None:
    """Only a person's `retry` leads out of it."""
    assert {s for s in JobState if set(TRANSITIONS[s]) <= {Move.RELEASE} and s is not JobState.PARKED} == ENDED


#: Every filling of the facts that the runner looks at. A fact that needs another one may stand alone here: the order decides.
ATTEMPTS: tuple[tuple[Attempt, ...], ...] = (
    (),
    (CLOSED,),
    *(
        (*before, replace(OPEN, staged=staged, verdict=verdict))
        for before in ((), (CLOSED,))
        for staged in (None, Path("/work/out.mp4"))
        for verdict in (None, ACCEPT, REFUSE)
    ),
)
FACTS = tuple(
    replace(
        BLANK,
        media=media,
        route=route,
        attempts=attempts,
        target=target,
        delivered_bytes=delivered,
        disposed=disposed,
        failing=failing,
        quarantine=quarantine,
        quarantined=quarantined,
    )
    for media, route, attempts, target, delivered, disposed, failing, quarantine, quarantined in product(
        (None, MEDIA),
        (None, ROUTE),
        ATTEMPTS,
        (None, Path("/done/clip.mp4")),
        (None, 9_000_000),
        (None, "archived"),
        (None, WHY),
        (None, Path("/failed/clip.mov")),
        (False, True),
    )
)  # fmt: skip


def expected(job: Job) -> Step:
    """The same rules said another way: a list of steps, each with what must be empty for it; the first one counts."""
    attempt = job.attempt
    if job.failing is not None:
        rows = [(Step.AIM_QUARANTINE, job.quarantine is None), (Step.QUARANTINE, not job.quarantined), (Step.FAIL, True)]
    elif job.delivered_bytes is not None:
        rows = [(Step.DISPOSE, job.disposed is None), (Step.FINISH, True)]
    else:
        staged, verdict = (None, None) if attempt is None else (attempt.staged, attempt.verdict)
        rows = [
            (Step.EXAMINE, None in (job.media, job.route)),
            (Step.OPEN, attempt is None),
            (Step.ENCODE, staged is None),
            (Step.JUDGE, verdict != ACCEPT),
            (Step.AIM, job.target is None),
            (Step.PUBLISH, True),
        ]
    return next(step for step, wanted in rows if wanted)


def filled(job: Job, step: Step, verdict: Verdict) -> Job | None:
    """The job with the fact that the step is there to fill; None: the step was the last one."""
    *before, last = job.attempts or (CLOSED,)
    match step:
        case Step.EXAMINE:
            return replace(job, media=MEDIA, route=ROUTE)
        case Step.OPEN:
            return replace(job, attempts=(*job.attempts, OPEN))
        case Step.ENCODE:
            return replace(job, attempts=(*before, replace(last, staged=Path("/work/out.mp4"))))
        case Step.JUDGE:
            return replace(job, attempts=(*before, replace(last, verdict=verdict, closed=verdict is REFUSE)))
        case Step.AIM:
            return replace(job, target=Path("/done/clip.mp4"))
        case Step.PUBLISH:
            return replace(job, delivered_bytes=ACCEPT.size_bytes)
        case Step.DISPOSE:
            return replace(job, disposed="archived")
        case Step.AIM_QUARANTINE:
            return replace(job, quarantine=Path("/failed/clip.mov"))
        case Step.QUARANTINE:
            return replace(job, quarantined=True)
        case Step.FINISH | Step.FAIL:
            return None


def test_every_filling_of_the_facts_leads_to_one_step() -> None:
    """All combinations, possible or not; and every step is met."""
    assert {next_step(job) for job in FACTS} == set(Step)
    for job in FACTS:
        assert next_step(job) is expected(job)


def test_filling_the_fact_of_a_step_always_moves_on() -> None:
    """No step follows itself, and from anywhere the end is at most nine steps away."""
    for job in FACTS:
        now: Job | None = job
        walked: list[Step] = []
        while now is not None:
            walked.append(next_step(now))
            assert len(walked) == len(set(walked)) <= 9
            now = filled(now, walked[-1], ACCEPT)
        assert walked[-1] in (Step.FINISH, Step.FAIL)


def test_a_refusal_leads_to_a_new_attempt() -> None:
    """The closed one stays as it was."""
    job = replace(BLANK, media=MEDIA, route=ROUTE, attempts=(replace(OPEN, staged=Path("/work/out.mp4")),))
    refused = filled(job, next_step(job), REFUSE)
    assert refused is not None
    assert next_step(refused) is Step.OPEN
    assert refused.refusals == (REFUSE,)


def tried(*pairs: tuple[EngineName, How]) -> Job:
    """A job with closed attempts."""
    return replace(BLANK, attempts=tuple(replace(CLOSED, engine=engine, how=how) for engine, how in pairs))


@pytest.mark.parametrize(
    ("how", "engines", "before", "then"),
    [
        (How.ENCODE, (LOCAL,), (), (LOCAL, How.ENCODE)),
        (How.ENCODE, (LOCAL,), ((LOCAL, How.ENCODE),), None),
        (How.ENCODE, (NEMO, LOCAL), (), (NEMO, How.ENCODE)),
        (How.ENCODE, (NEMO, LOCAL), ((NEMO, How.ENCODE),), (LOCAL, How.ENCODE)),
        (How.ENCODE, (NEMO, LOCAL), ((NEMO, How.ENCODE), (LOCAL, How.ENCODE)), None),
        (How.PASS, (LOCAL,), (), (LOCAL, How.PASS)),
        (How.PASS, (LOCAL,), ((LOCAL, How.PASS),), (LOCAL, How.ENCODE)),
        (How.REMUX, (LOCAL,), ((LOCAL, How.REMUX),), (LOCAL, How.ENCODE)),
        (How.REMUX, (LOCAL,), ((LOCAL, How.REMUX), (LOCAL, How.ENCODE)), None),
    ],
)
def test_each_engine_tries_once_and_a_refused_copy_is_encoded(
    how: How,
    engines: tuple[EngineName, ...],
    before: tuple[tuple[EngineName, How], ...],
    then: tuple[EngineName, How] | None,
) -> None:
    """In the order of the route, until nobody is left."""
    assert next_engine(tried(*before), Route(how=how, engines=engines, limit_bytes=1)) == then


def round_of(*attempts: tuple[EngineName, Verdict | Failure], **facts: Any) -> Job:
    """A job with closed encodes that ended so."""
    return replace(
        BLANK,
        attempts=tuple(
            replace(
                CLOSED,
                id=AttemptId(number),
                engine=engine,
                verdict=None if isinstance(end, Failure) else end,
                failure=end if isinstance(end, Failure) else None,
            )
            for number, (engine, end) in enumerate(attempts, 1)
        ),
        **facts,
    )


REFUSED, BROKEN = (NEMO, REFUSE), (NEMO, WHY)
#: What the cloud and this machine have come to, and who is next with the engines (nemo) and a finish, without it, or with both
#: engines; two follow-ups are allowed.
ROUNDS: tuple[tuple[tuple[tuple[EngineName, Verdict | Failure], ...], tuple[EngineName | None, ...]], ...] = (
    ((), (NEMO, NEMO, NEMO)),
    ((BROKEN,), (None, None, LOCAL)),
    ((REFUSED,), (NEMO, NEMO, NEMO)),
    ((REFUSED, REFUSED), (NEMO, NEMO, NEMO)),
    ((REFUSED, BROKEN), (LOCAL, None, LOCAL)),
    ((REFUSED, REFUSED, REFUSED), (LOCAL, None, LOCAL)),
    ((REFUSED, REFUSED, BROKEN), (LOCAL, None, LOCAL)),
    ((REFUSED, REFUSED, REFUSED, (LOCAL, REFUSE)), (None, None, None)),
    ((REFUSED, REFUSED, REFUSED, (LOCAL, WHY)), (None, None, None)),
    ((BROKEN, (LOCAL, REFUSE)), (None, None, None)),
)
CLOUD = Route(how=How.ENCODE, engines=(NEMO,), limit_bytes=1, follow_ups=2, finish=True)
ROUTES = (CLOUD, replace(CLOUD, finish=False), replace(CLOUD, engines=(NEMO, LOCAL), finish=False))


@pytest.mark.parametrize(
    ("before", "route", "then"),
    [(before, route, then) for before, wanted in ROUNDS for route, then in zip(ROUTES, wanted, strict=True)],
)
def test_the_cloud_is_told_what_was_wrong_and_this_machine_finishes(
    before: tuple[tuple[EngineName, Verdict | Failure], ...], route: Route, then: EngineName | None
) -> None:
    """Follow-ups answer refusals only, as many as the route allows; a finish needs an output that was refused."""
    following = next_engine(round_of(*before), route)
    assert following == (None if then is None else (then, How.ENCODE))


def test_no_follow_up_is_the_default() -> None:
    """A route of version 1 knows none."""
    assert next_engine(round_of(REFUSED), Route(how=How.ENCODE, engines=(NEMO, LOCAL), limit_bytes=1)) == (LOCAL, How.ENCODE)


@pytest.mark.parametrize(("before", "then"), [((), None), ((REFUSED,), LOCAL)])
def test_who_would_follow_is_known_before_the_attempt_is_closed(
    before: tuple[tuple[EngineName, Verdict | Failure], ...], then: EngineName | None
) -> None:
    """The open attempt counts as failed: the cloud gets no follow-up for that, the finish needs an earlier refusal."""
    job = round_of(*before)
    at_work = replace(job, attempts=(*job.attempts, replace(OPEN, id=AttemptId(9), engine=NEMO)))
    assert follower(at_work, CLOUD, WHY) == (None if then is None else (then, How.ENCODE))


@pytest.mark.parametrize(
    ("engine", "end", "usable"),
    [
        (NEMO, REFUSE, True),
        (NEMO, replace(REFUSE, reason=Reason.PICTURE), True),
        (NEMO, replace(REFUSE, reason=Reason.UNREADABLE), False),
        (NEMO, replace(REFUSE, reason=Reason.DECODE), False),
        (NEMO, WHY, False),
        (LOCAL, REFUSE, False),
    ],
)
def test_only_a_sound_output_of_the_cloud_is_finished_from(engine: EngineName, end: Verdict | Failure, *, usable: bool) -> None:
    """And only when a person's own words went into it; otherwise the source is the better material."""
    job = round_of((engine, end))
    job = replace(job, attempts=tuple(replace(a, staged=Path("/work/out.mp4")) for a in job.attempts))
    assert materials(job) == ()
    for own in (replace(job, instruction="Cut it."), replace(job, parent=JobId(1))):
        assert own.own_words
        assert materials(own) == (job.attempts if usable else ())
    assert not replace(job, instruction="Cut it.").asked


def test_the_newest_material_comes_first() -> None:
    """The cloud may have come nearer with each follow-up."""
    job = round_of(REFUSED, REFUSED, instruction="Cut it.")
    job = replace(job, attempts=tuple(replace(a, staged=Path(f"/work/{a.id}.mp4")) for a in job.attempts))
    assert [a.id for a in materials(job)] == [2, 1]


def test_without_the_cloud_a_job_is_planned_anew() -> None:
    """By what the source needs: what fits is passed through, though the cloud would have followed words about it."""
    both = replace(CLOUD, engines=(NEMO, LOCAL), limit_bytes=30_000_000)
    job = replace(BLANK, media=MEDIA, instruction="Cut it.")
    assert without_cloud(job, both) == Route(how=How.ENCODE, engines=(LOCAL,), limit_bytes=30_000_000)
    low = replace(job, folder=replace(job.folder, preset=replace(job.folder.preset, max_height=1080)))
    assert without_cloud(low, both) == Route(how=How.PASS, engines=(LOCAL,), limit_bytes=30_000_000)
    assert without_cloud(job, CLOUD) is None


def test_a_round_has_spent_when_one_of_its_tries_has() -> None:
    """Also when it was closed since."""
    job = round_of(REFUSED, BROKEN)
    assert not job.spent
    assert replace(job, attempts=(replace(job.attempts[0], spent=True), job.attempts[1])).spent


def test_an_open_attempt_does_not_count_as_tried() -> None:
    """Only what is closed has had its chance."""
    assert next_engine(replace(BLANK, attempts=(OPEN,)), ROUTE) == (LOCAL, How.ENCODE)


@pytest.mark.parametrize(
    ("how", "engines", "lane"),
    [(How.PASS, (LOCAL,), Lane.LIGHT), (How.REMUX, (LOCAL,), Lane.LIGHT), (How.ENCODE, (NEMO, LOCAL), Lane.NEMO)],
)
def test_only_an_encode_waits_for_its_engine(how: How, engines: tuple[EngineName, ...], lane: Lane) -> None:
    """What takes moments never queues behind what takes minutes."""
    assert Route(how=how, engines=engines, limit_bytes=1).lane is lane
