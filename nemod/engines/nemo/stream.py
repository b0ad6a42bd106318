"""A message to the agent and the stream that answers it: the one request that costs money.

Rules kept here:
- it is sent once, on a connection that nobody used before: a stale one would look like a request that was lost;
- an answer that is no stream is read as the reply that it is, before anything makes an event of it;
- bytes are counted beneath the decoder, which by itself would keep a line without end, and events are counted, too; each byte
  is looked at a fixed number of times, however small the pieces it comes in; text that is no UTF-8 never stops it;
- a time-out never spans a yield: the read that is under way stays, and is waited for again.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import httpx
from httpx_sse import EventSource

from nemod.engines.nemo.account import Credentials
from nemod.engines.nemo.foreign import Garbled, loads
from nemod.engines.nemo.frames import Frame, Heartbeat, frames
from nemod.engines.nemo.line import CONNECT_S, FOREIGN, READ_S, Line, Skill, without_token
from nemod.engines.nemo.plain import plain
from nemod.engines.nemo.wire import Trouble, ask_body

PATH = "/run_sse"
#: So long after the last frame it is told that there is still none.
TICK_S = 15.0
EVENT_MOST_BYTES, STREAM_MOST_BYTES, EVENTS_MOST = 2_000_000, 64_000_000, 100_000
#: No time-out of the socket: how long the cloud may think is for the two clocks here to say.
_TIMEOUT = httpx.Timeout(None, connect=CONNECT_S, write=READ_S, pool=READ_S)
_BOM = b"\xef\xbb\xbf"


class _TooLongError(Exception):
    """A line, an event or a stream without end."""


@dataclass(slots=True)
class _Meter:
    """Counts what comes: bytes in all and since the last event, events, and whether anything came at all lately."""

    whole: int = 0
    event: int = 0
    events: int = 0
    came: float = 0.0

    def ended(self) -> None:
        self.event, self.events = 0, self.events + 1
        if self.events > EVENTS_MOST:
            raise _TooLongError

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            self.whole += len(chunk)
            self.event += len(chunk)
            self.came = asyncio.get_running_loop().time()
            if self.event > EVENT_MOST_BYTES or self.whole > STREAM_MOST_BYTES:
                raise _TooLongError
            yield chunk


async def ask(
    line: Line, skill: Skill, credentials: Credentials, session: str, text: str, *, tick_s: float = TICK_S
) -> AsyncGenerator[Frame, None]:
    """Send a message and give the frames of the answer; ends when the stream closes.

    A heartbeat of ours comes in whenever there was nothing to give for `tick_s`.

    Raises:
        CloudError: with `unsure` when the message may have arrived.
    """
    loop = asyncio.get_running_loop()
    began = told = heard = loop.time()
    meter = _Meter(came=began)
    events = _events(line, skill, credentials, session, text, meter)
    pending: asyncio.Task[Frame | None] | None = None
    quiet_s, whole_s = line.nemo.heartbeat_timeout_s, line.nemo.edit_timeout_s
    try:
        while True:
            pending = pending or asyncio.create_task(_next(events))
            due = min(told + tick_s, heard + quiet_s, began + whole_s)
            await asyncio.wait({pending}, timeout=max(0.0, due - loop.time()))
            now = loop.time()
            frame: Frame = Heartbeat()
            if pending.done():
                found, pending = pending.result(), None
                if found is None:
                    return
                frame = found
            if not isinstance(frame, Heartbeat):
                heard = now
            if now - began >= whole_s or now - heard >= quiet_s:
                raise line.error(Trouble.TIMED_OUT, _late(now, began, meter, whole_s), credentials, unsure=True)
            if pending is None or now - told >= tick_s:
                told = now
                yield frame
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await events.aclose()


def _late(now: float, began: float, meter: _Meter, whole_s: float) -> str:
    if now - began >= whole_s:
        return f"it worked for {whole_s / 60:.3g} minutes"
    return f"nothing but signs of life for too long, the last one {now - meter.came:.0f} s ago"


async def _next(events: AsyncGenerator[Frame, None]) -> Frame | None:
    return await anext(events, None)


async def _events(
    line: Line, skill: Skill, credentials: Credentials, session: str, text: str, meter: _Meter
) -> AsyncGenerator[Frame, None]:
    request = line.request(
        "POST",
        PATH,
        skill,
        credentials,
        body=ask_body(session, text),
        headers={"Accept": "text/event-stream", "Cache-Control": "no-store"},
        timeout=_TIMEOUT,
    )
    try:
        async with line.alone() as http:
            response = await http.send(request, stream=True)
            try:
                async with aclosing(_read(line, credentials, response, meter)) as found:
                    async for frame in found:
                        yield frame
            finally:
                await response.aclose()
    except _TooLongError as error:
        raise line.error(Trouble.GARBLED, "an event without end", credentials, unsure=True) from error
    except FOREIGN as error:
        raise line.lost(error, credentials, paid=True) from error


async def _read(line: Line, credentials: Credentials, response: httpx.Response, meter: _Meter) -> AsyncGenerator[Frame, None]:
    if not response.is_success:
        line.check(await line.read(response, credentials), credentials, paid=True)
    chunks = meter.through(plain(response))
    head = b""
    while not head:
        chunk = await anext(chunks, b"")
        if not chunk:
            return
        head = chunk.removeprefix(_BOM).lstrip()
    match head[:1]:
        case b"<":
            raise line.error(Trouble.GARBLED, "a page in place of a stream", credentials, unsure=True)
        case b"{" | b"[":
            # A reply, not a stream: an error as a rule, else frames without their "data:".
            content = without_token(head + b"".join([chunk async for chunk in chunks]), credentials)
            reply = line.reply(response, content, credentials)
            if reply.body is not None:
                line.check(reply, credentials, paid=True)
            for frame in frames("", content.decode("utf-8", "replace")):
                yield frame
        case _:
            async with aclosing(_frames(head, chunks, credentials, meter)) as found:
                async for frame in found:
                    yield frame


async def _separated(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The stream with a blank line after each `data:` line that is whole by itself: some put but one newline between frames."""
    begun: list[bytes] = []  # of the line that has not ended
    async with aclosing(_with(head, chunks)) as pieces:
        async for piece in pieces:
            first, *lines = piece.split(b"\n")
            begun.append(first)
            if lines:
                lines.insert(0, b"".join(begun))
                begun = [lines.pop()]
                yield b"".join(line + (b"\n\n" if _whole(line) else b"\n") for line in lines)
    yield b"".join(begun)


async def _with(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield head
    async for chunk in chunks:
        yield chunk


def _whole(line: bytes) -> bool:
    """Whether a line is an event by itself: a heartbeat, or a JSON value."""
    if not line.startswith(b"data:"):
        return False
    data = line[5:].strip()
    if data[:1] not in (b"{", b"["):
        return data.strip(b'"').lower() in (b"", b"heartbeat", b"ping")
    try:
        loads(data.decode("utf-8", "replace"))
    except Garbled:
        return False
    return True


async def _frames(
    head: bytes, chunks: AsyncIterator[bytes], credentials: Credentials, meter: _Meter
) -> AsyncGenerator[Frame, None]:
    """The frames of a stream, whatever its head says that it is."""

    async def content() -> AsyncGenerator[bytes, None]:
        async for lines in _separated(head, chunks):
            yield without_token(lines, credentials)
        # The last event counts even when its blank line is missing.
        yield b"\n\n"

    source = EventSource(httpx.Response(200, headers={"Content-Type": "text/event-stream; charset=utf-8"}, content=content()))
    async with aclosing(source.aiter_sse()) as events:
        async for event in events:
            meter.ended()
            for frame in frames("" if event.event == "message" else event.event, event.data):
                yield frame
