"""The service files that a person copies: they parse, and they say what the documentation promises."""

import plistlib
import re
import shutil
import subprocess
from pathlib import Path

UNITS = Path(__file__).resolve().parents[2] / "systemd"


def directives(path: Path) -> dict[str, dict[str, str]]:
    """Section → key → value; a line that is no directive fails, a key given twice as well."""
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in path.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = found.setdefault(header[1], {})
            continue
        key, equals, value = line.partition("=")
        assert section is not None, line
        assert equals, line
        assert re.fullmatch(r"[A-Z][A-Za-z]+", key), line
        assert key not in section, line
        section[key] = value
    return found


def test_the_unit_restarts_and_stops_as_documented() -> None:
    """A crash is answered by a restart, faults and a second daemon are not, and there is time to end politely."""
    unit = directives(UNITS / "nemod.service")
    assert list(unit) == ["Unit", "Service", "Install"]
    service = unit["Service"]
    assert service["ExecStart"] == "%h/.local/bin/nemod run"
    assert (service["Type"], service["WatchdogSec"]) == ("notify", "2min")
    assert service["Restart"] == "on-failure"
    assert service["RestartSec"] == "5"
    assert service["RestartPreventExitStatus"].split() == ["2", "3"]
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 10
    assert service["ExecReload"].startswith("/bin/kill -HUP")
    assert unit["Install"]["WantedBy"] == "default.target"


def test_the_unit_is_polite_and_hardened_without_namespaces() -> None:
    """It takes what others leave, and asks for nothing that makes foreign files change owner in a user unit."""
    service = directives(UNITS / "nemod.service")["Service"]
    assert (service["Nice"], service["IOSchedulingClass"], service["CPUWeight"]) == ("10", "idle", "20")
    for key in ("NoNewPrivileges", "LockPersonality", "RestrictSUIDSGID"):
        assert service[key] == "yes"
    assert service["RestrictAddressFamilies"].split() == ["AF_UNIX", "AF_INET", "AF_INET6"]
    assert not [key for key in service if key.startswith(("Protect", "Private", "ReadWrite", "ReadOnly"))]


def test_systemd_itself_finds_nothing_but_the_missing_binary(tmp_path: Path) -> None:
    """Where systemd is installed it reads the unit; elsewhere our own reading has to do."""
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        assert directives(UNITS / "nemod.service")
        return
    runtime, home = tmp_path / "run", tmp_path / "home"
    runtime.mkdir(mode=0o700)
    home.mkdir()
    done = subprocess.run(
        [verifier, "--user", "verify", UNITS / "nemod.service"],
        env={"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "nemod.service" in line or UNITS.name in line]
    assert [line for line in complaints if "nemod is not executable" not in line] == []


def test_the_launch_agent_says_what_launchd_needs() -> None:
    """The property list is valid, starts at login, comes back after a crash and stays in the background."""
    agent = plistlib.loads((UNITS / "ai.nemod.agent.plist").read_bytes())
    assert agent["Label"] == "ai.nemod.agent"
    assert agent["ProgramArguments"] == ["@HOME@/.local/bin/nemod", "run"]
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ThrottleInterval"] == 30
    assert agent["ProcessType"] == "Background"
    assert agent["LowPriorityIO"] is True
    assert agent["EnvironmentVariables"]["PATH"].startswith("/opt/homebrew/bin:/usr/local/bin:")
    assert agent["StandardOutPath"].startswith("@HOME@/Library/Logs/")
    assert agent["StandardErrorPath"].startswith("@HOME@/Library/Logs/")
