"""What follows from a failure, carried out: wait, hold, go to the next engine, park, fail or cancel.

Rules kept here:
- what follows is decided in `nemod.failure` and, where it depends on who could go on, by `settled`; here it is only done;
- a source that was changed under the work is nobody's fault: the job is cancelled, not blamed;
- a job that may have paid keeps its open attempt, and with it the token from which its session goes on.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from nemod import logs
from nemod.daemon.examine import Examiner
from nemod.daemon.handover import Handover, clear, too_late
from nemod.delivery.publish import clear_work
from nemod.engines.base import EngineName
from nemod.failure import Again, Cancel, Decision, Fail, Failure, Hold, Kind, NemodError, Next, Park, Scope, decide
from nemod.intake.drives import unplugged
from nemod.intake.scan import InboxUnavailable, identity
from nemod.job import Job, JobId, Move, follower
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, engine_scope, folder_scope

log = logs.get(__name__)

#: Failures that may come of a source which was changed under the work.
_BLAMES_THE_SOURCE = frozenset(
    {Kind.SOURCE_GONE, Kind.UNSUPPORTED, Kind.IMPOSSIBLE, Kind.INCOMPLETE, Kind.BAD_OUTPUT, Kind.TRANSIENT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """Deals with the failures of running jobs."""

    desk: Desk
    examiner: Examiner
    handover: Handover
    clock: Callable[[], float]

    async def failed(self, job: Job, failure: Failure) -> None:
        """Do what follows from a failure of a step."""
        now = self.clock()
        if failure.kind in _BLAMES_THE_SOURCE and job.failing is None:
            try:
                await self.handover.check_source(job)
            except NemodError as lost:
                failure = lost.failure
        if failure.kind is Kind.SOURCE_GONE and job.source.is_relative_to(job.folder.inbox):
            failure = await _inbox_away(self.desk, job) or failure
        scope = _scope(job, failure)
        times = 0
        if scope is not None:
            holds = await self.desk(Ledger.holds)
            times = next((h.times for h in holds if h.scope == scope), 0)
        decision = decide(
            failure,
            tries=times if scope is not None else job.tries,
            looks=await self.examiner.looks(job.source) if failure.kind is Kind.INCOMPLETE else (),
            now=now,
            jitter=random.uniform(-1, 1),  # noqa: S311 - spreads back-offs, nothing secret
        )
        words = {"job": job.id, "folder": job.folder.name, "file": job.relpath, "kind": failure.kind, "why": failure.detail}
        match settled(job, failure, decision):
            case Again(due=due, counts=counts):
                # A file that is being written is asked every second: that is no news.
                log.log(logging.DEBUG if failure.kind is Kind.BUSY else logging.INFO, "job.waiting", **words, until=due)
                await self.desk(Ledger.move, job.id, Move.YIELD, now=now, due=due, failure=failure, counts=counts)
            case Hold(until=until):
                event = "folder.held" if failure.scope is Scope.FOLDER else "engine.held"
                log.warning(event, **words, hint=failure.hint, until=until)
                await self._tidy(job)
                await self.desk(Ledger.hold, scope or "", until=until, failure=failure, now=now)
                # A poll that was told to wait waits with the others: only a hold that is for payers lets polls pass.
                await self.desk(Ledger.move, job.id, Move.YIELD, now=now, failure=failure, polling=False)
            case Next():
                log.warning("job.attempt_failed", **words)
                await self.close(job, failure)
            case Park():
                log.warning("job.parked", **words, hint=failure.hint)
                await self._tidy(job)
                await self.desk(Ledger.move, job.id, Move.PARK, now=now, failure=failure)
            case Fail():
                await self.close(job, failure)
                await self.desk(Ledger.failing, job.id, failure)
            case Cancel():
                log.info("job.cancelled", **words)
                await self.cancel(job.id, failure)
                await self.desk(Ledger.lost, job.id)
            case _ as never:
                assert_never(never)

    async def cancel(self, job: JobId, failure: Failure | None) -> None:
        """End a job that a runner holds, or held, without touching its source; one that is or may be delivered goes on."""
        current = await self.desk(Ledger.job, job)
        if current is None:
            return
        try:
            late = await asyncio.to_thread(too_late, current)
        except NemodError:  # its outbox is out of reach: the job finds out when it is back
            late = True
        if late:
            await self.desk(Ledger.move, job, Move.YIELD, now=self.clock())
            return
        await self.close(current, failure)
        await self.desk(Ledger.move, job, Move.CANCEL, now=self.clock(), failure=failure)
        await clear(current)

    async def close(self, job: Job, failure: Failure | None) -> None:
        """The open attempt has ended without a verdict."""
        if (attempt := job.attempt) is not None:
            await self.desk(Ledger.close_attempt, attempt.id, failure=failure, now=self.clock())
            await self._tidy(job)

    async def _tidy(self, job: Job) -> None:
        """Free what a waiting job takes up: its engine makes the file again, from its token or from nothing."""
        if (attempt := job.attempt) is not None:
            await asyncio.to_thread(clear_work, attempt.folder)


async def _inbox_away(desk: Desk, job: Job) -> Failure | None:
    """What to say when a source is missing because its whole inbox is; a file on a drive that is not there is not gone."""
    inbox = job.folder.inbox
    if (failure := await unplugged(desk, inbox)) is not None:
        return failure
    try:
        await asyncio.to_thread(identity, inbox)
    except InboxUnavailable as error:
        return error.failure
    return None


def settled(job: Job, failure: Failure, decision: Decision) -> Decision:
    """What "the next engine" comes to for this job: while no engine is at work there is no next one."""
    if not isinstance(decision, Next):
        return decision
    attempt = job.attempt
    if attempt is None or job.route is None:
        return Park() if decision.park else Fail()
    if decision.park and (attempt.staged is not None or follower(job, job.route, failure) is None):
        return Park()
    return decision


def _scope(job: Job, failure: Failure) -> str | None:
    match failure.scope:
        case Scope.JOB:
            return None
        case Scope.FOLDER:
            return folder_scope(job.folder.name)
        case Scope.ENGINE:
            attempt = job.attempt
            return engine_scope(attempt.engine if attempt is not None else EngineName.LOCAL)
        case _ as never:
            assert_never(never)
