"""Who may go on in the cloud, and who goes elsewhere while it takes nothing."""

from dataclasses import replace

import pytest

from nemod.config.model import Folder, SessionScope
from nemod.engines.base import EngineName, Token
from nemod.failure import Failure, Kind
from nemod.job import Job, JobId, JobState, Lane, Move, Route
from nemod.ledger.ledger import engine_scope
from nemod.media.verdict import How
from tests.ledger.conftest import Bench
from tests.ledger.values import ACCEPT, MEDIA, NOW, REFUSE, WHY, sighting

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL
CLOUD = Route(how=How.ENCODE, engines=(NEMO,), limit_bytes=10_000_000, follow_ups=1)
AUTO = replace(CLOUD, engines=(NEMO, LOCAL))
FINISH = replace(CLOUD, finish=True)
SCOPE = engine_scope(NEMO)
OUT = Failure(kind=Kind.CREDITS, detail="No credits.", hint="Buy some.")
DOWN = Failure(kind=Kind.UNREACHABLE, detail="It is away.")
PATIENCE_S = 1800.0


def queued(bench: Bench, *names: str, route: Route = AUTO) -> list[JobId]:
    """Jobs that wait for the cloud."""
    found = []
    for name in names:
        job = bench.running(name)
        bench.ledger.examined(job, MEDIA, route)
        assert bench.ledger.move(job, Move.YIELD, now=NOW, lane=Lane.NEMO)
        found.append(job)
    return found


def under_way(bench: Bench, job: JobId, *, expects: float | None = None, polling: bool = False) -> None:
    """Let a queued job begin in the cloud, and wait again."""
    assert bench.ledger.move(job, Move.CLAIM, now=NOW)
    attempt = bench.ledger.open_attempt(job, NEMO, How.ENCODE, bench.work(job), now=NOW)
    assert bench.ledger.checkpoint(attempt, Token("1:x"), now=NOW, expects=expects)
    bench.ledger.rest(job, attempt, Token("1:x"), until=NOW, polling=polling, now=NOW)


def refused(bench: Bench, job: JobId) -> None:
    """Let the judge refuse the open try of a queued job."""
    attempt = bench.read(job).attempt
    assert attempt is not None
    bench.ledger.staged(attempt.id, bench.work(job) / "out.mp4", token=None, note="")
    bench.ledger.judged(attempt.id, REFUSE, now=NOW)


def take(bench: Bench, *, polling: bool = False, careful: bool = False, now: float = NOW) -> JobId | None:
    """The job that a free slot of the cloud would get."""
    job = bench.ledger.claim(Lane.NEMO, now=now, polling=polling, careful=careful)
    return None if job is None else job.id


def test_polls_have_slots_of_their_own(bench: Bench) -> None:
    """Neither slot takes the other's job; other lanes know no polls."""
    works, polls = queued(bench, "a.mov", "b.mov")
    under_way(bench, polls, polling=True)
    assert take(bench) == works
    assert take(bench) is None
    assert take(bench, polling=True) == polls
    assert take(bench, polling=True) is None
    light = bench.add("c.mov")
    found = bench.ledger.claim(Lane.LIGHT, now=NOW, polling=True)
    assert found is not None
    assert [found.id] == light


def test_want_of_credits_holds_payers_and_nobody_else(bench: Bench) -> None:
    """What is rendered was paid before; any other hold stops polls, too."""
    works, polls = queued(bench, "a.mov", "b.mov")
    under_way(bench, polls, polling=True)
    bench.ledger.hold(SCOPE, until=None, failure=DOWN, now=NOW)
    assert take(bench, polling=True) is None
    bench.ledger.hold(SCOPE, until=None, failure=OUT, now=NOW)
    assert take(bench, polling=True) == polls
    assert take(bench) is None
    assert bench.read(works).state is JobState.QUEUED


def test_a_made_output_needs_no_engine(bench: Bench) -> None:
    """A job that was interrupted between its output and its delivery goes on, whatever holds its engine."""
    waits, made, placed = queued(bench, "a.mov", "b.mov", "c.mov")
    for job in (waits, made, placed):
        under_way(bench, job)
    for job in (made, placed):
        attempt = bench.read(job).attempt
        assert attempt is not None
        bench.ledger.staged(attempt.id, bench.work(job) / "out.mp4", token=None, note="")
    bench.ledger.aim(placed, bench.folder.outbox / "c.mp4")
    bench.ledger.delivered(placed, 1)
    bench.ledger.hold(SCOPE, until=None, failure=DOWN, now=NOW)
    assert [take(bench), take(bench), take(bench)] == [made, placed, None]


def test_an_account_that_has_not_proved_itself_has_one_job_at_a_time(bench: Bench) -> None:
    """Others begin when it is through; what is under way already goes on."""
    a, b, c = queued(bench, "a.mov", "b.mov", "c.mov")
    assert take(bench, careful=True) == a
    assert take(bench, careful=True) is None
    assert bench.ledger.move(a, Move.YIELD, now=NOW)
    under_way(bench, a, polling=True)
    assert take(bench, careful=True) is None
    assert take(bench, polling=True, careful=True) == a
    assert bench.ledger.move(a, Move.CANCEL, now=NOW)
    under_way(bench, b)
    under_way(bench, c)
    assert [take(bench, careful=True), take(bench, careful=True)] == [b, c]


def test_a_refused_job_is_still_the_one_that_is_under_way(bench: Bench) -> None:
    """Between its tries nobody else comes in; once it is this machine's turn, others may."""
    a, b = queued(bench, "a.mov", "b.mov")
    under_way(bench, a)
    refused(bench, a)
    assert bench.ledger.first(b)
    assert take(bench, careful=True) == a
    assert bench.ledger.move(a, Move.YIELD, now=NOW, lane=Lane.LOCAL)
    assert take(bench, careful=True) == b


@pytest.mark.parametrize("state", [JobState.PARKED, JobState.CANCELLED])
def test_who_does_not_move_by_itself_stops_nobody(bench: Bench, state: JobState) -> None:
    """A parked job may wait for its person for weeks."""
    a, b = queued(bench, "a.mov", "b.mov")
    under_way(bench, a)
    assert bench.ledger.move(a, Move.CLAIM, now=NOW)
    assert bench.ledger.move(a, Move.PARK if state is JobState.PARKED else Move.CANCEL, now=NOW)
    assert take(bench, careful=True) == b


def keyed(bench: Bench, *names: str, route: Route = AUTO) -> list[JobId]:
    """Jobs of one session that wait for the cloud."""
    jobs = queued(bench, *names, route=route)
    for job in jobs:
        bench.ledger.execute("UPDATE job SET session_key = 'folder:clips' WHERE id = ?", (job,))
    return jobs


def test_jobs_of_one_session_go_one_by_one(bench: Bench) -> None:
    """While one runs, waits, or is about to be told what was wrong; others are not concerned."""
    a, b = keyed(bench, "a.mov", "b.mov")
    (other,) = queued(bench, "other.mov")
    assert [take(bench), take(bench), take(bench)] == [a, other, None]
    assert bench.ledger.move(a, Move.YIELD, now=NOW)
    under_way(bench, a, polling=True)
    assert take(bench) is None
    refused(bench, a)
    bench.ledger.execute("UPDATE job SET polling = 0 WHERE id = ?", (a,))
    assert bench.ledger.first(b)
    assert take(bench) == a
    assert take(bench) is None
    assert bench.ledger.move(a, Move.CANCEL, now=NOW)
    assert take(bench) == b


def test_a_released_job_waits_for_who_took_over_its_session(bench: Bench) -> None:
    """The one that came last goes on first, so that two never block each other."""
    a, b = keyed(bench, "a.mov", "b.mov")
    under_way(bench, a)
    assert bench.ledger.move(a, Move.CLAIM, now=NOW)
    assert bench.ledger.move(a, Move.PARK, now=NOW)
    under_way(bench, b)
    assert bench.ledger.release(a, now=NOW)
    assert take(bench) == b
    assert take(bench) is None
    assert bench.ledger.move(b, Move.CANCEL, now=NOW)
    assert take(bench) == a


@pytest.mark.parametrize(("scope", "route", "key"), [
    (SessionScope.FOLDER, AUTO, "folder:clips"),
    (SessionScope.JOB, AUTO, None),
    (SessionScope.FOLDER, replace(AUTO, engines=(LOCAL,)), None),
])  # fmt: skip
def test_a_folder_may_share_its_session(bench: Bench, scope: SessionScope, route: Route, key: str | None) -> None:
    """Only for what the cloud may make; a person's words are kept with it."""
    here: Folder = replace(bench.folder, session=scope)
    (job,) = bench.ledger.reconcile(here, resting=[sighting()], seen=[sighting()], sees=lambda _: True, now=NOW).added
    bench.ledger.examined(job, MEDIA, route, instruction="Cut it.")
    found = bench.read(job)
    assert (found.session_key, found.instruction) == (key, "Cut it.")


# -- a held cloud -------------------------------------------------------------------------------------------------------------


def fall(bench: Bench, *, now: float = NOW) -> list[tuple[JobId, Lane]]:
    """Who goes elsewhere now."""
    return [(f.job, f.lane) for f in bench.ledger.fall_back(now=now, patience_s=PATIENCE_S)]


def local(bench: Bench) -> Job | None:
    """What this machine would take on now."""
    return bench.ledger.claim(Lane.LOCAL, now=NOW)


def test_nobody_falls_back_while_nothing_is_held(bench: Bench) -> None:
    """Nor for a hold that is over, nor for another engine's, nor for a server that only wants a short pause."""
    queued(bench, "a.mov")
    assert fall(bench) == []
    bench.ledger.hold(engine_scope(LOCAL), until=None, failure=DOWN, now=NOW)
    bench.ledger.hold(SCOPE, until=NOW - 1, failure=DOWN, now=NOW - 90)
    assert fall(bench) == []
    slow = replace(DOWN, kind=Kind.THROTTLED)
    bench.ledger.hold(SCOPE, until=NOW + 20, failure=slow, now=NOW)
    assert fall(bench) == []
    bench.ledger.hold(SCOPE, until=NOW + 2000, failure=slow, now=NOW)
    assert len(fall(bench)) == 1


def test_who_has_not_begun_is_planned_without_the_cloud(bench: Bench) -> None:
    """At once and for good; who may be made nowhere else stays."""
    auto, only = *queued(bench, "a.mov"), *queued(bench, "b.mov", route=FINISH)
    bench.ledger.hold(SCOPE, until=None, failure=OUT, now=NOW)
    assert fall(bench) == [(auto, Lane.LOCAL)]
    found = local(bench)
    assert found is not None
    assert (found.id, found.route) == (auto, Route(how=How.ENCODE, engines=(LOCAL,), limit_bytes=10_000_000))
    assert bench.read(only).route == FINISH
    assert fall(bench) == []


def test_what_fits_goes_to_the_light_lane(bench: Bench) -> None:
    """It was on its way to the cloud for a person's words alone."""
    (job,) = queued(bench, "a.mov", route=replace(AUTO, limit_bytes=30_000_000))
    folder = replace(bench.folder, preset=replace(bench.folder.preset, max_height=None))
    assert bench.ledger.move(job, Move.CANCEL, now=NOW)
    assert bench.ledger.retry(job, folder=folder, found=None, present=True, now=NOW)
    bench.ledger.examined(job, MEDIA, replace(AUTO, limit_bytes=30_000_000), instruction="Cut it.")
    assert bench.ledger.move(job, Move.CLAIM, now=NOW)
    assert bench.ledger.move(job, Move.YIELD, now=NOW, lane=Lane.NEMO)
    bench.ledger.hold(SCOPE, until=None, failure=OUT, now=NOW)
    assert fall(bench) == [(job, Lane.LIGHT)]


@pytest.mark.parametrize("began", [False, True])
def test_who_has_paid_waits_as_long_as_patience_says(bench: Bench, *, began: bool) -> None:
    """From the first of the holds in a row; who has paid nothing does not wait."""
    (job,) = queued(bench, "a.mov")
    under_way(bench, job, expects=50 if began else None)
    bench.ledger.hold(SCOPE, until=NOW + 60, failure=DOWN, now=NOW)
    bench.ledger.hold(SCOPE, until=NOW + 9000, failure=DOWN, now=NOW + 100)
    assert bench.ledger.next_due(now=NOW, patience_s=PATIENCE_S) == NOW + PATIENCE_S
    assert bench.ledger.next_due(now=NOW) == NOW + 9000
    assert fall(bench, now=NOW + PATIENCE_S - 1) == ([] if began else [(job, Lane.LOCAL)])
    assert fall(bench, now=NOW + PATIENCE_S) == ([(job, Lane.LOCAL)] if began else [])
    (attempt,) = bench.read(job).attempts
    assert (attempt.closed, attempt.failure) == (True, DOWN)


def test_who_only_polls_goes_on_without_credits(bench: Bench) -> None:
    """Its result is paid; when the cloud is away it waits, and then falls back like the others."""
    (job,) = queued(bench, "a.mov")
    under_way(bench, job, expects=50, polling=True)
    bench.ledger.hold(SCOPE, until=None, failure=OUT, now=NOW)
    assert fall(bench, now=NOW + 2 * PATIENCE_S) == []
    bench.ledger.hold(SCOPE, until=None, failure=DOWN, now=NOW)
    assert fall(bench, now=NOW + 2 * PATIENCE_S) == [(job, Lane.LOCAL)]
    assert not bench.read(job).polling


@pytest.mark.parametrize(("route", "lane"), [(AUTO, Lane.LOCAL), (FINISH, Lane.LOCAL), (CLOUD, None)])
def test_a_follow_up_that_cannot_be_sent_is_left_out(bench: Bench, route: Route, lane: Lane | None) -> None:
    """The refused output is finished here, or the next engine begins; without either the job waits."""
    (job,) = queued(bench, "a.mov", route=route)
    under_way(bench, job, expects=50)
    refused(bench, job)
    bench.ledger.hold(SCOPE, until=None, failure=OUT, now=NOW)
    assert fall(bench) == []
    assert fall(bench, now=NOW + PATIENCE_S) == ([] if lane is None else [(job, lane)])
    (attempt,) = bench.read(job).attempts
    assert attempt.verdict == REFUSE
    assert attempt.failure is None


def test_an_output_that_was_made_is_not_thrown_away(bench: Bench) -> None:
    """Judging and delivering need no cloud."""
    (job,) = queued(bench, "a.mov")
    under_way(bench, job, expects=50)
    attempt = bench.read(job).attempt
    assert attempt is not None
    bench.ledger.staged(attempt.id, bench.work(job) / "out.mp4", token=None, note="")
    bench.ledger.hold(SCOPE, until=None, failure=DOWN, now=NOW)
    assert fall(bench, now=NOW + PATIENCE_S) == []
    bench.ledger.judged(attempt.id, ACCEPT, now=NOW)
    bench.ledger.aim(job, bench.folder.outbox / "a.mp4")
    bench.ledger.delivered(job, 1)
    assert fall(bench, now=NOW + PATIENCE_S) == []


def test_what_was_made_proves_that_the_cloud_works_but_not_that_it_may_be_paid(bench: Bench) -> None:
    """Holds for credits and plans end when they say so, or a person does."""
    for kind in Kind:
        bench.ledger.hold(SCOPE, until=None, failure=replace(WHY, kind=kind), now=NOW)
        stays = kind in (Kind.CREDITS, Kind.PLAN)
        assert bench.ledger.proved(SCOPE, now=NOW) is not stays
        bench.ledger.unhold(SCOPE)
    bench.ledger.hold(SCOPE, until=NOW, failure=OUT, now=NOW)
    assert bench.ledger.proved(SCOPE, now=NOW)


def test_a_hold_remembers_when_it_began(bench: Bench) -> None:
    """Held again it is the same outage; lifted in between it is another."""
    for moment in (NOW, NOW + 60):
        bench.ledger.hold(SCOPE, until=None, failure=DOWN, now=moment)
    assert [h.since for h in bench.ledger.holds()] == [NOW]
    bench.ledger.unhold(SCOPE)
    bench.ledger.hold(SCOPE, until=None, failure=DOWN, now=NOW + 90)
    assert [h.since for h in bench.ledger.holds()] == [NOW + 90]
