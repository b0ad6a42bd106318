"""An empty machine with the real daemon on it, and how to wait for what it does.

Nothing here measures time: a test waits for a condition, and fails only when that has not come true after a very long while.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemod.daemon.service import open_ledger
from nemod.job import Job, JobState

PATIENCE_S = 90.0
#: The names of our own that may appear while we work, and never at rest.
OURS = (".nemod", ".part")
#: Quick looks, and presets that need an encode and that no encode can keep.
CONFIG = """\
[nemod]
settle = "300ms"
rescan = "5s"
[presets.tight]
base = "compress-video"
limit = "100KB"
[presets.hopeless]
base = "tight"
limit = "2KB"
[presets.roomy]
base = "tight"
limit = "3MB"
"""


@dataclass(slots=True, kw_only=True)
class Machine:
    """A home directory, a state folder and a config; `start` runs the daemon there, `nemod` any other command."""

    home: Path
    state_name: str = "state"
    process: subprocess.Popen[bytes] | None = None
    folders: dict[str, str] = field(default_factory=dict)
    more_env: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """Where the ledger lies."""
        return self.home / self.state_name

    @property
    def config(self) -> Path:
        """The config in its usual place."""
        return self.home / ".config" / "nemod" / "config.toml"

    @property
    def pid(self) -> int:
        """The running daemon's."""
        assert self.process is not None
        return self.process.pid

    def folder(self, name: str, *lines: str, preset: str = "discord") -> Path:
        """Add a folder to the config and make its inbox."""
        inbox = self.home / name
        inbox.mkdir(exist_ok=True)
        self.folders[name] = "\n".join([f"[folders.{name}]", f'inbox = "~/{name}"', f'preset = "{preset}"', *lines, ""])
        self.configure(CONFIG + "".join(self.folders.values()))
        return inbox

    def configure(self, text: str) -> None:
        """Write the config."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text, encoding="utf-8")

    def env(self) -> dict[str, str]:
        """What a person's shell would hand on."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        return {**kept, "HOME": str(self.home), "NEMOD_STATE_DIR": str(self.state), **self.more_env}

    def nemod(self, *args: str, via: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, behind one that runs it if there is one."""
        return subprocess.run(
            [*via, sys.executable, "-m", "nemod", *args],
            env=self.env(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def start(self, *via: str) -> None:
        """Start the daemon, behind a command that runs it if there is one, and wait until it watches."""
        mark = '"daemon.started"'
        before = self.told().count(mark)
        with (self.home / "log").open("ab") as log, (self.home / "said").open("ab") as out:
            argv = [*via, sys.executable, "-m", "nemod", "run"]
            process = self.process = subprocess.Popen(argv, env=self.env(), cwd=self.home, stdout=out, stderr=log)
        eventually(lambda: process.poll() is not None or self.told().count(mark) > before, self.told)
        assert process.poll() is None, self.told()

    def send(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for the daemon's end; its exit code, minus the signal's number when killed."""
        assert self.process is not None
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon by a signal; its exit code."""
        self.send(number)
        return self.ended()

    def beside(self) -> "Machine":
        """The same home and config with another state folder, as another user of the same inboxes would have."""
        return Machine(home=self.home, state_name="other state")

    def block(self, outbox: Path) -> None:
        """Put a file where an empty outbox should be, which stops even root."""
        outbox.rmdir()
        outbox.write_text("in the way")

    def end_orphan(self, pid: int) -> None:
        """End an encode that a killed daemon has left."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """End a daemon that a test has left, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def told(self) -> str:
        """The log so far."""
        log = self.home / "log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def events(self, *words: str) -> list[dict[str, Any]]:
        """The whole lines of the log with these event words; every line must be JSON."""
        whole = self.told().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if line["event"] in words]

    def count(self, word: str, **fields: object) -> int:
        """How many lines have this event word and these values."""
        return sum(fields.items() <= line.items() for line in self.events(word))

    def jobs(self, relpath: str | None = None, *, folder: str | None = None) -> list[Job]:
        """The jobs of a file, of a folder, or all."""
        with closing(open_ledger(self.state)) as ledger:
            return [job for job in ledger.jobs() if relpath in (None, job.relpath) and folder in (None, job.folder.name)]

    def states(self, relpath: str | None = None, *, folder: str | None = None) -> list[JobState]:
        """Their states."""
        return [job.state for job in self.jobs(relpath, folder=folder)]

    def wait_for(self, state: JobState, relpath: str, *, folder: str | None = None, times: int = 1) -> list[Job]:
        """Wait until so many jobs of a file are in a state; those."""
        found: list[Job] = []

        def there() -> bool:
            found[:] = [job for job in self.jobs(relpath, folder=folder) if job.state is state]
            return len(found) >= times

        eventually(there, self.told)
        return found

    def delivered(self, relpath: str, *, folder: str | None = None, times: int = 1) -> Path:
        """Wait until a file is delivered; where its newest output lies."""
        target = self.wait_for(JobState.DONE, relpath, folder=folder, times=times)[-1].target
        assert target is not None
        assert target.is_file()
        return target

    def until_done(self, folder: str, number: int) -> None:
        """Wait until so many jobs of a folder are done."""
        eventually(lambda: self.states(folder=folder).count(JobState.DONE) >= number, self.told)

    def encoding(self) -> list[int]:
        """The processes, of this daemon or an earlier one, that work on a file in this home."""
        return [pid for pid, words in processes() if any(b"ffmpeg" in w for w in words[:4]) and self._mine(words)]

    def _mine(self, words: list[bytes]) -> bool:
        return any(os.fsencode(self.home) + b"/" in word for word in words)


def processes() -> Iterator[tuple[int, list[bytes]]]:
    """Every process with its arguments, zombies without."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, words = line.strip().partition(b" ")
        yield int(pid), words.split(b" ")


@contextmanager
def machine(root: Path) -> Iterator[Machine]:
    """An empty machine below a folder; its daemon is ended at the end."""
    home = root / "home"
    home.mkdir()
    made = Machine(home=home)
    try:
        yield made
    finally:
        made.kill()


def eventually(holds: Callable[[], object], explain: Callable[[], str] = str) -> None:
    """Wait until something holds; a test that waits in vain fails with the explanation."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            # A plain failure instead of an assert: the text is long, and wanted whole.
            raise AssertionError(f"waited in vain\n{explain()}")
        time.sleep(0.05)


def leftovers(root: Path) -> list[Path]:
    """Whatever below a folder has a name that is ours."""
    return [path for path in every(root) if any(mark in path.name for mark in OURS)]


def every(root: Path) -> Iterable[Path]:
    """Everything below a folder, hidden things too."""
    return sorted(root.rglob("*"))
