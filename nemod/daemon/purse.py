"""What a day may cost: the engine's announcements against the budget, told before anything is paid.

Rules kept here:
- an announcement is committed with what it may cost, or refused with nothing written;
- a day is the local calendar's; a budget that is used up holds the engine until the next one begins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from nemod import logs
from nemod.config.model import Nemo
from nemod.daemon.board import Board
from nemod.engines.base import Checkpoint, EngineError, Progress
from nemod.failure import Failure, Kind
from nemod.job import Attempt, Job
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Writes down what engines announce; `nemo` is the config as it is now."""

    desk: Desk
    board: Board
    nemo: Callable[[], Nemo]
    clock: Callable[[], float]

    async def note(self, job: Job, attempt: Attempt, event: Checkpoint) -> None:
        """Commit a checkpoint, and say what it costs or has cost.

        Raises:
            EngineError: CREDITS; the day's budget does not allow it, and nothing was written.
        """
        now = self.clock()
        budget = self.nemo().max_credits_per_day
        begins, ends = day_of(now)
        committed = await self.desk(
            Ledger.checkpoint,
            attempt.id,
            event.token,
            now=now,
            expects=event.expects,
            cost=event.cost,
            budget=budget,
            day_start=begins,
        )
        if not committed:
            raise EngineError(_used_up(budget or 0, event.expects or 0, await self.desk(Ledger.spent_since, begins), ends))
        words = {"job": job.id, "folder": job.folder.name, "file": job.relpath}
        if event.cost is not None:
            log.info("job.paid", **words, credits=event.cost, left_credits=event.left)
        if event.expects is not None:
            spent = await self.desk(Ledger.spent_since, begins)
            left = None if budget is None else budget - spent
            log.info("job.paying", **words, expected_credits=event.expects, left_credits=event.left, budget_left=left)
            self.board.show(job.id, Progress(stage=_stage(event.expects, event.left)))


def day_of(now: float) -> tuple[float, float]:
    """When the local calendar's day of a moment begins and ends (all epoch seconds); it may have 23 or 25 hours."""
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ006 - local on purpose
    return midnight.timestamp(), (midnight + timedelta(days=1)).timestamp()


def _stage(expects: float, left: float | None) -> str:
    return f"asking the cloud, about {expects:g} credits" + ("" if left is None else f" of {left:g}")


def _used_up(budget: float, expects: float, spent: float, ends: float) -> Failure:
    if spent > 0:
        detail = (
            f"The day's budget of {budget:g} credits is used up: {spent:g} are spent, and the next edit may cost {expects:g}."
        )
    else:
        detail = f"The next edit may cost {expects:g} credits, more than the day's budget of {budget:g}."
    hint = "Set a larger nemo.max_credits_per_day and have the config read again (SIGHUP)."
    if spent > 0:
        hint = f"It goes on tomorrow by itself. {hint}"
    return Failure(kind=Kind.CREDITS, detail=detail, hint=hint, retry_at=ends)
