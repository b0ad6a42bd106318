"""Who a command is before it opens or makes anything: PUID, PGID and UMASK, as containers on a NAS are told them.

Rules kept here:
- a command that is started as the superuser with PUID becomes that user for good, its children and `nemod health` with it;
- an ordinary user of a machine is who he is: PUID in his shell is meant for other programs;
- in a container (NEMOD_WATCH_DIR is set there) it works as the superuser only when PUID=0 says so;
- of the folders that were mounted an empty one that belongs to the superuser, as engines make them, is handed over; nothing
  else changes its owner;
- the first process of a container has no default answer to SIGTERM: it gets one, for the time until the daemon has its own.

Source: credentials(7), capabilities(7): SETUID, SETGID, and CHOWN for what is handed over; pid_namespaces(7).
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nemod.cli.exits import ExitCode, Stop
from nemod.config.owners import parse_group, parse_umask, parse_user
from nemod.config.units import UnitError


def become(env: Mapping[str, str]) -> None:
    """Be whom the environment says, with the umask that it says.

    Raises:
        Stop: it says something that cannot be.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    if umask := env.get("UMASK", "").strip():
        try:
            os.umask(parse_umask(umask))
        except UnitError as error:
            raise Stop(ExitCode.USAGE, f"UMASK: {error.what}.", hint=error.hint.replace("in quotes, ", "")) from error
    if os.geteuid() != 0 and "NEMOD_WATCH_DIR" not in env:
        return  # somebody's shell, which has them for other programs
    user, group = _wanted(env)
    if user is None:
        if group is not None:
            raise Stop(ExitCode.USAGE, "PGID is set without PUID.", hint="Set both, or leave out both.")
        if os.geteuid() == 0 and "NEMOD_WATCH_DIR" in env:
            what = "This container runs as root, and nobody has said that nemod should."
            raise Stop(
                ExitCode.USAGE, what, hint='Set PUID and PGID, or start it as a user: user: "1000:1000". See the README.'
            )
        return
    group = user if group is None else group
    if os.geteuid() == 0:
        _drop(user, group, _mounted(env))
    elif (user, group) != (os.geteuid(), os.getegid()):
        what = f"PUID={user} and PGID={group} are set, but nemod was started as {os.geteuid()}:{os.getegid()}, not as root."
        raise Stop(
            ExitCode.USAGE, what, hint=f'Start it as user "{user}:{group}" and leave PUID and PGID out, or start it as root.'
        )


def unknown_zone(env: Mapping[str, str]) -> str:
    """What is wrong with TZ, by which `hours` go; "" when nothing is."""
    named = env.get("TZ", "").removeprefix(":")
    if not named or any(letter in named for letter in ",<") or named[-1:].isdigit() or named.startswith("/"):
        return ""  # a rule such as "CET-1", or a file
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        ZoneInfo(named)
        return ""
    return f'TZ: this system knows no time zone "{named}", so times are those of UTC. Write it like "Europe/Berlin".'


def _wanted(env: Mapping[str, str]) -> tuple[int | None, int | None]:
    said = env.get("PUID", "").strip(), env.get("PGID", "").strip()
    try:
        return parse_user(said[0]) if said[0] else None, parse_group(said[1]) if said[1] else None
    except UnitError as error:
        raise Stop(ExitCode.USAGE, f"PUID or PGID: {error.what}.", hint="Give numbers, as `id` tells them.") from error


def _mounted(env: Mapping[str, str]) -> Iterator[Path]:
    if "NEMOD_WATCH_DIR" not in env:
        return  # no container: what root has made is root's
    places = [Path(env[key]) for key in ("NEMOD_WATCH_DIR", "NEMOD_OUTPUT_DIR") if env.get(key)]
    yield from places
    if env.get("NEMOD_CONFIG"):
        yield Path(env["NEMOD_CONFIG"]).parent


def _drop(user: int, group: int, mounted: Iterator[Path]) -> None:
    for place in mounted:
        with suppress(OSError):  # without CAP_CHOWN, or read-only: whoever cannot use it then says so
            found = place.lstat()
            if found.st_uid == 0 and user and not any(os.scandir(place)):
                os.chown(place, user, group, follow_symlinks=False)
    try:
        if os.getegid() != group or os.geteuid() != user:
            # What the container was given beside it, such as the group of a graphics card, it keeps.
            os.setgroups([other for other in os.getgroups() if other != 0 or user == 0])
            os.setgid(group)
            os.setuid(user)
    except OSError as error:
        what = f"nemod cannot become user {user} of group {group}: {error.strerror}."
        hint = f'Give the container the capabilities SETUID and SETGID, or start it as user "{user}:{group}" without PUID.'
        raise Stop(ExitCode.USAGE, what, hint=hint) from error
