"""A plain client for the sandbox, written from the API's documents with httpx alone."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.cloud import Cloud
from tests.support.daemon import eventually

SKILL = {"X-Skill-Source": "compress-video", "X-Skill-Version": "1.0.0", "X-Skill-Platform": "unknown"}
WAIT_S = 60.0
#: How long to wait for what never comes.
NEVER_S = 0.3
_NUMBERS = itertools.count(time.time_ns())


def new_id() -> str:
    """A render id that nobody has used."""
    return f"render_{next(_NUMBERS)}"


@dataclass(slots=True, kw_only=True)
class Caller:
    """One account at one sandbox, and the session that it opened last."""

    cloud: Cloud
    clip: Path
    token: str = ""
    session: str = ""
    task: str = ""
    headers: dict[str, str] = field(default_factory=lambda: dict(SKILL))

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the API with credentials; `timeout` and the rest go to httpx."""
        headers = {"Authorization": f"Bearer {self.token or self.cloud.token}", **self.headers, **more.pop("headers", {})}
        return httpx.request(method, self.cloud.url + path, headers=headers, **{"timeout": WAIT_S, **more})

    def data(self, method: str, path: str, **more: Any) -> Any:
        """The data of a success."""
        body = self.call(method, path, **more).json()
        assert body["code"] == 0, body
        return body["data"]

    def anonymous(self, client: str) -> httpx.Response:
        """Ask for an anonymous token."""
        return httpx.post(self.cloud.url + "/api/auth/anonymous-token", headers={"X-Client-Id": client}, timeout=WAIT_S)

    def open(self, language: str = "en") -> "Caller":
        """Open a session."""
        body = {"task_name": "project", "language": language}
        found = self.data("POST", "/api/tasks/me/with-session/nemo_agent", json=body)
        self.session, self.task = str(found["session_id"]), found["task_id"]
        return self

    def upload(self, *files: Path) -> Any:
        """Upload files, the clip if none is named; what the reply says of them."""
        return self.upload_raw(*files).json()["data"]

    def upload_raw(self, *files: Path) -> httpx.Response:
        """The reply to an upload."""
        parts = [("files", (file.name, file.read_bytes())) for file in files or (self.clip,)]
        return self.call("POST", f"/api/upload-video/nemo_agent/me/{self.session}", files=parts)

    def ready(self, language: str = "en") -> "Caller":
        """A session with the clip in it."""
        self.open(language).upload()
        return self

    def body(self, text: str) -> dict[str, object]:
        """The body of a message."""
        message = {"parts": [{"text": text}]}
        return {"app_name": "nemo_agent", "user_id": "me", "session_id": self.session, "new_message": message}

    def ask(self, text: str = "compress this video to under 0.1 MB") -> httpx.Response:
        """Send a message and read the stream to its end."""
        return self.call("POST", "/run_sse", json=self.body(text), headers={"Accept": "text/event-stream"})

    @contextmanager
    def asking(self, text: str = "compress this video to under 0.1 MB") -> Iterator[httpx.Response]:
        """Send a message and read as much of the stream as wanted; leaving hangs up."""
        headers = {"Authorization": f"Bearer {self.token or self.cloud.token}", **self.headers}
        with httpx.stream("POST", self.cloud.url + "/run_sse", headers=headers, json=self.body(text), timeout=WAIT_S) as reply:
            yield reply

    def state(self) -> dict[str, Any]:
        """The inner state."""
        found: dict[str, Any] = self.data("GET", f"/api/state/nemo_agent/me/{self.session}/latest")["state"]
        return found

    def draft(self) -> dict[str, Any]:
        """The timeline, empty before the first edit."""
        return self.state().get("draft") or {}

    def kinds(self) -> list[int]:
        """The types of the timeline's tracks."""
        return [track["tt"] for track in self.draft()["t"]]

    def submit(self, number: str = "", draft: object = None) -> httpx.Response:
        """Ask for a render."""
        body = {
            "id": number or new_id(),
            "sessionId": self.session,
            "draft": self.draft() if draft is None else draft,
            "output": {"format": "mp4", "quality": "high"},
        }
        return self.call("POST", "/api/render/proxy/lambda", json=body)

    def poll(self, number: str) -> Any:
        """Look how far a render is, once."""
        return self.call("GET", f"/api/render/proxy/lambda/{number}").json()

    def ended(self, number: str) -> dict[str, Any]:
        """Wait for a render's end, in the wrapped shape."""
        seen: dict[str, Any] = {}

        def done() -> bool:
            seen.update(self.poll(number)["data"])
            return seen["status"] in {"completed", "failed"}

        eventually(done, lambda: str(seen))
        return seen

    def rendered(self) -> dict[str, Any]:
        """Render the timeline; what the last poll says."""
        reply = self.submit().json()
        assert reply["success"], reply
        return self.ended(reply["data"]["id"])

    def file(self, to: Path) -> Path:
        """Render the timeline and get the file."""
        to.write_bytes(httpx.get(self.rendered()["outputUrl"], timeout=WAIT_S).content)
        return to

    def events(self, *names: str) -> list[dict[str, Any]]:
        """What the journal says of this session."""
        return [entry for entry in self.cloud.journal(*names) if entry.get("session") == self.session]

    def credits(self) -> tuple[float, float]:
        """Available and frozen."""
        found = self.data("GET", "/api/credits/balance/simple")
        assert found["total"] == found["available"] + found["frozen"]
        return found["available"], found["frozen"]


def said(reply: httpx.Response) -> list[dict[str, Any]]:
    """The JSON of every event of a stream that has data."""
    lines = [line.removeprefix("data:").strip() for line in reply.text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def words(reply: httpx.Response) -> str:
    """What the agent said to people, in ADK's events."""
    parts = [part for event in said(reply) for part in event.get("content", {}).get("parts", []) if not event.get("partial")]
    return " ".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
