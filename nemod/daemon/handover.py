"""The last part of a job's way: into the outbox, the original put away, or both explained in the failed folder.

Rules kept here:
- the last gate before the outbox is the size in bytes of the file as it lies there;
- an output in several parts is delivered whole: what cannot be completed is taken back;
- the source is touched only after the delivery is recorded, and only if it is still the file that was read;
- what a person wrote beside it goes with it; a job that goes on in another's session touches neither.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nemod import logs
from nemod.config import naming
from nemod.config.model import After
from nemod.config.units import format_limit, format_size
from nemod.daemon import keeper
from nemod.daemon.source import verify
from nemod.delivery import names, originals, publish, reason, spelling
from nemod.engines.base import EngineName
from nemod.failure import Failure, Kind, NemodError
from nemod.job import Attempt, Job, Move
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from nemod.media.verdict import Accept, How

log = logs.get(__name__)

SUFFIX = ".mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A file on its way: where it lies staged, where it will lie, and its size."""

    staged: Path
    target: Path
    size_bytes: int

    def done(self) -> bool:
        """Whether it has been published."""
        return publish.already_published(self.staged, self.target, size_bytes=self.size_bytes)

    def withdraw(self) -> None:
        """Take it back, if it has been published."""
        publish.withdraw(self.staged, self.target, size_bytes=self.size_bytes)


class OverLimit(NemodError):  # noqa: N818 - a state, not an error
    """A file over its limit stood before the outbox; it stays outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Carries out deliveries, disposals and quarantines, each between two facts."""

    desk: Desk
    log_hint: str = ""

    async def check_source(self, job: Job) -> None:
        """Make sure that the source is still the one that was accepted.

        Raises:
            SourceLost: it is not.
        """
        await asyncio.to_thread(verify, job)

    async def aim(self, job: Job) -> None:
        """Choose a free name in the outbox, or one for each part, and write it down."""
        await self.check_source(job)
        for targets in await asyncio.to_thread(_targets, job):
            if not await asyncio.to_thread(_any_taken, targets) and await self.desk(Ledger.aim, job.id, *targets):
                return

    async def publish(self, job: Job, attempt: Attempt) -> None:
        """Let the judged file, or all parts, appear under their names; called again after a crash it does what is left."""
        deliveries = _deliveries(job, attempt)
        if deliveries is None:  # made again, in another number of parts
            await self.desk(Ledger.aim, job.id)
            return
        left = [one for one in deliveries if not await asyncio.to_thread(one.done)]
        try:
            if not await asyncio.to_thread(_all_there, [one.staged for one in left]):
                await self._withdraw(deliveries)
                await self.desk(Ledger.unstaged, attempt.id)
                return
            if left:
                await self._appear(job, left)
        except FileExistsError:  # somebody else took a name since we aimed
            await self._withdraw(deliveries)
            await self.desk(Ledger.aim, job.id)
            return
        except NemodError:
            await self._withdraw(deliveries)
            raise
        for one in deliveries:
            if one not in left:  # an earlier run was killed between the name and the fact
                await asyncio.to_thread(publish.settle, one.target)
        await self.desk(Ledger.delivered, job.id, await asyncio.to_thread(_bytes_of, deliveries))
        for one in deliveries:
            await asyncio.to_thread(publish.unstage, one.staged)

    async def _appear(self, job: Job, deliveries: Sequence[Delivery]) -> None:
        """Publish what has passed the last gate, all of it, before the first one appears."""
        assert job.route is not None  # noqa: S101 - next_step has seen it
        await self.check_source(job)
        for one in deliveries:
            size = (await asyncio.to_thread(one.staged.stat)).st_size
            if size > job.route.limit_bytes:
                over = f"over the limit of {job.route.limit_bytes:,}"
                detail = f"The finished file has {size:,} bytes, {over}; it was not delivered."
                raise OverLimit(Failure(kind=Kind.BAD_OUTPUT, detail=detail))
            await asyncio.to_thread(publish.stamp, one.staged, job.fingerprint.mtime_ns)
        for one in deliveries:
            await asyncio.to_thread(publish.publish, one.staged, one.target)

    async def _withdraw(self, deliveries: Sequence[Delivery]) -> None:
        """No half of a set is left in the outbox; one file is there whole or not at all anyway."""
        if len(deliveries) > 1:
            for one in deliveries:
                await asyncio.to_thread(one.withdraw)

    async def dispose(self, job: Job) -> None:
        """Put the original away as the folder's policy says."""
        folder = job.folder
        if job.asked:
            await self.desk(Ledger.disposed, job.id, originals.Fate.KEPT, None)
            return
        if folder.failed is not None and job.source.is_relative_to(folder.failed):
            # A retry went well: the explanation goes with its file.
            await asyncio.to_thread(reason.clear_reason, job.source, failed=folder.failed)
        after = After.ARCHIVE if folder.own_trash else folder.after
        done = await asyncio.to_thread(
            originals.dispose,
            job.source,
            job.fingerprint,
            after=after,
            originals=folder.originals,
            relpath=job.relpath,
        )
        beside = await asyncio.to_thread(
            originals.dispose_sidecar,
            job.source,
            done,
            after=after,
            originals=folder.originals,
            relpath=job.relpath,
        )
        for note in filter(None, (done.note, beside)):
            log.warning("job.original", job=job.id, file=job.relpath, how=done.how, why=note)
        if folder.own_trash and done.path is not None:
            there = await asyncio.to_thread(keeper.which, done.path)
            kept = partial(Ledger.disposed, retained=there, keep_s=folder.retention_s, now=time.time())
            await self.desk(kept, job.id, originals.Fate.TRASHED, done.path)
            return
        await self.desk(Ledger.disposed, job.id, done.how, done.path)

    async def finish(self, job: Job, *, now: float) -> None:
        """Clear the work away and write the canonical line."""
        attempt = job.attempt
        await clear(job)
        if attempt is not None:
            await self.desk(Ledger.close_attempt, attempt.id, failure=None, now=now)
        await self.desk(Ledger.move, job.id, Move.FINISH, now=now)
        spendings = await self.desk(Ledger.spendings, job=job.id)
        paid = sum(one.counted for one in spendings)
        made = attempt.note if attempt is not None else ""
        if (job.delivered_bytes or 0) > job.fingerprint.size_bytes and job.route is not None and job.route.how is How.ENCODE:
            made += "; larger than its source, which would not play everywhere"
        if (
            job.instruction is not None
            and attempt is not None
            and attempt.engine is EngineName.LOCAL
            and attempt.material is None
        ):
            made += "; your own words were not followed, since the cloud did not do it"
        saved = 100 * (1 - (job.delivered_bytes or 0) / max(1, job.fingerprint.size_bytes))
        log.info(
            "job.delivered",
            job=job.id,
            folder=job.folder.name,
            file=job.relpath,
            output=None if job.target is None else str(job.target),
            engine=attempt.engine if attempt is not None else None,
            made=made,
            input_bytes=job.fingerprint.size_bytes,
            output_bytes=job.delivered_bytes,
            limit_bytes=None if job.route is None else job.route.limit_bytes,
            saved_percent=round(saved, 1),
            original=job.disposed,
            took_s=round(now - (job.started or now), 2),
            waited_s=round((job.started or now) - job.created, 2),
            attempts=len(job.attempts),
            **({"outputs": [str(target) for target in job.targets]} if job.targets else {}),
            **_measured(attempt),
            **({"credits": round(paid, 2)} if spendings else {}),
        )

    # -- failures ---------------------------------------------------------------------------------------------------------

    async def aim_quarantine(self, job: Job) -> None:
        """Choose where the source of a failed job will lie, and write it down."""
        failed = job.folder.failed
        target = job.source
        if failed is not None:
            target = await asyncio.to_thread(originals.aim_quarantine, failed, job.relpath, source=job.source)
        await self.desk(Ledger.aim_quarantine, job.id, target)

    async def quarantine(self, job: Job, *, now: float) -> None:
        """Move the source there, with the reason beside it; a file that may not be moved stays and is only explained."""
        target, failure, failed = job.quarantine, job.failing, job.folder.failed
        assert target is not None  # noqa: S101 - next_step has seen both
        assert failure is not None  # noqa: S101
        moved = False
        if failed is not None:
            try:
                moved = await asyncio.to_thread(originals.quarantine, job.source, target, job.fingerprint, relpath=job.relpath)
            except FileExistsError:
                await self.aim_quarantine(job)
                return
            text = reason.reason_text(
                job=job.id,
                name=job.relpath,
                failure=failure,
                preset=job.folder.preset.name,
                when=datetime.fromtimestamp(now, UTC).astimezone(),
                log_hint=self.log_hint,
            )
            await asyncio.to_thread(reason.write_reason, target, text, failed=failed)
        if moved and (note := await asyncio.to_thread(originals.move_sidecar, job.source, target, relpath=job.relpath)):
            log.warning("job.original", job=job.id, file=job.relpath, how="failed", why=note)
        await self.desk(Ledger.quarantined, job.id, source=target if moved else job.source, moved=moved)

    async def fail(self, job: Job, *, now: float) -> None:
        """The end of a failed job."""
        failure = job.failing
        assert failure is not None  # noqa: S101 - next_step has seen it
        await clear(job)
        await self.desk(Ledger.move, job.id, Move.FAIL, now=now, failure=failure)  # not what held its way to the failed folder
        log.error(
            "job.failed",
            job=job.id,
            folder=job.folder.name,
            file=job.relpath,
            kind=failure.kind,
            why=failure.detail,
            hint=failure.hint,
            lies=str(job.source),
        )


async def clear(job: Job) -> None:
    """Remove every try's folder: an output that was refused may have been kept for the next one to work on."""
    for attempt in job.attempts:
        await asyncio.to_thread(publish.clear_work, attempt.folder)


def too_late(job: Job) -> bool:
    """Whether its end is decided, or its output lies in the outbox already, of which a kill kept the record.

    Raises:
        PublishError: the outbox is out of reach, and nobody can tell.
    """
    return decided(job) or _published(job)


def decided(job: Job) -> bool:
    """Whether it is delivered, or about to fail, as the ledger knows."""
    return job.delivered_bytes is not None or job.failing is not None


def _published(job: Job) -> bool:
    attempt = job.attempt
    if attempt is None or job.target is None or not isinstance(attempt.verdict, Accept):
        return False
    deliveries = _deliveries(job, attempt)
    return deliveries is not None and any(one.done() for one in deliveries)


def _targets(job: Job) -> Iterator[tuple[Path, ...]]:
    """Names in the outbox, in the sub-folders that the source had; those of a set share their number."""
    count = 1 if job.attempt is None else max(1, len(job.attempt.parts))
    stem = _stem(job)
    # In its own file system, where nobody sees which names are tried.
    room = job.folder.outbox if job.attempt is None else job.attempt.folder
    folder = job.folder.outbox / spelling.inside(room, job.relpath)
    digits = len(str(count))
    tails = [f" part {n:0{digits}} of {count}{SUFFIX}" for n in range(1, count + 1)] if count > 1 else [SUFFIX]
    spelled = spelling.spelling(room, stem, tails[0])
    sets = zip(*(names.candidates(stem, tail, spelled) for tail in tails), strict=False)  # they do not end
    return (tuple(folder / name for name in named) for named in sets)


def _stem(job: Job) -> str:
    """What the output is called, by the folder's template."""
    assert job.route is not None  # noqa: S101 - next_step has seen it
    made, limit, limit_bytes = job.made, job.folder.preset.limit_bytes, job.route.limit_bytes
    height = made.verdict.height if made is not None and isinstance(made.verdict, Accept) else None
    facts = {
        "stem": names.output_stem(job.relpath),
        "preset": job.folder.preset.name,
        "date": datetime.fromtimestamp(job.created).astimezone().date().isoformat(),
        "height": "" if height is None else str(height),
        "limit": format_size(limit_bytes).replace(" ", "") if limit is None else format_limit(limit),
    }
    return naming.fill(job.folder.output_name or naming.PLAIN, facts)


def _measured(attempt: Attempt | None) -> dict[str, float]:
    """How good the output is, for the log; nothing where it was not measured."""
    if attempt is None or not isinstance(attempt.verdict, Accept) or (quality := attempt.verdict.quality) is None:
        return {}
    return {"vmaf_mean": quality.vmaf_mean, "vmaf_p5": quality.vmaf_p5, "ssim": quality.ssim}


def _any_taken(targets: Sequence[Path]) -> bool:
    return any(os.path.lexists(target) for target in targets)


def _all_there(staged: Sequence[Path]) -> bool:
    return all(os.path.lexists(path) for path in staged)


def _bytes_of(deliveries: Sequence[Delivery]) -> int:
    """What was delivered, as it lies there; a person may have taken it already."""
    return sum(one.staged.stat().st_size if one.staged.exists() else one.size_bytes for one in deliveries)


def _deliveries(job: Job, attempt: Attempt) -> tuple[Delivery, ...] | None:
    """What is to be delivered where; None: the names are not for these files."""
    assert job.target is not None  # noqa: S101 - next_step has seen both
    assert attempt.verdict is not None  # noqa: S101
    targets = job.targets or (job.target,)
    sizes = tuple(part.size_bytes for part in attempt.parts) or (attempt.verdict.size_bytes,)
    if len(targets) != len(sizes):
        return None
    return tuple(
        Delivery(staged=staged, target=target, size_bytes=size)
        for staged, target, size in zip(attempt.files, targets, sizes, strict=True)
    )
