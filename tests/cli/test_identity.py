"""PUID, PGID and UMASK: who a command is before it opens anything, and the first config of a container."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemod.cli.exits import ExitCode, Stop
from nemod.cli.identity import become, unknown_zone
from nemod.config.model import Config
from nemod.config.parse import parse
from nemod.config.write import default_places, write_default

USER, GROUP = 4320, 4321
#: A command, and who the process is behind it.
_WHO = """
import json, os, sys
from nemod.cli.main import main
if "AS" in os.environ:
    os.setgroups([])
    os.setgid(int(os.environ["AS"]))
    os.setuid(int(os.environ["AS"]))
code = main(sys.argv[1:])
umask = os.umask(0)
print(json.dumps([code, os.getresuid(), os.getresgid(), os.getgroups(), umask]))
"""
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def who(tmp_path: Path, *args: str, **env: str) -> tuple[list[object], str]:
    """Who a process is after a command, and what it said to people."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", _WHO, *(args or ("--help",))],
        env=kept | {"HOME": str(tmp_path), "NEMOD_STATE_DIR": str(tmp_path / "state")} | env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@root
def test_root_becomes_whom_it_is_told_to_be_and_cannot_go_back(tmp_path: Path) -> None:
    """User, group and umask, nothing of root's is left; a group by default has the user's number; 0 must be said."""
    (code, users, groups, others, umask), _ = who(tmp_path, PUID=str(USER), PGID=str(GROUP), UMASK="002")
    assert (code, users, groups, umask) == (0, [USER] * 3, [GROUP] * 3, 0o002)
    assert isinstance(others, list)
    assert 0 not in others
    assert who(tmp_path, PUID=str(USER))[0][:3] == [0, [USER] * 3, [USER] * 3]
    assert who(tmp_path, PUID="0", PGID="0", NEMOD_WATCH_DIR="/watch")[0][:3] == [0, [0] * 3, [0] * 3]
    refused, said = who(tmp_path, NEMOD_WATCH_DIR="/watch")
    assert refused[0] == ExitCode.USAGE
    assert "Set PUID and PGID" in said


@root
def test_only_empty_folders_of_roots_are_handed_over(tmp_path: Path) -> None:
    """As an engine makes them for a mount; what holds something, or is another's, keeps its owner."""
    watch, output, config = (tmp_path / name for name in ("watch", "output", "config"))
    for folder in (watch, output, config):
        folder.mkdir()
    (output / "a.mp4").touch()
    os.chown(config, 7, 7)
    mounts = {"NEMOD_WATCH_DIR": str(watch), "NEMOD_OUTPUT_DIR": str(output), "NEMOD_CONFIG": str(config / "config.toml")}
    who(tmp_path, PUID=str(USER), PGID=str(GROUP), **mounts)
    assert [folder.stat().st_uid for folder in (watch, output, config)] == [USER, 0, 7]
    assert watch.stat().st_gid == GROUP


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"PUID": "nobody-of-that-name"}, "PUID or PGID: there is no user named"),
        ({"PUID": "-1"}, "PUID or PGID"),
        ({"PGID": "100"}, "PGID is set without PUID"),
        ({"UMASK": "0777"}, "UMASK"),
        ({"UMASK": "u=rwx"}, "UMASK"),
    ],
)
def test_what_cannot_be_is_said(env: dict[str, str], words: str) -> None:
    """Wrong numbers and masks, and half a pair."""
    with pytest.raises(Stop, match=words):
        become({**env, "NEMOD_WATCH_DIR": "/watch"})


def test_what_is_empty_is_not_said_and_what_is_so_already_changes_nothing() -> None:
    """A compose file hands on variables that nobody has set as empty ones."""
    before = os.getresuid(), os.getresgid(), os.getgroups()
    become({"PUID": "", "PGID": " ", "UMASK": ""})
    become({"PUID": str(os.geteuid()), "PGID": str(os.getegid())})
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


@root
def test_a_user_cannot_become_another(tmp_path: Path) -> None:
    """Started as a user, PUID may only repeat what it is; else the words say both ways."""
    (code, *_), said = who(tmp_path, AS="65534", PUID="99", PGID="100", NEMOD_WATCH_DIR="/watch")
    assert code == ExitCode.USAGE
    assert "was started as 65534:65534, not as root" in said
    assert who(tmp_path, AS="65534", PUID="65534", PGID="65534", NEMOD_WATCH_DIR="/watch")[0][0] == 0
    assert who(tmp_path, AS="65534", PUID="99", PGID="100")[0][0] == 0, "outside of a container they are other programs'"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "CET-1CEST,M3.5.0,M10.5.0/3", ":Europe/Berlin", "", "<+03>-3"])
def test_a_time_zone_that_there_is(zone: str) -> None:
    """By name, or by a rule."""
    assert unknown_zone({"TZ": zone}) == ""


@pytest.mark.parametrize("zone", ["Europe/Berln", "Berlin", "Europe", "../../etc/passwd"])
def test_a_time_zone_that_there_is_not(zone: str) -> None:
    """The system would take UTC without a word, and hours would be others."""
    assert zone in unknown_zone({"TZ": zone})


def test_a_container_gets_a_config_for_its_folders(tmp_path: Path) -> None:
    """Inboxes below NEMOD_WATCH_DIR, outboxes below NEMOD_OUTPUT_DIR, whatever letters are in them."""
    file = tmp_path / "config.toml"
    watch, output = tmp_path / 'wa"tch', tmp_path / "output"
    env = {"NEMOD_WATCH_DIR": str(watch), "NEMOD_OUTPUT_DIR": str(output)}
    write_default(file, env)
    config = parse(file, home=tmp_path)
    assert isinstance(config, Config)
    assert {folder.name for folder in config.folders} == {"discord", "discord-10mb", "gmail"}
    for folder in config.folders:
        assert (folder.inbox, folder.outbox) == (watch / folder.name, output / folder.name)
    assert default_places("phone", env) == {"inbox": watch / "phone", "outbox": output / "phone"}
    assert default_places("phone", {"NEMOD_WATCH_DIR": str(watch)}) == {"inbox": watch / "phone"}
    assert default_places("phone", {}) == {"inbox": Path("~/Compress/phone")}
