"""A Debian of its own that really boots: systemd-nspawn on a debootstrap tree, with a checkout of this repository beside it.

Made once from Debian's packages and kept in the cache folder; each machine is a copy of it, with a network of its own that
leads nowhere. The mirror is the one that apt uses here, the Python packages come the way pip gets them here.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PERSON = "anna"
#: What a person has on a fresh Debian, or is told to install; the last ones are for people and tests.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "adduser", "procps", "sudo", "acl"),
    *("git", "python3-venv"),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: How systemd-nspawn ends when it wants to be started again.
_AGAIN = 133
PATIENCE_S, BOOT_S, MAKE_S = 300.0, 240.0, 1200.0


def why_not() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if not os.environ.get("NEMOD_SLOW"):
        return "boots a Debian, for minutes; set NEMOD_SLOW=1"
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a container is booted by root on Linux"
    missing = [name for name in ("systemd-nspawn", "debootstrap", "apt-get", "nsenter") if shutil.which(name) is None]
    return f"lacks {', '.join(missing)} (Debian's packages debootstrap, systemd-container, util-linux)" if missing else None


@dataclass(slots=True, kw_only=True)
class Booted:
    """A running machine."""

    tree: Path
    source: Path
    wheels: Path
    process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it and wait until it is up."""
        alone = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
        argv = ["systemd-nspawn", "--quiet", "--boot", f"--directory={self.tree}", "--register=no", *alone, "--private-network"]
        argv += ["--console=read-only", f"--bind={self.source}:/src", f"--bind-ro={self.wheels}:/wheels", "--machine=nemodtest"]
        with self.tree.with_name("boot.log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.wait_up()

    def wait_up(self) -> None:
        """Wait until its systemd has started everything."""
        states = ("running", "degraded")
        eventually(lambda: self.leader() is not None and self.ask("systemctl", "is-system-running") in states, BOOT_S, self.log)

    def leader(self) -> int | None:
        """Our number of its first process."""
        assert self.process is not None
        listed = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        found = [int(line.split()[0]) for line in listed.stdout.splitlines() if line.split()[1] == "systemd"]
        return found[0] if found else None

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root."""
        inside = [
            "nsenter",
            "--target",
            str(self.leader()),
            "--all",
            "env",
            "-i",
            f"PATH={_PATH}",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]
        done = subprocess.run([*inside, *argv], capture_output=True, text=True, timeout=MAKE_S, check=False)
        assert not check or done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def ask(self, *argv: str) -> str:
        """What a command says, in one word."""
        return self.run(*argv, check=False).stdout.strip()

    def person(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Log in as a person and run a script."""
        return self.run("su", "--login", PERSON, "--command", f"set -e\n{script}", check=check)

    def main_pid(self) -> str:
        """The daemon's number in the machine."""
        return self.ask("systemctl", "show", "--property=MainPID", "--value", "nemod")

    def put(self, clip: Path, inbox: str, name: str) -> None:
        """Drop a video as a person of the service's group does: written beside, then moved in."""
        shutil.copy(clip, self.source / name)
        self.person(f"cp /src/{name} {inbox}/{name}")
        (self.source / name).unlink()

    def jobs(self) -> list[dict[str, Any]]:
        """The service's jobs."""
        found: list[dict[str, Any]] = json.loads(self.run("sudo", "-u", "nemod", "nemod", "jobs", "list", "--json").stdout)
        return found

    def states(self) -> dict[str, list[str]]:
        """The states of the jobs of each file."""
        found: dict[str, list[str]] = {}
        for job in self.jobs():
            found.setdefault(Path(str(job["source"])).name, []).append(str(job["state"]))
        return found

    def wait_for(self, name: str, state: str) -> None:
        """Wait until a file's only job is in a state."""
        eventually(lambda: self.states().get(name) == [state], PATIENCE_S, lambda: f"{self.states()}\n{self.log()}")

    def encoding(self) -> None:
        """Wait until an encoder runs."""
        eventually(lambda: bool(self.ask("pgrep", "-u", "nemod", "ffmpeg")), PATIENCE_S, self.log)

    def reboot(self) -> None:
        """Start it again, politely."""
        assert self.process is not None
        before, process = self.leader(), self.process
        self.run("systemctl", "reboot", check=False)
        eventually(lambda: process.poll() is not None or self.leader() not in {None, before}, BOOT_S, self.log)
        if process.returncode is None:
            self.wait_up()
        else:  # where it runs in the unit that started it, it leaves the second start to that one
            assert process.returncode == _AGAIN
            self.boot()

    def cut_power(self) -> None:
        """End it without a word, and start it again."""
        self.end()
        self.boot()

    def end(self) -> None:
        """End it without a word."""
        if self.process is not None:
            if (leader := self.leader()) is not None:
                os.kill(leader, signal.SIGKILL)
            self.process.wait(BOOT_S)
            self.process = None

    def log(self) -> str:
        """The last that its service said."""
        return self.ask("journalctl", "--unit=nemod", "--lines=30", "--no-pager") if self.leader() else "it does not run"


def eventually(holds: Callable[[], bool], within_s: float, told: Callable[[], str]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, told()
        time.sleep(2)  # each look starts a process in the machine, and takes its time from the encode


@contextmanager
def booted(folder: Path) -> Iterator[Booted]:
    """A fresh machine in a folder of ours, up and running; skips, with the reason, where none can be made."""
    base, wheels, source = _base(), folder / "wheels", folder / "src"
    version = next(base.glob("usr/bin/python3.*")).name.removeprefix("python")
    _collect(source)
    _wheels(source, wheels, version)
    machine = Booted(tree=folder / "tree", source=source, wheels=wheels)
    subprocess.run(["cp", "-a", "--reflink=auto", base, machine.tree], check=True)
    (machine.tree / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    (machine.tree / "etc/sudoers.d/test").write_text(f"{PERSON} ALL=(ALL) NOPASSWD: ALL\n")
    (machine.tree / "etc/gitconfig").write_text('[safe]\ndirectory = "*"\n')
    try:
        machine.boot()
        machine.run("useradd", "--create-home", "--shell", "/bin/bash", PERSON)
        yield machine
    finally:
        machine.end()
        subprocess.run(["rm", "-rf", "--one-file-system", machine.tree], check=False)


def commit(source: Path, words: str) -> None:
    """Write down the state of a checkout."""
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", source, "add", "--all"], check=True)
    subprocess.run(["git", "-C", source, *who, "commit", "--quiet", "--message", words], check=True)


def _base() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nemod-tests"
    asked = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    known = [line.split() for line in subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()]
    debian = [(suite, uri) for suite, uri in known if uri.rstrip("/").endswith("/debian") and "-" not in suite]
    if not debian:
        pytest.skip("apt names no mirror of Debian here")
    suite, mirror = debian[0]
    base = cache / f"debian-{suite}"
    if not base.is_dir():
        part = cache / f"{base.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        argv = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(part), mirror]
        made = subprocess.run(argv, capture_output=True, text=True, timeout=MAKE_S, check=False)
        if made.returncode != 0:
            pytest.skip(f"debootstrap failed: {(made.stdout + made.stderr).strip().splitlines()[-1]}")
        part.rename(base)
    return base


def _collect(source: Path) -> None:
    """The files of this checkout, as they are now, in a repository that can be cloned."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True)
    for name in map(os.fsdecode, filter(None, listed.stdout.split(b"\0"))):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    subprocess.run(["git", "init", "--quiet", source], check=True)
    commit(source, "as it is")


def _wheels(source: Path, wheels: Path, version: str) -> None:
    """All packages that an installation in the machine takes, for its Python."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", wheels / "own", source], capture_output=True, check=False
    )
    assert built.returncode == 0, built.stderr.decode()
    (own,) = (wheels / "own").iterdir()
    wanted = [str(own), "hatchling>=1.27", "pip"]
    only = ["--only-binary=:all:", "--python-version", version, "--dest", str(wheels)]
    got = subprocess.run([*pip, "download", *only, *wanted], capture_output=True, check=False)
    if got.returncode != 0:
        pytest.skip(f"pip gets no packages for Python {version}: {got.stderr.decode().strip().splitlines()[-1]}")
    shutil.rmtree(wheels / "own")
    for mine in wheels.glob("nemod-*"):
        mine.unlink()
