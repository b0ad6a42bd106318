"""What there is to be said of the service: which one is installed, how it is, and whether its file is behind the config."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from nemod.config.model import Config
from nemod.config.parse import parse
from nemod.config.places import SYSTEM_CONFIG, SYSTEM_HOME, config_file
from nemod.host.calls import ServiceError
from nemod.host.finding import Finding
from nemod.host.launchd import Launchd, guarded
from nemod.host.systemd import Systemd, lingers, systemd
from nemod.host.units import environment, places_of, stale


def services(config: Config | None, *, home: Path, env: Mapping[str, str]) -> Iterator[Finding]:
    """Every service of nemod's on this machine."""
    if sys.platform == "darwin":
        yield from _agent(Launchd(home=home, env=env), config)
        return
    managers = [systemd(system=system, env=env, home=home) for system in (False, True)]
    installed = [manager for manager in managers if os.path.lexists(manager.file)]
    for manager in installed:
        yield _unit(manager, home)
    if not installed:
        yield Finding(what="service", found="none is installed", todo="to run nemod in the background: nemod service install")


def behind(manager: Systemd, home: Path) -> tuple[str, ...]:
    """What an installed unit keeps from the folders of its config, a sentence each, and how to bring it up to date."""
    text = manager.file.read_text(encoding="utf-8", errors="replace")
    usual = SYSTEM_CONFIG if manager.system else config_file(None, {}, home)
    config = parse(Path(environment(text).get("NEMOD_CONFIG", usual)), home=SYSTEM_HOME if manager.system else home)
    missing = stale(text, config) if isinstance(config, Config) else ()
    again = "sudo nemod service install --system" if manager.system else "nemod service install"
    return (*missing, f"Bring it up to date with: {again}") if missing else ()


def too_narrow(*, home: Path, env: Mapping[str, str]) -> tuple[str, ...]:
    """As `behind`, of the unit that runs for this person, or for the service's user; none where none is installed."""
    try:
        return behind(systemd(system=home == SYSTEM_HOME, env=env, home=home), home)
    except OSError:
        return ()  # none is there, or it is masked


def _unit(manager: Systemd, home: Path) -> Finding:
    what = "service, the machine's" if manager.system else "service, yours"
    flag = " --system" if manager.system else ""
    try:
        facts = manager.facts()
        late = behind(manager, home)
    except (ServiceError, OSError) as error:
        return Finding(what=what, found=f"{manager.file}: {error}", todo="see: nemod service status" + flag)
    state = facts.get("ActiveState", "")
    starts = "" if manager.system or lingers() else ", while you are logged in (always: sudo loginctl enable-linger $USER)"
    found = f"{state} ({facts.get('SubState', '')}){starts}" if state else "installed; systemd cannot be asked from here"
    if state == "failed":
        return Finding(what=what, found=found, ok=False, todo=f"see: nemod service logs{flag}")
    if late:
        return Finding(what=what, found=f"{found}; {' '.join(late[:-1])}", ok=False, todo=late[-1])
    return Finding(what=what, found=found, todo=f"nemod service start{flag}" if state == "inactive" else "")


def _agent(launchd: Launchd, config: Config | None) -> Iterator[Finding]:
    if not launchd.file.exists():
        yield Finding(what="service", found="none is installed", todo="to run nemod in the background: nemod service install")
    else:
        try:
            found = launchd.facts().get("state", "not loaded")
        except ServiceError as error:
            found = str(error)
        yield Finding(what="service", found=found, todo="" if found == "running" else "nemod service start")
    if config is not None:
        for place in guarded((p for f in config.folders for p in (f.inbox, *places_of(f))), launchd.home):
            todo = "move it elsewhere, or allow nemod's Python full disk access in System Settings > Privacy & Security"
            yield Finding(what="macOS privacy", found=f"{place} is one that background jobs may not look into", todo=todo)
