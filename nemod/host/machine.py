"""What there is to be said of the machine itself: how much of it may be watched, and whether its clock can be right."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from nemod.config.model import Config, Folder
from nemod.host.finding import Finding
from nemod.intake.mounts import file_system
from nemod.intake.watch import ENOUGH, LIMITS, limit_of
from nemod.threads import patiently

#: Where systemd notes that a clock was set by the network.
SYNCED = Path("/run/systemd/timesync/synchronized")


def watches(config: Config) -> Iterator[Finding]:
    """Whether the system lets all folders be watched by events; those of network shares are polled anyway."""
    if sys.platform != "linux":
        return
    most_instances, most_watches = limit_of("max_user_instances"), limit_of("max_user_watches")
    if most_instances is None or most_watches is None:
        yield Finding(what="inotify", found=f"{LIMITS} does not tell how many folders may be watched")
        return
    needs_instances = needs_watches = 0
    for folder in config.folders:
        with suppress(OSError):  # what is not there, or does not answer, is told above
            watched = patiently(partial(_watches_of, folder))
            needs_instances += watched > 0
            needs_watches += watched
    used = _instances_in_use()
    short = [
        f"fs.inotify.{name}={max(ENOUGH[name], 2 * needs)}"
        for name, most, needs in (
            ("max_user_instances", most_instances, needs_instances + used),
            ("max_user_watches", most_watches, needs_watches),
        )
        if needs > most
    ]
    found = f"{needs_instances} instances and {needs_watches} watches are needed; the system allows {most_instances}"
    found += f" ({used} in use) and {most_watches} for each user"
    keep = "".join(f"; to keep it: echo {setting} | sudo tee -a /etc/sysctl.d/60-nemod.conf" for setting in short)
    todo = f"else folders are polled; to have them watched by events: sudo sysctl {' '.join(short)}{keep}" if short else ""
    yield Finding(what="inotify", found=found, ok=not short, todo=todo)


def clock() -> Finding:
    """The time here; wrong when it is before nemod was installed."""
    now = time.time()
    told = f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d %H:%M:%S %Z (UTC%z)}"
    if now < Path(__file__).stat().st_mtime - 86_400:
        todo = "set it, best by NTP: sudo timedatectl set-ntp true"
        return Finding(what="clock", found=f"{told}, which is before nemod was installed", ok=False, todo=todo)
    return Finding(what="clock", found=f"{told}{', set by the network' if SYNCED.exists() else ''}")


def _watches_of(folder: Folder) -> int:
    """How many watches an inbox takes: none of a network share, else one for each folder in it; links are not followed."""
    if file_system(folder.inbox).remote:
        return 0
    return sum(1 for _ in os.walk(folder.inbox)) if folder.recursive else 1


def _instances_in_use() -> int:
    """The inotify instances of this user's programs, as far as they can be seen."""
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if process.stat().st_uid == os.getuid():
                    count += sum(str(fd.readlink()) == "anon_inode:inotify" for fd in (process / "fd").iterdir())
    return count
