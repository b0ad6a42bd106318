"""A message and all that follows from it: credits taken, the agent at work, the stream that tells of it.

Rules kept here:
- the edit is a task of its own: a client that hangs up does not end it, unless a misbehaviour says so;
- credits are frozen before the first byte of the reply and taken when the turn ends, however it ends;
- a session has one turn at a time.
"""

import asyncio
import secrets
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nemod.sandbox import agent
from nemod.sandbox.faults import Endpoint, Faults
from nemod.sandbox.replies import Refusal
from nemod.sandbox.stream import (
    NO_CONTENT,
    Beat,
    Call,
    Dialect,
    Frame,
    ModelError,
    Result,
    Thought,
    Words,
    encode,
    error_frame,
    heartbeat,
)
from nemod.sandbox.wire import cut, disconnected
from nemod.sandbox.wishes import says_export
from nemod.sandbox.world import Account, Session, World

#: How many heartbeats come before each frame when there are many, and how often one comes when nothing else does.
BEATS, BEAT_EVERY_S = 12, 0.1
_OVERLOADED = 'The model "nemo-pro" is overloaded\nplease try again'
_NOISE = "I encountered a temporary issue. Please try again later."
_THOUGHT = "The user wants a smaller file. They could click Export later. I will call edit_multitrack."


class _Cut:
    """Stands in the queue for the place where the connection is cut."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """A turn under way: what it says, and whether anybody still listens."""

    session: Session
    account: Account
    message: str
    cost: float
    dialect: Dialect
    beats: tuple[Beat, ...] = ()
    invocation: str = field(default_factory=lambda: f"e-{uuid.uuid4()}")
    said: asyncio.Queue[bytes | _Cut | None] = field(default_factory=asyncio.Queue)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def say(self, *frames: Frame) -> None:
        """Say something, heartbeats before it if there are any."""
        for frame in frames:
            self.send(*(heartbeat(kind) for kind in self.beats))
            self.send(encode(frame, self.dialect, self.invocation))

    def send(self, *raw: bytes) -> None:
        """Put bytes into the stream."""
        for piece in raw:
            if piece:
                self.said.put_nowait(piece)


@dataclass(slots=True, kw_only=True)
class Turns:
    """Begins turns and keeps them alive."""

    world: World
    faults: Faults
    dialect: Dialect
    cost: float
    edit_s: float
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self, session: Session, account: Account, message: str) -> "Told":
        """Take the credits and set the agent to work.

        Raises:
            Refusal: the session is busy, or there are not enough credits.
        """
        if session.busy:
            raise Refusal(409, "A turn is already running in this session; wait until it ends.")
        cost = 0.0 if session.paid and self.faults.take("cost-per-session") is not None else self.cost
        if self.faults.take("no-credits") is not None or account.available < cost:
            raise Refusal(2001, "Not enough credits. Register or top up to go on.")
        account.available -= cost
        account.frozen += cost
        session.busy = session.paid = True
        self.world.note("charged", session=session.id, user=account.user, message=message, credits=cost)
        if says_export(message):
            self.world.note("fault", session=session.id, what="The word export was sent to the agent.")
        turn = Turn(
            session=session, account=account, message=message, cost=cost, dialect=self._dialect(), beats=self._heartbeats()
        )
        turn.task = asyncio.create_task(self._run(turn))
        self.running.add(turn.task)
        turn.task.add_done_callback(self.running.discard)
        return Told(turn, self.faults)

    def _dialect(self) -> Dialect:
        kind = self.faults.take("dialect")
        return self.dialect if kind is None else Dialect(kind)

    def _heartbeats(self) -> tuple[Beat, ...]:
        kind = self.faults.take("heartbeats")
        if kind is None:
            return ()
        return tuple(Beat) * BEATS if not kind else (Beat(kind),) * BEATS

    async def _run(self, turn: Turn) -> None:
        try:
            await self._work(turn)
        except asyncio.CancelledError:
            self.world.note("cancelled", session=turn.session.id)
        finally:
            turn.account.frozen -= turn.cost
            turn.session.busy = False
            turn.said.put_nowait(None)

    async def _work(self, turn: Turn) -> None:
        take = self.faults.take
        if (how := take("heartbeat-only")) is not None:
            await self._for_ever(turn, how, heartbeat(Beat.TYPED))
            return
        if take("stall", Endpoint.ASK) is not None:
            await self._for_ever(turn, "", b"")
            return
        if (ending := self._bad_ending()) and ending.arg != "edit":
            turn.say(Thought(text=_THOUGHT))
            turn.send(ending.raw(turn))
            return
        plan = agent.plan(turn.session, turn.message, take)
        call = Call(id=f"adk-{secrets.token_hex(8)}", name=plan.tool or "", args=plan.args)
        turn.say(Thought(text=_THOUGHT), *([call] if plan.tool else []))
        await self._maybe_cut(turn)
        longer = take("slow-edit")
        await asyncio.sleep((self.edit_s if plan.tool else 0) + (0 if longer is None else float(longer or 5)))
        self._apply(turn.session, plan)
        if plan.tool and plan.question is None:
            changed = ("draft",) if plan.draft is not None else ()
            turn.say(Result(id=call.id, name=call.name, response={"status": "success"}, changed=changed))
        if ending:
            turn.send(ending.raw(turn))
        elif plan.draft is not None and take("no-content") is not None:
            turn.say(ModelError(code=NO_CONTENT, text=""))
        elif plan.words and not (plan.draft is not None and take("silent-edit") is not None):
            turn.say(Words(text=plan.words))
            if take("temporary-issue") is not None:
                turn.say(Words(text=_NOISE))

    def _apply(self, session: Session, plan: agent.Plan) -> None:
        session.marks |= plan.marks
        session.question = plan.question
        if plan.draft is not None and plan.draft != session.draft:
            session.draft = plan.draft
            session.changed(time.time())
            self.world.note("edited", session=session.id, aim=plan.draft["out"]["aim"], tracks=len(plan.draft["t"]))

    async def _for_ever(self, turn: Turn, how: str, beat: bytes) -> None:
        if how == "edit":
            self._apply(turn.session, agent.plan(turn.session, turn.message, self.faults.take))
        while not turn.hung_up.is_set():
            turn.send(beat)
            with suppress(TimeoutError):
                await asyncio.wait_for(turn.hung_up.wait(), BEAT_EVERY_S)

    async def _maybe_cut(self, turn: Turn) -> None:
        if self.faults.take("drop-cancel") is not None:
            turn.said.put_nowait(_Cut())
            raise asyncio.CancelledError
        if (later := self.faults.take("drop")) is not None:
            turn.said.put_nowait(_Cut())
            await asyncio.sleep(float(later or 0))

    def _bad_ending(self) -> "_Ending | None":
        for name in ("error-frame", "error-frame-broken", "llm-error"):
            if (arg := self.faults.take(name)) is not None:
                return _Ending(name=name, arg=arg)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """How a stream ends badly; with "edit" as its argument after the edit was made."""

    name: str
    arg: str

    def raw(self, turn: Turn) -> bytes:
        if self.name == "llm-error":
            return encode(ModelError(code="RESOURCE_EXHAUSTED", text=_OVERLOADED), turn.dialect, turn.invocation)
        return error_frame(_OVERLOADED, valid=self.name == "error-frame")


class Told(Response):
    """The reply to a message: a turn's events as they come, and the end of the stream as its only end mark."""

    def __init__(self, turn: Turn, faults: Faults) -> None:
        """Listen to a turn."""
        super().__init__(status_code=200, media_type="text/event-stream")
        self.turn, self.faults = turn, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the turn says until it ends or the client hangs up."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # The head leaves with the first bytes of a body.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        gone = asyncio.create_task(disconnected(receive))
        try:
            if await self._pass_on(send, gone):
                await cut(scope, receive)
        finally:
            gone.cancel()
            self.turn.hung_up.set()

    async def _pass_on(self, send: Send, gone: asyncio.Task[None]) -> bool:
        """Whether the connection is to be cut."""
        while True:
            waiting = asyncio.create_task(self.turn.said.get())
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                if self.turn.task is not None and self.faults.take("cancel-on-hangup") is not None:
                    self.turn.task.cancel()
                return False
            match waiting.result():
                case _Cut():
                    gone.cancel()
                    return True
                case None:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return False
                case raw:
                    await send({"type": "http.response.body", "body": raw, "more_body": True})
