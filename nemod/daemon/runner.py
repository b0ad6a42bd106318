"""One job, fact by fact, until it has ended, waits or belongs into another lane.

Rules kept here:
- effects after facts: what is about to be done is written down, done, and written down as done;
- every step can be repeated: a daemon that was killed anywhere simply runs the same loop again;
- the engine is known by its protocol only.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, assert_never

from nemod import logs
from nemod.config.model import After, EnginePolicy, Folder, Nemo
from nemod.daemon.aftermath import Aftermath
from nemod.daemon.board import Board
from nemod.daemon.examine import Examiner
from nemod.daemon.handover import Handover
from nemod.daemon.purse import Purse
from nemod.daemon.route import replanned
from nemod.daemon.source import reading
from nemod.daemon.together import together
from nemod.delivery.publish import PublishError, clear_work, make_work, prepare_outbox, secure, work_folder
from nemod.engines.base import Checkpoint, Engine, EngineError, EngineName, Output, Progress, Task, Wait
from nemod.failure import Failure, Kind, NemodError
from nemod.intake.drives import unplugged
from nemod.job import Attempt, Job, JobId, JobState, Lane, Move, Route, Step, is_material, materials, next_engine, next_step
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, LedgerError, engine_scope, folder_scope
from nemod.media.info import MediaInfo
from nemod.media.probe import PROBE_TIMEOUT_S, ProbeError, probe
from nemod.media.verdict import Accept, How, Refuse, Verdict

log = logs.get(__name__)

#: Short steps that change something outside the ledger.
_UNINTERRUPTED = frozenset({Step.AIM, Step.PUBLISH, Step.DISPOSE, Step.FINISH, Step.AIM_QUARANTINE, Step.QUARANTINE, Step.FAIL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Moves claimed jobs; several at once, each in a task of its own.

    `engines` are those that there are now, `available` those of them that a folder may use; `nemo` is the config as it is now.
    """

    desk: Desk
    engines: Callable[[], Mapping[EngineName, Engine]]
    available: Callable[[Folder], frozenset[EngineName]]
    policy: Callable[[Folder], EnginePolicy]
    nemo: Callable[[], Nemo]
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

    async def cancel(self, job: JobId, failure: Failure | None) -> None:
        """End a job that this runner holds, or held, without touching its source; one that is delivered only goes on."""
        await self._aftermath.cancel(job, failure)

    @property
    def _aftermath(self) -> Aftermath:
        return Aftermath(desk=self.desk, examiner=self.examiner, handover=self.handover, clock=self.clock)

    @property
    def _purse(self) -> Purse:
        return Purse(desk=self.desk, board=self.board, nemo=self.nemo, clock=self.clock)

    async def _step(self, job: Job, step: Step, lane: Lane) -> None:
        try:
            await self._plugged(job, step)
            match step:
                case Step.EXAMINE:
                    self.board.show(job.id, Progress(stage="examining"))
                    await self._examine(job)
                case Step.OPEN | Step.ENCODE if await self._planned_anew(job):
                    pass
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
            await self._aftermath.failed(job, error.failure)
        except Exception:
            # The boundary: a job that hits a bug rests with its reason, the daemon goes on. Never retried blindly: it may pay.
            log.exception("job.bug", job=job.id, file=job.relpath)
            detail = "nemod met an error of its own; the log has the traceback."
            hint = f"Please report it; `nemod jobs release {job.id}` tries again."
            await self._aftermath.failed(job, Failure(kind=Kind.BUG, detail=detail, hint=hint))

    async def _plugged(self, job: Job, step: Step) -> None:
        """Make sure that a step writes on the drive that it should, not into its bare mount point.

        Raises:
            PublishError: the drive is not mounted.
        """
        match step:
            case Step.OPEN | Step.ENCODE | Step.AIM | Step.PUBLISH:
                place = job.folder.outbox
            case Step.DISPOSE if job.folder.after is not After.KEEP:
                place = job.folder.originals
            case Step.AIM_QUARANTINE | Step.QUARANTINE if job.folder.failed is not None:
                place = job.folder.failed
            case _:
                return
        if (failure := await unplugged(self.desk, place)) is not None:
            raise PublishError(failure)

    # -- the steps that lead to an output ---------------------------------------------------------------------------------

    async def _examine(self, job: Job) -> None:
        nemo = self.nemo()
        if await self.desk(Ledger.paid_before, job.id):
            nemo = replace(nemo, follow_ups=0)  # a plain retry goes on in its session, and asks for nothing that costs
        seen = await self.examiner.examine(job, self.available(job.folder), nemo)
        await self.desk(Ledger.examined, job.id, seen.media, seen.route, instruction=seen.instruction)
        log.info(
            "job.examined",
            job=job.id,
            folder=job.folder.name,
            file=job.relpath,
            how=seen.route.how,
            engines=list(seen.route.engines),
            limit_bytes=seen.route.limit_bytes,
        )

    async def _planned_anew(self, job: Job) -> bool:
        """Whether the folder's policy, or the account, is another one than when the job was planned."""
        engines, attempt = self.available(job.folder), job.attempt
        gone = Failure(
            kind=Kind.REFUSED,
            detail="Videos of this folder stay on this machine now."
            if self.policy(job.folder) is EnginePolicy.LOCAL
            else "There is no account for the cloud any more.",
            hint="See: nemod account status",
        )
        if job.asked and EngineName.NEMO not in engines and (attempt is None or attempt.engine is EngineName.NEMO):
            raise EngineError(gone)
        plan = replanned(job, _route(job), policy=self.policy(job.folder), engines=engines, nemo=self.nemo())
        if plan is None:
            return False
        cloud = attempt is not None and attempt.engine is EngineName.NEMO and EngineName.NEMO not in plan.engines
        await self.desk(Ledger.replanned, job.id, plan, ended=gone if cloud else None, now=self.clock())
        log.info("job.replanned", job=job.id, file=job.relpath, engines=list(plan.engines), why=gone.detail if cloud else "")
        return True

    async def _open(self, job: Job, lane: Lane) -> None:
        following = next_engine(job, _route(job))
        if following is None:
            await self._exhausted(job)
            return
        name, how = following
        if how is How.ENCODE and (lane.value != name.value or job.polling):  # a poll begins nothing
            await self._queue(job, name)
            return
        made_from = None
        if name is EngineName.LOCAL and job.own_words:
            made_from = await asyncio.to_thread(_first_file, materials(job))
            if made_from is None and job.asked:
                await self._exhausted(job)  # without the cloud's file there is nothing that it could be made from
                return
            if made_from is None:
                why = "The cloud could not make it, and this machine follows the folder's preset alone."
                log.warning("job.instruction_ignored", job=job.id, folder=job.folder.name, file=job.relpath, why=why)
        await asyncio.to_thread(prepare_outbox, job.folder.outbox)
        folder = work_folder(job.folder.outbox, job.id, len(job.attempts) + 1, secrets.token_hex(4))
        await self.desk(Ledger.open_attempt, job.id, name, how, folder, material=made_from, now=self.clock())

    async def _queue(self, job: Job, name: EngineName) -> None:
        """Let the job wait for a slot of that engine."""
        await self.desk(Ledger.move, job.id, Move.YIELD, now=self.clock(), lane=Lane(name.value), polling=False)

    async def _exhausted(self, job: Job) -> None:
        """Every engine has tried: the job fails with what the last one said, or rests where only the cloud may mend it."""
        last = job.attempts[-1]
        failure = last.failure
        if isinstance(last.verdict, Refuse):
            hint = "Play the original; if it is sound, please report this with the log."
            if last.engine is EngineName.NEMO:
                hint = (
                    f'`nemod ask {job.id} "…"` goes on in its session, `nemod jobs retry --pay-again {job.id}` starts anew and'
                    ' pays again; with finish = "local" this machine would have made it fit.'
                )
            failure = Failure(
                kind=Kind.BAD_OUTPUT, detail=f"No output kept its promise. The last one: {last.verdict.detail}", hint=hint
            )
            if last.engine is EngineName.NEMO:
                log.warning("job.parked", job=job.id, file=job.relpath, kind=failure.kind, why=failure.detail, hint=hint)
                await self.desk(Ledger.move, job.id, Move.PARK, now=self.clock(), failure=failure)
                return
        await self.desk(Ledger.failing, job.id, failure or Failure(kind=Kind.BUG, detail="No engine could take it."))

    async def _encode(self, job: Job, attempt: Attempt, lane: Lane) -> None:
        if attempt.how is How.ENCODE and lane.value != attempt.engine.value:
            await self._queue(job, attempt.engine)
            return
        engine = self.engines().get(attempt.engine)
        if engine is None:
            detail = f"The engine {attempt.engine} is not set up here."
            raise EngineError(Failure(kind=Kind.TOOL_MISSING, detail=detail, hint="See: nemod doctor"))
        await asyncio.to_thread(prepare_outbox, job.folder.outbox)
        await asyncio.to_thread(make_work, attempt.folder)
        async with reading(job, attempt) as source:
            await self._work(job, attempt, engine, await self._task(job, attempt, source))

    async def _work(self, job: Job, attempt: Attempt, engine: Engine, task: Task) -> None:
        async with aclosing(engine.run(task, attempt.token)) as events:
            async for event in events:
                match event:
                    case Checkpoint():
                        if event.expects is not None and job.polling:
                            await self._queue(job, attempt.engine)  # who is about to pay takes a slot first
                            return
                        await self._purse.note(job, attempt, event)
                    case Progress():
                        self.board.show(job.id, event)
                    case Wait():
                        self.board.rest(job.id)
                        await self.desk(
                            Ledger.rest,
                            job.id,
                            attempt.id,
                            event.token,
                            until=event.until,
                            polling=event.polling,
                            now=self.clock(),
                        )
                        return
                    case Output():
                        for file in [part.path for part in event.parts] or [event.path]:
                            await asyncio.to_thread(secure, file)  # a power cut leaves what is judged next
                        await self.desk(
                            Ledger.staged,
                            attempt.id,
                            event.path,
                            token=event.token,
                            note=event.note,
                            parts=event.parts,
                        )
                        await self.desk(Ledger.proved, engine_scope(attempt.engine), now=self.clock())
                        return
                    case _ as never:
                        assert_never(never)
        raise EngineError(Failure(kind=Kind.BUG, detail=f"The engine {attempt.engine} ended without an output."))

    async def _task(self, job: Job, attempt: Attempt, source: Path) -> Task:
        cloud = attempt.engine is EngineName.NEMO
        return Task(
            job=job.id,
            source=source,
            name=job.source.name,
            media=await _measured(job, attempt),
            how=attempt.how,
            preset=job.folder.preset,
            limit_bytes=_route(job).limit_bytes,
            folder=attempt.folder,
            refusals=(*(await self.desk(Ledger.answered, job.id)), *job.refusals) if cloud else job.refusals,
            instruction=job.instruction,
            continues=await self.desk(Ledger.session_token, job.id) if cloud else None,
            overtaken=cloud and job.session_key is not None and await self.desk(Ledger.overtaken, job.id),
            asked=job.asked and cloud,
        )

    async def _judge(self, job: Job, attempt: Attempt) -> None:
        assert attempt.staged is not None  # noqa: S101 - next_step has seen it
        if not await asyncio.to_thread(_are_files, attempt.files):
            await self.desk(Ledger.unstaged, attempt.id)
            return
        async with reading(job, attempt) as source:
            verdict = await self._verdict(job, attempt, source)
        if isinstance(verdict, Refuse):
            await self.handover.check_source(job)  # an output of half the old and half the new file is nobody's fault
        await self.desk(Ledger.judged, attempt.id, verdict, now=self.clock())
        if isinstance(verdict, Accept):
            return
        log.warning(
            "job.refused", job=job.id, file=job.relpath, engine=attempt.engine, reason=verdict.reason, why=verdict.detail
        )
        if not (job.own_words and is_material(replace(attempt, verdict=verdict))):
            await asyncio.to_thread(clear_work, attempt.folder)

    async def _verdict(self, job: Job, attempt: Attempt, source: Path) -> Verdict:
        whole = await _measured(job, attempt)
        shown = tuple(part.of(whole) for part in attempt.parts) or (whole,)
        verdicts: list[Verdict] = []
        for media, file in zip(shown, attempt.files, strict=True):
            word = await self.examiner.judge(
                media,
                file,
                source_file=source,
                preset=job.folder.preset,
                limit_bytes=_route(job).limit_bytes,
                how=attempt.how,
                edited=job.own_words and attempt.engine is EngineName.NEMO,
                foreign=attempt.engine is EngineName.NEMO,
            )
            verdicts.append(word)
            if isinstance(word, Refuse):
                break
        return together(verdicts, len(shown))


async def _measured(job: Job, attempt: Attempt) -> MediaInfo:
    """What an attempt works on, and is held against.

    Raises:
        EngineError: BAD_OUTPUT; the cloud's file from which it should be made cannot be read.
    """
    if attempt.material is None:
        assert job.media is not None  # noqa: S101 - next_step has seen it
        return job.media
    try:
        return await probe(attempt.material, timeout_s=PROBE_TIMEOUT_S)
    except ProbeError as error:
        detail = f"The cloud's file that should be made smaller cannot be read: {error.failure.detail}"
        raise EngineError(Failure(kind=Kind.BAD_OUTPUT, detail=detail, hint=error.failure.hint)) from error


def _are_files(paths: Iterable[Path]) -> bool:
    return all(path.is_file() for path in paths)


def _first_file(attempts: Iterable[Attempt]) -> Path | None:
    return next((a.staged for a in attempts if a.staged is not None and a.staged.is_file()), None)


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
