"""`nemod jobs retry --pay-again`: the one word that lets the cloud be paid twice for a file."""

from collections.abc import Callable
from contextlib import closing

from nemod.cli.exits import ExitCode
from nemod.daemon.service import open_ledger
from nemod.engines.base import EngineName, Token
from nemod.job import Job, JobId, JobState, Lane, Move
from nemod.media.verdict import How
from tests.cli.machine import Home, Ran
from tests.ledger.values import MEDIA, NOW, ROUTE, WHY, folder, sighting

Nemod = Callable[..., Ran]


def parked(home: Home) -> None:
    """A job that may have been charged, and waits for a person."""
    home.state.mkdir()
    seen = [sighting()]
    with closing(open_ledger(home.state)) as ledger:
        place = folder(home.path)
        (job,) = ledger.reconcile(place, resting=seen, seen=seen, sees=lambda _: True, now=NOW).added
        assert ledger.move(job, Move.CLAIM, now=NOW)
        ledger.examined(job, MEDIA, ROUTE, instruction="Cut it.")
        attempt = ledger.open_attempt(job, EngineName.NEMO, How.ENCODE, place.outbox, now=NOW)
        ledger.checkpoint(attempt, Token("1:asking"), now=NOW, expects=50)
        assert ledger.move(job, Move.PARK, now=NOW, failure=WHY)


def read(home: Home) -> Job:
    """The job as it is now."""
    with closing(open_ledger(home.state)) as ledger:
        job = ledger.job(JobId(1))
    assert job is not None
    return job


def test_a_plain_retry_never_pays_again(home: Home, nemod: Nemod) -> None:
    """A parked job is released, or told so expressly."""
    parked(home)
    plain = nemod("jobs", "retry", "1")
    assert (plain.code, read(home).state) == (ExitCode.FAILED, JobState.PARKED)
    again = nemod("jobs", "retry", "--pay-again", "1")
    assert (again.code, again.out) == (ExitCode.OK, "Job 1 starts again.\n")
    assert read(home).state is JobState.QUEUED
    with closing(open_ledger(home.state)) as ledger:
        assert ledger.claim(Lane.LIGHT, now=NOW + 1e9) is not None
        ledger.open_attempt(JobId(1), EngineName.NEMO, How.ENCODE, home.path, now=NOW)
    attempt = read(home).attempt
    assert attempt is not None
    assert attempt.token is None


def test_a_job_shows_what_it_has_cost(home: Home, nemod: Nemod) -> None:
    """And in whose words it was asked for; a program finds the same keys for every job."""
    parked(home)
    shown = nemod("jobs", "show", "1", "--json").json()
    assert (shown["credits"], shown["instruction"], shown["parent"]) == (50, "Cut it.", None)
    told = nemod("jobs", "show", "1").out
    assert "credits  50.0" in told
    assert "instruction  Cut it." in told
