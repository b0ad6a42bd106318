"""A fresh ledger for each test, and ways to bring a job as far as a test needs it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nemod.config.model import Folder
from nemod.engines.base import EngineName
from nemod.job import Job, JobId, Lane, Move, Sighting
from nemod.ledger.ledger import Ledger, Reconciled
from nemod.media.verdict import How
from tests.ledger.values import ACCEPT, MEDIA, NOW, ROUTE, WHY, folder, sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A ledger, and the folder that its jobs are of."""

    ledger: Ledger
    folder: Folder

    def look(self, *seen: Sighting, sees: Callable[[str], bool] = lambda _: True, now: float = NOW) -> Reconciled:
        """A look at the inbox that shows these files, all of them at rest."""
        return self.ledger.reconcile(self.folder, resting=seen, seen=seen, sees=sees, now=now)

    def add(self, *names: str) -> list[JobId]:
        """Jobs for files of these names."""
        seen = [sighting(name) for name in names]
        return list(self.ledger.reconcile(self.folder, resting=seen, seen=seen, sees=lambda _: False, now=NOW).added)

    def claim(self, lane: Lane = Lane.LIGHT, *, now: float = NOW) -> Job | None:
        """What a free slot of the lane would get."""
        return self.ledger.claim(lane, now=now)

    def running(self, name: str = "clip.mov") -> JobId:
        """A job that was just claimed."""
        (job,) = self.add(name)
        assert self.ledger.move(job, Move.CLAIM, now=NOW)
        return job

    def encoded(self, name: str = "clip.mov") -> JobId:
        """A running job with an accepted output."""
        job, ledger = self.running(name), self.ledger
        ledger.examined(job, MEDIA, ROUTE)
        attempt = ledger.open_attempt(job, EngineName.LOCAL, How.ENCODE, self.work(job), now=NOW)
        ledger.staged(attempt, self.work(job) / "out.mp4", token=None, note="done")
        ledger.judged(attempt, ACCEPT, now=NOW)
        return job

    def delivered(self, name: str = "clip.mov") -> JobId:
        """A running job whose output is published."""
        job = self.encoded(name)
        assert self.ledger.aim(job, self.folder.outbox / f"{name}.mp4")
        self.ledger.delivered(job, ACCEPT.size_bytes)
        return job

    def failed(self, name: str = "clip.mov") -> JobId:
        """A job that went the whole way of a failure."""
        job, ledger = self.running(name), self.ledger
        assert self.folder.failed is not None
        ledger.failing(job, WHY)
        ledger.aim_quarantine(job, self.folder.failed / name)
        ledger.quarantined(job, source=self.folder.failed / name, moved=True)
        assert ledger.move(job, Move.FAIL, now=NOW)
        return job

    def work(self, job: JobId) -> Path:
        """A work folder for the job."""
        return self.folder.outbox / ".nemod" / str(job)

    def read(self, job: JobId) -> Job:
        """The job as it is now."""
        found = self.ledger.job(job)
        assert found is not None
        return found

    def states(self, job: JobId) -> Iterable[str]:
        """Every state that the history knows of it, oldest first."""
        return [now for _, _, now in self.ledger.history(job)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def bench(file: Path, tmp_path: Path) -> Iterator[Bench]:
    """A fresh ledger and a folder."""
    ledger = Ledger.open(file)
    yield Bench(ledger=ledger, folder=folder(tmp_path))
    ledger.close()
