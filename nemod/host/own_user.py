"""The user that the system service runs as: made once, with a home for the default folders, and asked what it may do.

Rules kept here:
- nothing that belongs to others is given to it: a person is told the command instead;
- whether it can run nemod and use the folders is found out by trying as that user, not by reading modes.
"""

import grp
import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nemod.config.model import Config
from nemod.config.places import SYSTEM_HOME
from nemod.host.calls import ServiceError, run
from nemod.host.units import HOMES, USER, places_of
from nemod.intake.mounts import holding, mounts

#: What PrivateTmp= shows empty, as ProtectHome= does the homes.
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - not to write there
#: Who drops videos is of its group; the set-group bit hands that on to what is made inside.
_SHARED = 0o2775
_ASK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the user found wrong with the config: the key, the words, and what to do about it."""

    key: str
    what: str
    hint: str


def hidden(program: Sequence[str]) -> Path | None:
    """A part of this installation that the service would not see; None when all of it can be seen."""
    parts = (Path(program[0]), Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), Path(__file__))
    every = (found for part in parts for found in (part, Path(os.path.realpath(part))))
    return next(filter(_is_hidden, every), None)


def make_user(env: Mapping[str, str]) -> bool:
    """Make the service's user and group if there are none; whether they are new.

    Raises:
        ServiceError: it cannot be made, or somebody else has its name.
    """
    if (known := _known()) is not None:
        if Path(known.pw_dir) == SYSTEM_HOME:
            return False
        hint = f"If it is nobody else's, give it its place: sudo usermod --home {SYSTEM_HOME} {USER}"
        raise ServiceError(f"There is a user {USER} already, whose home is {known.pw_dir} and not {SYSTEM_HOME}.", hint)
    if shutil.which("systemd-sysusers"):
        words: tuple[str, ...] = ("systemd-sysusers", "--inline", f'u {USER} - "nemod, videos that fit" {SYSTEM_HOME}')
    else:
        words = ("useradd", "--system", "--user-group", "--home-dir", str(SYSTEM_HOME), "--shell", "/usr/sbin/nologin", USER)
    done = run(words, env)
    if _known() is None:
        raise ServiceError(f"The user {USER} cannot be made: {done.said}", f"Make it yourself, with the home {SYSTEM_HOME}.")
    return True


def make_home(config: Path) -> None:
    """Make the place of the default folders, and the one beside the config that `nemod folders add` writes to."""
    known = pwd.getpwnam(USER)
    for folder, mode in ((SYSTEM_HOME, _SHARED), (config.parent / "folders.d", 0o755)):
        if not folder.is_dir():
            folder.mkdir(parents=True)
            os.chown(folder, known.pw_uid, known.pw_gid)
            folder.chmod(mode)  # after the change of owner, which takes the set-group bit away


def faults(program: Sequence[str], config: Path) -> tuple[Fault, ...]:
    """What the service's user finds wrong with the config's folders, by looking at them itself.

    Raises:
        ServiceError: it cannot run nemod at all.
    """
    argv = [*program, "config", "check", "--json", "--config", str(config)]
    try:
        asked = as_user(argv)
        found = json.loads(asked.stdout)["problems"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        hint = (
            f"Make its folder readable for all, such as: sudo chmod -R a+rX {shlex.quote(str(Path(program[0]).parent.parent))}"
        )
        raise ServiceError(f"The user {USER} cannot run {program[0]}, or cannot read {config}.", hint) from error
    return tuple(Fault(key=row["key"], what=row["what"], hint=row["hint"]) for row in found)


def as_user(argv: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command as the service's user, with nothing of our environment."""
    known = pwd.getpwnam(USER)
    return subprocess.run(
        argv,
        user=known.pw_uid,
        group=known.pw_gid,
        extra_groups=os.getgrouplist(USER, known.pw_gid),
        env={"HOME": str(SYSTEM_HOME), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_ASK_S,
        check=False,
    )


def leave(place: Path) -> Iterator[str]:
    """The commands that let the service's user work in a place."""
    known = pwd.getpwnam(USER)
    groups = set(os.getgrouplist(USER, known.pw_gid))
    for parent in reversed(place.parents):
        if parent.is_dir() and not _may_enter(parent.stat(), known.pw_uid, groups):
            yield f"sudo setfacl -m u:{USER}:x {shlex.quote(str(parent))}"
    named = shlex.quote(str(place))
    if place.is_dir():
        yield f"sudo setfacl -R -m u:{USER}:rwX,d:u:{USER}:rwX {named}"
    else:
        yield f"sudo install -d -o {USER} -g {USER} -m {_SHARED:o} {named}"


def unseen(config: Config) -> Iterator[tuple[str, Path]]:
    """What a config names and the service does not see: places in temporary folders, and programs there or in homes."""
    for folder in config.folders:
        for place in places_of(folder):
            if any(place.is_relative_to(wall) for wall in _TEMPORARY):
                yield f"folders.{folder.name}", place
        for argv in (folder.on_done, folder.on_failed):
            if argv and _is_hidden(Path(argv[0])):
                yield f"folders.{folder.name}", Path(argv[0])
    if config.settings.ffmpeg is not None and _is_hidden(config.settings.ffmpeg):
        yield "nemod.ffmpeg", config.settings.ffmpeg


def _is_hidden(path: Path) -> bool:
    return any(path.is_relative_to(wall) for wall in (*HOMES, *_TEMPORARY))


def _known() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return None


def mount_points(config: Config) -> frozenset[Path]:
    """Where the disks and shares are mounted that hold a config's folders."""
    found = mounts()
    places = (place for folder in config.folders for place in places_of(folder))
    return frozenset(holding(found, place).mount_point for place in places)


def graphics_groups() -> tuple[str, ...]:
    """The groups of this machine whose members may use a graphics card."""
    return tuple(name for name in ("render", "video") if any(group.gr_name == name for group in grp.getgrall()))


def _may_enter(stat: os.stat_result, uid: int, groups: set[int]) -> bool:
    if stat.st_uid == uid:
        return bool(stat.st_mode & 0o100)
    return bool(stat.st_mode & (0o010 if stat.st_gid in groups else 0o001))
