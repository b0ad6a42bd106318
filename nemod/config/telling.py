"""Who is told: the `[notify]` table with its addresses, and the programs of a folder. Reads the file of addresses, no more.

Rules kept here:
- an address may be a secret as a whole, so no message quotes one, nor what stands where one may stand;
- whether an address means anything only the library knows that uses it; here it must look like one.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from nemod.config import shapes
from nemod.config.cloud import env_problem
from nemod.config.model import Notify, Tell
from nemod.config.problem import Problem
from nemod.config.shapes import Table
from nemod.config.sources import Source
from nemod.config.units import UnitError, parse_duration
from nemod.text import REDACTED
from nemod.threads import patiently

NOTIFY_KEYS = ("urls", "urls_file", "on", "digest")
VARIABLE = "NEMOD_NOTIFY_URLS"

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_HINT = 'write it like "ntfy://ntfy.sh/my-topic" or "discord://…"; see the README'
_FILE_MOST_BYTES = 1_000_000


def read_notify(main: Table, env: Mapping[str, str], base: Path, home: Path) -> Notify:
    """The table's values, with the addresses of its file and of the environment; faults go to the table's problems."""
    written = main.values.get("notify")
    table = main.table("notify") if isinstance(written, dict) else None
    if written is not None and table is None:
        main.fault("notify", "expected a table", 'begin it with a line [notify]; addresses stand there as urls = ["…"]')
    default = Notify()
    urls: tuple[str, ...] = ()
    named: Path | None = None
    on, digest_s = default.on, default.digest_s
    if table is not None:
        table.only(NOTIFY_KEYS)
        urls = _written(table)
        named = table.take("urls_file", _file(base, home), None)
        on = table.take("on", _events, on)
        digest_s = table.take("digest", parse_duration, digest_s)
        if named is not None:
            urls += _from_file(table, named)
    given = env.get(VARIABLE, "").split()
    if not all(map(_ADDRESS.fullmatch, given)):
        main.problems.append(env_problem(main, VARIABLE, "is not a list of addresses with spaces between them", _HINT))
    urls += tuple(filter(_ADDRESS.fullmatch, given))
    return Notify(urls=urls, urls_file=named, on=on, digest_s=digest_s)


def address_text(url: str) -> str:
    """An address as people may see it: its kind alone, since a topic or a host may be all of its secret."""
    return f"{url.partition('://')[0].lower()}://{REDACTED}"


def address_problem(main: Source, number: int, what: str) -> Problem:
    """What is wrong with an address, counted from 0 as `Notify.urls` has them: on its line, where it stands in the config."""
    table = main.values.get("notify")
    listed = table.get("urls", []) if isinstance(table, dict) else []
    hint = "see the README, and: nemod notify test"
    if isinstance(listed, list) and number < len(listed):
        return main.problem(("notify", "urls", number), what, hint)
    if isinstance(listed, str) and number == 0:
        return main.problem(("notify", "urls"), what, hint)
    return main.problem(("notify",), f"address {number + 1}, from a file or {VARIABLE}, {what}", hint)


def command(base: Path, home: Path) -> Callable[[object], tuple[str, ...]]:
    """A program and its arguments; "~" in the program's path is `home`, and a relative path begins in `base`."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            hint = 'write it like ["/usr/local/bin/publish", "--quiet"]'
            raise UnitError("expected a list: a program and its arguments, each a text of its own; there is no shell", hint)
        words = tuple(map(_word, value))
        if not words:
            return ()
        program = shapes.text(words[0])
        if program.startswith("~") and program[1:2] != "/":
            raise UnitError("only one's own home is understood in a program's path", 'write "~/…" or the whole path')
        if program.startswith("~"):
            program = str(home / program[2:])
        elif "/" in program:
            # Not resolved: some programs are told by the name of the link what to be.
            program = str(base / program)
        return (program, *words[1:])

    return read


def told_of(value: object) -> bool:
    """Whether a folder is told of: true or false."""
    if not isinstance(value, bool):
        raise UnitError("expected true or false", "without quotes; addresses stand in the table [notify]")
    return value


def _word(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UnitError("expected texts in quotes, without zero bytes", 'write it like ["/usr/local/bin/publish", "--quiet"]')
    return value


def _written(table: Table) -> tuple[str, ...]:
    """The addresses that stand in the table; one that looks like none is a problem on its own line."""
    value = table.values.get("urls", [])
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        table.fault("urls", "expected a list of addresses", _HINT)
        return ()
    for number, item in enumerate(listed):
        if not isinstance(item, str) or not _ADDRESS.fullmatch(item.strip()):
            path: tuple[str | int, ...] = (*table.path, "urls")
            path = (*path, number) if isinstance(value, list) else path
            table.problems.append(table.source.problem(path, "is not an address", _HINT))
    return tuple(item.strip() for item in listed if isinstance(item, str) and _ADDRESS.fullmatch(item.strip()))


def _file(base: Path, home: Path) -> Callable[[object], Path | None]:
    def read(value: object) -> Path:
        if isinstance(value, str) and "://" in value:
            raise UnitError("is an address, not the name of a file", "addresses stand in urls")
        if not isinstance(value, str):
            raise UnitError("expected the name of a file in quotes", "")
        return shapes.path_in(base, home)(value)

    return read


def _from_file(table: Table, file: Path) -> tuple[str, ...]:
    """The addresses in a file, one a line; empty lines and those that begin with # say nothing."""
    try:
        lines = patiently(partial(_head, file)).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it is not UTF-8 text"
        table.fault("urls_file", f"{file} cannot be read: {why}", "make it readable for the user that runs nemod")
        return ()
    found = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            if _ADDRESS.fullmatch(line):
                found.append(line)
            else:
                table.fault("urls_file", f"line {number} of {file} is not an address", _HINT)
    return tuple(found)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_FILE_MOST_BYTES)


def _events(value: object) -> tuple[Tell, ...]:
    known = ", ".join(f'"{tell}"' for tell in Tell)
    if not isinstance(value, list) or not all(item in list(Tell) for item in value):
        raise UnitError(f"expected a list of any of {known}", 'write it like ["failed", "parked"]')
    return tuple(tell for tell in Tell if tell in value)
