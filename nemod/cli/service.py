"""`nemod service`: nemod in the background, by systemd or launchd.

Which of the services is meant is what `--system` says, else the one that is installed, a person's own before the machine's.
Nothing that a person owns is ever removed: config, ledger and videos stay.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nemod.cli.common import ConfigOption, JsonOption, places, print_json, say, tell
from nemod.cli.exits import ExitCode, Stop
from nemod.cli.installing import agent, install_agent, install_system, install_user, shown_system_unit, started, user_unit
from nemod.config.places import SYSTEM_CONFIG, SYSTEM_HOME, SYSTEM_STATE
from nemod.host.calls import ServiceError
from nemod.host.launchd import Launchd
from nemod.host.services import behind
from nemod.host.systemd import SYSTEM_FILE, UNIT, Systemd, lingers, systemd
from nemod.host.units import USER
from nemod.text import safe
from nemod.views import tilde

SystemOption = Annotated[
    bool, typer.Option("--system", help="The machine's service, under a user of its own, instead of yours.")
]
Manager = Systemd | Launchd


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Run nemod in the background, by systemd or launchd.")
    group.command(
        epilog="\b\nExamples:\n"
        "  nemod service install                 yours: with your rights, while you are logged in or from boot on\n"
        "  sudo nemod service install --system   the machine's: from boot on, hardened, under a user of its own"
    )(install)
    group.command(epilog="\b\nExamples:\n  nemod service uninstall\n  sudo nemod service uninstall --system")(uninstall)
    group.command(epilog="\b\nExamples:\n  nemod service start\n  sudo nemod service start --system")(start)
    group.command(epilog="\b\nExamples:\n  nemod service stop\n  sudo nemod service stop --system")(stop)
    group.command(epilog="\b\nExamples:\n  nemod service restart\n  sudo nemod service restart --system")(restart)
    group.command(epilog="\b\nExamples:\n  nemod service status\n  nemod service status --json | jq -r .state")(status)
    group.command(epilog="\b\nExamples:\n  nemod service logs\n  nemod service logs --follow")(logs)
    group.command(
        "print",
        epilog="\b\nExamples:\n"
        "  nemod service print                   the unit for systemctl --user\n"
        "  nemod service print --system          the unit for the machine\n"
        "  nemod service print --launchd         the agent for macOS",
    )(show)
    app.add_typer(group, name="service", epilog="\b\nExample:\n  nemod service install")


def install(system: SystemOption = False, config: ConfigOption = None) -> None:
    """Install the service and start it.

    Once more after a change of the folders: what is there is brought up to date, and what changed is told.
    """
    with _speaking():
        match _here(system=system):
            case Launchd() as launchd:
                install_agent(launchd, places(config), config)
            case Systemd(system=True) as machine:
                install_system(machine, places(config))
            case Systemd() as own:
                install_user(own, places(config), config)


def uninstall(system: SystemOption = False) -> None:
    """Stop the service and remove it.

    Config, ledger and videos stay where they are.
    """
    with _speaking():
        manager = _installed(system=system)
        match manager:
            case Launchd():
                manager.stop()
            case Systemd():
                manager.demand("disable", "--now", UNIT)
        manager.file.unlink(missing_ok=True)
        if isinstance(manager, Systemd):
            manager.demand("daemon-reload")
            manager.call("reset-failed", UNIT)  # says no when there is nothing to forget
    home = Path.home()
    say(f"Removed: {tilde(manager.file, home)}")
    if isinstance(manager, Systemd) and manager.system:
        kept = ", ".join(map(str, (SYSTEM_CONFIG.parent, SYSTEM_STATE, SYSTEM_HOME)))
        say(f"Left as they are: {kept}, the other folders of the config and the user {USER}.")
        return
    where = places(None)
    say(f"Left as they are: {tilde(where.config, home)}, {tilde(where.state, home)} and every video.")
    more = manager.file.with_name(f"{manager.file.name}.d")
    if more.is_dir():
        say(f"Left as well, since it is yours: {tilde(more, home)}")


def start(system: SystemOption = False) -> None:
    """Start the service; it is started once the folders are watched."""
    with _speaking():
        match _installed(system=system):
            case Launchd() as launchd:
                launchd.start()
            case Systemd() as manager:
                started(manager, "start", UNIT)
    say("nemod runs.")


def stop(system: SystemOption = False) -> None:
    """Stop the service politely; it is started again at the next boot or login.

    What was under way goes on then.
    """
    with _speaking():
        match _installed(system=system):
            case Launchd() as launchd:
                launchd.stop()
            case Systemd() as manager:
                manager.demand("stop", UNIT)
    say("nemod is stopped. What was under way goes on at the next start.")


def restart(system: SystemOption = False) -> None:
    """Stop the service politely and start it again, such as after an upgrade."""
    with _speaking():
        match _installed(system=system):
            case Launchd() as launchd:
                launchd.stop()
                launchd.start()
            case Systemd() as manager:
                started(manager, "restart", UNIT)
    say("nemod runs.")


def status(system: SystemOption = False, as_json: JsonOption = False) -> None:
    """Show whether the service is installed, whether it runs, and what it does.

    Exit code 0: it runs; 75: it is starting or tries again; 1: it does not run.
    """
    with _speaking():
        manager = _installed(system=system)
        view = _launchd_view(manager) if isinstance(manager, Launchd) else _systemd_view(manager)
    if as_json:
        print_json(view)
    else:
        _tell_status(view, Path.home())
    match view["state"]:
        case "active" | "reloading":
            return
        case "activating":
            raise typer.Exit(ExitCode.WAITING)
        case _:
            raise typer.Exit(ExitCode.FAILED)


def logs(
    system: SystemOption = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, metavar="N", help="How many of the last lines.")] = 50,
) -> None:
    """Show the service's log."""
    with _speaking():
        argv = _installed(system=system).log_argv(lines, follow=follow)
    sys.stdout.flush()
    try:
        done = subprocess.run(argv, check=False)
    except FileNotFoundError as error:
        raise Stop(ExitCode.FAILED, f"There is no {argv[0]} on this machine.") from error
    if done.returncode != 0:
        raise typer.Exit(ExitCode.FAILED)


def show(
    system: SystemOption = False,
    launchd: Annotated[bool, typer.Option("--launchd", help="The launch agent for macOS.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the service's file, with the paths of this installation, and change nothing.

    The unit for systemctl --user unless another is asked for.
    """
    if system and launchd:
        raise Stop(ExitCode.USAGE, "A launch agent belongs to a person: --system and --launchd do not go together.")
    where = places(config)
    text = agent(where, config) if launchd else shown_system_unit(where) if system else user_unit(where, config)
    # UTF-8 whatever the terminal speaks: that is what systemd and launchd read.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))


@contextmanager
def _speaking() -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        raise Stop(ExitCode.FAILED, error.what, hint=error.hint) from error
    except PermissionError as error:
        hint = "Try it with sudo." if os.geteuid() != 0 else ""
        raise Stop(ExitCode.FAILED, f"{error.filename}: {error.strerror}", hint=hint) from error


def _here(*, system: bool) -> Manager:
    """Who manages services here."""
    if platform.system() != "Darwin":
        return systemd(system=system, env=os.environ, home=Path.home())
    if system:
        raise Stop(ExitCode.USAGE, "macOS has no such service: a launch agent belongs to a person.", hint="Leave out --system.")
    return Launchd(home=Path.home(), env=os.environ)


def _installed(*, system: bool) -> Manager:
    """The service that is meant."""
    wanted = [_here(system=system)]
    if not system and platform.system() != "Darwin":
        wanted.append(_here(system=True))
    for manager in wanted:
        if os.path.lexists(manager.file):
            return manager
    flag = " --system" if system else ""
    what = f"There is no service of nemod's here{f': no {SYSTEM_FILE}' if system else ''}."
    raise Stop(ExitCode.FAILED, what, hint=f"Install it with: {'sudo ' if system else ''}nemod service install{flag}")


def _systemd_view(manager: Systemd) -> dict[str, object]:
    facts = manager.facts()
    if not facts:
        manager.check()  # it says why there is no answer
    return {
        "kind": "system" if manager.system else "user",
        "file": str(manager.file),
        "state": facts.get("ActiveState", "unknown"),
        "detail": facts.get("SubState", ""),
        "doing": facts.get("StatusText") or None,
        "pid": int(facts.get("MainPID", "0")) or None,
        "restarts": int(facts.get("NRestarts", "0")),
        "enabled": facts.get("UnitFileState") == "enabled",
        "lingers": None if manager.system else lingers(),
        "todo": _todo(manager, facts),
    }


def _todo(manager: Systemd, facts: Mapping[str, str]) -> list[str]:
    """What keeps the service from doing what config and unit say."""
    said = []
    if facts.get("NeedDaemonReload") == "yes":
        said.append(f"Its file has changed: systemctl {' '.join((*manager.flag, 'daemon-reload'))}")
    said += behind(manager, Path.home())
    return said


def _launchd_view(manager: Launchd) -> dict[str, object]:
    facts = manager.facts()
    pid = facts.get("pid", "")
    return {
        "kind": "launchd",
        "file": str(manager.file),
        "state": "active" if facts.get("state") == "running" else "inactive",
        "detail": facts.get("state", "not loaded"),
        "doing": None,
        "pid": int(pid) if pid.isdecimal() else None,
        "restarts": None,
        "enabled": True,
        "lingers": None,
        "todo": [],
    }


def _tell_status(view: Mapping[str, object], home: Path) -> None:
    kinds = {"user": "systemd, yours", "system": "systemd, the machine's", "launchd": "launchd, yours"}
    say(f"Service: {kinds[str(view['kind'])]} ({tilde(str(view['file']), home)})")
    pid = f", process {view['pid']}" if view["pid"] else ""
    again = f", started again {view['restarts']} times" if view["restarts"] else ""
    say(f"State:   {view['state']} ({view['detail']}){pid}{again}")
    if view["doing"]:
        say(f"Does:    {safe(str(view['doing']))}")
    start_at = {None: "at login" if view["kind"] == "launchd" else "at boot", True: "at boot", False: "at your login"}
    say(f"Starts:  {start_at[view['lingers']] if view['enabled'] else 'only by hand: it is not enabled'}")  # type: ignore[index]
    for line in view["todo"]:  # type: ignore[attr-defined]
        tell(str(line))
