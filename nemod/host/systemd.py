"""Talks to systemd: which unit is installed, putting one in, taking it out, starting, stopping, and what it says of it.

Rules kept here:
- a unit file is written whole or not at all, and one that was not written by nemod is kept beside it;
- what systemd refuses is told in its own words, together with what a person can do;
- videos, config and ledger are never touched.
"""

import difflib
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nemod.host.calls import Ran, ServiceError, run, write

UNIT = "nemod.service"
SYSTEM_FILE = Path("/etc/systemd/system") / UNIT
#: Who begins a file of ours; what a person wrote begins otherwise.
OURS = '# Written by "nemod service install"'
_LINGER = Path("/var/lib/systemd/linger")
#: What `systemctl is-system-running` says of a systemd that can be talked to.
_UP = frozenset({"initializing", "starting", "running", "degraded", "maintenance", "stopping"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a unit's file: `new`, or the lines that were changed; `kept` is where another's file went."""

    new: bool
    changes: tuple[str, ...] = ()
    kept: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """One of the two systemds of a machine: the system's, or a person's own."""

    system: bool
    file: Path
    env: Mapping[str, str]

    @property
    def flag(self) -> tuple[str, ...]:
        """How systemctl is told which of the two is meant."""
        return () if self.system else ("--user",)

    def call(self, *words: str) -> Ran:
        """Run systemctl to its end."""
        return run(("systemctl", *self.flag, *words), self.env)

    def demand(self, *words: str) -> None:
        """Run systemctl for something that must come true; ServiceError in its own words when it does not."""
        done = self.call(*words)
        if done.code != 0:
            hint = "It takes root: the same with sudo." if self.system and os.geteuid() != 0 else "See: nemod service logs"
            raise ServiceError(f"systemctl {' '.join(words)} failed: {done.said}", hint)

    def check(self) -> None:
        """Make sure that there is somebody to talk to.

        Raises:
            ServiceError: there is no systemd here, it does not run this machine, or none of this person's can be reached.
        """
        asked = self.call("is-system-running")
        word = asked.out.strip()
        if asked.code == 0 or word in _UP:
            return
        if self.system or word == "offline":
            what = (
                f"systemd does not run this machine{f' ({word})' if word else ''}: it is a container, or starts in another way."
            )
            raise ServiceError(what, "Start nemod as this machine starts its services, with: nemod run")
        name, uid = person(), os.geteuid()
        raise ServiceError(
            f"No systemd of {name}'s can be reached: nobody of this name is logged in, or you became {name} by su or sudo.",
            f"Log in as {name}, by ssh or at the screen. Or keep {name}'s services running, logged in or not:"
            f" sudo loginctl enable-linger {name}, then: export XDG_RUNTIME_DIR=/run/user/{uid}",
        )

    def put(self, text: str) -> Written:
        """Write the unit's file; what is there already is compared with it."""
        old = _read(self.file)
        if old == text:
            return Written(new=False)
        kept = None
        if old is not None and not old.startswith(OURS):
            kept = self.file.with_name(f"{self.file.name}.before")
            self.file.replace(kept)
        write(self.file, text)
        return Written(new=old is None, changes=() if old is None else _changes(old, text), kept=kept)

    def remove(self) -> bool:
        """Remove the unit's file; whether there was one."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        return True

    def facts(self) -> dict[str, str]:
        """What systemd knows of the unit, by its own names (systemctl show)."""
        names = "LoadState,ActiveState,SubState,StatusText,MainPID,NRestarts,UnitFileState,Result,NeedDaemonReload"
        shown = self.call("show", UNIT, f"--property={names}")
        pairs = (line.partition("=") for line in shown.out.splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def log_argv(self, lines: int, *, follow: bool) -> list[str]:
        """The command that shows the service's log."""
        # A person's own unit is looked for in every journal that the person may read: not every system keeps one for each.
        # Quiet about other people's messages there; of the machine's service it is worth knowing that one may not see any.
        which = [f"--unit={UNIT}"] if self.system else [f"--user-unit={UNIT}", "--quiet"]
        return ["journalctl", *which, f"--lines={lines}", *(["--follow"] if follow else ["--no-pager"])]

    def last_words(self) -> tuple[str, ...]:
        """The last lines of its log, after a start that failed."""
        said = run((*self.log_argv(6, follow=False), "--output=cat"), self.env)
        return tuple(said.out.strip().splitlines())


def systemd(*, system: bool, env: Mapping[str, str], home: Path) -> Systemd:
    """One of the two systemds; a person's own is found even where su or ssh has left out to say where it is."""
    if system:
        return Systemd(system=True, file=SYSTEM_FILE, env=env)
    named = Path(env.get("XDG_CONFIG_HOME", ""))
    runtime = f"/run/user/{os.geteuid()}"
    if "XDG_RUNTIME_DIR" not in env and Path(runtime).is_dir():
        env = {**env, "XDG_RUNTIME_DIR": runtime}
    folder = named if named.is_absolute() else home / ".config"
    return Systemd(system=False, file=folder / "systemd" / "user" / UNIT, env=env)


def lingers() -> bool:
    """Whether this person's services run without the person being logged in."""
    return (_LINGER / person()).exists()


def person() -> str:
    """The name of who runs this."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _read(file: Path) -> str | None:
    """A unit's text; None when there is none.

    Raises:
        ServiceError: it is a link, such as that of a masked unit, which is somebody's decision.
    """
    if file.is_symlink():
        to = os.readlink(file)  # noqa: PTH115 - as it is written
        masked = to == os.devnull
        what = f"{file} is a link to {to}{': the unit is masked' if masked else ''}."
        raise ServiceError(what, f"systemctl unmask {UNIT}" if masked else "Remove the link, then try again.")
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _changes(old: str, new: str) -> tuple[str, ...]:
    """What a new unit says otherwise, comments left out: lines with a leading "- " or "+ "."""
    before, after = ([line for line in text.splitlines() if line and not line.startswith("#")] for text in (old, new))
    return tuple(line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ ")))
