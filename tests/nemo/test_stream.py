"""The paid message over real sockets: what comes is read to its end, and whether it may have arrived is always known."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from nemod.engines.nemo.client import Client, CloudError, skill_of
from nemod.engines.nemo.frames import Frame, Heartbeat, Text
from nemod.engines.nemo.listener import Listener
from nemod.engines.nemo.wire import Trouble
from nemod.failure import Kind
from tests.nemo.server import TOKEN, Answer, Asked, client_of, fixed, reply, serving

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def said(text: str) -> bytes:
    event = {"content": {"role": "model", "parts": [{"text": text}]}, "author": "nemo_agent"}
    return f"data: {json.dumps(event)}\n\n".encode()


class Beats(Listener):
    """Counts signs of life, too."""

    count = 0

    def hear(self, frame: Frame) -> None:
        self.count += isinstance(frame, Heartbeat)
        super().hear(frame)


def ask(client: Client) -> AsyncGenerator[Frame, None]:
    return client.ask(skill_of(None), "5529798706024415232", "compress this under 10 MB")


async def words(client: Client, listener: Listener | None = None) -> str:
    listener = listener or Listener()
    async with aclosing(ask(client)) as frames:
        async for frame in frames:
            listener.hear(frame)
    return listener.words


async def heard(tmp_path: Path, answer: Answer, **settings: float) -> str:
    async with serving(answer) as server, client_of(tmp_path, server.url, **settings) as client:  # type: ignore[arg-type]
        return await words(client)


async def failed(tmp_path: Path, answer: Answer, **settings: float) -> CloudError:
    with pytest.raises(CloudError) as caught:
        await heard(tmp_path, answer, **settings)
    return caught.value


async def test_the_message_is_sent_as_documented(tmp_path: Path) -> None:
    """Snake case body, all headers, one request."""
    async with serving(fixed(HEAD + said("Done."))) as server, client_of(tmp_path, server.url) as client:
        assert await words(client) == "Done."
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/run_sse")
    assert asked.json() == {
        "app_name": "nemo_agent",
        "user_id": "me",
        "session_id": "5529798706024415232",
        "new_message": {"parts": [{"text": "compress this under 10 MB"}]},
    }
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["x-skill-source"] == "nemod"
    assert {"x-skill-version", "x-skill-platform"} <= asked.headers.keys()


@pytest.mark.parametrize("token", [TOKEN, "eyJhbGciOiJIUzI1NiJ9.e30.opaque"])
async def test_a_cloud_that_repeats_our_token_does_not_have_it_kept(tmp_path: Path, token: str) -> None:
    """Whatever a token looks like: an agent's words are written down, shown and logged."""
    glued = json.dumps([{"text": f"You are {token}."}]).encode()
    for answer in (HEAD + said(f"You are {token}."), reply(200, glued, kind="text/event-stream")):
        async with serving(fixed(answer)) as server, client_of(tmp_path, server.url, token=token) as client:
            assert await words(client) == "You are [redacted]."
    failed = reply(200, {"data": {"status": "failed", "error": f"No {token}.", "id": token}})
    async with serving(fixed(failed)) as server, client_of(tmp_path, server.url, token=token) as client:
        render = await client.render(skill_of(None), "render_1")
    assert render is not None
    assert (render.error, render.id) == ("No [redacted].", "[redacted]")


@pytest.mark.parametrize(
    "stream",
    [
        HEAD + said("Done."),
        HEAD + said("Done.").rstrip(),
        HEAD + said("Done.").rstrip() + b"\n",
        HEAD + said("Done.").replace(b"\n", b"\r\n"),
        HEAD + said("Done.").replace(b"\n", b"\r"),
        HEAD + b"\xef\xbb\xbf" + said("Done."),
        HEAD + b"\n\n: ping\n\n" + said("Done.") + b": ping\n",
        HEAD + b"\xff\xfe\n\n" + said("Done."),
        HEAD.replace(b"text/event-stream", b"application/json") + said("Done."),
        HEAD.replace(b"text/event-stream", b"text/event-stream; charset=gbk") + said("Done."),
        HEAD.replace(b"text/event-stream", b"text/html; charset=no-such-thing") + said("Done."),
        HEAD.replace(b"Content-Type: text/event-stream\r\n", b"") + said("Done."),
        HEAD + said("Done.").removeprefix(b"data: "),
        HEAD + b'{"type":"heartbeat"}\n' + said("Done.").removeprefix(b"data: "),
        reply(200, said("Done."), kind="text/event-stream"),
    ],
)
async def test_an_answer_is_understood_in_any_clothes(tmp_path: Path, stream: bytes) -> None:
    """Line ends, marks, charsets, content types and a missing last blank line change nothing."""
    assert await heard(tmp_path, fixed(stream)) == "Done."


async def test_a_stream_in_single_bytes_is_understood(tmp_path: Path) -> None:
    """A character of several bytes may be cut anywhere."""

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for byte in 'data: {"text":"压缩完成 ✓"}\n\n'.encode():
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    assert await heard(tmp_path, answer) == "压缩完成 ✓"


async def test_a_stream_that_says_nothing_just_ends(tmp_path: Path) -> None:
    """The state decides then."""
    assert await heard(tmp_path, fixed(HEAD)) == ""
    assert await heard(tmp_path, fixed(CHUNKED + b"0\r\n\r\n")) == ""


@pytest.mark.parametrize(
    ("answer", "trouble", "unsure"),
    [
        (reply(200, {"code": 2001, "message": "no credits"}), Trouble.CREDITS, False),
        (reply(200, {"code": 1002, "message": "session not found"}), Trouble.SESSION, False),
        (reply(404, {"detail": "Session not found"}), Trouble.SESSION, False),
        (reply(401, {"code": 1001}), Trouble.TOKEN, False),
        (reply(422, {"detail": [{"msg": "field required"}]}), Trouble.REFUSED, False),
        (reply(429, {"message": "slow down"}), Trouble.THROTTLED, False),
        (reply(307, b"", more="Location: http://127.0.0.1:1/\r\n"), Trouble.REFUSED, True),
        (reply(409, {"message": "a turn is running"}), Trouble.DUPLICATE, True),
        (reply(200, {"success": False, "message": "message already exists"}), Trouble.DUPLICATE, True),
        (reply(200, {"code": 500, "message": "oops"}), Trouble.SERVER, True),
        (reply(408, b""), Trouble.SERVER, True),
        (reply(502, b"<html>Bad Gateway</html>", kind="text/html"), Trouble.SERVER, True),
        (reply(200, b"<html>Sign in</html>", kind="text/html"), Trouble.GARBLED, True),
        (b"", Trouble.CUT, True),
        (b"HTTP/1.1 200 OK\r\nContent-", Trouble.CUT, True),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Trouble.CUT, True),
        (reply(200, said("Do"))[:-10], Trouble.CUT, True),
        (CHUNKED + b"5\r\ndata:\r\n", Trouble.CUT, True),
    ],
)
async def test_what_is_no_answer_says_whether_it_may_have_arrived(
    tmp_path: Path, answer: bytes, trouble: Trouble, *, unsure: bool
) -> None:
    """A clear refusal costs nothing; everything else may have been paid."""
    error = await failed(tmp_path, fixed(answer))
    assert (error.trouble, error.unsure) == (trouble, unsure)


async def test_nobody_at_home_means_that_nothing_left(tmp_path: Path) -> None:
    """The port is closed again before it is used."""
    async with serving(fixed(b"")) as server:
        pass
    async with client_of(tmp_path, server.url) as client:
        with pytest.raises(CloudError) as caught:
            await words(client)
    assert (caught.value.trouble, caught.value.unsure) == (Trouble.UNREACHABLE, False)
    assert caught.value.failure.kind is Kind.UNREACHABLE


async def test_a_cut_stream_is_uncertain_and_what_came_before_was_given(tmp_path: Path) -> None:
    """The frames before the cut count."""
    listener = Listener()
    piece = said("Half.")
    answer = CHUNKED + f"{len(piece):x}\r\n".encode() + piece + b"\r\nff\r\n"
    async with serving(fixed(answer)) as server, client_of(tmp_path, server.url, retries_s=(0.0, 0.0)) as client:
        with pytest.raises(CloudError) as caught:
            await words(client, listener)
    assert listener.words == "Half."
    assert (caught.value.trouble, caught.value.unsure, caught.value.failure.kind) == (Trouble.CUT, True, Kind.UNCERTAIN)
    assert len(server.asked) == 1


@pytest.mark.parametrize("beat", [b": ping\n\n", b"data: heartbeat\n\n", b""])
async def test_silence_and_heartbeats_end_in_a_time_out(tmp_path: Path, beat: bytes) -> None:
    """Signs of life are given to whoever listens, but are no progress."""

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + said("Working."))
        while True:
            writer.write(beat)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with (
        serving(answer) as server,
        client_of(tmp_path, server.url, heartbeat_timeout_s=1.0, tick_s=0.05) as client,
    ):
        beats = Beats()
        with pytest.raises(CloudError) as caught:
            await words(client, beats)
    assert beats.count
    assert (caught.value.trouble, caught.value.unsure) == (Trouble.TIMED_OUT, True)
    assert caught.value.failure.kind is Kind.UNCERTAIN


async def test_slow_heads_are_waited_for_with_heartbeats(tmp_path: Path) -> None:
    """Even before the reply begins it is told that nothing came yet."""
    release = asyncio.Event()

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(HEAD + said("Done."))

    found: list[Frame] = []
    async with serving(answer) as server, client_of(tmp_path, server.url, tick_s=0.02) as client:
        async for frame in ask(client):
            found.append(frame)
            if len(found) == 3:
                release.set()
    assert found[:3] == [Heartbeat()] * 3
    assert isinstance(found[-1], Text)


async def test_an_edit_has_a_hard_end_whatever_is_said_meanwhile(tmp_path: Path) -> None:
    """Words without end do not hold it up."""

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while True:
            writer.write(said("Still at it."))
            await writer.drain()
            await asyncio.sleep(0.01)

    error = await failed(tmp_path, answer, edit_timeout_s=0.3)
    assert (error.trouble, error.unsure) == (Trouble.TIMED_OUT, True)


@pytest.mark.parametrize("piece", [b"x" * 65536, b"data: " + b"y" * 60000 + b"\n"])
async def test_a_line_or_an_event_without_end_is_given_up(tmp_path: Path, piece: bytes) -> None:
    """Before it fills the memory."""
    sent = 0

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD + b"data: ")
        while sent < 60_000_000:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()

    error = await failed(tmp_path, answer)
    assert (error.trouble, error.unsure) == (Trouble.GARBLED, True)
    assert sent < 40_000_000


async def test_closing_the_generator_closes_the_connection(tmp_path: Path) -> None:
    """While a read is under way, too."""

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + said("Working."))
        while True:
            writer.write(b": ping\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(answer) as server, client_of(tmp_path, server.url, tick_s=0.02) as client:
        async with aclosing(ask(client)) as frames:
            while not isinstance(await anext(frames), Text):
                pass
            assert await anext(frames) == Heartbeat()
        await server.left.wait()
    assert len(server.asked) == 1


async def test_a_cancelled_reader_leaves_nothing_open(tmp_path: Path) -> None:
    """A task that is cancelled in the middle of the stream."""

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while True:
            writer.write(b": ping\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        reading = asyncio.create_task(words(client))
        await server.came.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.left.wait()


async def test_words_that_are_no_utf8_can_be_sent(tmp_path: Path) -> None:
    """A file's name in a message may hold any bytes."""
    async with serving(fixed(HEAD + said("Done."))) as server, client_of(tmp_path, server.url) as client:
        async for _ in client.ask(skill_of(None), "1", "compress \udcff.mp4 under 10 MB"):
            pass
    assert b"compress" in server.asked[0].body
