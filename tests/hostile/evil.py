"""A cloud that is not our friend: it answers as it should until it is told which evil to do at which of its endpoints.

It speaks raw bytes, remembers who asked for what with which token, and does its evil until whoever asked has gone. Below the
address /evil/NAME/ENDPOINT it is as evil as that for whoever asks there, so that many can be tried side by side.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from tests.hostile.evils import EVILS, Evil, reply

ENDPOINTS = ("token", "session", "upload", "ask", "state", "balance", "submit", "poll", "fetch", "file")
_CREDITS = 1_000.0
_VIDEO = {"tt": 0, "sg": [{"n": "clip", "m": {"d": 1000}}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: which endpoint it was for, the token that came with it, and below which evil address it came."""

    endpoint: str
    token: str
    evil: str


@dataclass(slots=True, kw_only=True)
class Cloud:
    """Where it listens, what was asked, and the evil of the moment."""

    file: bytes
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    evils: dict[str, Evil] = field(default_factory=dict)  # by endpoint
    works: bool = True  # whether a message edits, however it is answered

    def at(self, endpoint: str, evil: str) -> None:
        """Do this evil at an endpoint from now on."""
        self.evils[endpoint] = EVILS[evil]

    def count(self, endpoint: str) -> int:
        """How many requests an endpoint had."""
        return sum(asked.endpoint == endpoint for asked in self.asked)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, EOFError):
            await self._answer(reader, writer)
        with suppress(OSError):
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        evils, prefix = self.evils, ""
        if path.startswith("/evil/"):
            _, _, name, where, *rest = path.split("/")
            evils, prefix, path = {where: EVILS[unquote(name)]}, f"/evil/{name}/{where}", "/" + "/".join(rest)
        endpoint = _endpoint(method, path)
        self.asked.append(Asked(endpoint=endpoint, token=headers.get("authorization", ""), evil=prefix))
        evil = evils.get(endpoint)
        if evil is None or evil.reads:
            left = int(headers.get("content-length", "0"))
            while left:
                left -= len(await reader.readexactly(min(left, 1 << 16)))
        if evil is None:
            writer.write(self._good(endpoint))
            await writer.drain()
            return
        gone = asyncio.create_task(_gone(reader))
        doing = asyncio.create_task(evil.do(writer, self.url + prefix))
        await asyncio.wait({gone, doing}, return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, doing):
            task.cancel()
        await asyncio.gather(gone, doing, return_exceptions=True)
        with suppress(OSError):
            await asyncio.wait_for(writer.drain(), 5)

    def _good(self, endpoint: str) -> bytes:
        if endpoint == "ask":
            words = json.dumps({"content": {"parts": [{"text": "I compressed the video."}]}})
            return reply(f"data: {words}\n\n".encode(), kind="text/event-stream")
        if endpoint not in ENDPOINTS:
            return reply(b"{}", status="404 Not Found")
        if endpoint == "file":
            return reply(self.file, kind="video/mp4")
        edits = self.count("ask") if self.works else 0
        uploads = [{"filename": "clip.mp4"}] if self.count("upload") else []
        taken = 50.0 * self.count("ask")
        good: dict[str, object] = {
            "token": {"token": "nmv_usr_anonymous", "user_id": "u1", "credits": 100},
            "session": {"session_id": "5529798706024415232", "task_id": "t1"},
            "upload": {"files": uploads, "session_state_applied": True},
            "state": {"state": {"draft": {"t": [_VIDEO], "v": edits} if edits else None, "video_infos": uploads}},
            "balance": {"available": _CREDITS - taken, "frozen": 0, "total": _CREDITS - taken},
            "submit": {"status": "pending"},
            "poll": {"status": "completed", "output": {"url": f"{self.url}/file.mp4", "size": len(self.file)}},
            "fetch": {"status": "completed", "output": {"url": f"{self.url}/file.mp4"}},
        }
        return reply(json.dumps({"code": 0, "data": good[endpoint]}).encode())


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when nobody listens any more."""
    while await reader.read(1 << 16):
        pass


def _endpoint(method: str, path: str) -> str:
    match method, path.partition("?")[0].strip("/").split("/"):
        case "POST", ["api", "auth", *_]:
            return "token"
        case "POST", ["api", "tasks", *_]:
            return "session"
        case "POST", ["api", "upload-video", *_]:
            return "upload"
        case "POST", ["run_sse"]:
            return "ask"
        case "GET", ["api", "state", *_]:
            return "state"
        case "GET", ["api", "credits", *_]:
            return "balance"
        case "POST", ["api", "render", "proxy", "lambda", *_]:
            return "submit"
        case "GET", ["api", "render", "proxy", "lambda", *_]:
            return "poll"
        case "GET", ["api", "render", "proxy", _, "download"]:
            return "fetch"
        case "GET", ["file.mp4"]:
            return "file"
        case _:
            return f"{method} {path}"


@contextmanager
def evil_cloud(file: Path) -> Iterator[Cloud]:
    """A cloud on a free port of this machine, on a thread of its own; `file` is what it renders."""
    cloud = Cloud(file=file.read_bytes())
    ready, loop = threading.Event(), asyncio.new_event_loop()
    ending = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(cloud.handle, "127.0.0.1", 0, limit=1 << 20)
        cloud.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await ending.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield cloud
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(30)
        loop.close()
