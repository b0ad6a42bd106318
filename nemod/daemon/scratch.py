"""A state folder that lives as long as a call: held by a lock, so that the next call knows whose holder was killed.

Rules kept here:
- what is removed was made by this account, under a name of this kind, holds a ledger and its lock and nothing else, and is
  held by nobody; and the work folders that its ledger names, beside the videos that were worked on;
- where the file system knows no locks nothing is removed: nobody could tell the dead from the living.
"""

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from nemod.daemon.service import LEDGER, open_ledger
from nemod.delivery.publish import clear_work
from nemod.ledger.ledger import LedgerError
from nemod.threads import patiently

_PREFIX, _LOCK = "nemod-", "held.lock"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
#: What lies in such a folder, also while its ledger comes into being.
_OURS = re.compile(rf"{re.escape(_LOCK)}|{re.escape(LEDGER)}[\w.-]*")


@contextmanager
def scratch() -> Iterator[Path]:
    """A new state folder among the system's temporary files; those that killed calls have left are removed first.

    Raises:
        OSError: none can be made.
    """
    clear(Path(tempfile.gettempdir()))
    while True:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as made:
            folder = Path(made)
            held = _hold(folder / _LOCK, os.O_CREAT)
            if held is None and not (folder / _LOCK).exists():
                continue  # another call took it for a dead one's before it was held
            try:
                yield folder
            finally:
                if held is not None:
                    os.close(held)
            return


def clear(folder: Path) -> None:
    """Remove what killed calls have left."""
    with suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name) and _mine(entry)]:
            with suppress(OSError):
                _clear(path)


def _mine(entry: os.DirEntry[str]) -> bool:
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _clear(folder: Path) -> None:
    files = list(folder.iterdir())
    if not files:
        folder.rmdir()  # killed, or about to be held: whoever made it makes another one
    elif all(_OURS.fullmatch(file.name) for file in files) and (held := _hold(folder / _LOCK)) is not None:
        try:
            _clear_work(folder)
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        finally:
            os.close(held)


def _clear_work(state: Path) -> None:
    """Remove what a dead call had begun; a disk that does not answer keeps it, and a spoilt ledger says nothing."""
    if (state / LEDGER).exists():
        with suppress(LedgerError), closing(open_ledger(state)) as ledger:
            for work in ledger.work_folders():
                with suppress(OSError, ValueError):
                    patiently(partial(clear_work, work))


def _hold(file: Path, flags: int = 0) -> int | None:
    """A descriptor that holds a lock's file; None when somebody else does, or when nobody can."""
    try:
        held = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), file.lstat()):
            return held
    os.close(held)
    return None
