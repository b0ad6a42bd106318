"""What is wrong with a configuration, said so that a person can mend it. Pure.

A problem names the file, the line, the key, what is wrong and what to do; its text is safe to print on any terminal.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from nemod.text import safe

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault; `line` counts from 1 and is None where no line is to blame."""

    file: Path
    line: int | None
    key: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        """`config.toml:25: folders.clips.preset: what is wrong; what to do`."""
        place = f"{self.file}:{self.line}" if self.line is not None else f"{self.file}"
        said = f"{self.what}; {self.hint}" if self.hint else self.what
        return safe(": ".join(part for part in (place, self.key, said) if part))


def key_text(path: Iterable[str | int]) -> str:
    """A key path as TOML would write it: `folders."a.b".ignore[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else f'"{part}"')
    return text


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str) -> str:
    """A hint that names the closest known word, or `otherwise` when none is close."""
    close = get_close_matches(word.lower(), list(known), n=1)
    return f'did you mean "{close[0]}"?' if close else otherwise
