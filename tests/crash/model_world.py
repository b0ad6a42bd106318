"""The world of the model test: videos that can be told apart for ever, an engine that plays scripts, and a clock.

Rules kept here:
- every video that is dropped carries a serial number in a box behind its end, and so does whatever is made of it: so it can be
  told of each file whose video it is, wherever it lies;
- the world keeps its own account of what was paid; the engine asks it as the cloud is asked;
- what a reading of the same bytes told is remembered, because a thousand steps would only read the same eight videos again.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nemod.daemon import examine, runner
from nemod.engines.base import Checkpoint, EngineError, EngineName, Event, Output, Progress, Task, Token, Wait
from nemod.failure import Failure, Kind, NemodError
from nemod.media.decode import decode_errors as decode
from nemod.media.info import MediaInfo
from nemod.media.likeness import unlikeness as unlike
from nemod.media.probe import probe
from nemod.media.verdict import How
from tests.support.clips import make_clip

LIMIT_BYTES, WIDE_BYTES = 30_000, 2_000_000
_TAG_BYTES = 24
_FRONT = ("-movflags", "+faststart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    """Announce, and then do, something that costs credits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait outside, without a slot."""

    seconds: float
    polling: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Give up so many times, then go on; None is an error that nobody expected."""

    kind: Kind | None
    times: int


Act = Pay | Pause | Fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What an engine goes through for a video; of its outputs so many are too large."""

    acts: tuple[Act, ...] = ()
    heavy: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Credits that left: for which job, in which session, for what."""

    job: int
    session: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """Small real videos, without serial numbers."""

    big: bytes  # needs an encode
    small: bytes  # passes as it is
    made: bytes  # what an encode comes to
    heavy: bytes  # the same, too large
    text: bytes  # no video
    half: bytes  # a video of which the end is missing

    @property
    def droppable(self) -> dict[str, bytes]:
        """What people drop."""
        return {"big": self.big, "small": self.small, "text": self.text, "half": self.half}


def make_clips(place: Path) -> Clips:
    """Encode them."""
    coded = ("-crf", "40", "-b:a", "32k", *_FRONT)
    big = make_clip(place / "big.mp4", seconds=1, size=(160, 120), extra_args=_FRONT).read_bytes()
    made = make_clip(place / "made.mp4", seconds=1, size=(160, 120), extra_args=coded).read_bytes()
    small = make_clip(place / "small.mp4", seconds=1, size=(120, 160), extra_args=coded).read_bytes()
    heavy = make_clip(place / "heavy.mp4", seconds=1, size=(160, 120), extra_args=("-crf", "10", *_FRONT)).read_bytes()
    assert max(len(made), len(small)) + _TAG_BYTES <= LIMIT_BYTES < min(len(big), len(heavy))
    return Clips(big=big, small=small, made=made, heavy=heavy, text=b"once upon a time\n" * 9, half=big[: len(big) * 2 // 3])


def tagged(clip: bytes, serial: int) -> bytes:
    """The video with its number in a box that no player minds."""
    return clip + _TAG_BYTES.to_bytes(4, "big") + b"free" + b"%016d" % serial


def serial_of(content: bytes) -> int | None:
    """The number, if it is there."""
    tag = content[-_TAG_BYTES:]
    return int(tag[8:]) if tag[4:8] == b"free" and tag[8:].isdigit() else None


@dataclass(slots=True, kw_only=True)
class Cloud:
    """What the engines know and nobody else: scripts by serial number, sessions, payments, and what keeps them from working."""

    clips: Clips
    clock: Callable[[], float]
    scripts: dict[int, Script] = field(default_factory=dict)
    payments: list[Payment] = field(default_factory=list)
    failed: Counter[tuple[int, int]] = field(default_factory=Counter)
    unready: Failure | None = None
    careful: bool = False
    account: bool = True
    sessions: int = 0

    def pay(self, payment: Payment) -> None:
        """Take credits; who asks again for the same in a session is shown what was done."""
        if not any((p.session, p.what) == (payment.session, payment.what) for p in self.payments):
            self.payments.append(payment)


class Player:
    """An engine that plays the script of the video that it is given; a token says which act of which session comes next."""

    def __init__(self, name: EngineName, cloud: Cloud) -> None:
        """Take the place of that engine."""
        self._name = name
        self._cloud = cloud

    @property
    def name(self) -> EngineName:
        """Whose place it takes."""
        return self._name

    @property
    def careful(self) -> bool:
        """As the world says now."""
        return self._name is EngineName.NEMO and self._cloud.careful

    async def ready(self) -> Failure | None:
        """As the world says now."""
        return self._cloud.unready if self._name is EngineName.NEMO else None

    async def close(self) -> None:
        """It keeps nothing open."""

    async def run(self, task: Task, token: Token | None) -> AsyncGenerator[Event, None]:
        """Play from the start or from where a token says."""
        cloud = self._cloud
        if self._name is EngineName.NEMO and cloud.unready is not None:
            raise EngineError(cloud.unready)
        if (content := _read(task.source)) is None:
            raise EngineError(Failure(kind=Kind.TRANSIENT, detail="The source cannot be read."))
        serial = serial_of(content) or 0
        script = cloud.scripts.get(serial, Script())
        if token is None:
            cloud.sessions += 1
            session, start = cloud.sessions, 0
        else:
            session, start = (int(number) for number in token.split(":"))
        yield Progress(stage="playing", fraction=0.5)
        if task.how is How.ENCODE:
            for number, act in enumerate(script.acts[start:], start):
                match act:
                    case Pay() if self._name is EngineName.NEMO:
                        yield Checkpoint(token=_token(session, number), expects=50, left=100)
                        cloud.pay(Payment(job=task.job, session=session, what=f"act {number}"))
                        yield Checkpoint(token=_token(session, number + 1), cost=42)
                    case Pay():
                        pass
                    case Pause():
                        polling = act.polling and self._name is EngineName.NEMO
                        yield Wait(token=_token(session, number + 1), until=cloud.clock() + act.seconds, polling=polling)
                        return
                    case Fail():
                        cloud.failed[serial, number] += 1
                        if cloud.failed[serial, number] <= act.times:
                            if act.kind is None:
                                raise ZeroDivisionError("a bug")
                            raise EngineError(Failure(kind=act.kind, detail="It was written in the script.", hint="None."))
        last = _token(session, len(script.acts))
        if task.refusals and self._name is EngineName.NEMO:
            yield Checkpoint(token=last, expects=20, left=50)
            cloud.pay(Payment(job=task.job, session=session, what=f"follow-up {len(task.refusals)}"))
            yield Checkpoint(token=last, cost=12)
        made = task.folder / "made.mp4"
        if task.how is How.ENCODE:
            heavy = len(task.refusals) < script.heavy and task.limit_bytes == LIMIT_BYTES
            made.write_bytes(tagged(cloud.clips.heavy if heavy else cloud.clips.made, serial))
        else:
            shutil.copyfile(task.source, made)
        yield Output(path=made, token=last, note="played from a script")


def _token(session: int, number: int) -> Token:
    return Token(f"{session}:{number}")


def remember_readings(patch: pytest.MonkeyPatch) -> None:
    """Let the probe, the decoder and the comparison answer for the same bytes from memory; only the size is read anew."""
    known: dict[Any, Any] = {}

    async def once(key: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        if key not in known:
            try:
                known[key] = await ask()
            except NemodError as error:
                known[key] = error
        if isinstance(known[key], NemodError):
            raise known[key].with_traceback(None)
        return known[key]

    async def probe_once(path: Path, *, timeout_s: float) -> MediaInfo:
        if (content := _read(path)) is None:
            return await probe(path, timeout_s=timeout_s)
        info = await once(("probe", _base(content)), lambda: probe(path, timeout_s=timeout_s))
        assert isinstance(info, MediaInfo)
        return replace(info, size_bytes=len(content))

    async def decode_once(ffmpeg: Path, path: Path, *, timeout_s: float) -> str | None:
        key = ("decode", _base(_read(path) or b""))
        said: str | None = await once(key, lambda: decode(ffmpeg, path, timeout_s=timeout_s))
        return said

    async def unlike_once(
        ffmpeg: Path, source: tuple[Path, MediaInfo], output: tuple[Path, MediaInfo], *, edited: bool
    ) -> str | None:
        key = ("unlike", *(_base(_read(one[0]) or b"") for one in (source, output)), edited)
        said: str | None = await once(key, lambda: unlike(ffmpeg, source, output, edited=edited))
        return said

    patch.setattr(examine, "probe", probe_once)
    patch.setattr(runner, "probe", probe_once)
    patch.setattr(examine, "decode_errors", decode_once)
    patch.setattr(examine, "unlikeness", unlike_once)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _base(content: bytes) -> str:
    bare = content if serial_of(content) is None else content[:-_TAG_BYTES]
    return hashlib.sha256(bare).hexdigest()
