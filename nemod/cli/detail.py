"""Everything about a job as one value, for `nemod jobs show --json` and for a folder's own programs alike."""

import time
from typing import Any

from nemod.delivery.originals import Fate
from nemod.job import Job, JobId
from nemod.ledger.ledger import Ledger
from nemod.views import Scene, job_detail


def detail(ledger: Ledger, job: JobId, seen: Scene) -> dict[str, Any] | None:
    """A job as JSON has it; None when there is no such job."""
    found = ledger.job(job)
    if found is None:
        return None
    whole = job_detail(found, seen, ledger.history(job), spendings=ledger.spendings(job=job))
    return {**whole, **_original(ledger, found, seen.now)}


def _original(ledger: Ledger, job: Job, now: float) -> dict[str, Any]:
    """Where a job's original lies, and until when it does, epoch seconds; `original` says what became of it."""
    (kept,) = ledger.kept(now=now, job=job.id) or (None,)
    if kept is None:
        archived = str(job.source) if job.disposed == Fate.ARCHIVED else None
        return {"original": job.disposed, "original_file": archived, "original_until": None}
    if kept.end is not None:
        return {"original": kept.end.value, "original_file": None, "original_until": None}
    until = None if kept.left_s is None else now + kept.left_s
    return {"original": job.disposed, "original_file": str(kept.file), "original_until": until}


def detail_now(ledger: Ledger, job: JobId) -> dict[str, Any] | None:
    """The same as the daemon sees it whose ledger this is, of a job that does not run."""
    return detail(ledger, job, Scene(board={}, holds=ledger.holds(), alive=True, now=time.time(), pauses=ledger.pauses()))
