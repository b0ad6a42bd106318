"""A cloud of one's own: the sandbox as a process on a free port, with what a test needs to look into it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "nmv_usr_" + "s" * 43
WAIT_S = 60.0
#: The command without all the others, which take longer to load than it does.
_ALONE = "import typer; from nemod.cli import sandbox; app = typer.Typer(); sandbox.register(app); app()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A running sandbox: its address, and the token of its one registered account."""

    url: str
    token: str
    root: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def stop(self) -> None:
        """End it politely, so that it keeps what it knows; another one at the same `root` goes on from there."""
        self.process.terminate()
        self.process.wait(WAIT_S)

    def env(self) -> dict[str, str]:
        """What a client must find in its environment."""
        return {"NEMO_API_URL": self.url, "NEMO_TOKEN": self.token}

    def journal(self, *events: str) -> list[dict[str, Any]]:
        """All that happened, or only these events."""
        entries: list[dict[str, Any]] = self.call("GET", "/sandbox/journal")
        return [entry for entry in entries if not events or entry["event"] in events]

    def requests(self, *endpoints: str) -> list[dict[str, Any]]:
        """The requests, or those to these endpoints."""
        return [entry for entry in self.journal("request") if not endpoints or entry["endpoint"] in endpoints]

    def count(self, endpoint: str) -> int:
        """How many requests an endpoint had."""
        return len(self.requests(endpoint))

    def charged(self) -> list[str]:
        """The messages that were paid, in order."""
        return [entry["message"] for entry in self.journal("charged")]

    def faults(self) -> list[str]:
        """What a client has done that it must never do."""
        return [entry["what"] for entry in self.journal("fault")]

    def accounts(self) -> list[dict[str, Any]]:
        """Who has how many credits."""
        found: list[dict[str, Any]] = self.call("GET", "/sandbox/accounts")
        return found

    def misbehave(self, *names: str) -> None:
        """Switch misbehaviours on."""
        self.call("POST", "/sandbox/misbehave", {"names": list(names)})

    def behave(self) -> None:
        """Switch all of them off."""
        self.call("DELETE", "/sandbox/misbehave")

    def credits(self, available: float) -> None:
        """Give every account so many credits."""
        self.call("POST", "/sandbox/credits", {"available": available})

    def said(self) -> str:
        """What it has said to people."""
        return (self.root / "sandbox.log").read_text(encoding="utf-8")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call one of its own addresses."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, method=method, data=data)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=WAIT_S) as reply:  # noqa: S310 - the same
            return json.loads(reply.read())


@contextmanager
def cloud(root: Path, *args: str, token: str = TOKEN) -> Iterator[Cloud]:
    """Start one with these options; it is killed at the end, and what it keeps lies below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-c", _ALONE, "--port", "0", "--token", token, "--state", str(root / "sandbox"), *args]
    with (root / "sandbox.log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "HOME": str(root)})
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().decode().strip() for _ in range(3)]
        url = lines[1].partition("=")[2]
        assert url, (root / "sandbox.log").read_text("utf-8")
        yield Cloud(url=url, token=token, root=root, process=process)
    finally:
        process.kill()
        process.communicate()
