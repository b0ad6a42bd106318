"""What runs at this moment and how far it is: kept in memory, shown to others through one small file.

Nothing here is a fact: the file may be old or missing, and nothing but what people see depends on it. So it is written by
a thread of its own: a state folder whose disk hangs must not stop the loop, which then could not even be ended.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from nemod.engines.base import Progress
from nemod.job import JobId
from nemod.threads import begin

FILE = "live.json"
#: The file is written at most this often.
EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How far a job is; `stage` in words, `fraction` from 0 to 1, `speed` in seconds of video per second.

    `rests` says that it does not run, but waits for what the stage says to be done elsewhere.
    """

    stage: str
    fraction: float | None = None
    speed: float | None = None
    left_s: float | None = None
    rests: bool = False


class Board:
    """The running jobs of this process."""

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Show them in this file too, if one is given."""
        self._file = file
        self._clock = clock
        self._written = float("-inf")
        self._lock = Lock()  # of the two below, for moments
        self._text: str | None = None  # what is still to be written
        self._writing = False
        self._jobs: dict[JobId, Running] = {}
        self._resting: dict[JobId, Running] = {}

    @property
    def jobs(self) -> Mapping[JobId, Running]:
        """What runs now."""
        return self._jobs

    def line(self) -> str:
        """All of it in a line: "job 7 encoding 42 %, job 9 rendering in the cloud"."""
        every = sorted({**self._resting, **self._jobs}.items())
        told = (f"job {job} {r.stage}" + ("" if r.fraction is None else f" {100 * r.fraction:.0f} %") for job, r in every)
        return ", ".join(told) or "Watching the folders"

    def show(self, job: JobId, progress: Progress) -> None:
        """A job has come so far."""
        self._resting.pop(job, None)
        self._jobs[job] = Running(
            stage=progress.stage, fraction=progress.fraction, speed=progress.speed, left_s=progress.left_s
        )
        if self._clock() - self._written >= EVERY_S:
            self.write()

    def rest(self, job: JobId) -> None:
        """A job will wait for what it has last been said to do."""
        if (running := self._jobs.get(job)) is not None:
            self._resting[job] = Running(stage=running.stage, rests=True)

    def remove(self, job: JobId) -> None:
        """A job no longer runs."""
        if self._jobs.pop(job, None) is not None:
            self.write()

    def write(self) -> None:
        """Bring the file up to date, soon."""
        if self._file is None:
            return
        self._written = self._clock()
        seen = {**self._resting, **self._jobs}
        text = json.dumps({"pid": os.getpid(), "jobs": {str(job): asdict(running) for job, running in seen.items()}})
        with self._lock:
            self._text = text
            begins, self._writing = not self._writing, True
        if begins:
            begin(partial(self._write_all, self._file))

    def _write_all(self, file: Path) -> None:
        """Write the newest text until there is no newer one."""
        while True:
            with self._lock:
                text, self._text = self._text, None
                if text is None:
                    self._writing = False
                    return
            _write(file, text)


def _write(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as opened:
            opened.write(text)
        fresh.replace(file)
    except OSError:
        # Only a display is lost; the jobs themselves will meet the full disk and say so.
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def read_board(folder: Path) -> Mapping[JobId, Running]:
    """What the daemon of this state folder was doing half a second ago, or waits for; empty when that cannot be known."""
    try:
        raw = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {JobId(int(job)): Running(**fields) for job, fields in raw["jobs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
