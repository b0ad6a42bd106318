"""The faults of the soak: each is a moment of trouble that ends by itself, whatever comes of it.

Who cannot make one of them here (a full disk needs a file system of its own) says so once and does without.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.soak_world import World
from nemod.daemon.service import LEDGER
from tests.support.cloud import Cloud

#: How long a moment lasts.
MOMENT_S = 0.7
#: What the sandbox is told to do wrong, each once.
HABITS = (
    *("drop", "silent-edit", "heartbeats:comment", "error-frame:edit", "upload-lost-reply@1", "render-failed@1"),
    *("render-lost-reply@1", "cut-download@1", "short-length@1", "html-download@1", "http:503:state@1", "http:500:poll@1"),
    *("garbage:state@1", "empty-body:poll@1", "throttle:1@1", "reset:session@1", "url-404", "overshoot:2@1", "question@1"),
)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What can be done to a world, and how often it was."""

    world: World
    cloud: Cloud
    full: bool  # whether the outbox lies on a small disk of its own
    done: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    commands: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """A daemon, with a log of its own: its earlier ones are put aside."""
        log = self.world.machine.home / "log"
        if log.exists():
            log.rename(log.with_name(f"log {self.lives}"))
        self.world.machine.start()
        self.lives += 1

    def stir(self, *, kills: bool) -> None:
        """One fault of any kind; a kill of the daemon only where they are wanted."""
        ways = {**self._ways(), **({"daemon killed": self._kill} if kills else {})}
        name = self.world.dice.choice(sorted(ways))
        ways[name]()
        self.done[name] += 1

    def settle(self) -> None:
        """No fault is under way any more."""
        self.cloud.behave()
        for command in self.commands:
            command.wait(60)
        self.commands.clear()

    def _ways(self) -> Mapping[str, Callable[[], None]]:
        ways: dict[str, Callable[[], None]] = {
            "child killed": self._kill_child,
            "cloud misbehaved": self._misbehave,
            "outbox in the way": self._block,
            "ledger locked": self._lock,
            "config reloaded": self._reload,
            "job cancelled": self._cancel,
            "daemon paused": self._pause,
        }
        return {**ways, "outbox full": self._fill} if self.full else ways

    def _kill(self) -> None:
        self.world.machine.kill()
        self.world.machine.process = None
        self.start()

    def _kill_child(self) -> None:
        children = children_of(self.world.machine.pid)
        if children:
            with suppress(ProcessLookupError):
                os.kill(self.world.dice.choice(children), signal.SIGKILL)

    def _misbehave(self) -> None:
        self.cloud.behave()
        self.cloud.misbehave(self.world.dice.choice(HABITS))

    def _block(self) -> None:
        """The folder "keeps" cannot deliver: something lies where its outbox should be, and nothing that could be a video."""
        outbox = self.world.machine.home / "keeps" / "done"
        if outbox.is_dir():
            outbox.rename(outbox.with_name("away"))
            while True:
                try:
                    os.mkfifo(outbox)
                    break
                except FileExistsError:  # the daemon was quicker, and made it anew
                    with suppress(OSError):
                        outbox.rmdir()
            time.sleep(MOMENT_S)
            outbox.unlink()
            outbox.with_name("away").rename(outbox)

    def _lock(self) -> None:
        with closing(sqlite3.connect(self.world.machine.state / LEDGER, isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN IMMEDIATE")
            time.sleep(MOMENT_S)
            db.execute("ROLLBACK")

    def _reload(self) -> None:
        config = self.world.machine.config
        config.write_text(config.read_text() + f"# {self.done.total()}\n")
        self.world.machine.send(signal.SIGHUP)

    def _cancel(self) -> None:
        """By the command, while the daemon works; all that was cancelled is asked for again in the end."""
        found = self.world.rows("SELECT id FROM job WHERE state IN ('queued', 'running', 'parked') ORDER BY id DESC LIMIT 5")
        if found:
            self.command("jobs", "cancel", str(self.world.dice.choice(found)[0]))

    def _pause(self) -> None:
        self.world.machine.send(signal.SIGSTOP)
        time.sleep(MOMENT_S)
        self.world.machine.send(signal.SIGCONT)

    def _fill(self) -> None:
        filler = self.world.machine.home / "disk" / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        time.sleep(MOMENT_S)
        filler.unlink()

    def command(self, *words: str) -> None:
        """A command beside the daemon; its end is awaited later."""
        machine = self.world.machine
        argv = [sys.executable, "-m", "nemod", *words]
        quiet = subprocess.DEVNULL
        self.commands.append(subprocess.Popen(argv, env=machine.env(), cwd=machine.home, stdout=quiet, stderr=quiet))
        self.commands = [command for command in self.commands if command.poll() is None]


def children_of(pid: int) -> list[int]:
    """The children of a process, by the kernel's own account."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[bool]:
    """A file system of its own in memory at a place; False, and an ordinary folder, where none can be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)  # noqa: S607 - as its mount
