"""Which name a file gets where it is delivered. Pure.

Rules kept here:
- a name has at most 255 bytes, whatever its characters cost, and keeps its extension and its number;
- it is never empty, "." or "..", never hidden, and holds no "/" and no NUL;
- other bytes of a person's name stay: names go to the system by `os.fsencode` and to people by `safe`.
"""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from nemod.text import safe

__all__ = ["candidates", "output_stem", "parts", "safe"]

#: What every file system that people meet takes for one name, in bytes.
NAME_BYTES = 255
#: An "extension" longer than this, in bytes, is the end of a sentence.
_SUFFIX_BYTES = 32
_FALLBACK = "video"
#: NUL, the separator, and surrogates that stand for no byte and so cannot be encoded.
_IMPOSSIBLE = re.compile("[/\0\ud800-\udc7f\udd00-\udfff]")


def candidates(stem: str, suffix: str) -> Iterator[str]:
    """Names to try in turn, without end: ``clip.mp4``, ``clip (2).mp4``, ``clip (3).mp4`` and so on.

    Args:
        stem: any text; the suffix is not looked for in it.
        suffix: the extension with its dot, or "".
    """
    stem, suffix = _IMPOSSIBLE.sub("_", stem), _IMPOSSIBLE.sub("_", suffix)
    if len(os.fsencode(suffix)) > _SUFFIX_BYTES:
        stem, suffix = stem + suffix, ""
    stem = stem.lstrip(".")
    if not stem.strip():
        stem = _FALLBACK
    yield _cut(stem, suffix)
    for number in itertools.count(2):
        yield _cut(stem, f" ({number}){suffix}")


def output_stem(relpath: str) -> str:
    """The last part of a path without its last extension: what an output's name is made of."""
    return parts(relpath)[0]


def parts(relpath: str) -> tuple[str, str]:
    """Stem and extension (with its dot, or "") of the last part of a path."""
    path = PurePosixPath(relpath)
    return path.stem, path.suffix


def _cut(stem: str, tail: str) -> str:
    room = NAME_BYTES - len(os.fsencode(tail))
    if len(os.fsencode(stem)) <= room:
        return stem + tail
    # Whole characters only: half of a UTF-8 sequence is a name that macOS refuses.
    ends = itertools.accumulate(len(os.fsencode(char)) for char in stem)
    return stem[: sum(end <= room for end in ends)].rstrip() + tail
