"""One daemon to a ledger, one to an inbox: advisory locks that die with their holder, however it dies."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

FILE = "daemon.lock"


class Busy(Exception):  # noqa: N818 - a state, not an error
    """Somebody else holds it."""


class Lock:
    """An flock on a file or a folder, held until `release` or the end of the process."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Take it.

        Raises:
            Busy: another process has it.
            OSError: the path cannot be opened.
        """
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
        if create:
            with suppress(OSError):  # whoever can open it could hold it, and so keep the daemon from starting
                os.fchmod(self._fd, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL):
                return  # a file system without locks: two daemons are then told apart by the ledger's lock alone
            os.close(self._fd)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise Busy(str(path)) from error
            raise

    def release(self) -> None:
        """Let go; once is enough."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def daemon_runs(state: Path) -> bool:
    """Whether a daemon holds this state folder."""
    try:
        lock = Lock(state / FILE)
    except Busy:
        return True
    except OSError:
        return False
    lock.release()
    return False
