"""A job is a row of facts that only go from empty to filled; what to do next is a pure function of which are empty.

Every change of state is a `Move` and stands in `TRANSITIONS`; the README's diagram is printed from that table.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NewType

from nemod.config.model import Folder
from nemod.engines.base import EngineName, Part, Token
from nemod.failure import Failure
from nemod.media.info import MediaInfo
from nemod.media.verdict import Accept, How, Reason, Refuse, Verdict, how

JobId = NewType("JobId", int)
AttemptId = NewType("AttemptId", int)


class JobState(StrEnum):
    """Who moves a job on, and why, stands beside each."""

    QUEUED = "queued"  # the service claims it once `due` has come and a slot is free: fresh, backing off, or polling
    RUNNING = "running"  # this process's runner moves it; at a start it goes back to queued
    PARKED = "parked"  # only a person moves it; the failure's hint says how
    DONE = "done"  # nobody: delivered and the original disposed of
    FAILED = "failed"  # only a person (`retry`); the source lies in the failed folder
    CANCELLED = "cancelled"  # only a person (`retry`); the source was left where it is, or is gone


class Move(StrEnum):
    """What can happen to a job's state."""

    CLAIM = "claim"
    YIELD = "yield"
    RECOVER = "recover"
    FINISH = "finish"
    PARK = "park"
    FAIL = "fail"
    CANCEL = "cancel"
    RELEASE = "release"


TRANSITIONS: dict[JobState, dict[Move, JobState]] = {
    JobState.QUEUED: {Move.CLAIM: JobState.RUNNING, Move.CANCEL: JobState.CANCELLED},
    JobState.RUNNING: {
        Move.YIELD: JobState.QUEUED,
        Move.RECOVER: JobState.QUEUED,
        Move.FINISH: JobState.DONE,
        Move.PARK: JobState.PARKED,
        Move.FAIL: JobState.FAILED,
        Move.CANCEL: JobState.CANCELLED,
    },
    JobState.PARKED: {Move.RELEASE: JobState.QUEUED, Move.CANCEL: JobState.CANCELLED},
    JobState.FAILED: {Move.RELEASE: JobState.QUEUED},
    JobState.CANCELLED: {Move.RELEASE: JobState.QUEUED},
    JobState.DONE: {},
}

#: States in which nothing more will happen by itself and nothing is waited for.
ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Which file it is: the same path with another fingerprint is another file.

    `inode` is 0 where a disk numbers its files anew each time that it is mounted, and so says nothing of them.
    """

    size_bytes: int
    mtime_ns: int
    inode: int

    def fits(self, found: "Fingerprint") -> bool:
        """Whether what lies there, with its present number, is still this file."""
        return self in (found, replace(found, inode=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A file seen in an inbox; `relpath` is relative to it, with surrogate escapes for bytes that are not UTF-8."""

    relpath: str
    fingerprint: Fingerprint


class Lane(StrEnum):
    """Where a queued job queues: the light lane examines, passes through and remuxes; the others are engines."""

    LIGHT = "light"
    LOCAL = "local"
    NEMO = "nemo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The plan that Examine makes: how, and which engines in which order.

    The cloud may follow up on its own refused outputs so many times; `finish` says that this machine then makes the file small
    enough, though it is not among the engines.
    """

    how: How
    engines: tuple[EngineName, ...]
    limit_bytes: int
    follow_ups: int = 0
    finish: bool = False

    @property
    def lane(self) -> Lane:
        """Where the job queues before its first attempt."""
        return Lane(self.engines[0].value) if self.how is How.ENCODE else Lane.LIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One engine's try; closed for good when refused or failed, never overwritten.

    `material` is what it works on in place of the job's source; `spent` says that it has paid, or may have paid. Where the
    whole did not fit, `parts` are its outputs, and `staged` the first of them.
    """

    id: AttemptId
    engine: EngineName
    how: How
    folder: Path
    material: Path | None = None
    token: Token | None = None
    spent: bool = False
    staged: Path | None = None
    parts: tuple[Part, ...] = ()
    note: str = ""
    verdict: Verdict | None = None
    failure: Failure | None = None
    closed: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """What it has staged: one file, or the parts in their order."""
        if self.parts:
            return tuple(part.path for part in self.parts)
        return () if self.staged is None else (self.staged,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file's journey. Times are epoch seconds, sizes bytes.

    Where its output comes in several parts, `targets` are the names of all, `target` the first one, and `delivered_bytes` the
    sum.
    """

    id: JobId
    folder: Folder  # a snapshot: editing the config never changes a job in flight
    relpath: str
    fingerprint: Fingerprint
    present: bool
    state: JobState
    due: float
    rank: int  # lower goes first
    tries: int  # failures of the present kind in a row, for back-offs and looks
    source: Path  # where the source lies now
    created: float
    started: float | None = None
    finished: float | None = None
    polling: bool = False  # what follows is light: it asks the cloud, and needs none of its slots
    parent: JobId | None = None  # whose session a person's further wish goes on in
    instruction: str | None = None  # a person's own words for this file
    session_key: str | None = None  # jobs of one key share a cloud session, one after the other
    # facts, in the order in which they are filled
    media: MediaInfo | None = None
    route: Route | None = None
    attempts: tuple[Attempt, ...] = ()  # of this round; the last one may be open
    target: Path | None = None  # intent
    targets: tuple[Path, ...] = ()  # the same, where there are several
    delivered_bytes: int | None = None
    disposed: str | None = None  # archived | kept | trashed | deleted | gone | changed
    # the way of a failure
    failing: Failure | None = None  # decided: the source goes to the failed folder
    quarantine: Path | None = None  # intent
    quarantined: bool = False
    failure: Failure | None = None  # the last one, for people

    @property
    def attempt(self) -> Attempt | None:
        """The open attempt."""
        return self.attempts[-1] if self.attempts and not self.attempts[-1].closed else None

    @property
    def made(self) -> Attempt | None:
        """The attempt whose output was accepted."""
        return next((a for a in reversed(self.attempts) if isinstance(a.verdict, Accept)), None)

    @property
    def refusals(self) -> tuple[Refuse, ...]:
        """What the judge said of this round's outputs, oldest first."""
        return tuple(a.verdict for a in self.attempts if isinstance(a.verdict, Refuse))

    @property
    def asked(self) -> bool:
        """Whether a person asked for it in the session of another job: it has no file of its own in an inbox."""
        return self.parent is not None

    @property
    def own_words(self) -> bool:
        """Whether a person said what should become of the picture and the sound: they may then differ from the source's."""
        return self.instruction is not None or self.asked

    @property
    def spent(self) -> bool:
        """Whether this round has paid for something, or may have."""
        return any(a.spent for a in self.attempts)


class Step(StrEnum):
    """What the runner does next for a job that it holds."""

    EXAMINE = "examine"
    OPEN = "open"
    ENCODE = "encode"
    JUDGE = "judge"
    AIM = "aim"
    PUBLISH = "publish"
    DISPOSE = "dispose"
    FINISH = "finish"
    AIM_QUARANTINE = "aim_quarantine"
    QUARANTINE = "quarantine"
    FAIL = "fail"


def next_step(job: Job) -> Step:
    """The first empty fact decides; a decided failure walks its own way."""
    if job.failing is not None:
        if job.quarantine is None:
            return Step.AIM_QUARANTINE
        return Step.FAIL if job.quarantined else Step.QUARANTINE
    if job.delivered_bytes is None:
        if job.media is None or job.route is None:
            return Step.EXAMINE
        attempt = job.attempt
        if attempt is None:
            return Step.OPEN
        if attempt.staged is None:
            return Step.ENCODE
        if not isinstance(attempt.verdict, Accept):
            return Step.JUDGE
        return Step.AIM if job.target is None else Step.PUBLISH
    return Step.FINISH if job.disposed is not None else Step.DISPOSE


def next_engine(job: Job, route: Route) -> tuple[EngineName, How] | None:
    """Who tries next; None: nobody.

    Each engine of the route tries once, but a refused pass or remux is encoded by the same one, and the cloud is told what was
    wrong with the size of its outputs as often as the route allows. Last comes the finish on this machine, if there is an
    output to mend.
    """
    tried = [a for a in job.attempts if a.closed]
    if not tried:
        return route.engines[0], route.how
    last = tried[-1]
    if last.how is not How.ENCODE:
        return last.engine, How.ENCODE
    refused = [a for a in tried if a.engine is EngineName.NEMO and isinstance(a.verdict, Refuse)]
    finisher = EngineName.LOCAL in route.engines or route.finish
    # A message costs credits: what is not about the size this machine mends for nothing.
    worth_asking = not finisher or (isinstance(last.verdict, Refuse) and last.verdict.reason is Reason.OVER_LIMIT)
    if last in refused and worth_asking and len(refused) < 1 + route.follow_ups:
        return EngineName.NEMO, How.ENCODE
    encoded = {a.engine for a in tried if a.how is How.ENCODE}
    if left := [e for e in route.engines if e not in encoded]:
        return left[0], How.ENCODE
    if route.finish and refused and EngineName.LOCAL not in encoded:
        return EngineName.LOCAL, How.ENCODE
    return None


def follower(job: Job, route: Route, failure: Failure) -> tuple[EngineName, How] | None:
    """Who would try next if the open attempt ended with this failure; None: nobody."""
    closed = tuple(a if a.closed else replace(a, closed=True, failure=failure) for a in job.attempts)
    return next_engine(replace(job, attempts=closed), route)


def without_cloud(job: Job, route: Route) -> Route | None:
    """The plan for a job that has not begun when nothing may be asked of the cloud; None: there is no other engine."""
    return at_home(job, route) if EngineName.LOCAL in route.engines and job.media is not None else None


def at_home(job: Job, route: Route) -> Route:
    """The plan with this machine alone; a job that has not begun may need less than the cloud would have done."""
    fresh = job.media is not None and not job.attempts
    way = how(job.media, job.folder.preset, route.limit_bytes) if fresh and job.media is not None else route.how
    return Route(how=way, engines=(EngineName.LOCAL,), limit_bytes=route.limit_bytes)


def materials(job: Job) -> tuple[Attempt, ...]:
    """Whose outputs this machine may finish in place of the source: the cloud's that were refused, newest first.

    Only of jobs with a person's own words: the cloud has followed them, and this machine cannot. A plain source is better than
    what was made of it.
    """
    return tuple(a for a in reversed(job.attempts) if a.staged is not None and is_material(a)) if job.own_words else ()


def is_material(attempt: Attempt) -> bool:
    """Whether an attempt has left an output of the cloud that is refused, but sound enough to be made from."""
    verdict = attempt.verdict
    if attempt.engine is not EngineName.NEMO or not isinstance(verdict, Refuse):
        return False
    return verdict.reason not in {Reason.UNREADABLE, Reason.DECODE}
