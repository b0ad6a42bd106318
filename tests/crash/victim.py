"""A daemon that kills itself at a side effect: `python -m tests.crash.victim ROOT [LABEL NUMBER]`.

It is the product's own service over real files and a real ledger; only the engines are quick. Nothing of it is replaced: the
interpreter itself reports each file that is about to be changed (audit events), SQLite each transaction that is about to be
committed (a trace). Each gets a label, written to ROOT.labels; at the given occurrence of the given one the process dies, so
that what came before has happened and this has not.
"""

import asyncio
import os
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from pathlib import Path

from nemod.config.model import Config, EnginePolicy, Folder, Nemo, Preset, Settings
from nemod.daemon.service import Service
from nemod.engines.base import EngineName, Progress
from tests.support.clips import ffmpeg
from tests.support.fake_engine import Deliver, FakeEngine, Pause, Pay

LIMIT_BYTES = 30_000
#: Audit events of what changes files, and how many of their arguments are paths.
CHANGES = {"os.rename": 2, "os.link": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.utime": 1, "os.chmod": 1}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Reaper:
    """Labels what is about to happen, and dies of one of them."""

    def __init__(self, root: Path, label: str | None, number: int) -> None:
        """Count what happens below `root`."""
        self._root = os.fspath(root) + "/"
        self._labels = os.open(f"{root}.labels", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._fate = (label, number)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._statement = ""
        self._fresh: list[sqlite3.Connection] = []

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        """An audit event."""
        if event == "sqlite3.connect/handle" and isinstance(args[0], sqlite3.Connection):
            self._fresh.append(args[0])
            return
        while self._fresh:  # a connection is announced a moment before it can be traced, and used later than the next event
            self._fresh.pop().set_trace_callback(self.trace)
        if event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            self._paths("open", args[:1])
        elif event == "ctypes.dlsym" and args[1] == "renameat2":
            self._meet("renameat2")  # it is called next, and tells nobody
        elif event in CHANGES:
            self._paths(event, args[: CHANGES[event]])

    def trace(self, sql: str) -> None:
        """A statement that SQLite is about to run."""
        if sql == "COMMIT":
            self._meet(f"commit {self._statement}")
        elif found := re.match(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+)(?: SET (\w+ = (?:'\w+'|NULL)|\w+))?", sql):
            self._statement = " ".join(word for word in found.groups() if word)

    def _paths(self, event: str, paths: tuple[object, ...]) -> None:
        names = [os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)]
        # A name that is not absolute is relative to a folder that is being removed.
        near = [name.removeprefix(self._root) for name in names if name.startswith(self._root) or not name.startswith("/")]
        if near and not any(name.startswith("state/") for name in near):
            self._meet(f"{event} {' '.join(re.sub(r'[0-9a-f]{8,}|[0-9]+', '#', name) for name in near)}")

    def _meet(self, label: str) -> None:
        with self._lock:
            self._seen[label] += 1
            os.write(self._labels, f"{self._seen[label]} {label}\n".encode())
            if (label, self._seen[label]) == self._fate:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()  # a signal to oneself may take a moment; not one more effect until then


def folder(root: Path) -> Folder:
    """The inbox below a root."""
    inbox = root / "inbox"
    return Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=inbox / "failed",
        preset=Preset(name="tight", limit_bytes=LIMIT_BYTES),
        engine=EnginePolicy.LOCAL if halves(root) else EnginePolicy.NEMO,
    )


def halves(root: Path) -> tuple[Path, ...]:
    """The parts that the engine makes of every video, in a world that has them."""
    return tuple(sorted((root / "halves").glob("*.mp4")))


def cloud(root: Path) -> FakeEngine:
    """Asks, pays, is polled, and delivers what is too large."""
    edit, poll = Pay(what="the edit", expects=50, cost=42), Pause(seconds=0.05, polling=True)
    script = (Progress(stage="asking"), edit, poll, Deliver(file=root / "heavy.mp4"))
    return FakeEngine(script, root / "journal", name=EngineName.NEMO)


def engine(root: Path) -> FakeEngine:
    """Pays, waits outside, and delivers what lies ready, in parts where those lie there."""
    ready = Deliver(file=root / "made.mp4", parts=halves(root))
    script = (Progress(stage="working"), Pay(what="the work"), Pause(seconds=0.05), ready)
    return FakeEngine(script, root / "journal")


def main(root: Path, label: str | None, number: int) -> None:
    """Work off the inbox, or die of it."""
    nemo = Nemo(follow_ups=0, max_credits_per_day=100)
    config = Config(file=root / "config.toml", settings=Settings(settle_s=0.05), nemo=nemo, folders=(folder(root),))
    makers = {made.name: made for made in (engine(root), cloud(root))}
    service = Service(config, root / "state", lambda _: makers, ffmpeg(), reread=lambda: config, once=True)
    sys.addaudithook(Reaper(root, label, number).hook)
    asyncio.run(service.run(lambda: None))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
