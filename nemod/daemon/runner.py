"""One job, fact by fact, until it has ended, waits or belongs into another lane.

Rules kept here:
- effects after facts: what is about to be done is written down, done, and written down as done;
- every step can be repeated: a daemon that was killed anywhere simply runs the same loop again;
- the engine is known by its protocol only.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, assert_never

from nemod import logs
from nemod.daemon.board import Board
from nemod.daemon.examine import Examiner
from nemod.daemon.handover import Handover
from nemod.delivery.publish import clear_work, prepare_outbox, work_folder
from nemod.engines.base import Checkpoint, Engine, EngineError, EngineName, Output, Progress, Task, Wait
from nemod.failure import Again, Cancel, Decision, Fail, Failure, Hold, Kind, NemodError, Next, Park, Scope, decide
from nemod.job import Attempt, Job, JobId, JobState, Lane, Move, Route, Step, next_engine, next_step
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, LedgerError, engine_scope, folder_scope
from nemod.media.verdict import Accept, How, Refuse

log = logs.get(__name__)

#: Failures that may come of a source which was changed under the work.
_BLAMES_THE_SOURCE = frozenset({Kind.UNSUPPORTED, Kind.IMPOSSIBLE, Kind.INCOMPLETE, Kind.BAD_OUTPUT, Kind.TRANSIENT})
#: Short steps that change something outside the ledger.
_UNINTERRUPTED = frozenset({Step.AIM, Step.PUBLISH, Step.DISPOSE, Step.FINISH, Step.AIM_QUARANTINE, Step.QUARANTINE, Step.FAIL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Moves claimed jobs; several at once, each in a task of its own."""

    desk: Desk
    engines: Mapping[EngineName, Engine]
    examiner: Examiner
    handover: Handover
    board: Board
    clock: Callable[[], float]

    async def run(self, job: Job, lane: Lane) -> None:
        """Take a claimed job as far as it goes in this lane.

        When cancelled, the job is left RUNNING: who cancels knows whether it goes back to the queue or is over.
        """
        current: Job | None = job
        try:
            while current is not None and current.state is JobState.RUNNING:
                step = next_step(current)
                if step in _UNINTERRUPTED:
                    await _to_its_end(self._step(current, step, lane))
                else:
                    await self._step(current, step, lane)
                current = await self.desk(Ledger.job, job.id)
        finally:
            self.board.remove(job.id)

    async def _step(self, job: Job, step: Step, lane: Lane) -> None:
        try:
            match step:
                case Step.EXAMINE:
                    self.board.show(job.id, Progress(stage="examining"))
                    await self._examine(job)
                case Step.OPEN:
                    await self._open(job, lane)
                case Step.ENCODE:
                    await self._encode(job, _open_attempt(job), lane)
                case Step.JUDGE:
                    self.board.show(job.id, Progress(stage="checking"))
                    await self._judge(job, _open_attempt(job))
                case Step.AIM:
                    await self.handover.aim(job)
                case Step.PUBLISH:
                    self.board.show(job.id, Progress(stage="delivering"))
                    await self.handover.publish(job, _open_attempt(job))
                    await self.desk(Ledger.unhold, folder_scope(job.folder.name))
                case Step.DISPOSE:
                    await self.handover.dispose(job)
                case Step.FINISH:
                    await self.handover.finish(job, now=self.clock())
                case Step.AIM_QUARANTINE:
                    await self.handover.aim_quarantine(job)
                case Step.QUARANTINE:
                    await self.handover.quarantine(job, now=self.clock())
                case Step.FAIL:
                    await self.handover.fail(job, now=self.clock())
                case _ as never:
                    assert_never(never)
        except LedgerError:
            raise  # without the ledger nothing can be decided of any job
        except NemodError as error:
            await self._failed(job, error.failure)
        except Exception:
            # The boundary: a job that hits a bug rests with its reason, the daemon goes on. Never retried blindly: it may pay.
            log.exception("job.bug", job=job.id, file=job.relpath)
            detail = "nemod met an error of its own; the log has the traceback."
            hint = f"Please report it; `nemod jobs release {job.id}` tries again."
            await self._failed(job, Failure(kind=Kind.BUG, detail=detail, hint=hint))

    # -- the steps that lead to an output ---------------------------------------------------------------------------------

    async def _examine(self, job: Job) -> None:
        media, route = await self.examiner.examine(job, frozenset(self.engines))
        await self.desk(Ledger.examined, job.id, media, route)
        log.info(
            "job.examined", job=job.id, folder=job.folder.name, file=job.relpath, how=route.how, limit_bytes=route.limit_bytes
        )

    async def _open(self, job: Job, lane: Lane) -> None:
        route = _route(job)
        following = next_engine(job, route)
        if following is None:
            await self._exhausted(job)
            return
        name, how = following
        if how is How.ENCODE and lane.value != name.value:
            await self.desk(Ledger.move, job.id, Move.YIELD, now=self.clock(), lane=Lane(name.value))
            return
        await asyncio.to_thread(prepare_outbox, job.folder.outbox)
        folder = await asyncio.to_thread(work_folder, job.folder.outbox, job.id, len(job.attempts) + 1, secrets.token_hex(4))
        await self.desk(Ledger.open_attempt, job.id, name, how, folder, now=self.clock())

    async def _exhausted(self, job: Job) -> None:
        """Every engine has tried: the job fails with what the last one said."""
        last = job.attempts[-1]
        failure = last.failure
        if isinstance(last.verdict, Refuse):
            failure = Failure(
                kind=Kind.BAD_OUTPUT,
                detail=f"No output kept its promise. The last one: {last.verdict.detail}",
                hint="Play the original; if it is sound, please report this with the log.",
            )
        await self.desk(Ledger.failing, job.id, failure or Failure(kind=Kind.BUG, detail="No engine could take it."))

    async def _encode(self, job: Job, attempt: Attempt, lane: Lane) -> None:
        route, media = _route(job), job.media
        if attempt.how is How.ENCODE and lane.value != attempt.engine.value:
            await self.desk(Ledger.move, job.id, Move.YIELD, now=self.clock(), lane=Lane(attempt.engine.value))
            return
        assert media is not None  # noqa: S101 - next_step has seen it
        await asyncio.to_thread(prepare_outbox, job.folder.outbox)
        await asyncio.to_thread(attempt.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        task = Task(
            job=job.id,
            source=job.source,
            media=media,
            how=attempt.how,
            preset=job.folder.preset,
            limit_bytes=route.limit_bytes,
            folder=attempt.folder,
            refusals=job.refusals,
        )
        engine = self.engines.get(attempt.engine)
        if engine is None:
            raise EngineError(Failure(kind=Kind.TOOL_MISSING, detail=f"The engine {attempt.engine} is not set up here."))
        await self.handover.check_source(job)
        async with aclosing(engine.run(task, attempt.token)) as events:
            async for event in events:
                match event:
                    case Checkpoint():
                        await self.desk(Ledger.checkpoint, attempt.id, event.token)
                    case Progress():
                        self.board.show(job.id, event)
                    case Wait():
                        await self.desk(Ledger.checkpoint, attempt.id, event.token)
                        await self.desk(Ledger.move, job.id, Move.YIELD, now=self.clock(), due=event.until)
                        return
                    case Output():
                        await self.desk(Ledger.staged, attempt.id, event.path, token=event.token, note=event.note)
                        await self.desk(Ledger.unhold, engine_scope(attempt.engine))
                        return
                    case _ as never:
                        assert_never(never)
        raise EngineError(Failure(kind=Kind.BUG, detail=f"The engine {attempt.engine} ended without an output."))

    async def _judge(self, job: Job, attempt: Attempt) -> None:
        route, media = _route(job), job.media
        assert media is not None  # noqa: S101 - next_step has seen it
        assert attempt.staged is not None  # noqa: S101 - the same
        if not await asyncio.to_thread(attempt.staged.is_file):
            await self.desk(Ledger.unstaged, attempt.id)
            return
        verdict = await self.examiner.judge(
            media, attempt.staged, preset=job.folder.preset, limit_bytes=route.limit_bytes, how=attempt.how
        )
        if isinstance(verdict, Refuse):
            await self.handover.check_source(job)  # an output of half the old and half the new file is nobody's fault
        await self.desk(Ledger.judged, attempt.id, verdict, now=self.clock())
        if isinstance(verdict, Accept):
            return
        log.warning(
            "job.refused", job=job.id, file=job.relpath, engine=attempt.engine, reason=verdict.reason, why=verdict.detail
        )
        await asyncio.to_thread(clear_work, attempt.folder)

    # -- what follows from a failure --------------------------------------------------------------------------------------

    async def _failed(self, job: Job, failure: Failure) -> None:
        now = self.clock()
        if failure.kind in _BLAMES_THE_SOURCE and job.failing is None:
            try:
                await self.handover.check_source(job)
            except NemodError as lost:
                failure = lost.failure
        scope = self._scope(job, failure)
        times = 0
        if scope is not None:
            holds = await self.desk(Ledger.holds)
            times = next((h.times for h in holds if h.scope == scope), 0)
        decision: Decision = decide(
            failure,
            tries=times if scope is not None else job.tries,
            looks=await self.examiner.looks(job.source) if failure.kind is Kind.INCOMPLETE else (),
            now=now,
            jitter=random.uniform(-1, 1),  # noqa: S311 - spreads back-offs, nothing secret
        )
        words = {"job": job.id, "folder": job.folder.name, "file": job.relpath, "kind": failure.kind, "why": failure.detail}
        match decision:
            case Again():
                # A file that is being written is asked every second: that is no news.
                log.log(
                    logging.DEBUG if failure.kind is Kind.BUSY else logging.INFO, "job.waiting", **words, until=decision.due
                )
                await self.desk(
                    Ledger.move, job.id, Move.YIELD, now=now, due=decision.due, failure=failure, counts=decision.counts
                )
            case Hold():
                event = "folder.held" if failure.scope is Scope.FOLDER else "engine.held"
                log.warning(event, **words, hint=failure.hint, until=decision.until)
                await self._tidy(job)
                await self.desk(Ledger.hold, scope or "", until=decision.until, failure=failure)
                await self.desk(Ledger.move, job.id, Move.YIELD, now=now, failure=failure)
            case Next():
                log.warning("job.attempt_failed", **words)
                await self._close(job, failure)
            case Park():
                log.warning("job.parked", **words, hint=failure.hint)
                await self._tidy(job)
                await self.desk(Ledger.move, job.id, Move.PARK, now=now, failure=failure)
            case Fail():
                await self._close(job, failure)
                await self.desk(Ledger.failing, job.id, failure)
            case Cancel():
                log.info("job.cancelled", **words)
                await self.cancel(job.id, failure)
                await self.desk(Ledger.lost, job.id)
            case _ as never:
                assert_never(never)

    def _scope(self, job: Job, failure: Failure) -> str | None:
        match failure.scope:
            case Scope.JOB:
                return None
            case Scope.FOLDER:
                return folder_scope(job.folder.name)
            case Scope.ENGINE:
                attempt = job.attempt
                return engine_scope(attempt.engine if attempt is not None else EngineName.LOCAL)

    async def cancel(self, job: JobId, failure: Failure | None) -> None:
        """End a job that this runner holds, or held, without touching its source; one that is delivered only goes on."""
        current = await self.desk(Ledger.job, job)
        if current is None:
            return
        if current.delivered_bytes is not None or current.failing is not None:
            await self.desk(Ledger.move, job, Move.YIELD, now=self.clock())
        else:
            await self._close(current, failure)
            await self.desk(Ledger.move, job, Move.CANCEL, now=self.clock(), failure=failure)

    async def _tidy(self, job: Job) -> None:
        """Free what a waiting job takes up: its engine makes the file again, from its token or from nothing."""
        if (attempt := job.attempt) is not None:
            await asyncio.to_thread(clear_work, attempt.folder)

    async def _close(self, job: Job, failure: Failure | None) -> None:
        if (attempt := job.attempt) is not None:
            await self.desk(Ledger.close_attempt, attempt.id, failure=failure, now=self.clock())
            await self._tidy(job)


async def _to_its_end(step: Coroutine[Any, Any, None]) -> None:
    """Finish a step even when we are cancelled meanwhile: it stands between two facts, and both are wanted."""
    task = asyncio.ensure_future(step)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _open_attempt(job: Job) -> Attempt:
    attempt = job.attempt
    assert attempt is not None  # noqa: S101 - next_step has seen it
    return attempt


def _route(job: Job) -> Route:
    assert job.route is not None  # noqa: S101 - next_step has seen it
    return job.route
