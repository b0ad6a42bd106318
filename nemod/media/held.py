"""Files that are held open, and the names under which just these are read, wherever their own names lead by then.

Whoever may write to an inbox can let a name lead elsewhere between our look at a file and a child's open, and back again
afterwards: to a link to somebody's private video, which we would publish. So a file is opened once, and everybody reads what
was opened. Rules kept here:
- a file is opened as what it is: without following a link, and without waiting for what is no file;
- on Linux it is opened again through `/proc/self/fd`, so each reader has a position of its own; elsewhere the descriptors that
  such names lead to would share one, and files are read by their names;
- a child is handed the descriptors that its arguments name, and what it says of them is "the video".

Source: proc(5), open(2).
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER = Path("/proc/self/fd")
_NAME = re.compile(rf"(?:file:)?{re.escape(str(_FOLDER))}/(\d+)")
#: What to say and to do where one may not read.
FORBIDDEN = "The account that nemod runs as has no permission to read it."
ALLOW = "Allow it with: chmod a+r FILE, and chmod a+rx for the folders above it."
#: A name that leads nowhere.
NOWHERE = _FOLDER / "none"


def open_plain(path: Path) -> BinaryIO:
    """Open a file, a link not; the caller closes it, and finds out whether it is a regular file.

    Raises:
        OSError: ELOOP for a link, EISDIR for a folder, else as the system says.
    """
    fd = os.open(path, _FLAGS if _number(str(path)) is not None else _FLAGS | os.O_NOFOLLOW)
    try:
        return os.fdopen(fd, "rb")
    except OSError:
        os.close(fd)
        raise


def name_of(file: BinaryIO) -> Path | None:
    """The name that leads to an open file, for us and for children that get it; None where there is none."""
    return _named(file.fileno())


def folder_name(fd: int) -> Path | None:
    """The same of a folder: names below it are found in it, wherever it lies by then."""
    return _named(fd)


def _named(fd: int) -> Path | None:
    name = _FOLDER / str(fd)
    try:
        return name if os.path.samestat(name.stat(), os.fstat(fd)) else None
    except OSError:
        return None  # no /proc


def descriptors(argv: Sequence[str | bytes]) -> frozenset[int]:
    """The descriptors of the held files that arguments name."""
    numbers = (_number(os.fsdecode(argument)) for argument in argv)
    return frozenset(number for number in numbers if number is not None)


def plainly(said: str) -> str:
    """What a child says, in words for people."""
    return _NAME.sub("the video", said)


def _number(argument: str) -> int | None:
    found = _NAME.fullmatch(argument)
    return None if found is None else int(found[1])
