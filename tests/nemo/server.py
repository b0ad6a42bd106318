"""A loopback server that answers with whatever bytes a test says, and remembers what it was asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from nemod.config.model import Nemo
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.client import Client

TOKEN = "nmv_usr_given-by-a-person"  # noqa: S105 - a made-up one


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """Where it listens, and the requests so far."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)  # a request
    left: asyncio.Event = field(default_factory=asyncio.Event)  # whoever asked

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method=method, path=path, headers=headers, body=body)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(handler: Handler) -> AsyncGenerator[str, None]:
    """Give every connection to a handler; at the end those that are still open are ended. The value is the address."""
    busy: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(handle(reader, writer))
        busy.add(task)
        task.add_done_callback(busy.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await listener.wait_closed()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncGenerator[Server, None]:
    """Answer every request by `answer`, one request to a connection."""
    server = Server()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _request(reader)
            server.asked.append(asked)
            server.came.set()
            await answer(asked, writer)
            await writer.drain()
        finally:
            server.left.set()

    async with listening(handle) as url:
        server.url = url
        yield server


def reply(status: int, body: bytes | dict[str, object], *, kind: str = "application/json", more: str = "") -> bytes:
    """A whole HTTP reply with its true length."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{more}\r\n"
    return head.encode() + content


def fixed(content: bytes) -> Answer:
    """The same bytes for every request."""

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return answer


def account_at(tmp_path: Path, url: str, **env: str) -> Account:
    """An account whose files lie in a test's folder."""
    return Account(tmp_path / "state" / "account.json", api_url=url, env=env, home=tmp_path / "home")


@contextlib.asynccontextmanager
async def client_of(
    tmp_path: Path,
    url: str,
    *,
    token: str = TOKEN,
    anonymous: bool = False,
    retries_s: tuple[float, ...] = (),
    now: float = 1_000_000.0,
    tick_s: float = 15.0,
    edit_timeout_s: float = 60.0,
    heartbeat_timeout_s: float = 60.0,
) -> AsyncGenerator[Client, None]:
    """A client of a server, closed at the end."""
    nemo = Nemo(api_url=url, edit_timeout_s=edit_timeout_s, heartbeat_timeout_s=heartbeat_timeout_s)
    client = Client(
        nemo,
        account_at(tmp_path, url, **({"NEMO_TOKEN": token} if token else {})),
        anonymous=lambda: anonymous,
        clock=lambda: now,
        retries_s=retries_s,
        quota_pause_s=0.0,
        tick_s=tick_s,
    )
    try:
        yield client
    finally:
        await client.close()
