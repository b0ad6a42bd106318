"""A man in the middle, between a client and a server, who may kill somebody at a request.

Either before it is passed on, or when it has been answered and before the answer is passed back.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

#: Headers that belong to one connection, not to what is passed on.
_OWN = frozenset({"host", "connection", "transfer-encoding", "content-length", "keep-alive", "content-encoding"})
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD")


@dataclass(slots=True, kw_only=True)
class Relay:
    """Passes everything on to `target`; what it saw is in `seen`, a method and a path each."""

    target: str
    url: str = ""
    seen: list[str] = field(default_factory=list)
    victim: Callable[[], None] | None = None
    fatal: int | None = None  # the request, counted from 0, at which the victim dies
    answered: bool = False  # dies with the answer made and not yet passed on
    forge: Callable[[bytes], bytes] | None = None  # what becomes of a rendered video on its way

    async def handle(self, request: Request) -> Response:
        """Pass a request on and its answer back."""
        body = (await request.body()).replace(self.url.encode(), self.target.encode())
        number = len(self.seen)
        self.seen.append(f"{request.method} {request.url.path}")
        doomed = number == self.fatal and self.victim is not None
        if doomed and not self.answered:
            self.kill()
            return Response(status_code=500)
        headers = {key: value for key, value in request.headers.items() if key not in _OWN}
        async with httpx.AsyncClient(base_url=self.target, timeout=60, trust_env=False) as client:
            path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            reply = await client.request(request.method, path, content=body, headers=headers)
        if doomed:
            self.kill()
        kept = {key: value for key, value in reply.headers.items() if key not in _OWN}
        # What the server says of its own address is true of ours: a result is fetched through us, too.
        content = reply.content.replace(self.target.encode(), self.url.encode())
        if self.forge is not None and reply.headers.get("content-type") == "video/mp4":
            content = await asyncio.to_thread(self.forge, content)
        return Response(content, status_code=reply.status_code, headers=kept)

    def kill(self) -> None:
        """Let the victim die."""
        assert self.victim is not None
        self.victim()


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A relay on a free port of this machine, on a thread of its own."""
    made = Relay(target=target)
    app = Starlette(routes=[Route("/{path:path}", made.handle, methods=list(METHODS))])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    made.url = f"http://127.0.0.1:{port}"
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join(10)
