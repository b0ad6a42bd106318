"""What can go wrong, as values, and the one place where it is decided what follows.

Rules kept here:
- a kind is found where the foreign error is seen; nobody else interprets exceptions;
- `decide` is total: every kind has a row in `SCOPES` and an answer, and a test enumerates them;
- no clock, no randomness, no I/O: `now` and `jitter` are arguments.
"""

import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Kind(StrEnum):
    """The kinds of failure; what each one means stands beside its scope in `SCOPES`."""

    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    UNCERTAIN = "uncertain"
    CREDENTIALS = "credentials"
    CREDITS = "credits"
    PLAN = "plan"
    BUSY = "busy"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    IMPOSSIBLE = "impossible"
    BAD_OUTPUT = "bad_output"
    NO_SPACE = "no_space"
    NOT_WRITABLE = "not_writable"
    UNREADABLE = "unreadable"
    SOURCE_CHANGED = "source_changed"
    SOURCE_GONE = "source_gone"
    TOOL_MISSING = "tool_missing"
    PROTOCOL = "protocol"
    BUG = "bug"


class Scope(StrEnum):
    """Who is hurt: one job, everything in a folder, or everything on an engine."""

    JOB = "job"
    FOLDER = "folder"
    ENGINE = "engine"


SCOPES: dict[Kind, Scope] = {
    Kind.UNREACHABLE: Scope.ENGINE,  # connect error, DNS, 502-504
    Kind.THROTTLED: Scope.ENGINE,  # 429, Retry-After
    Kind.TRANSIENT: Scope.JOB,  # a read error on a free call, a killed child, a render that failed once
    Kind.UNCERTAIN: Scope.JOB,  # the stream broke after the paid request left
    Kind.CREDENTIALS: Scope.ENGINE,  # 1001, 401
    Kind.CREDITS: Scope.ENGINE,  # 2001
    Kind.PLAN: Scope.ENGINE,  # 402, 403
    Kind.BUSY: Scope.JOB,  # a program has it open for writing
    Kind.INCOMPLETE: Scope.JOB,  # the probe cannot read it, yet
    Kind.REFUSED: Scope.JOB,  # the agent answers in words, neither edits nor asks
    Kind.UNSUPPORTED: Scope.JOB,  # no video in it, or a kind that the engine does not take
    Kind.TOO_LARGE: Scope.JOB,  # 4002
    Kind.IMPOSSIBLE: Scope.JOB,  # cannot fit even at the lowest acceptable quality
    Kind.BAD_OUTPUT: Scope.JOB,  # the judge refused
    Kind.NO_SPACE: Scope.FOLDER,  # outbox full
    Kind.NOT_WRITABLE: Scope.FOLDER,  # outbox read-only, missing, not ours
    Kind.UNREADABLE: Scope.JOB,  # no permission to read the source
    Kind.SOURCE_CHANGED: Scope.JOB,  # the file is no longer the one that was accepted
    Kind.SOURCE_GONE: Scope.JOB,  # the file is no longer there
    Kind.TOOL_MISSING: Scope.ENGINE,  # no ffmpeg, or one without a needed encoder
    Kind.PROTOCOL: Scope.ENGINE,  # a reply that cannot be read
    Kind.BUG: Scope.JOB,  # any exception nobody expected
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something went wrong: what kind, what happened, and what a person could do.

    `detail` and `hint` are whole sentences without the file's name; `retry_at` (epoch seconds) is what a server asked for.
    """

    kind: Kind
    detail: str
    hint: str = ""
    retry_at: float | None = None

    @property
    def scope(self) -> Scope:
        """Who is hurt by it."""
        return SCOPES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The same job once more at `due` (epoch seconds); `counts` says whether it used up a try."""

    due: float
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing new for the engine or folder until then (epoch seconds; None: until a person acts); the job waits."""

    until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """This attempt is over: the next engine of the route, else fail.

    `park` says that an attempt which nobody can follow stays open instead and the job rests: it may have cost something, or
    what it was told may change when a person looks.
    """

    park: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """The job rests until a person releases it."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The job is over; its source goes to the failed folder with a reason beside it."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The job has lost its object; nothing is moved."""


Decision = Again | Hold | Next | Park | Fail | Cancel

#: Seconds between looks at a file that cannot be read (yet), when the system says that no one has it open for writing:
#: whoever copies it has let go of it, and two minutes of rest in all are patience enough for a person who waits.
LOOKS_CLOSED_S: tuple[float, ...] = (5, 10, 15, 30, 60)
#: The same where it cannot be known who writes (network and FUSE mounts, systems without leases): a paused copy may go on.
LOOKS_UNKNOWN_S: tuple[float, ...] = (30, 120, 600, 3600)
#: A file that is still open for writing is asked again this often: it costs nothing, and its end should not go unnoticed.
BUSY_S = 1.0
#: Engine holds grow from one minute to half an hour.
HOLD_FIRST_S, HOLD_MOST_S = 60.0, 1800.0
#: A folder whose outbox is full or read-only is looked at again this often.
FOLDER_HOLD_S = 30.0
#: A job's own back-off: 30 s doubled, at most an hour, five times.
BACKOFF_FIRST_S, BACKOFF_MOST_S, BACKOFF_TIMES = 30.0, 3600.0, 5


def decide(failure: Failure, *, tries: int, looks: tuple[float, ...], now: float, jitter: float) -> Decision:
    """What follows from a failure.

    Args:
        failure: what happened.
        tries: how often this job (for a held engine: this engine in a row) has failed like this before; 0 at first.
        looks: seconds to wait before each further look at a file that cannot be read yet.
        now: epoch seconds.
        jitter: from -1 to 1, spreads back-offs by 20 % either way.
    """
    match failure.kind:
        case Kind.UNREACHABLE | Kind.THROTTLED:
            grown = min(HOLD_FIRST_S * 2.0 ** min(tries, 10), HOLD_MOST_S)  # weeks of outage must not overflow
            return Hold(until=failure.retry_at if failure.retry_at is not None else now + grown)
        case Kind.CREDENTIALS | Kind.CREDITS | Kind.PLAN:
            return Hold(until=failure.retry_at)
        case Kind.TOOL_MISSING | Kind.PROTOCOL:
            return Hold(until=now + HOLD_MOST_S)
        case Kind.NO_SPACE | Kind.NOT_WRITABLE:
            return Hold(until=now + FOLDER_HOLD_S)
        case Kind.TRANSIENT:
            if tries >= BACKOFF_TIMES:
                return Next(park=True)
            wait = min(BACKOFF_FIRST_S * 2.0**tries, BACKOFF_MOST_S) * (1 + 0.2 * jitter)
            return Again(due=now + wait, counts=True)
        case Kind.BUSY:
            return Again(due=now + BUSY_S, counts=False)
        case Kind.INCOMPLETE:
            return Again(due=now + looks[tries], counts=True) if tries < len(looks) else Fail()
        case Kind.BUG:
            return Park()
        case Kind.UNCERTAIN | Kind.REFUSED:
            return Next(park=True)
        case Kind.UNSUPPORTED | Kind.TOO_LARGE | Kind.BAD_OUTPUT:
            return Next()
        case Kind.IMPOSSIBLE | Kind.UNREADABLE:
            return Fail()
        case Kind.SOURCE_CHANGED | Kind.SOURCE_GONE:
            return Cancel()
        case _ as never:
            assert_never(never)


#: What the system calls a full disk, a drive or share that has gone away under us, and a folder that takes nothing.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
AWAY = frozenset(
    {
        errno.ESTALE,
        errno.ENOTCONN,
        errno.ENODEV,
        errno.ENXIO,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    }
)
_CLOSED = AWAY | {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP}


def failure_of(error: OSError, what: str) -> Failure:
    """What an error of the system means for a delivery.

    Args:
        error: as it was raised.
        what: the place in words that go into a sentence, e.g. "the outbox".
    """
    said = error.strerror or type(error).__name__
    if error.errno in FULL:
        hint = "Free some space there; the job then goes on by itself."
        quota = error.errno == errno.EDQUOT
        detail = f"The quota of nemod's user in {what} is used up." if quota else f"There is no space left in {what}."
        return Failure(kind=Kind.NO_SPACE, detail=detail, hint=hint)
    if error.errno in _CLOSED:
        hint = (
            "Check that the folder is there and mounted, and that nemod's user may write to it; the job then goes on by itself."
        )
        return Failure(kind=Kind.NOT_WRITABLE, detail=f"Writing to {what} is not possible ({said}).", hint=hint)
    return Failure(kind=Kind.TRANSIENT, detail=f"Writing to {what} failed ({said}).")


class NemodError(Exception):
    """Base of the exceptions that carry a failure; never raised itself."""

    def __init__(self, failure: Failure) -> None:
        """Keep the failure; its detail is the message."""
        super().__init__(failure.detail)
        self.failure = failure
