"""The files that make up a configuration, read but not yet understood: `config.toml` and `folders.d/*.toml` beside it.

Whatever is wrong with a file, down to a directory of its name, is a problem and never an exception.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemod.config.lines import line_of
from nemod.config.problem import Problem, key_text

_TOML_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file: its path as a person wrote it, its text and the values in it."""

    file: Path
    text: str
    values: dict[str, object]

    def problem(self, path: Sequence[str | int], what: str, hint: str = "") -> Problem:
        """A problem with a key, on the line where the key or else the nearest table around it was written."""
        return Problem(file=self.file, line=line_of(self.text, path), key=key_text(path), what=what, hint=hint)

    def place(self, path: Sequence[str | int]) -> str:
        """Where a key was written, for another problem's text: `config.toml:10`."""
        return f"{self.file}:{line_of(self.text, path)}"


def folders_dir(config_file: Path) -> Path:
    """Where files with more folders lie."""
    return config_file.parent / "folders.d"


def read_sources(config_file: Path) -> tuple[tuple[Source, ...], tuple[Problem, ...]]:
    """Every file of the configuration, the main one first and the others by name, and every file that cannot be read."""
    main = _read(config_file)
    if isinstance(main, Problem) and not config_file.is_file():
        return (), (main,)
    try:
        more = sorted(p for p in folders_dir(config_file).iterdir() if p.suffix == ".toml" and not p.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        more = []
    except OSError as error:
        return (), (_unreadable(folders_dir(config_file), error),)
    every = [main, *map(_read, more)]
    return tuple(s for s in every if isinstance(s, Source)), tuple(p for p in every if isinstance(p, Problem))


def parse_text(file: Path, text: str) -> Source | Problem:
    """A text that stands, or is to stand, in a file."""
    try:
        return Source(file=file, text=text, values=tomllib.loads(text))
    except ValueError as error:  # TOMLDecodeError, and a number with thousands of digits
        said = str(error)
        place = _TOML_PLACE.search(said)
        what, line = (said[: place.start()] if place else said), None
        if place is not None:
            line = int(place["line"]) if place["line"] else max(1, len(text.rstrip().split("\n")))
            what += f" (column {place['column']})" if place["column"] else " (the text ends too early)"
        return Problem(file=file, line=line, key="", what=f"not valid TOML: {what}", hint="text stands in quotes, names do not")
    except RecursionError:
        return Problem(file=file, line=None, key="", what="not valid TOML: nested too deeply")


def _read(file: Path) -> Source | Problem:
    try:
        # Some editors put a byte order mark first; TOML does not know it.
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return Problem(file=file, line=line, key="", what="not UTF-8 text", hint="save it as UTF-8")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        return _unreadable(file, error)
    return parse_text(file, text)


def _unreadable(file: Path, error: OSError | ValueError) -> Problem:
    match error:
        case FileNotFoundError():
            what, hint = "there is no such file", 'write one with "nemod init"'
        case IsADirectoryError():
            what, hint = "is a directory", "name the file in it"
        case PermissionError():
            what, hint = "cannot be read: permission denied", "make it readable for the user that runs nemod"
        case _:
            what, hint = f"cannot be read: {getattr(error, 'strerror', None) or error}", ""
    return Problem(file=file, line=None, key="", what=what, hint=hint)
