"""The engine boundary: what an engine is given, what it tells, and the contract that every one keeps.

1. Nothing happens between the `yield` of a Checkpoint and the next pull, so `yield Checkpoint(...)` is a write-ahead log.
2. Given any token that it ever yielded, `run` reaches an equally good Output as without interruption.
3. An effect that costs money lies behind a Checkpoint announcing it and is never repeated from that token.
4. `Wait` and `Output` end the run; otherwise it raises `EngineError` and nothing else.
5. Closing the generator leaves no child process and no open socket within 5 s.
6. Tokens are opaque to everybody else and carry a version.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NewType, Protocol

from nemod.config.model import Preset
from nemod.failure import Failure, NemodError
from nemod.media.info import MediaInfo, Window
from nemod.media.verdict import How, Refuse

Token = NewType("Token", str)


class EngineName(StrEnum):
    """The engines there are."""

    LOCAL = "local"
    NEMO = "nemo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One try at one output.

    `source` is read, and nothing else is done with it: its path may be that of a descriptor (`media.held`).
    `folder` exists, is empty or holds what an earlier run of the same attempt left, and lies in the outbox's file system.
    `refusals` is what the judge said of earlier outputs of the same job, oldest first.
    """

    job: int
    source: Path
    media: MediaInfo
    how: How
    preset: Preset
    limit_bytes: int
    folder: Path
    name: str = ""  # the source's file name, where its path is that of a descriptor; "": as the path says
    refusals: tuple[Refuse, ...] = ()
    instruction: str | None = None  # a person's own words for this file, in place of the preset's message
    continues: Token | None = None  # of another job, whose session this one goes on in; used when it has no token of its own
    overtaken: bool = False  # another video was edited since in the session that they share
    asked: bool = False  # `nemod ask`: the session holds the video already; no instruction means: only render it again

    @property
    def called(self) -> Path:
        """The source's file name, as people know it."""
        return Path(self.name or self.source.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Committed to the ledger before the engine takes its next breath.

    `expects` announces that the next breath may spend so many credits: whoever writes the token down may end the run instead,
    and nothing was spent. `cost` is what the effect announced last has cost, once that is known; `left` the balance then.
    """

    token: Token
    expects: float | None = None
    cost: float | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far; never stored. `stage` is a few plain words, `fraction` of the whole from 0 to 1."""

    stage: str
    fraction: float | None = None
    speed: float | None = None  # seconds of video per second
    left_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do until then (epoch seconds); the slot is freed and the job resumes from the token.

    `polling` says that what follows is light (asking for a state, fetching a result) and needs none of the engine's slots.
    """

    token: Token
    until: float
    polling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file with a part of the video; the window counts from the beginning of the source, as `MediaInfo.window` does."""

    path: Path
    window: Window
    size_bytes: int

    def of(self, whole: MediaInfo) -> MediaInfo:
        """What is known of the part of a source, or of the window of one, that the file should show."""
        before = 0.0 if whole.window is None else whole.window.start_s
        cut = whole.cut(self.window.start_s - before, self.window.end_s - before)
        return replace(cut, window=self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A finished file inside the task's folder, not yet judged; the token continues the session after a refusal.

    Where the whole would not fit, `parts` are what is handed out: its beginning alone, or all of it in order. The first one's
    file is then `path`.
    """

    path: Path
    token: Token | None = None
    note: str = ""  # one sentence on how it was made, for the log and the receipt
    parts: tuple[Part, ...] = ()


Event = Checkpoint | Progress | Wait | Output


class EngineError(NemodError):
    """The engine could not reach an output."""


class Engine(Protocol):
    """Turns a source into an output; see the module for the contract."""

    @property
    def name(self) -> EngineName:
        """Which one it is."""
        ...

    @property
    def careful(self) -> bool:
        """Whether only one job may be under way there: an account that has not proved yet that it may render."""
        ...

    async def ready(self) -> Failure | None:
        """What keeps it from working now: no binary, no token, no credits; None when it can."""
        ...

    async def close(self) -> None:
        """Let go of connections; the engine can be used again."""
        ...

    def run(self, task: Task, token: Token | None) -> AsyncGenerator[Event, None]:
        """Work on a task, from the start or from a token that an earlier run yielded."""
        ...
