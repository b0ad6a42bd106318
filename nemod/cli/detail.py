"""Everything about a job as one value, for `nemod jobs show --json` and for a folder's own programs alike."""

import time
from typing import Any

from nemod.job import JobId
from nemod.ledger.ledger import Ledger
from nemod.views import Scene, job_detail


def detail(ledger: Ledger, job: JobId, seen: Scene) -> dict[str, Any] | None:
    """A job as JSON has it; None when there is no such job."""
    found = ledger.job(job)
    if found is None:
        return None
    return job_detail(found, seen, ledger.history(job), spendings=ledger.spendings(job=job))


def detail_now(ledger: Ledger, job: JobId) -> dict[str, Any] | None:
    """The same as the daemon sees it whose ledger this is, of a job that does not run."""
    return detail(ledger, job, Scene(board={}, holds=ledger.holds(), alive=True, now=time.time(), pauses=ledger.pauses()))
