"""The text file beside a failed video: what happened, to which file, and what to do next.

It replaces only an earlier one about the same file, which it knows by its first two lines.
"""

import hashlib
import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from nemod import durable, ownership
from nemod.delivery import names, place, spelling, way
from nemod.delivery.publish import PublishError
from nemod.failure import Failure, failure_of

SUFFIX = ".failed.txt"
_FIRST_LINE = "nemod could not compress this video:"
#: Holds the first two lines however much of the name had to be escaped.
_HEADING_BYTES = 4096


def reason_text(*, job: int, name: str, failure: Failure, preset: str, when: datetime, log_hint: str) -> str:
    """The words for a person who finds a file in the failed folder.

    Args:
        job: its id, for the command that tries again.
        name: the file's name as it was dropped.
        failure: the one that ended it.
        preset: the preset's name.
        when: with a time zone.
        log_hint: where to read more, as a whole sentence; "" for nothing.
    """
    return "\n".join(
        [
            _FIRST_LINE,
            f"    {names.safe(name)}",
            "",
            f"What happened: {names.safe(failure.detail)}",
            *([f"What to do: {names.safe(failure.hint)}"] if failure.hint else []),
            f"To try again: nemod jobs retry {job}",
            "",
            f"Job {job}, preset {names.safe(preset)}, {when.isoformat(sep=' ', timespec='seconds')} ({failure.kind}).",
            *([log_hint] if log_hint else []),
            "",
        ]
    )


def write_reason(target: Path, text: str, *, failed: Path) -> Path:
    """Write a `reason_text` beside a failed file, whole or not at all; returns where.

    Args:
        target: where the failed file lies, or would, had it been ours to move.
        text: replaces an earlier one about the same file; any other file under the name is left alone.
        failed: the folder for failed files.

    Raises:
        PublishError: as `failure_of` says.
    """
    try:
        with way.made(target.parent, within=failed) as here:
            name = _write(here / target.name, text)
            durable.sync_way(here)
    except OSError as error:
        raise PublishError(failure_of(error, "the folder for failed files")) from error
    return target.with_name(name)


def clear_reason(target: Path, *, failed: Path) -> None:
    """Remove the reason beside a file that has left the failed folder; a file that is not ours to remove stays."""
    with suppress(OSError), way.to(target.parent, within=failed) as here:
        for name in spelling.candidates(here, target.name, SUFFIX):
            if not os.path.lexists(here / name):
                return
            if _heading(here / name)[:1] == [_FIRST_LINE]:
                (here / name).unlink()


def _write(target: Path, text: str) -> str:
    # The same name each time, so that what a killed run left is replaced; a digest, so that it is never too long.
    temp = target.parent / f".nemod-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.part"
    temp.unlink(missing_ok=True)
    try:
        with temp.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            ownership.give(file.fileno())
        durable.sync_file(temp)
        return _put(temp, target, text).name
    finally:
        temp.unlink(missing_ok=True)


def _put(temp: Path, target: Path, text: str) -> Path:
    for name in spelling.candidates(target.parent, target.name, SUFFIX):
        path = target.parent / name
        if _heading(path) == text.splitlines()[:2]:
            return temp.replace(path)
        with suppress(FileExistsError):
            place.move(temp, path)
            return path
    raise AssertionError("names do not end")


def _heading(path: Path) -> list[str]:
    if not stat.S_ISREG(path.lstat().st_mode if os.path.lexists(path) else 0):
        return []  # opening a pipe would wait for ever
    with path.open("rb") as file:
        return file.read(_HEADING_BYTES).decode("utf-8", "replace").splitlines()[:2]
