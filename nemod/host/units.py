"""The service files of this installation: the templates in `systemd/` with its paths and the folders of its config. Pure.

Rules kept here:
- a template is valid as it lies there; rendering replaces the values of some keys and the comment at its top, and no more;
- a path says in a unit what it says on the disk, whatever characters are in it; what a unit cannot carry is refused in words;
- nothing here asks the machine: every fact comes in as a value, so any system can print the files of any other.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from nemod.config.model import After, Config, Encoder, EnginePolicy, Folder
from nemod.config.places import SYSTEM_CONFIG, SYSTEM_HOME, SYSTEM_STATE

#: Who the system service runs as.
USER = "nemod"
#: The templates, as `resources.shared_file` knows them.
USER_UNIT, SYSTEM_UNIT, AGENT = "systemd/nemod.service", "systemd/nemod-system.service", "systemd/ai.nemod.agent.plist"
#: What launchd calls the agent.
LABEL = "ai.nemod.agent"
#: Where `ProtectHome=yes` shows nothing.
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))

#: What is mounted here or above is a part of the system and not a drive that comes and goes.
_SYSTEM_PARTS = tuple(map(Path, ("/home", "/root", "/usr", "/etc", "/opt", "/var/lib", "/srv/nemod", "/run/user")))

_HEAD = """\
# Written by "nemod service install", which writes it anew after a change of the installation or of the folders.
# Changes of your own are kept in a file beside it: {edit}
"""
_XML_HEAD = '  Written by "nemod service install", which writes it anew after a change of the installation.'
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
#: What systemd takes in no program's name.
_NO_PROGRAM = re.compile(r"[\"'\\]")


class UnitError(ValueError):
    """A path that no service file can carry; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What starts nemod here, and where config and state lie; None: in the usual places of the service's user."""

    program: tuple[str, ...]
    config: Path | None = None
    state: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the folders of a config ask of a sandbox."""

    places: tuple[Path, ...] = ()  # that are written to, none within another
    network: bool = True  # for the cloud, for hooks and for notifications
    hardware: bool = False  # an encoder in a graphics card
    groups: tuple[str, ...] = ()  # those of this machine that may use one


def needs(config: Config, *, groups: tuple[str, ...] = (), mount_points: Iterable[Path] = ()) -> Needs:
    """What a config's folders ask for.

    Args:
        config: whose folders.
        groups: those of the machine whose members may use a graphics card.
        mount_points: of the machine's disks and shares. A drive is asked for as a whole: a folder of it would be mounted a
            second time in the sandbox, and stay there when the drive is unmounted or mounted anew.
    """
    drives = {point for point in mount_points if not any(part.is_relative_to(point) for part in _SYSTEM_PARTS)}
    return Needs(
        places=outermost(_drive(place, drives) for folder in config.folders for place in places_of(folder)),
        network=not config.folders or bool(config.notify.urls) or any(map(_goes_out, config.folders)),
        hardware=any(folder.preset.encoder is not Encoder.SOFTWARE for folder in config.folders),
        groups=groups,
    )


def _drive(place: Path, drives: Collection[Path]) -> Path:
    """The drive that holds a place, the innermost; the place itself where it lies on the system's own disks."""
    return next((around for around in (place, *place.parents) if around in drives), place)


def _goes_out(folder: Folder) -> bool:
    """Whether a folder may use the cloud, or runs a program of which that cannot be told."""
    return folder.engine is not EnginePolicy.LOCAL or bool(folder.on_done or folder.on_failed)


def places_of(folder: Folder) -> tuple[Path, ...]:
    """Where a folder's files are made, moved or removed."""
    originals = (folder.originals,) if folder.after is After.ARCHIVE else ()
    failed = () if folder.failed is None else (folder.failed,)
    return (folder.inbox, folder.outbox, *originals, *failed)


def outermost(places: Iterable[Path]) -> tuple[Path, ...]:
    """The places that lie in no other of them, in their order."""
    every = dict.fromkeys(places)
    return tuple(place for place in every if not any(parent in every for parent in place.parents))


# -- systemd ------------------------------------------------------------------------------------------------------------------


def user_unit(template: str, where: Installation, *, hardware: bool = False) -> str:
    """The unit of one person; it sees the files that the person sees, so no folder is named in it."""
    values = {"ExecStart": [_start(where.program)], "Environment": _environment(where.config, where.state)}
    if hardware:
        values["MemoryDenyWriteExecute"] = ["no"]  # graphics drivers make code as they go
    return _filled(template, values, edit="systemctl --user edit nemod")


def system_unit(template: str, where: Installation, asked: Needs) -> str:
    """The unit of a machine: everything is out of reach but what the folders ask for."""
    writable = [f"-{_word(str(place))}" for place in outermost((SYSTEM_HOME, *asked.places))]
    at_home = any(place.is_relative_to(home) for place in asked.places for home in HOMES)
    values: dict[str, list[str]] = {
        "ExecStart": [_start(where.program)],
        "Environment": _environment(where.config or SYSTEM_CONFIG, where.state or SYSTEM_STATE),
        "ReadWritePaths": writable,
    }
    if at_home:
        values["ProtectHome"] = ["read-only"]
    if not asked.network:
        values |= {"PrivateNetwork": ["yes"], "RestrictAddressFamilies": ["AF_UNIX"]}
    if asked.hardware:
        # Graphics drivers make code as they go, and their devices are those of drm and nvidia.
        values |= {
            "PrivateDevices": ["no"],
            "DeviceAllow": ["char-drm rw", "char-nvidia* rw"],
            "MemoryDenyWriteExecute": ["no"],
        }
        if asked.groups:
            values["SupplementaryGroups"] = [" ".join(asked.groups)]
    return _filled(template, values, edit="systemctl edit nemod")


def _filled(template: str, values: Mapping[str, Sequence[str]], *, edit: str) -> str:
    """A template with its head and the values of some keys replaced; a key that stands behind a `#` is an example."""
    head, section, body = template.partition("[Unit]\n")
    if not section or any(line and not line.startswith("#") for line in head.split("\n")):
        raise ValueError("a template begins with comments and [Unit]")
    lines, told = [], set[str]()
    for line in body.split("\n"):
        key = line.removeprefix("#").partition("=")[0]
        if not values.get(key):
            lines.append(line)
        elif key not in told:
            told.add(key)
            lines += [f"{key}={value}" for value in values[key]]
    if lost := {key for key, wanted in values.items() if wanted} - told:
        raise ValueError(f"the template has no place for {', '.join(sorted(lost))}")
    return f"{_HEAD.format(edit=edit)}\n{section}" + "\n".join(lines)


def _start(program: Sequence[str]) -> str:
    """The command that runs the daemon (systemd.service(5), "Command lines").

    `:` keeps `$` from being a variable. A program whose name systemd does not take is started by a shell that makes way for it.
    """
    argv = (*program, "run")
    if _NO_PROGRAM.search(argv[0]):
        argv = ("/bin/sh", "-c", 'exec "$0" "$@"', *argv)
    if any("$" in word for word in argv):
        argv = (f":{argv[0]}", *argv[1:])
    return " ".join(map(_word, argv))


def _environment(config: Path | None, state: Path | None) -> list[str]:
    named = {"NEMOD_CONFIG": config, "NEMOD_STATE_DIR": state}
    return [_word(f"{name}={path}") for name, path in named.items() if path is not None]


def _word(text: str) -> str:
    r"""A word of a command, an assignment or a path: quoted where needed; `\\` takes a mark's meaning, `%` begins one."""
    _carried(text)
    said = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return said if re.fullmatch(r"[\w./=:@,+%-]+", text) else f'"{said}"'


def _carried(text: str) -> str:
    if found := _CONTROLS.search(text):
        what = "a line break" if found[0] in "\r\n" else "a character that is no text"
        raise UnitError(f"No service file can carry {text!r}: there is {what} in it.")
    return text


# -- what is installed --------------------------------------------------------------------------------------------------------


def directives(unit: str) -> dict[str, tuple[str, ...]]:
    """Every value that a unit's text gives to a key, in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for line in unit.split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            found[key] = (*found.get(key, ()), value)
    return found


def environment(unit: str) -> dict[str, str]:
    """What a unit's text sets in the environment."""
    words = (word for value in directives(unit).get("Environment", ()) for word in _words(value))
    return {name: value for name, equals, value in (word.partition("=") for word in words) if equals}


def writable(unit: str) -> tuple[Path, ...] | None:
    """Where an installed unit lets the daemon write; None: wherever its user may."""
    told = directives(unit)
    if told.get("ProtectSystem", ("no",))[-1] != "strict":
        return None
    return tuple(Path(word.lstrip("-+")) for value in told.get("ReadWritePaths", ()) for word in _words(value))


def stale(unit: str, config: Config) -> tuple[str, ...]:
    """What an installed unit keeps from the folders of a config, a sentence each; then it is to be installed again."""
    told, wanted = directives(unit), needs(config)
    open_places = writable(unit)
    said = []
    if open_places is not None:
        said += [
            f"The service may not write to {place}."
            for place in wanted.places
            if not any(place.is_relative_to(known) for known in (*open_places, SYSTEM_STATE))
        ]
    if wanted.network and told.get("PrivateNetwork", ("no",))[-1] == "yes":
        said.append("The service has no network, and the config has a use for it (the cloud, hooks or notifications).")
    if wanted.hardware and "yes" in {told.get(key, ("no",))[-1] for key in ("PrivateDevices", "MemoryDenyWriteExecute")}:
        said.append("The service does not let a graphics card's driver work, and a preset asks for hardware.")
    return tuple(said)


def _words(value: str) -> list[str]:
    """The words of a list, without their quotes and escapes."""
    found = re.findall(r"""(?:"(?:[^"\\]|\\.)*"|[^\s"])+""", value)
    return [re.sub(r'"|\\(.)', lambda mark: mark[1] or "", word).replace("%%", "%") for word in found]


# -- launchd ------------------------------------------------------------------------------------------------------------------


def agent(template: str, where: Installation, home: Path) -> str:
    """The launch agent of one person: launchd expands neither `~` nor variables, so every path is whole."""
    argv = "\n".join(f"    <string>{_xml(word)}</string>" for word in (*where.program, "run"))
    named = {"NEMOD_CONFIG": where.config, "NEMOD_STATE_DIR": where.state}
    more = "".join(f"\n    <key>{k}</key>\n    <string>{_xml(str(v))}</string>" for k, v in named.items() if v is not None)
    text = re.sub(r"<!--\n.*?\n-->", lambda _: f"<!--\n{_XML_HEAD}\n-->", template, count=1, flags=re.DOTALL)
    text = re.sub(
        r"(<key>ProgramArguments</key>\n  <array>\n).*?(\n  </array>)",
        lambda m: m[1] + argv + m[2],
        text,
        count=1,
        flags=re.DOTALL,
    )
    text = re.sub(r"(<key>PATH</key>\n    <string>[^<]*</string>)", lambda m: m[1] + more, text, count=1)
    return text.replace("@HOME@", _xml(str(home)))


def _xml(text: str) -> str:
    return escape(_carried(text))
