"""What systemd's and launchd's sides share: running their programs, writing their files, and errors in words."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nemod import durable

#: A start waits until the folders are watched (TimeoutStartSec= in the units), a stop for what it ends.
_WAIT_S = 360.0


class ServiceError(Exception):
    """The service cannot be changed or asked as wanted: `what` is a sentence, `hint` says what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        """Keep both; texts need not be safe to print yet."""
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended, and what it said on either stream."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Its words, on one line."""
        return " ".join((self.err.strip() or self.out).split()) or f"exit code {self.code}"


def run(argv: Sequence[str], env: Mapping[str, str]) -> Ran:
    """Run a program to its end.

    Raises:
        ServiceError: it is not here, or does not end.
    """
    try:
        done = subprocess.run(
            argv,
            # A pager would wait for a person.
            env={**env, "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_WAIT_S,
            check=False,
        )
    except FileNotFoundError as error:
        hint = "Start nemod as this machine starts its services, with: nemod run"
        raise ServiceError(f"There is no {argv[0]} on this machine.", hint) from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"{' '.join(argv)} has not ended within {_WAIT_S:g} s.", "See: nemod service logs") from error
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def write(file: Path, text: str) -> None:
    """Write a service's file whole or not at all, for everybody to read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.nemod")
    try:
        with part.open("w", encoding="utf-8") as handle:
            os.fchmod(handle.fileno(), 0o644)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    durable.sync_way(file.parent)
