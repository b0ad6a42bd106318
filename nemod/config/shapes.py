"""The shapes of values and of tables: reads one value after the other and collects every fault on the way.

A value that is wrong is reported and its default is taken, so that one fault hides no other.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from nemod.config.problem import Problem, did_you_mean, key_text
from nemod.config.sources import Source
from nemod.config.units import UnitError, shown
from nemod.threads import resolved

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

#: Names appear in commands, logs and file names, so nothing that a shell or a path could misread.
_NAME = re.compile(r"\w[\w.-]{0,59}")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table in a source; faults go to `problems`, which every table of a configuration shares."""

    source: Source
    path: tuple[str, ...]
    values: dict[str, object]
    problems: list[Problem]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path[-1]

    @property
    def place(self) -> str:
        """Where it was written: `config.toml:10`."""
        return self.source.place(self.path)

    def fault(self, key: str | None, what: str, hint: str = "") -> None:
        """Report a fault with one of its keys, or with the table itself."""
        path = self.path if key is None else (*self.path, key)
        self.problems.append(self.source.problem(path, what, hint))

    def take(self, key: str, read: Callable[[object], T], default: T) -> T:
        """The key's value as `read` understands it; the default when it is absent or wrong."""
        if key not in self.values:
            return default
        try:
            return read(self.values[key])
        except UnitError as error:
            self.fault(key, error.what, error.hint)
            return default

    def only(self, keys: Sequence[str]) -> None:
        """Report every key that is not one of these."""
        for key in self.values.keys() - set(keys):
            self.fault(key, "there is no such key", did_you_mean(key, keys, otherwise=f"known: {', '.join(keys)}"))

    def tables(self, key: str) -> Iterator["Table"]:
        """The named tables in one of its tables, such as every `[folders.NAME]`."""
        group = self.table(key)
        if group is None:
            return
        for name in group.values:
            if not _NAME.fullmatch(name):
                group.fault(
                    name, f"{shown(name)} is not a name", "at most 60 letters, digits, - _ . and no . or - at the start"
                )
            elif (inner := group.table(name)) is not None:
                yield inner

    def table(self, key: str) -> "Table | None":
        """One of its tables; None when there is none, or something else under its name."""
        values = self.values.get(key)
        if isinstance(values, dict):
            return Table(source=self.source, path=(*self.path, key), values=values, problems=self.problems)
        if values is not None:
            self.fault(key, f"expected a table, found {shown(values)}", f"begin it with a line [{key_text((*self.path, key))}]")
        return None


def text(value: object) -> str:
    """Text with something in it, and no zero byte, which no path and no command can hold."""
    if not isinstance(value, str) or not value.strip():
        raise UnitError(f"expected text in quotes, found {shown(value)}", "")
    if "\0" in value:
        raise UnitError("expected text without zero bytes", "")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise UnitError(f"expected a list of texts, found {shown(value)}", 'write it like ["*.bak", "draft-*"]')
    return tuple(text(item) for item in value)


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise UnitError(f"expected true or false, found {shown(value)}", "without quotes")
    return value


def whole(least: int, most: int) -> Callable[[object], int]:
    """A whole number from `least` to `most`."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise UnitError(f"expected a whole number from {least} to {most}, found {shown(value)}", "")
        return value

    return read


def maybe(read: Callable[[object], T]) -> Callable[[object], T | None]:
    """The same, of a key that may be absent."""
    return read


def rate(value: object) -> float:
    """Frames per second: a number from 1 to 1000."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise UnitError(f"expected a number from 1 to 1000, found {shown(value)}", "")
    return float(value)


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in words:
            known = ", ".join(f'"{word}"' for word in words)
            close = did_you_mean(value, words, otherwise="") if isinstance(value, str) else ""
            raise UnitError(f"expected one of {known}, found {shown(value)}", close)
        return str(value)

    return read


def member(kind: type[E]) -> Callable[[object], E]:
    """A member of an enumeration, by its word."""
    read = one_of([item.value for item in kind])
    return lambda value: kind(read(value))


def path_in(base: Path, home: Path) -> Callable[[object], Path]:
    """An absolute path without links in it; "~" is `home`, and what is relative lies in `base`."""

    def read(value: object) -> Path:
        written = text(value)
        if written.startswith("~") and written[1:2] not in {"", "/"}:
            raise UnitError(f"{shown(written)}: only one's own home is understood", 'write "~/…" or the whole path')
        if _VARIABLE.match(written):
            raise UnitError(f"{shown(written)}: variables are not expanded", 'write "~/…" or the whole path')
        # Without links and "..", so that comparing two paths later says whether they are the same place.
        return resolved(base / (home / written[2:] if written.startswith("~") else Path(written)))

    return read
