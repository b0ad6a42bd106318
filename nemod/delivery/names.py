"""Which name a file gets where it is delivered. Pure.

Rules kept here:
- a name has at most 255 bytes, whatever its characters cost, and keeps its extension and its number;
- it is never empty, "." or "..", never hidden, and holds no "/" and no NUL;
- other bytes of a person's name stay, wherever the disk takes them: names go to the system by `os.fsencode` and to people by
  `safe`. For disks that take less there are two plainer spellings; which one is needed, `spelling` finds out.

Sources: learn.microsoft.com, "Naming Files, Paths, and Namespaces"; the exFAT specification, section 7.7.3; eCryptfs, which has
room for 143 bytes of a name.
"""

import itertools
import os
import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePosixPath

from nemod.text import safe

__all__ = ["Spelling", "candidates", "output_stem", "parts", "plain", "portable", "safe"]

#: What every file system that people meet takes for one name, in bytes, and what those take that keep names in code.
NAME_BYTES, SHORT_BYTES = 255, 143
#: An "extension" longer than this, in bytes, is the end of a sentence.
_SUFFIX_BYTES = 32
_FALLBACK = "video"
#: NUL, the separator, and surrogates that stand for no byte and so cannot be encoded.
_IMPOSSIBLE = re.compile("[/\0\ud800-\udc7f\udd00-\udfff]")
#: What FAT, exFAT, NTFS and shares forbid: their wildcards and separators, control characters, bytes that are no text.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *", re.IGNORECASE)


class Spelling(StrEnum):
    """How a name is written."""

    OWN = "own"  # as the person wrote it
    PORTABLE = "portable"  # as all systems take it
    ASCII = "ascii"  # as all disks take it, however old


def candidates(stem: str, suffix: str, spelling: Spelling = Spelling.OWN) -> Iterator[str]:
    """Names to try in turn, without end: ``clip.mp4``, ``clip (2).mp4``, ``clip (3).mp4`` and so on.

    Args:
        stem: any text; the suffix is not looked for in it.
        suffix: the extension with its dot, or "".
        spelling: how they are written.
    """
    stem, suffix = _IMPOSSIBLE.sub("_", stem), _IMPOSSIBLE.sub("_", suffix)
    if len(os.fsencode(suffix)) > _SUFFIX_BYTES:
        stem, suffix = stem + suffix, ""
    room = NAME_BYTES
    if spelling is not Spelling.OWN:
        room = SHORT_BYTES
        stem, suffix = _spelled(stem, spelling), _spelled(suffix, spelling).rstrip(". ")
        stem = stem if suffix else stem.rstrip(". ")
        if _DEVICE.fullmatch(stem.partition(".")[0]):
            stem = f"_{stem}"
    stem = stem.lstrip(".")
    if not stem.strip():
        stem = _FALLBACK
    yield _cut(stem, suffix, room)
    for number in itertools.count(2):
        yield _cut(stem, f" ({number}){suffix}", room)


def portable(name: str, spelling: Spelling) -> str:
    """A whole name, as a folder's, in another spelling."""
    return name if spelling is Spelling.OWN else next(candidates(*parts(name), spelling))


def plain(name: str) -> bool:
    """Whether every disk takes a name, so that none need be asked."""
    return portable(name, Spelling.ASCII) == name


def output_stem(relpath: str) -> str:
    """The last part of a path without its last extension: what an output's name is made of."""
    return parts(relpath)[0]


def parts(relpath: str) -> tuple[str, str]:
    """Stem and extension (with its dot, or "") of the last part of a path."""
    path = PurePosixPath(relpath)
    return path.stem, path.suffix


def _spelled(text: str, spelling: Spelling) -> str:
    text = _FORBIDDEN.sub("_", text)
    if spelling is Spelling.ASCII:
        letters = (char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        text = _FORBIDDEN.sub("_", "".join(char if char.isascii() else "_" for char in letters))
    return text


def _cut(stem: str, tail: str, room_bytes: int) -> str:
    room = room_bytes - len(os.fsencode(tail))
    if len(os.fsencode(stem)) <= room:
        return stem + tail
    # Whole characters only: half of a UTF-8 sequence is a name that macOS refuses.
    ends = itertools.accumulate(len(os.fsencode(char)) for char in stem)
    return stem[: sum(end <= room for end in ends)].rstrip() + tail
