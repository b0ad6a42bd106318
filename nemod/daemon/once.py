"""When a run of `--once` is through: nothing is left that could be done now, or soon."""

from nemod.engines.base import EngineName
from nemod.failure import Kind
from nemod.job import Job, JobState, next_engine
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, engine_scope, folder_scope
from nemod.ledger.pauses import pause_of

#: It waits for a file that may yet become whole, and for a back-off, if that is no longer than this.
WAITS_S = 180.0


async def worked_off(desk: Desk, *, now: float) -> bool:
    """Whether every job that is queued waits for a person, or for longer than `once` does."""
    soon = now + WAITS_S
    # A hold that ends soon is waited for as well: a server asked for a pause.
    lasting = [h for h in await desk(Ledger.holds) if h.until is None or h.until > soon or h.failure.kind is not Kind.THROTTLED]
    holds = {h.scope: h.failure.kind for h in lasting}
    pauses = await desk(Ledger.pauses)
    for job in await desk(Ledger.jobs, states=[JobState.QUEUED]):
        held = {folder_scope(job.folder.name), engine_scope(_engine(job))} & holds.keys()
        paid = job.polling and all(holds[scope] is Kind.CREDITS for scope in held)
        if job.due <= soon and (paid or not held) and pause_of(job, pauses, now=soon) is None:
            return False
    return True


def _engine(job: Job) -> EngineName:
    """Who works on a job next; the light lane's work is this machine's."""
    if job.attempt is not None:
        return job.attempt.engine
    following = None if job.route is None else next_engine(job, job.route)
    return EngineName.LOCAL if following is None else following[0]
