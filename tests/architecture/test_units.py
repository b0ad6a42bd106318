"""The service files in `systemd/`: they parse as they lie there, and they say what the documentation promises."""

import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nemod.cli.main import main

UNITS = Path(__file__).resolve().parents[2] / "systemd"
UNITS_OF = [
    ("nemod.service", "%h/.local/bin/nemod", "default.target"),
    ("nemod-system.service", "/opt/nemod/bin/nemod", "multi-user.target"),
]


#: Keys that are lists, told in several lines.
LISTS = frozenset({"SystemCallFilter", "Environment"})


def directives(path: Path) -> dict[str, dict[str, str]]:
    """Section → key → value; a line that is no directive fails, a key given twice as well unless it is a list."""
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
        assert key not in section or key in LISTS, line
        section[key] = f"{section[key]} {value}" if key in section else value
    return found


@pytest.mark.parametrize(("name", "program", "target"), UNITS_OF)
def test_a_unit_restarts_and_stops_as_documented(name: str, program: str, target: str) -> None:
    """A crash is answered by a restart, faults and a second daemon are not, and there is time to end politely."""
    unit = directives(UNITS / name)
    assert list(unit) == ["Unit", "Service", "Install"]
    service = unit["Service"]
    assert service["ExecStart"] == f"{program} run"
    assert (service["Type"], service["WatchdogSec"]) == ("notify", "2min")
    assert service["Restart"] == "on-failure"
    assert service["RestartSec"] == "5"
    assert service["RestartPreventExitStatus"].split() == ["2", "3"]
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 10
    assert service["ExecReload"].startswith("/bin/kill -HUP")
    assert unit["Install"]["WantedBy"] == target


@pytest.mark.parametrize("name", [name for name, _, _ in UNITS_OF])
def test_a_unit_is_polite_and_takes_away_what_no_video_needs(name: str) -> None:
    """Both of them, without a namespace."""
    service = directives(UNITS / name)["Service"]
    assert (service["Nice"], service["IOSchedulingClass"], service["CPUWeight"]) == ("10", "idle", "20")
    for key in ("NoNewPrivileges", "LockPersonality", "RestrictSUIDSGID", "MemoryDenyWriteExecute", "RestrictNamespaces"):
        assert service[key] == "yes"
    assert service["RestrictAddressFamilies"].split() == ["AF_UNIX", "AF_INET", "AF_INET6"]


def test_a_person_s_unit_asks_for_no_namespace() -> None:
    """In one of users, foreign files would change owner."""
    service = directives(UNITS / "nemod.service")["Service"]
    assert not [key for key in service if key.startswith(("Protect", "Private", "ReadWrite", "ReadOnly"))]


def test_the_machine_s_unit_has_a_user_a_state_folder_and_a_credential_of_its_own() -> None:
    """And writes nowhere but where its folders lie."""
    service = directives(UNITS / "nemod-system.service")["Service"]
    assert (service["User"], service["StateDirectory"], service["StateDirectoryMode"]) == ("nemod", "nemod", "0700")
    assert service["LoadCredential"] == "nemo_token:/etc/nemod/token"
    assert (service["ProtectSystem"], service["ProtectHome"], service["ReadWritePaths"]) == ("strict", "yes", "-/srv/nemod")


@pytest.mark.parametrize(("flag", "name"), [("--user", "nemod.service"), ("--system", "nemod-system.service")])
def test_systemd_itself_finds_nothing_to_complain_of(
    flag: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in the template nor in what is printed for this installation, whose folders have odd names."""
    odd = tmp_path / "config.toml"
    odd.write_text('[folders.odd]\ninbox = \'/srv/a "b" 50% $HOME \\ ü\'\npreset = "discord"\n', encoding="utf-8")
    printed = tmp_path / "nemod.service"
    more = ["--system", "--config", str(odd)] if flag == "--system" else []
    printed.write_text(shown(capsys, *more), encoding="utf-8")
    plain = tmp_path / "plain" / "nemod.service"
    plain.parent.mkdir()
    shutil.copy(UNITS / name, plain)
    for unit in (printed, plain):
        said = analyze(tmp_path, flag, "verify", "--man=no", unit)
        complaints = [line for line in said.stderr.splitlines() if "nemod" in line]
        assert [line for line in complaints if "nemod is not executable" not in line] == []


def test_the_machine_s_unit_leaves_little_to_reach_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By systemd's own measure, from 0 to 10, at most 2; the template and what is printed for this installation."""
    (tmp_path / "printed.service").write_text(shown(capsys, "--system"), encoding="utf-8")
    for unit in (UNITS / "nemod-system.service", tmp_path / "printed.service"):
        said = analyze(tmp_path, "--system", "security", "--offline=true", "--threshold=20", "--no-pager", unit)
        assert said.returncode == 0, said.stdout
        assert "Overall exposure" in said.stdout


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What `nemod service print` prints."""
    assert main(["service", "print", *words]) == 0
    return capsys.readouterr().out


def analyze(tmp_path: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze, where there is one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here; on Debian it comes with the package systemd")
    runtime, home = tmp_path / "run", tmp_path / "home"
    runtime.mkdir(mode=0o700, exist_ok=True)
    home.mkdir(exist_ok=True)
    env = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return subprocess.run(["systemd-analyze", *args], env=env, capture_output=True, text=True, check=False)


#: Keys of launchd.plist(5) with their types, as far as the agent has a use for them.
DOCUMENTED: dict[str, type | tuple[type, ...]] = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "KeepAlive": (bool, dict),
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "LowPriorityIO": bool,
    "Nice": int,
    "EnvironmentVariables": dict,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}


def test_the_launch_agent_has_documented_keys_of_the_documented_types(capsys: pytest.CaptureFixture[str]) -> None:
    """In the template and as it is printed: launchd ignores what it does not know, without a word."""
    printed = shown(capsys, "--launchd").encode()
    for text in (printed, (UNITS / "ai.nemod.agent.plist").read_bytes()):
        agent = plistlib.loads(text)
        for key, value in agent.items():
            assert isinstance(value, DOCUMENTED[key]), key
        assert set(agent["KeepAlive"]) <= {"SuccessfulExit", "Crashed", "PathState", "OtherJobEnabled", "AfterInitialDemand"}
        assert all(isinstance(word, str) for word in agent["ProgramArguments"])
        assert all(isinstance(value, str) for value in agent["EnvironmentVariables"].values())
        assert agent["ProcessType"] in {"Background", "Standard", "Adaptive", "Interactive"}
        assert -20 <= agent["Nice"] <= 20
        assert agent["Label"] == "ai.nemod.agent"
    assert b"@HOME@" not in printed


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
