"""A person's own words for a video: `clip.mp4.txt` beside it, else `_instructions.txt` in its folder or above.

Rules kept here:
- the nearest one counts alone, an empty one too: it says that there is nothing special to say;
- regular files only, no link is followed and no pipe waited for; what is read is bounded before it is understood;
- any text is taken as it is: an editor's marks and encodings are no reason to fail.
"""

import codecs
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nemod.delivery import sidecar, way
from nemod.intake.names import FOLDER_INSTRUCTIONS

#: More is no instruction but a file that somebody has misnamed.
MOST_BYTES = 64 * 1024
MOST_CHARACTERS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """An instruction, where it was read, and whether it is its folder's."""

    text: str
    file: Path
    shared: bool


def instruction_for(source: Path, inbox: Path, *, relpath: str | None = None) -> Sidecar | None:
    """The instruction for a video, or None when there is none or it is empty.

    Args:
        source: where the video lies now.
        inbox: the folders above the video are looked through up to this one.
        relpath: the video's path in the inbox when it does not lie there: a failed file still has its folder's instructions.

    Raises:
        OSError: there is one, and it cannot be read.
    """
    place = inbox if source.is_relative_to(inbox) and relpath is None else way.place_of(source, relpath or source.name)
    with way.to(source.parent, within=place) as here:
        own = sidecar.beside(here / source.name)
        if own is not None and (read := _read(own)) is not None:
            return _sidecar(read, source.with_name(own.name), shared=False)
    home = source if relpath is None else inbox / PurePosixPath(relpath)
    for folder in dict.fromkeys((source.parent, *_up(home.parent, inbox))):
        with way.to(folder, within=inbox if folder.is_relative_to(inbox) else place) as here:
            for name in FOLDER_INSTRUCTIONS:
                if (read := _read(here / name)) is not None:
                    return _sidecar(read, folder / name, shared=True)
    return None


def _up(folder: Path, inbox: Path) -> Iterator[Path]:
    while folder.is_relative_to(inbox):
        yield folder
        folder = folder.parent


def _sidecar(data: bytes, file: Path, *, shared: bool) -> Sidecar | None:
    text = _decode(data)[:MOST_CHARACTERS].strip()
    return Sidecar(text=text, file=file, shared=shared) if text else None


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8-sig", "replace")
    return text.replace("\0", "").replace("\r\n", "\n").strip()


def _read(path: Path) -> bytes | None:
    """The file's first bytes; None when there is no regular file of that name."""
    try:
        # A pipe would wait for its writer, and a link may lead anywhere.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO}:  # a link, by either name of systems; a socket
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return os.read(handle, MOST_BYTES)
    finally:
        os.close(handle)
