"""An empty machine in a temporary folder, and the real command as a person starts it there."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nemod.cli.main import main

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """An empty machine: a home directory, a state folder below it, and the command."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def config(self) -> Path:
        return self.path / ".config" / "nemod" / "config.toml"

    def env(self, **more: str) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        return {**kept, "HOME": str(self.path), "NEMOD_STATE_DIR": str(self.state), **more}

    def nemod(self, *args: str | Path, cwd: Path | None = None, **env: str) -> Ran:
        argv = [sys.executable, "-m", "nemod", *(os.fspath(arg) for arg in args)]
        done = subprocess.run(
            argv, env=self.env(**env), cwd=cwd or self.path, capture_output=True, timeout=PATIENCE_S, check=False
        )
        return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def configure(self, text: str) -> None:
        """Write the config."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text, encoding="utf-8")

    @contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[str]"]:
        """A daemon that watches; killed at the end if the test has not ended it."""
        argv = [sys.executable, "-m", "nemod", "run"]
        env = self.env(PYTHONUNBUFFERED="1")
        with (
            (self.path / "log").open("wb") as log,
            subprocess.Popen(argv, env=env, cwd=self.path, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            try:
                yield process
            finally:
                process.kill()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; a test that waits in vain fails by itself."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def inside(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command inside this process, on a person's machine."""
    for name, value in home.env().items():
        monkeypatch.setenv(name, value)
    for name in ("NEMOD_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home.path)

    def run(*args: str) -> Ran:
        code = main(args)
        said = capsys.readouterr()
        return Ran(code=code, out=said.out, err=said.err)

    return run
