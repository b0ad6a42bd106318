"""What `nemod service` installs and prints: the files of this installation, and the way from nothing to a running service.

Rules kept here:
- whatever would keep the service from working is told before anything is changed, with the command that mends it;
- a second installation changes only what is no longer so, and tells it;
- what the service cannot know of this shell (tokens, addresses) is said.
"""

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nemod.cli.common import Places, say, tell
from nemod.cli.exits import ExitCode, Stop
from nemod.config.model import Config
from nemod.config.parse import parse, understand
from nemod.config.places import SYSTEM_CONFIG, SYSTEM_HOME, SYSTEM_STATE, SYSTEM_TOKEN
from nemod.config.prepare import prepare, stops
from nemod.config.problem import Problem
from nemod.config.sources import Source, parse_text
from nemod.config.write import write_default, write_shared
from nemod.daemon.locks import daemon_runs
from nemod.host import own_user, units
from nemod.host.calls import ServiceError
from nemod.host.launchd import Launchd, guarded
from nemod.host.systemd import UNIT, Systemd, lingers, person
from nemod.host.units import USER, Installation
from nemod.resources import shared_file
from nemod.text import safe
from nemod.views import tilde

#: What a shell may have set, and a service does not see.
_UNSEEN = ("NEMO_TOKEN", "NEMO_CLIENT_ID", "NEMO_API_URL", "NEMO_WEB_URL")


def program() -> tuple[str, ...]:
    """How this installation's nemod is started: by its script, which no file of the working folder can stand in for."""
    script = Path(sys.executable).parent / "nemod"
    if os.access(script, os.X_OK) and script.is_file():
        return (str(script),)
    return (sys.executable, "-P", "-m", "nemod")


# -- the files ----------------------------------------------------------------------------------------------------------------


def user_unit(where: Places, flag: Path | None) -> str:
    """The unit of whoever runs this; a config that is not there yet, or has faults, asks for nothing."""
    config = where.read() if where.config.exists() else None
    hardware = isinstance(config, Config) and units.needs(config).hardware
    return _rendered(lambda: units.user_unit(_template(units.USER_UNIT), _own(where, flag), hardware=hardware))


def agent(where: Places, flag: Path | None) -> str:
    """The launch agent of whoever runs this."""
    return _rendered(lambda: units.agent(_template(units.AGENT), _own(where, flag), where.home))


def system_unit(file: Path, config: Config) -> str:
    """The unit of this machine for a config that lies in a file."""
    where = Installation(program=program(), config=file, state=SYSTEM_STATE)
    asked = units.needs(config, groups=own_user.graphics_groups(), mount_points=own_user.mount_points(config))
    return _rendered(lambda: units.system_unit(_template(units.SYSTEM_UNIT), where, asked))


def shown_system_unit(where: Places) -> str:
    """The unit of this machine as `print` shows it: for the config that is named, the machine's, one's own, or none yet."""
    if where.named:
        return system_unit(where.config.absolute(), where.load())
    if os.path.lexists(SYSTEM_CONFIG):
        return system_unit(SYSTEM_CONFIG, _sound(parse(SYSTEM_CONFIG, home=SYSTEM_HOME)))
    if where.config.exists():
        return system_unit(SYSTEM_CONFIG, where.load())
    default = parse_text(SYSTEM_CONFIG, _template("config/nemod.toml"))
    sources = (default,) if isinstance(default, Source) else ()
    return system_unit(SYSTEM_CONFIG, _sound(understand(SYSTEM_CONFIG, sources, home=SYSTEM_HOME, env={})))


def _own(where: Places, flag: Path | None) -> Installation:
    """Config and state are named where the service would not find them by itself: it knows nothing of this shell's settings."""
    named = flag is not None or where.env.get("NEMOD_CONFIG") or where.env.get("XDG_CONFIG_HOME")
    moved = where.env.get("NEMOD_STATE_DIR") or where.env.get("XDG_STATE_HOME")
    return Installation(
        program=program(),
        config=where.config.absolute() if named else None,
        state=where.state.absolute() if moved else None,
    )


def _template(name: str) -> str:
    return shared_file(name).read_text(encoding="utf-8")


def _rendered(render: Callable[[], str]) -> str:
    try:
        return render()
    except units.UnitError as error:
        raise Stop(ExitCode.USAGE, str(error), hint="Give it another name, then try again.") from error


def _sound(config: Config | tuple[Problem, ...]) -> Config:
    if isinstance(config, Config):
        return config
    raise Stop(ExitCode.USAGE, *map(str, config))


# -- a person's own -----------------------------------------------------------------------------------------------------------


def install_user(manager: Systemd, where: Places, flag: Path | None) -> None:
    """Put in the unit of whoever runs this, and start it."""
    if os.geteuid() == 0:
        what = "This would be a service of root's, and videos from strangers are not to be read by root."
        raise Stop(ExitCode.USAGE, what, hint=f"For the machine: {_command()} install --system. For yourself: without sudo.")
    manager.check()
    config = _ready(where)
    active = manager.call("is-active", UNIT).code == 0
    _unrivalled(where.state, active=active)
    _put(manager, user_unit(where, flag), where.home)
    _introduce(config, where.home)
    if lingers():
        say("It runs from boot on, whether you are logged in or not.")
    else:
        say(f"It runs while you are logged in. To let it run from boot on: sudo loginctl enable-linger {safe(person())}")
    _warn_of_shell(where.env, f"Store the token instead: {safe(program()[0])} account set-token")


def install_agent(manager: Launchd, where: Places, flag: Path | None) -> None:
    """Put in the agent of whoever runs this, and start it."""
    if os.geteuid() == 0:
        raise Stop(ExitCode.USAGE, "A launch agent belongs to a person, not to root.", hint="Install it without sudo.")
    config = _ready(where)
    loaded = manager.loaded()
    _unrivalled(where.state, active=loaded)
    if manager.put(agent(where, flag)):
        if loaded:  # launchd reads a file only when it is loaded
            manager.stop()
        say(f"Written: {tilde(manager.file, where.home)}")
    else:
        say(f"{tilde(manager.file, where.home)} is as it should be.")
    manager.start()
    _introduce(config, where.home)
    say("It runs from login on.")
    for place in guarded((p for folder in config.folders for p in units.places_of(folder)), where.home):
        tell(f"macOS shows {place} to background programs only with your leave: it asks once, or refuses without a word.")
        hint = "Allow it under System Settings, Privacy & Security, Files and Folders (or Full Disk Access) for"
        tell(f"{hint} {os.path.realpath(sys.executable)}, or use a folder such as ~/Compress.")
    _warn_of_shell(where.env, f"Store the token instead: {safe(program()[0])} account set-token")


def _ready(where: Places) -> Config:
    """The config, a fresh one if there is none, with its folders made.

    Raises:
        Stop: the daemon could not start with it.
    """
    if not where.named and not where.config.exists():
        write_default(where.config)
        say(f"A first config is written: {tilde(where.config, where.home)}")
    config = where.load()
    if problems := list(filter(stops, prepare(config, home=where.home))):
        raise Stop(ExitCode.USAGE, *map(str, problems))
    return config


def _unrivalled(state: Path, *, active: bool) -> None:
    """Make sure that no daemon was started by hand: the service could not start beside it."""
    if not active and daemon_runs(state):
        what = f"A daemon that is not the service's runs already, on the state folder {state}."
        raise Stop(ExitCode.RUNNING, what, hint="End it (Ctrl-C where it was started), then install again.")


def _introduce(config: Config, home: Path | None) -> None:
    for folder in config.folders:
        say(f"Drop a video into {safe(str(folder.inbox)) if home is None else tilde(folder.inbox, home)}")
    if not config.folders:
        say("The config names no folder yet. Add one with: nemod folders add clips --preset discord")


def _warn_of_shell(env: Mapping[str, str], instead: str) -> None:
    if unseen := [name for name in _UNSEEN if env.get(name)]:
        tell(f"{' and '.join(unseen)} of this shell: the service does not see it. {instead}")


# -- the machine's ------------------------------------------------------------------------------------------------------------


def install_system(manager: Systemd, where: Places) -> None:
    """Put in the unit of this machine, with all that it stands on, and start it."""
    if os.geteuid() != 0:
        raise Stop(
            ExitCode.FAILED, "A service of the whole machine needs root.", hint=f"Try: sudo {_command()} install --system"
        )
    manager.check()
    _in_sight()
    file = where.config.absolute() if where.named else SYSTEM_CONFIG
    if any(file.is_relative_to(home) for home in units.HOMES):
        hint = f"Put it to {SYSTEM_CONFIG}; then install without --config."
        raise Stop(ExitCode.USAGE, f"The service sees no homes, and the config {file} lies in one.", hint=hint)
    if not where.named and not os.path.lexists(file):
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_shared(file)
        say(f"A first config is written: {file}")
    config = _sound(parse(file, home=SYSTEM_HOME))
    if out_of_sight := [f"{key}: {path}" for key, path in own_user.unseen(config)]:
        what = f"The service has temporary folders of its own and sees no programs in homes, and {file} names:"
        raise Stop(
            ExitCode.USAGE, what, *out_of_sight, hint="Name places below /srv or on a drive, and programs below /usr/local."
        )
    if own_user.make_user(where.env):
        say(f"A user of its own is made: {USER}")
    own_user.make_home(file)
    _allowed(file, config)
    active = manager.call("is-active", UNIT).code == 0
    _unrivalled(SYSTEM_STATE, active=active)
    _put(manager, system_unit(file, config), where.home)
    _introduce(config, None)
    say("It runs from boot on.")
    say(f"Who drops videos below {SYSTEM_HOME} must be of the group {USER}: sudo usermod -aG {USER} NAME, then log in again.")
    say(f"Its jobs: sudo -u {USER} {_nemod()} status")
    _warn_of_shell(where.env, f"Put the token into {SYSTEM_TOKEN} (mode 600), then: {_command()} restart --system")
    if SYSTEM_TOKEN.exists() and SYSTEM_TOKEN.stat().st_mode & 0o077:
        tell(f"Others may read {SYSTEM_TOKEN}; close it with: sudo chmod 600 {SYSTEM_TOKEN}")


def _in_sight() -> None:
    """Make sure that the service will see this installation."""
    part = own_user.hidden(program())
    if part is None:
        return
    checkout = Path(__file__).parents[2]
    source = str(checkout) if (checkout / "pyproject.toml").is_file() else "nemod"
    raise Stop(
        ExitCode.USAGE,
        f"The service sees no homes and no temporary folders, and nemod is installed in one: {part}",
        hint="Install it for the machine, by the system's Python: sudo python3 -m venv /opt/nemod"
        f" && sudo /opt/nemod/bin/pip install {shlex.quote(source)} && sudo /opt/nemod/bin/nemod service install --system",
    )


def _allowed(file: Path, config: Config) -> None:
    """Make sure that the service's user can use every folder; it is told by looking as that user."""
    found = own_user.faults(program(), file)
    if not found:
        return
    folders = {folder.name: folder for folder in config.folders}
    lines: list[str] = []
    commands: dict[str, None] = {}
    for fault in found:
        lines.append(f"{fault.key}: {fault.what}")
        table, _, rest = fault.key.partition(".")
        name, _, key = rest.rpartition(".")
        place = getattr(folders.get(name), key, None) if table == "folders" else None
        if isinstance(place, Path):
            commands |= dict.fromkeys(own_user.leave(place))
        else:
            lines.append(f"  {fault.hint}")
    raise Stop(
        ExitCode.FAILED,
        f"The service's user {USER} cannot work with the config {file}:",
        *lines,
        *(["Let it, with:", *(f"  {command}" for command in commands)] if commands else []),
        hint=f"Then once more: sudo {_command()} install --system",
    )


# -- both ---------------------------------------------------------------------------------------------------------------------


def _put(manager: Systemd, text: str, home: Path) -> None:
    """Write the unit, tell what changed, and see to it that the service runs with it, now and after a boot."""
    written = manager.put(text)
    if written.kept is not None:
        say(f"What was there before is kept: {tilde(written.kept, home)}")
    if written.new:
        say(f"Written: {tilde(manager.file, home)}")
    elif written.changes:
        say(f"Changed: {tilde(manager.file, home)}")
        for line in written.changes:
            say(f"  {safe(line)}")
    else:
        say(f"{tilde(manager.file, home)} is as it should be. After an upgrade: {_command()} restart{_flag(manager)}")
    manager.demand("daemon-reload")
    started(manager, "enable", "--now", UNIT)
    if written.changes or written.kept is not None:
        started(manager, "try-restart", UNIT)


def started(manager: Systemd, *words: str) -> None:
    """Carry out what starts the service; when it does not start, its last words say why.

    Raises:
        Stop: it did not.
    """
    try:
        manager.demand(*words)
    except ServiceError as error:
        raise Stop(ExitCode.FAILED, error.what, *manager.last_words(), hint=error.hint) from error


def _flag(manager: Systemd) -> str:
    return " --system" if manager.system else ""


def _command() -> str:
    return f"{_nemod()} service"


def _nemod() -> str:
    return shlex.join(program())
