"""An engine that plays a script and keeps its promises: for the contract, and wherever an encode would only take time.

The world outside it is a journal: a file with a line for each thing that was paid for, which outlives every process.
"""

import secrets
import shutil
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from nemod.engines.base import Checkpoint, EngineError, EngineName, Event, Output, Part, Progress, Task, Token, Wait
from nemod.failure import Failure, Kind
from nemod.media.info import Window
from nemod.media.verdict import How

VERSION = "fake1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    """Announce, and then do, something that costs money; done once, whatever happens in between.

    `expects` and `cost` are told in credits, if at all.
    """

    what: str
    expects: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait outside, without a slot; `polling`: what follows needs none either."""

    seconds: float
    polling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Hand out a copy of a file; without an encode, a copy of the source.

    `instead` is what it hands out after each refusal of the judge; the last one for ever. `parts` are handed out in place of an
    encode of the whole, as equal parts of it.
    """

    file: Path
    instead: tuple[Path, ...] = ()
    parts: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Give up."""

    failure: Failure


Act = Progress | Pay | Pause | Deliver | Fail


class FakeEngine:
    """Plays its script for every task; a token says which act comes next."""

    def __init__(
        self,
        script: tuple[Act, ...],
        journal: Path,
        *,
        name: EngineName = EngineName.LOCAL,
        careful: bool = False,
        unready: Failure | None = None,
    ) -> None:
        """Play this script in the world of this journal, in the place of that engine."""
        self.tasks: list[tuple[Task, Token | None]] = []  # what it was given
        self.unready = unready
        self.closed = 0
        self._script = script
        self._journal = journal
        self._name = name
        self._careful = careful

    @property
    def name(self) -> EngineName:
        """Whose place it takes."""
        return self._name

    @property
    def careful(self) -> bool:
        """As it was told."""
        return self._careful

    async def close(self) -> None:
        """It keeps nothing open, but counts."""
        self.closed += 1

    async def ready(self) -> Failure | None:
        """As it was told."""
        return self.unready

    async def run(self, task: Task, token: Token | None) -> AsyncGenerator[Event, None]:
        """Play from the start or from where a token says."""
        self.tasks.append((task, token))
        start = 0 if token is None else self._read(token)
        for number, act in enumerate(self._script[start:], start):
            match act:
                case Progress():
                    yield act
                case Pay():
                    yield Checkpoint(token=self._token(number), expects=act.expects, left=None if act.expects is None else 100)
                    self._pay(f"job {task.job}: {act.what}", announced=token is not None and number == start)
                    yield Checkpoint(token=self._token(number + 1), cost=act.cost)
                case Pause():
                    yield Wait(token=self._token(number + 1), until=time.time() + act.seconds, polling=act.polling)
                    return
                case Deliver(parts=(_, *_)) if task.how is How.ENCODE:
                    parts = _parts(task, act.parts)
                    yield Output(path=parts[0].path, token=self._token(number), note="in parts", parts=parts)
                    return
                case Deliver():
                    made = task.folder / f"{secrets.token_hex(4)}.mp4"
                    files = (act.file, *act.instead)
                    file = files[min(len(task.refusals), len(act.instead))]
                    shutil.copyfile(file if task.how is How.ENCODE else task.source, made)
                    yield Output(path=made, token=self._token(number), note="played from a script")
                    return
                case Fail():
                    raise EngineError(act.failure)

    def paid(self) -> list[str]:
        """What the world has seen paid."""
        return self._journal.read_text(encoding="utf-8").splitlines() if self._journal.exists() else []

    def _pay(self, line: str, *, announced: bool) -> None:
        # The world knows what it was paid for, and is asked by whoever comes back to an announcement. One that was lost is paid
        # again: so a ledger that does not keep what it was told is found out.
        if not announced or line not in self.paid():
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def _token(self, number: int) -> Token:
        return Token(f"{VERSION}:{number}")

    def _read(self, token: Token) -> int:
        version, _, number = token.partition(":")
        if version != VERSION:
            raise EngineError(Failure(kind=Kind.PROTOCOL, detail="The token is of another version."))
        return int(number)


def _parts(task: Task, files: tuple[Path, ...]) -> tuple[Part, ...]:
    """Copies of the files as equal parts of what the task is about."""
    made, each = [], task.media.duration_s / len(files)
    for number, file in enumerate(files):
        path = Path(shutil.copyfile(file, task.folder / f"{secrets.token_hex(4)}-{number}.mp4"))
        window = Window(start_s=number * each, end_s=(number + 1) * each)
        made.append(Part(path=path, window=window, size_bytes=path.stat().st_size))
    return tuple(made)
