"""One run over one job in the cloud: what it works with, and the one way to write down how far it has come."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from nemod.config.model import Nemo
from nemod.engines.base import Checkpoint, Engine, EngineError, Task
from nemod.engines.nemo.client import Client, Skill
from nemod.engines.nemo.trip import Stage, Trip, token_of
from nemod.failure import Failure, Kind
from nemod.logs import Logger


@dataclass(slots=True)
class Till:
    """What the jobs of one process know of each other's spending: whose messages are under way, and who sent when.

    A balance that has not moved proves that a message cost nothing only while nobody else used the account.
    """

    price: float = 50.0  # credits that a message is expected to cost: the documents' figure, then the last one measured
    paying: set[int] = field(default_factory=set)
    sent: dict[int, float] = field(default_factory=dict)  # epoch seconds

    def alone(self, job: int) -> bool:
        """Whether no other job has a message under way."""
        return not self.paying - {job}

    def quiet_since(self, job: int, moment: float) -> bool:
        """Whether no other job has sent a message since then."""
        return not any(at >= moment for other, at in self.sent.items() if other != job)


@dataclass(slots=True, kw_only=True)
class Run:
    """What the stages of a run share; `trip` is replaced as the job goes on, None before there is a session."""

    task: Task
    nemo: Nemo
    client: Client
    local: Engine
    skill: Skill
    till: Till
    trip: Trip | None
    resumed: bool  # the stage at hand was reached by an earlier run, which may have been killed in it
    log: Logger
    jitter: Callable[[], float]  # from 0 to 1, spreads polls
    rendered: Callable[[], None]  # tells that this account may render
    clock: Callable[[], float] = time.time
    left: float | None = None  # credits, as last seen

    @property
    def at(self) -> Trip:
        """How far it has come; there is a session."""
        assert self.trip is not None  # noqa: S101 - the loop begins with one
        return self.trip

    def refused(self, detail: str) -> EngineError:
        """The cloud does not do it; another engine may."""
        hint = (
            f'Say it in your own words with: nemod ask {self.task.job} "…", or the same again with: nemod jobs retry'
            f" --pay-again {self.task.job}, or set the folder's engine to auto or local."
        )
        return EngineError(Failure(kind=Kind.REFUSED, detail=detail, hint=hint))

    def reach(self, stage: Stage, **facts: Any) -> Checkpoint:
        """Come to a stage; the caller yields the checkpoint."""
        self.trip = replace(self.at, stage=stage, **facts)
        self.resumed = False
        return Checkpoint(token=token_of(self.trip))


#: Why a job in a shared session cannot go on with its timeline.
OVERTAKEN = "Another video has been edited since in the session that the two share."


def uncertain(detail: str) -> EngineError:
    """Nobody knows whether it was paid for; nothing is sent again by ourselves."""
    hint = "It may have been charged. `nemod jobs release` looks again; `nemod jobs retry --pay-again` asks and pays again."
    return EngineError(Failure(kind=Kind.UNCERTAIN, detail=detail, hint=hint))
