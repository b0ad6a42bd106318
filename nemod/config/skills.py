"""As which skill the cloud is asked: a name, a version and the platform on which the skill is installed.

A skill that lies on the disk is a SKILL.md, whose YAML frontmatter is read and nothing else of it. Reads files, changes
nothing. What is sent to the cloud as a header is printable ASCII.
"""

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from nemod.config import shapes
from nemod.config.units import UnitError, shown

#: The published documents carry none.
VERSION = "1.0.0"
UNKNOWN = "unknown"
#: Where a platform installs its skills.
_PLATFORMS: Mapping[str, str] = {"/.clawhub/": "clawhub", "/.cursor/skills/": "cursor"}
#: Frontmatter is some lines at the very start; nothing behind this is looked at.
_MOST_BYTES = 65_536
_FRONTMATTER = re.compile(rb"(?:\xef\xbb\xbf)?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.DOTALL | re.MULTILINE)
#: Printable ASCII without a space at either end; longer names are no names.
_HEADER = re.compile(r"[!-~]([ -~]{0,126}[!-~])?")
_FILE_HINT = "name a SKILL.md that begins with a line ---, its name and its version, and a line ---"
_NAME_HINT = "letters, digits and dashes are safe everywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """As what the cloud is asked; `name` None means nemod itself, `file` is the SKILL.md that it was read from."""

    name: str | None
    version: str = VERSION
    platform: str = UNKNOWN
    file: str | None = None


def platform_of(place: Path, named: str) -> str:
    """The platform that was named, else the one that installed what lies at a place without links."""
    if named:
        return named
    return next((name for part, name in _PLATFORMS.items() if part in f"{place.as_posix()}/"), UNKNOWN)


def sendable(text: str) -> bool:
    """Whether a text can be sent in a header as it is."""
    return _HEADER.fullmatch(text) is not None


def skill_in(base: Path, home: Path, *, here: str, named: str) -> Callable[[object], Skill]:
    """Reads a skill's name, or the path of its SKILL.md.

    Args:
        base: against which relative paths count.
        home: what "~" means.
        here: the platform that nemod itself is installed on, for a skill without a file.
        named: the platform that the environment names; empty when it names none.
    """

    def read(value: object) -> Skill:
        word = shapes.text(value).strip()
        if "/" not in word and not word.lower().endswith(".md"):
            return Skill(name=_sendable(word, "its name"), platform=here)
        file = shapes.path_in(base, home)(word)
        name, version = _described(file)
        return Skill(name=name, version=version, platform=platform_of(file, named), file=str(file))

    return read


def _described(file: Path) -> tuple[str, str]:
    """Name and version from a SKILL.md."""
    found = _FRONTMATTER.match(_beginning(file))
    if found is None:
        raise UnitError(f"{file} does not begin with frontmatter", _FILE_HINT)
    try:
        # The base loader makes texts, lists and tables only: safe, and the version 1.10 stays what was written.
        facts = yaml.load(found[1].decode("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" (line {mark.line + 2})"
        raise UnitError(f"the frontmatter of {file} is not valid YAML{line}", _FILE_HINT) from error
    table = facts if isinstance(facts, dict) else {}
    name = _word(table, "name")
    if not name:
        raise UnitError(f"the frontmatter of {file} has no name", "add a line like: name: compress-video")
    more = table.get("metadata")
    version = _word(table, "version") or (_word(more, "version") if isinstance(more, dict) else "") or VERSION
    return _sendable(name, f"the name in {file}"), _sendable(version, f"the version in {file}")


def _word(table: Mapping[object, object], key: str) -> str:
    value = table.get(key)
    return value.strip() if isinstance(value, str) else ""


def _beginning(file: Path) -> bytes:
    try:
        # A pipe would keep us waiting for whoever fills it.
        if stat.S_ISREG(file.stat().st_mode):
            with file.open("rb") as text:
                return text.read(_MOST_BYTES)
    except OSError as error:
        hint = "name a SKILL.md, or a skill without a slash in its name"
        raise UnitError(f"{file} cannot be read: {error.strerror}", hint) from error
    raise UnitError(f"{file} is not a file", _FILE_HINT)


def _sendable(text: str, what: str) -> str:
    if not sendable(text):
        raise UnitError(f"{what}, {shown(text)}, cannot be sent to the cloud", _NAME_HINT)
    return text
