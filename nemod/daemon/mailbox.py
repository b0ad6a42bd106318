"""What people ask of jobs: applied by the daemon when it reads its mailbox, or by the command itself when no daemon runs.

Rules kept here:
- a word is struck from the mailbox in the transaction that does what it says: a kill neither loses it nor does it twice;
- disks are looked at before: one that hangs must not keep the ledger.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from nemod.config.model import Folder
from nemod.daemon.asking import no_session, under_way
from nemod.daemon.handover import clear, decided, too_late
from nemod.daemon.source import fingerprint_of
from nemod.failure import NemodError
from nemod.job import Fingerprint, Job, JobId, JobState, Move
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, Request, engine_scope, folder_scope
from nemod.ledger.pauses import Why, pause_of


class Verb(StrEnum):
    """What can be asked."""

    CANCEL = "cancel"
    RETRY = "retry"
    PAY_AGAIN = "pay-again"  # retry, and begin anew in the cloud
    RELEASE = "release"
    FIRST = "first"
    ASK = "ask"
    RELOAD = "reload"
    ACCOUNT = "account"  # it was changed; about no job


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the disks say that a word depends on: whether it is too late to cancel, and what lies where the source was."""

    too_late: bool = False
    unclear: str = ""  # why they do not say whether it is too late
    source: Fingerprint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a request: whether it could be done, and a sentence.

    `running` is a job that must be stopped first, `made` one that came of it.
    """

    done: bool
    says: str
    running: JobId | None = None
    made: JobId | None = None


async def answer(desk: Desk, request: Request, folders: Mapping[str, Folder], *, now: float) -> Answer:
    """Do what a letter in the mailbox asks of a job, and clear away the work that it made superfluous; see `apply`.

    The letter is struck with it, unless there is a running job to stop first.
    """
    if request.verb not in set(Verb) or request.job is None:  # by a newer command
        return Answer(done=False, says=f'This nemod does not know how to "{request.verb}".')
    before = await desk(Ledger.job, request.job)
    seen = Seen() if before is None else await asyncio.to_thread(look, before, Verb(request.verb))
    answered = await desk(_apply, request, request.job, folders, seen, now=now)
    ends = request.verb in {Verb.CANCEL, Verb.PAY_AGAIN} and answered.done and answered.running is None
    if ends and before is not None:
        await clear(before)
    return answered


def _apply(ledger: Ledger, request: Request, job_id: JobId, folders: Mapping[str, Folder], seen: Seen, *, now: float) -> Answer:
    with ledger.transaction():
        answered = apply(ledger, Verb(request.verb), job_id, folders, now=now, text=request.text, seen=seen)
        if answered.running is None:
            ledger.strike(request.id)
    return answered


def look(job: Job, verb: Verb) -> Seen:
    """What a word about a job must know of the disks; it takes as long as they take."""
    match verb:
        case Verb.CANCEL:
            try:
                return Seen(too_late=too_late(job))
            except NemodError as error:
                return Seen(unclear=error.failure.detail)
        case Verb.RETRY | Verb.PAY_AGAIN if _lacks_source(job):
            with suppress(OSError):
                return Seen(source=fingerprint_of(job.source))
        case _:
            pass
    return Seen()


def apply(
    ledger: Ledger,
    verb: Verb,
    job_id: JobId,
    folders: Mapping[str, Folder],
    *,
    now: float,
    text: str | None = None,
    seen: Seen | None = None,
) -> Answer:
    """Do what was asked of a job, as far as the ledger alone can.

    Args:
        ledger: the ledger.
        verb: what was asked.
        job_id: of which job.
        folders: as the config has them now.
        now: epoch seconds.
        text: the words that came with it; without any, ASK means to render again what stands in the session.
        seen: what the disks say; None: they are asked now.
    """
    job = ledger.job(job_id)
    if job is None:
        return Answer(done=False, says=f"There is no job {job_id}.")
    seen = look(job, verb) if seen is None else seen
    match verb:
        case Verb.CANCEL:
            return _cancel(ledger, job, seen, now=now)
        case Verb.RETRY:
            return _retry(ledger, job, folders, seen, now=now, pay_again=False)
        case Verb.PAY_AGAIN:
            return _retry(ledger, job, folders, seen, now=now, pay_again=True)
        case Verb.RELEASE:
            return _release(ledger, job, now=now)
        case Verb.FIRST:
            if ledger.first(job_id):
                return Answer(done=True, says=f"Job {job_id} goes next.")
            return Answer(done=False, says=f"Job {job_id} is {job.state}; only a queued job can be put first.")
        case Verb.ASK:
            return _ask(ledger, job, text, folders, now=now)
        case Verb.RELOAD | Verb.ACCOUNT:
            return Answer(done=True, says="")


def _cancel(ledger: Ledger, job: Job, seen: Seen, *, now: float) -> Answer:
    if job.state is JobState.RUNNING:
        return Answer(done=True, says=f"Job {job.id} is being stopped.", running=job.id)
    if seen.too_late or decided(job):
        return Answer(done=False, says=f"Job {job.id} is {job.state}; it is too late to cancel it.")
    if seen.unclear:
        says = f"Whether job {job.id} is delivered cannot be told now. {seen.unclear} Cancel it once the disk is back."
        return Answer(done=False, says=says)
    if ledger.move(job.id, Move.CANCEL, now=now):
        if job.attempt is not None:
            ledger.close_attempt(job.attempt.id, failure=None, now=now)
        return Answer(done=True, says=f"Job {job.id} is cancelled; its file stays where it is.")
    return Answer(done=False, says=f"Job {job.id} is {job.state}; there is nothing to cancel.")


def _retry(ledger: Ledger, job: Job, folders: Mapping[str, Folder], seen: Seen, *, now: float, pay_again: bool) -> Answer:
    if job.asked and (why := no_session(ledger, job, folders)):
        return Answer(done=False, says=why)
    if _lacks_source(job) and seen.source is None:
        return Answer(done=False, says=f"The source of job {job.id} is no longer at {job.source}; drop it again.")
    back = job.source == job.folder.inbox / job.relpath
    folder = folders.get(job.folder.name)
    if ledger.retry(job.id, folder=folder, found=seen.source, present=back, now=now, pay_again=pay_again):
        return Answer(done=True, says=f"Job {job.id} starts again.")
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        return Answer(done=False, says=f"The file that lies at {job.source} now is another job's.")
    hint = "`release` it" if job.state is JobState.PARKED else "only a failed or cancelled job can be retried"
    return Answer(done=False, says=f"Job {job.id} is {job.state}; {hint}.")


def _lacks_source(job: Job) -> bool:
    """Whether its file must be found again; what a wish goes on with lies in a session, not in a folder."""
    return not job.present and not job.asked


def _release(ledger: Ledger, job: Job, *, now: float) -> Answer:
    """Let a parked job go on; for a queued one, lift what holds it and make it due."""
    if job.state is JobState.PARKED and ledger.release(job.id, now=now):
        return Answer(done=True, says=f"Job {job.id} goes on.")
    if job.state is JobState.QUEUED and (pause := pause_of(job, ledger.pauses(), now=now)) is not None:
        hint = "waits for the hours of its folder" if pause.why is Why.HOURS else "is paused; let it go on with: nemod resume"
        return Answer(done=False, says=f"Job {job.id} {hint}.")
    if job.state is JobState.QUEUED:
        ledger.unhold(folder_scope(job.folder.name))
        for engine in () if job.route is None else job.route.engines:
            ledger.unhold(engine_scope(engine))
        ledger.hurry(job.id, now=now)
        return Answer(done=True, says=f"Job {job.id} goes on now.")
    return Answer(done=False, says=f"Job {job.id} is {job.state}; only a waiting job can be released.")


def _ask(ledger: Ledger, job: Job, text: str | None, folders: Mapping[str, Folder], *, now: float) -> Answer:
    """Let a person's wish go on in the session of a job, as a job of its own."""
    if why := no_session(ledger, job, folders) or under_way(job):
        return Answer(done=False, says=why)
    child = ledger.add_child(job.id, text, now=now)
    says = f"Job {child} goes on in the session of job {job.id}; its result will appear in {job.folder.outbox}."
    return Answer(done=True, says=says, made=child)
