"""What every command keeps: help that teaches, JSON that parses, words instead of tracebacks, documented exit codes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemod.cli.exits import MEANINGS, ExitCode
from tests.cli.machine import Home, Ran

COMMANDS = (
    *("run", "once", "compress", "init", "status", "check", "presets", "limits", "doctor"),
    *("jobs list", "jobs show", "jobs retry", "jobs cancel", "jobs release", "jobs first"),
    *("folders list", "folders add", "config check", "config show"),
)
#: What a reading command answers on an empty machine, and with which code.
READING = {
    "status": ExitCode.OK,
    "presets": ExitCode.OK,
    "limits": ExitCode.OK,
    "doctor": ExitCode.OK,
    "jobs list": ExitCode.OK,
    "config check": ExitCode.USAGE,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(nemod: Callable[..., Ran], command: str) -> None:
    """The help of each command shows the command at work."""
    ran = nemod(*command.split(), "--help")
    assert ran.code == ExitCode.OK
    assert "Example" in ran.out
    assert ran.out.count(f"nemod {command}") >= 2


def test_the_main_help_names_every_exit_code_and_both_discord_limits(home: Home) -> None:
    """Where people choose, they learn that Discord's limit has changed and which preset is the safe one."""
    out = home.nemod("--help").out
    for code, meaning in MEANINGS.items():
        assert f"{code.value:>3}  {meaning}" in out
    assert "20 MB since August 2026" in out
    assert "discord-10mb" in out


@pytest.mark.parametrize("command", READING)
def test_reading_an_empty_machine_gives_json_and_leaves_it_empty(home: Home, command: str) -> None:
    """Looking creates nothing: no config, no ledger, no state folder."""
    ran = home.nemod(*command.split(), "--json")
    assert ran.code == READING[command]
    ran.json()
    assert list(home.path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--bogus"], "No such option"),
        (["frobnicate"], "No such command"),
        (["jobs"], "Usage: nemod jobs"),
        (["jobs", "show", "x"], "valid integer"),
        (["jobs", "show", "4"], "no job 4"),
        (["jobs", "retry", "4"], "no job 4"),
        (["jobs", "list", "--state", "asleep"], "asleep"),
        (["compress"], "FILE"),
        (["compress", "nope.mp4", "-p", "discord"], "nope.mp4: No such file"),
        (["compress", "clip.mp4"], "--preset discord-10mb"),
        (["compress", "clip.mp4", "-p", "discrod"], 'Did you mean "discord"?'),
        (["compress", "clip.mp4", "-p", "discord", "--limit", "8MB"], "not both"),
        (["compress", "clip.mp4", "--limit", "8 bananas"], "not a size"),
        (["compress", "clip.mp4", "--limit", "0"], "less than one byte"),
        (["compress", ".", "-p", "discord"], "is a folder"),
        (["compress", "fifo", "-p", "discord"], "not a regular file"),
        (["compress", "dangling", "-p", "discord"], "No such file"),
        (["compress", "clip.mp4", "-p", "discord", "-o", "clip.mkv"], "must end in .mp4"),
        (["compress", "clip.mp4", "-p", "discord", "-o", "clip.mp4"], "exists already"),
        (["compress", "clip.mp4", "-p", "discord", "-o", "no/where.mp4"], "no such folder"),
        (["compress", "clip.mp4", "clip.mp4", "-p", "discord", "-o", "out.mp4"], "one file"),
        (["compress", "clip.mp4", "-p", "discord", "--config", "none.toml"], "nemod init --config none.toml"),
        (["check", "nope.mp4", "--for", "discord"], "No such file"),
        (["check", "clip.mp4", "--for", "disco"], "There is no preset"),
        (["check", "clip.mp4"], "--for"),
        (["run", "--config", "none.toml"], "nemod init --config none.toml"),
        (["once"], "nemod init"),
        (["folders", "list"], "nemod init"),
        (["folders", "add", "clips", "-p", "discord"], "nemod init"),
        (["config", "show"], "nemod init"),
        (["compress", "\x1b[31m\udcff.mp4", "-p", "discord"], r"\x1b[31m\xff.mp4"),
        (["--\x1b[31m"], r"\x1b[31m"),
    ],
)
def test_a_mistake_gets_words_and_code_2(home: Home, nemod: Callable[..., Ran], args: list[str], says: str) -> None:
    """Whatever a person gets wrong, the answer is a sentence on standard error, safe to print, and never a traceback."""
    (home.path / "clip.mp4").write_text("no video")
    (home.path / "dangling").symlink_to("nowhere")
    subprocess.run(["mkfifo", home.path / "fifo"], check=True)
    ran = nemod(*args)
    assert ran.code == ExitCode.USAGE
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err
    assert ran.out == ""


def test_every_fault_of_a_config_is_told_at_once(home: Home, nemod: Callable[..., Ran]) -> None:
    """Each with file, line, key and a hint, in words and as JSON, and nothing is started."""
    home.configure('[nemod]\nsettel = "2s"\n\n[folders.clips]\ninbox = "~/clips"\npreset = "discrod"\n')
    for command in (["run"], ["once"], ["config", "check"], ["config", "show"]):
        ran = nemod(*command)
        assert ran.code == ExitCode.USAGE
        assert f"{home.config}:2: nemod.settel: " in ran.err
        assert f"{home.config}:6: folders.clips.preset: " in ran.err
        assert 'did you mean "discord"?' in ran.err
    problems = nemod("config", "check", "--json").json()["problems"]
    assert [(p["line"], p["key"]) for p in problems] == [(2, "nemod.settel"), (6, "folders.clips.preset")]
    doctor = nemod("doctor", "--json")
    assert doctor.code == ExitCode.FAILED
    assert sum(not finding["ok"] for finding in doctor.json()) == 2
    assert not home.state.exists()


def test_faults_of_the_text_hide_none_of_the_disk(home: Home, nemod: Callable[..., Ran]) -> None:
    """A misspelt key, an inbox on a disk that is away and a program that is not there are told together."""
    home.configure(
        '[nemod]\nsettel = "2s"\nffmpeg = "/no/such/ffmpeg"\n\n'
        '[folders.clips]\ninbox = "/no/such/way/clips"\npreset = "discord"\n'
        '[folders.mail]\ninbox = "~/not/there/mail"\npreset = "gmial"\n'
    )
    problems = nemod("config", "check", "--json").json()["problems"]
    assert [(p["line"], p["key"]) for p in problems] == [
        (2, "nemod.settel"),
        (3, "nemod.ffmpeg"),
        (6, "folders.clips.inbox"),
        (9, "folders.mail.inbox"),
        (10, "folders.mail.preset"),
    ]
    said = nemod("config", "check")
    assert said.code == ExitCode.USAGE
    for problem in problems:
        assert f"{home.config}:{problem['line']}: {problem['key']}: {problem['what']}" in said.err
        assert problem["hint"] in said.err


def test_an_ffmpeg_that_is_not_there_is_named(home: Home, nemod: Callable[..., Ran]) -> None:
    """All else is well, and the program is told with its line."""
    (home.path / "clips").mkdir()
    home.configure('[folders.clips]\ninbox = "~/clips"\npreset = "discord"\n\n[nemod]\nffmpeg = "/no/such/ffmpeg"\n')
    ran = nemod("config", "check")
    assert ran.code == ExitCode.USAGE
    assert f"{home.config}:6: nemod.ffmpeg: /no/such/ffmpeg" in ran.err


@pytest.mark.parametrize("inbox", ["~", "/", "~/."])
def test_a_home_is_no_inbox(home: Home, nemod: Callable[..., Ran], inbox: str) -> None:
    """It holds everything, and none of that was dropped to be compressed and put away."""
    home.configure(f'[folders.clips]\ninbox = "{inbox}"\npreset = "discord"\n')
    before = sorted(home.path.rglob("*"))
    for command in (["config", "check"], ["run"], ["once"]):
        ran = nemod(*command)
        assert ran.code == ExitCode.USAGE
        assert f"{home.config}:2: folders.clips.inbox: " in ran.err
        assert "a folder of its own" in ran.err
    assert sorted(home.path.rglob("*")) == before


def test_what_a_pipe_gets_is_plain(home: Home) -> None:
    """No colours and no boxes where nobody looks, even under a locale that knows neither."""
    for command in ("presets", "limits", "status", "doctor"):
        ran = home.nemod(command, PYTHONIOENCODING="ascii", LC_ALL="C")
        assert "\x1b" not in ran.out
        assert not set(ran.out) & set("│┃━─┏╭|")


def test_a_reader_that_has_seen_enough_is_no_reason_to_complain(home: Home) -> None:
    """A closed pipe ends the command without a word."""
    argv = [sys.executable, "-m", "nemod", "limits", "--json"]
    with subprocess.Popen(argv, env=home.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_presets_tell_the_two_discords_apart(home: Home) -> None:
    """The table shows both figures and why the smaller one is still there."""
    rows = {line.split()[0]: line for line in home.nemod("presets").out.splitlines()}
    assert "20.0 MB" in rows["discord"]
    assert "August 2026" in rows["discord"]
    assert "10.0 MB" in rows["discord-10mb"]
    assert "bots and webhooks" in rows["discord-10mb"]


def test_presets_of_ones_own_can_be_seen_and_completed(home: Home) -> None:
    """What the config adds is listed, and a shell that asks for completions is offered it."""
    home.configure('[presets.forum]\nlimit = "8MB"\nsummary = "Our forum"\n')
    assert {"forum", "discord"} <= {preset["name"] for preset in home.nemod("presets", "--json").json()}
    asked = home.nemod(_NEMOD_COMPLETE="complete_bash", COMP_WORDS="nemod compress x --preset for", COMP_CWORD="4")
    assert asked.out.split() == ["forum"]


def test_limits_carry_their_dates_and_sources(home: Home) -> None:
    """A limit that nobody dated is a rumour."""
    for platform in home.nemod("limits", "--json").json():
        assert platform["checked"]
        assert platform["source"]
        assert platform["confidence"] in {"high", "medium", "low"}


def test_init_writes_once_and_show_prints_a_config(home: Home, nemod: Callable[..., Ran]) -> None:
    """The written config is sound, a second init leaves it alone, and what `show` prints is a config that means the same."""
    assert nemod("init").code == ExitCode.OK
    before = home.config.read_bytes()
    again = nemod("init")
    assert again.code == ExitCode.USAGE
    assert str(home.config) in again.err
    assert home.config.read_bytes() == before
    assert (home.path / "Compress" / "discord-10mb" / "done").is_dir()
    shown = home.path / "shown.toml"
    shown.write_text(nemod("config", "show").out, encoding="utf-8")
    assert nemod("config", "check", "--config", str(shown)).code == ExitCode.OK
    first, second = (nemod("config", "show", "--json", "--config", str(c)).json() for c in (home.config, shown))
    assert {**first, "file": ""} == {**second, "file": ""}


def test_a_folder_can_be_added_but_not_a_faulty_one(home: Home, nemod: Callable[..., Ran]) -> None:
    """A folder gets its file and its places; one that cannot work leaves no trace."""
    nemod("init")
    added = nemod("folders", "add", "mail", "--preset", "gmail", "--json").json()
    assert Path(added["inbox"]) == home.path / "Compress" / "mail"
    assert Path(added["outbox"]).is_dir()
    assert "mail" in {folder["name"] for folder in nemod("folders", "list", "--json").json()}
    before = sorted(home.path.rglob("*"))
    for name, more in (("mail", []), ("../up", []), ("two", ["--inbox", added["inbox"]]), ("far", ["--inbox", "/no/such/way"])):
        ran = nemod("folders", "add", name, "--preset", "gmail", *more)
        assert ran.code == ExitCode.USAGE
        assert "Traceback" not in ran.err
    assert sorted(home.path.rglob("*")) == before
    assert json.loads(nemod("config", "check", "--json").out)["ok"]
