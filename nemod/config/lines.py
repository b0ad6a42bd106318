"""On which line of a TOML text a key was written; tomllib gives no positions. Pure.

The first prefix of the text in which the key is found ends on the line where it was written, and that is monotone: once
found, a key stays found. So a bisection over prefixes finds the line. A prefix that ends inside a text, a list or an
inline table is first closed with the brackets and quotes that it lacks.
"""

import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import product

#: What can be open at the end of a line, in the order in which closing is tried.
_CLOSERS = ("]", "}", '"""', "'''")
#: A text in a list in an inline table in a list; nobody writes deeper.
_DEEPEST = 4


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line, from 1, on which the key was written; the nearest table's when the key is not there, None without one.

    `text` must be valid TOML; an int in `path` is the index in a list.
    """
    lines = text.split("\n")
    whole = _closed(text)
    present = next((n for n in range(len(path), 0, -1) if _holds(whole, path[:n])), None)
    if present is None:
        return None
    wanted = path[:present]
    return bisect_left(range(1, len(lines)), True, key=lambda n: _holds(_closed(_first(lines, n)), wanted)) + 1


def _first(lines: Sequence[str], count: int) -> str:
    # The newline at the end belongs to it: a carriage return without one is a fault.
    return "\n".join(lines[:count]) + "\n"


def _closed(prefix: str) -> object:
    """The prefix, closed as it needs to be, as values; None when nothing closes it."""
    for end in _endings():
        try:
            return tomllib.loads(prefix + end)
        except (ValueError, RecursionError):
            continue
    return None


def _endings() -> Iterator[str]:
    for depth in range(_DEEPEST + 1):
        for closers in product(_CLOSERS, repeat=depth):
            yield "".join(closers)


def _holds(value: object, path: Sequence[str | int]) -> bool:
    for part in path:
        match value, part:
            case dict(), str() if part in value:
                value = value[part]
            case list(), int() if part < len(value):
                value = value[part]
            case _:
                return False
    return True
