"""Replies that break the rules of HTTP: resets, lengths that lie, bodies that break off or trickle.

The server's protocol hands each request its transport, and these responses write to it past the HTTP library.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

CHUNK = 64 * 1024


class OpenProtocol(H11Protocol):
    """HTTP as usual, with the transport within the application's reach."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport where requests find it: `scope["state"]` is a copy of this."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


def transport_of(scope: Scope) -> asyncio.Transport:
    """The connection that a request came by."""
    transport = scope["state"]["transport"]
    assert isinstance(transport, asyncio.Transport)  # noqa: S101 - OpenProtocol put it there
    return transport


async def cut(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """Close the connection as it is, after what was written has left; or reset it at once."""
    transport = transport_of(scope)
    if reset:
        # A linger of zero seconds makes the system send RST instead of FIN.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    # The server library would answer 500 if we returned before it has seen the end.
    await disconnected(receive)


async def disconnected(receive: Receive) -> None:
    """Wait until the client is gone, or was sent away."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Cut(Response):
    """No reply: the connection is closed, or reset."""

    def __init__(self, *, reset: bool = False) -> None:
        """Choose how."""
        super().__init__(status_code=0)
        self.reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do it."""
        del send
        await cut(scope, receive, reset=self.reset)


class Never(Response):
    """No reply for as long as the client waits."""

    def __init__(self) -> None:
        """Nothing to choose."""
        super().__init__(status_code=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait."""
        del scope, send
        await disconnected(receive)


class Raw(Response):
    """A file under a head that may lie about its length; it ends with the connection."""

    def __init__(self, file: Path, *, says: int, sends: int) -> None:
        """Say one length and send another."""
        super().__init__(status_code=200)
        self.file, self.says, self.sends = file, says, sends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write head and body past the HTTP library, which would insist on the truth."""
        del send
        transport = transport_of(scope)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {self.says}\r\nConnection: close\r\n\r\n"
        transport.write(head.encode())
        for chunk in _chunks(self.file, self.sends):
            transport.write(chunk)
            await asyncio.sleep(0)
        await cut(scope, receive)


def _chunks(file: Path, most: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while most > 0 and (chunk := stream.read(min(CHUNK, most))):
            most -= len(chunk)
            yield chunk


class Slow(Response):
    """Another response whose body comes at a given pace."""

    def __init__(self, inner: Response, *, bytes_per_s: int) -> None:
        """Keep what is to be slowed down."""
        super().__init__(status_code=inner.status_code)
        self.inner, self.step = inner, max(1, bytes_per_s // 10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on its messages, their bodies in small pieces."""

        async def slowly(message: Message) -> None:
            body = message.get("body", b"")
            if message["type"] != "http.response.body" or not body:
                await send(message)
                return
            for at in range(0, len(body), self.step):
                last = at + self.step >= len(body)
                await send(
                    {**message, "body": body[at : at + self.step], "more_body": message.get("more_body", False) or not last}
                )
                await asyncio.sleep(0.1)

        await self.inner(scope, receive, slowly)
