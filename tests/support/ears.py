"""A service that hears messages: a real HTTP server, which takes them, refuses them or never answers, as a test wants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True, kw_only=True)
class Ears:
    """What it has heard; `status` is its answer, None: it never gives one."""

    port: int = 0
    status: int | None = 200
    heard: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, way: str = "way") -> str:
        """Its address, as Apprise writes it."""
        return f"json://127.0.0.1:{self.port}/{way}"

    @property
    def bodies(self) -> list[str]:
        """The messages that it took."""
        return [message["message"] for message in self.heard]


@contextmanager
def ears() -> Iterator[Ears]:
    """Listen on a port of its own until the end."""
    state = Ears()

    class Handler(BaseHTTPRequestHandler):  # http.server takes no other kind
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.calls += 1
            if state.status is None:
                state.released.wait(60)
                return
            if state.status == 200:
                state.heard.append(said)
            self.send_response(state.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()
            thread.join()
