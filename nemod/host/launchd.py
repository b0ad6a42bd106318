"""Talks to launchd: the agent of one person on macOS.

launchd starts it at login, and again after a crash; `bootout` ends it until somebody bootstraps it again, which a login does.
Sources: launchctl(1), launchd.plist(5).
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nemod.host.calls import Ran, ServiceError, run, write
from nemod.host.units import LABEL

#: Where macOS lets a background job look only after a person has said so, below one's home and below the root (TCC).
_GUARDED = ("Desktop", "Documents", "Downloads", "Library/Mobile Documents", "Library/CloudStorage")
_VOLUMES = Path("/Volumes")
#: How often, and after how many seconds, loading is tried again: longer than an end takes (ExitTimeOut in the agent).
_TRIES, _TRY_S = 4, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launchd:
    """A person's launchd."""

    home: Path
    env: Mapping[str, str]

    @property
    def file(self) -> Path:
        """Where the agent's property list lies."""
        return self.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    @property
    def log(self) -> Path:
        """Where the agent writes what it says."""
        return self.home / "Library" / "Logs" / "nemod" / "nemod.log"

    def call(self, *words: str) -> Ran:
        """Run launchctl to its end."""
        return run(("launchctl", *words), self.env)

    def put(self, text: str) -> bool:
        """Write the agent's file and the folder of its log; whether anything changed."""
        # launchd makes no folders: without this one it would refuse to start the agent.
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.file.exists() and self.file.read_text(encoding="utf-8", errors="replace") == text:
            return False
        write(self.file, text)
        return True

    def start(self) -> None:
        """Load the agent, which starts it; one that is loaded is started if it has ended."""
        if self.loaded():
            self._demand("kickstart", _target())
        else:
            self._demand("enable", _target())
            # One that was unloaded a moment ago may still be ending, and is not loaded again before that.
            for _ in range(_TRIES):
                if self.call("bootstrap", _domain(), str(self.file)).code == 0:
                    return
                time.sleep(_TRY_S)
            self._demand("bootstrap", _domain(), str(self.file))

    def stop(self) -> bool:
        """End the agent and unload it; whether it was loaded."""
        if not self.loaded():
            return False
        self._demand("bootout", _target())
        return True

    def loaded(self) -> bool:
        """Whether launchd knows the agent."""
        return self.call("print", _target()).code == 0

    def facts(self) -> dict[str, str]:
        """What launchd says of it: state, pid, last exit code."""
        pairs = (line.strip().partition(" = ") for line in self.call("print", _target()).out.splitlines())
        wanted = {"state", "pid", "last exit code"}
        found: dict[str, str] = {}
        for key, equals, value in pairs:
            if equals and key in wanted:
                found.setdefault(key, value)  # further ones belong to what it has started
        return found

    def log_argv(self, lines: int, *, follow: bool) -> list[str]:
        """The command that shows the agent's log."""
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), str(self.log)]

    def _demand(self, *words: str) -> None:
        done = self.call(*words)
        if done.code != 0:
            hint = "It works only for who is logged in at the screen. See: nemod service logs"
            raise ServiceError(f"launchctl {' '.join(words)} failed: {done.said}", hint)


def guarded(places: Iterable[Path], home: Path) -> tuple[Path, ...]:
    """Those places that macOS shows to a background job only with a person's leave."""
    walls = (*(home / name for name in _GUARDED), _VOLUMES)
    return tuple(place for place in dict.fromkeys(places) if any(place.is_relative_to(wall) for wall in walls))


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _target() -> str:
    return f"{_domain()}/{LABEL}"
