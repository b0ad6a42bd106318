"""`nemod service` with a recorded systemctl and launchctl; a real systemd is asked in tests/e2e/test_systemd.py."""

import json
import os
import platform
import plistlib
from collections.abc import Callable
from pathlib import Path

import pytest

from nemod.host.systemd import SYSTEM_FILE
from nemod.host.units import directives
from tests.cli.machine import Home, Ran, inside

UNIT = Path(".config/systemd/user/nemod.service")
PLIST = Path("Library/LaunchAgents/ai.nemod.agent.plist")
#: Writes down what it is asked, and answers from a file for each of its words, where there is one.
RECORDED = """\
#!/bin/sh
echo "$(basename "$0") $*" >> "$ANSWERS/asked"
for word in "$@"; do
  [ -f "$ANSWERS/$word.err" ] && cat "$ANSWERS/$word.err" >&2
  [ -f "$ANSWERS/$word" ] && cat "$ANSWERS/$word"
  [ -f "$ANSWERS/$word.code" ] && exit "$(cat "$ANSWERS/$word.code")"
done
exit 0
"""


class Desk:
    """A person's machine whose service manager writes down what it is asked."""

    def __init__(self, home: Home, run: Callable[..., Ran]) -> None:
        """Nobody has asked anything."""
        self.home = home
        self.answers = home.path / "answers"
        self._run = run

    def service(self, *words: str) -> Ran:
        """Run a command of `nemod service`."""
        return self._run("service", *words)

    def run(self, *words: str) -> Ran:
        """Run any command."""
        return self._run(*words)

    def answer(self, word: str, text: str = "", *, code: int = 0, err: str = "") -> None:
        """From now on whoever asks with this word is told so."""
        (self.answers / word).write_text(text)
        (self.answers / f"{word}.err").write_text(err)
        (self.answers / f"{word}.code").write_text(str(code))

    def asked(self) -> list[str]:
        """What has been asked since the last time."""
        file = self.answers / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def desk(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A person's machine; the superuser is told to be somebody else, since a service of root's is refused."""
    run = inside(home, monkeypatch, capsys)
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "NEMO_TOKEN", "NEMOD_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    programs = home.path / "bin"
    programs.mkdir()
    for name in ("systemctl", "journalctl", "launchctl"):
        (programs / name).write_text(RECORDED)
        (programs / name).chmod(0o755)
    (home.path / "answers").mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(home.path / "answers"))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    made = Desk(home, run)
    made.answer("is-active", "inactive\n", code=3)
    return made


def test_print_gives_just_the_file_and_writes_nothing(desk: Desk) -> None:
    """Without any config, for each of the three; it asks nobody."""
    for words in ([], ["--system"], ["--launchd"]):
        ran = desk.service("print", *words)
        assert (ran.code, ran.err) == (0, "")
        if "--launchd" in words:
            assert plistlib.loads(ran.out.encode())["Label"] == "ai.nemod.agent"
        else:
            assert directives(ran.out)["Type"] == ("notify",)
            assert ran.out.endswith("\n")
    assert desk.asked() == []
    assert sorted(p.name for p in desk.home.path.iterdir()) == ["answers", "bin"]
    assert desk.service("print", "--system", "--launchd").code == 2


def test_print_is_utf_8_in_any_surroundings(home: Home) -> None:
    """A terminal of another encoding must not get into the file."""
    home.configure('[folders.a]\ninbox = "/srv/Überführung"\npreset = "discord"\n')
    ran = home.nemod("service", "print", "--system", PYTHONIOENCODING="latin-1")
    assert "ReadWritePaths=-/srv/Überführung\n" in ran.out


def test_print_names_the_folders_of_the_config_for_the_machine(desk: Desk) -> None:
    """The one that is named, else one's own; a faulty one is told."""
    desk.home.configure('[folders.a]\ninbox = "/srv/a b"\npreset = "discord"\n')
    assert directives(desk.service("print", "--system").out)["ReadWritePaths"] == ("-/srv/nemod", '-"/srv/a b"')
    other = desk.home.path / "other.toml"
    other.write_text('[folders.a]\ninbox = "/srv/b"\npreset = "discord"\nengine = "local"\n')
    told = directives(desk.service("print", "--system", "--config", str(other)).out)
    assert told["ReadWritePaths"] == ("-/srv/nemod", "-/srv/b")
    assert told["Environment"][0] == f"NEMOD_CONFIG={other}"
    assert told["PrivateNetwork"] == ("yes",)
    other.write_text("[folders.a]\n")
    ran = desk.service("print", "--system", "--config", str(other))
    assert (ran.code, ran.out) == (2, "")
    assert "inbox" in ran.err


def test_a_person_installs_changes_and_uninstalls(desk: Desk) -> None:
    """It is begun at once and after each login; a second time only what is otherwise is told; nothing else is removed."""
    ran = desk.service("install")
    assert ran.code == 0, ran.err
    file = desk.home.path / UNIT
    assert file.read_text() == desk.service("print").out
    assert file.stat().st_mode & 0o777 == 0o644
    assert [line for line in desk.asked() if "is-" not in line] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now nemod.service",
    ]
    assert "loginctl enable-linger" in ran.out
    assert "Drop a video into ~/Compress/discord" in ran.out
    assert desk.home.config.exists()

    ran = desk.service("install")
    assert "is as it should be" in ran.out
    assert not any("restart" in line for line in desk.asked())

    ran = desk.service("install", "--config", str(desk.home.config))
    assert f"+ Environment=NEMOD_CONFIG={desk.home.config}" in ran.out
    assert "systemctl --user try-restart nemod.service" in desk.asked()

    ran = desk.service("uninstall")
    assert (ran.code, file.exists()) == (0, False)
    assert [line for line in desk.asked() if "reset" not in line] == [
        "systemctl --user disable --now nemod.service",
        "systemctl --user daemon-reload",
    ]
    assert desk.home.config.exists()
    assert (desk.home.path / "Compress" / "discord").is_dir()
    assert "Left as they are: ~/.config/nemod/config.toml" in ran.out
    assert desk.service("uninstall").code == 1


def test_a_unit_that_somebody_wrote_is_kept_and_a_masked_one_is_left_alone(desk: Desk) -> None:
    """It may say what no other does; a mask is a decision."""
    file = desk.home.path / UNIT
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/mine\n")
    ran = desk.service("install")
    assert file.with_name("nemod.service.before").read_text() == "[Service]\nExecStart=/mine\n"
    assert "is kept: ~/.config/systemd/user/nemod.service.before" in ran.out
    assert "systemctl --user try-restart nemod.service" in desk.asked()
    file.unlink()
    file.symlink_to("/dev/null")
    ran = desk.service("install")
    assert ran.code == 1
    assert "masked" in ran.err
    assert file.is_symlink()


@pytest.mark.parametrize(
    ("word", "err", "words"),
    [
        ("offline", "", "systemd does not run this machine (offline)"),
        ("", "Failed to connect to bus: No medium found", "can be reached: nobody of this name is logged in"),
    ],
)
def test_where_no_systemd_can_be_reached_it_says_why_and_changes_nothing(desk: Desk, word: str, err: str, words: str) -> None:
    """In a container, and after su: the hints say what to do."""
    desk.answer("is-system-running", f"{word}\n", code=1, err=err)
    ran = desk.service("install")
    assert ran.code == 1
    assert words in ran.err
    assert not (desk.home.path / UNIT).exists()
    assert not desk.home.config.exists()
    if err:
        assert "loginctl enable-linger" in ran.err
        assert "XDG_RUNTIME_DIR=/run/user/" in ran.err


def test_without_systemctl_it_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a traceback."""
    (desk.home.path / "bin" / "systemctl").unlink()
    monkeypatch.setenv("PATH", str(desk.home.path / "bin"))
    ran = desk.service("install")
    assert (ran.code, "There is no systemctl on this machine." in ran.err) == (1, True)


def test_a_service_that_does_not_start_is_told_with_its_last_words(desk: Desk) -> None:
    """The unit stays, so that it can be looked at."""
    desk.answer("enable", code=1, err="Job for nemod.service failed.")
    desk.answer("--output=cat", "the ledger is damaged\n")
    ran = desk.service("install")
    assert ran.code == 1
    assert "Job for nemod.service failed." in ran.err
    assert "the ledger is damaged" in ran.err


def test_a_faulty_config_is_told_before_anything_is_written(desk: Desk) -> None:
    """The daemon could not start with it."""
    desk.home.configure('[folders.a]\ninbox = "~/a"\npreset = "nonsense"\n')
    ran = desk.service("install")
    assert ran.code == 2
    assert "nonsense" in ran.err
    assert not (desk.home.path / UNIT).exists()


def test_what_the_shell_knows_and_the_service_does_not_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the environment, for one; state elsewhere is handed on."""
    monkeypatch.setenv("NEMO_TOKEN", "nmv_usr_secret")
    monkeypatch.setenv("NEMOD_STATE_DIR", str(desk.home.state))
    ran = desk.service("install")
    assert "NEMO_TOKEN" in ran.err
    assert "set-token" in ran.err
    text = (desk.home.path / UNIT).read_text()
    assert "nmv_usr_secret" not in text + ran.out + ran.err
    assert directives(text)["Environment"] == (f"NEMOD_STATE_DIR={desk.home.state}",)


def test_start_stop_restart_status_and_logs_ask_the_one_that_is_installed(desk: Desk) -> None:
    """Without one they say how to get it."""
    for command in ("start", "stop", "restart", "status", "logs"):
        ran = desk.service(command)
        if not SYSTEM_FILE.exists():
            assert ran.code == 1
            assert "nemod service install" in ran.err
    desk.service("install")
    desk.asked()
    for command in ("start", "stop", "restart"):
        assert desk.service(command).code == 0
        assert desk.asked() == [f"systemctl --user {command} nemod.service"]
    assert desk.service("logs", "-n", "7").code == 0
    assert desk.asked() == ["journalctl --user-unit=nemod.service --quiet --lines=7 --no-pager"]
    for state, code in (("active", 0), ("activating", 75), ("failed", 1)):
        desk.answer(
            "show", f"ActiveState={state}\nSubState=x\nStatusText=Watching\x1b the folders\nMainPID=7\nUnitFileState=enabled\n"
        )
        ran = desk.service("status")
        assert ran.code == code
        assert f"{state} (x), process 7" in ran.out
        assert "\x1b" not in ran.out
        view = json.loads(desk.service("status", "--json").out)
        assert (view["kind"], view["state"], view["pid"], view["enabled"]) == ("user", state, 7, True)


def test_a_service_of_the_machine_s_needs_root_and_says_so(desk: Desk) -> None:
    """With the command that works."""
    ran = desk.service("install", "--system")
    assert ran.code == 1
    assert "needs root" in ran.err
    assert "sudo " in ran.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be told that it is root")
def test_root_is_told_to_install_for_the_machine_or_as_itself(nemod: Callable[..., Ran]) -> None:
    """Videos from strangers are not to be read by root."""
    ran = nemod("service", "install")
    assert ran.code == 2
    assert "install --system" in ran.err


def test_a_folder_that_the_service_cannot_serve_as_it_is_is_told_when_it_is_added(desk: Desk) -> None:
    """A preset that asks for hardware, which the unit keeps from it; the words say what to do."""
    desk.service("install")
    assert desk.run("folders", "add", "a", "--preset", "discord").err == ""
    desk.home.configure('[nemod]\nencoder = "auto-hw"\n')
    ran = desk.run("folders", "add", "b", "--preset", "discord")
    assert ran.code == 0
    assert "graphics" in ran.err
    assert "nemod service install" in ran.err
    desk.service("install")
    assert "MemoryDenyWriteExecute=no" in (desk.home.path / UNIT).read_text()
    assert desk.run("folders", "add", "c", "--preset", "discord").err == ""


def test_a_launch_agent_is_installed_and_taken_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder for its log, and words about the folders that macOS guards."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    desk.home.configure('[folders.a]\ninbox = "~/Desktop/in"\npreset = "discord"\n')
    (desk.home.path / "Desktop").mkdir()
    desk.answer("print", code=113)
    ran = desk.service("install")
    assert ran.code == 0, ran.err
    file = desk.home.path / PLIST
    assert plistlib.loads(file.read_bytes())["ProgramArguments"][-1] == "run"
    assert file.stat().st_mode & 0o777 == 0o644
    assert (desk.home.path / "Library/Logs/nemod").is_dir()
    domain = f"gui/{os.getuid()}"
    assert [line for line in desk.asked() if " print " not in line] == [
        f"launchctl enable {domain}/ai.nemod.agent",
        f"launchctl bootstrap {domain} {file}",
    ]
    assert "macOS shows" in ran.err
    assert "Desktop/in" in ran.err
    desk.answer("print", "\tstate = running\n\tpid = 7\n\t\tpid = 9\n")
    assert json.loads(desk.service("status", "--json").out)["pid"] == 7
    desk.asked()
    assert desk.service("uninstall").code == 0
    assert f"launchctl bootout {domain}/ai.nemod.agent" in desk.asked()
    assert not file.exists()
    assert desk.service("install", "--system").code == 2


def test_the_doctor_tells_of_the_service(desk: Desk) -> None:
    """That there is none, that it runs, and that it has failed, which alone is a fault."""

    def told() -> dict[str, dict[str, object]]:
        return {finding["what"]: finding for finding in desk.run("doctor", "--json").json()}

    assert told()["service"]["ok"]
    assert "nemod service install" in str(told()["service"]["todo"])
    assert desk.service("install").code == 0
    desk.answer("show", "ActiveState=active\nSubState=running\n")
    assert str(told()["service, yours"]["found"]).startswith("active (running)")
    desk.answer("show", "ActiveState=failed\nSubState=failed\n")
    failed = told()["service, yours"]
    assert not failed["ok"]
    assert failed["todo"] == "see: nemod service logs"
