"""One daemon to a ledger, one to an inbox, none where another one writes: advisory locks that die with their holder.

Rules kept here:
- a daemon has its lock alone; commands share it for a moment, so they never take each other for a daemon, nor does a daemon
  that starts meanwhile take them for one;
- a folder's inbox is held alone, the places that it writes to are held together with others who write there: whoever would
  watch what another daemon writes, and so feed it with its own outputs for ever, finds it held, whoever came first;
- a lock that nobody refers to any more is released: a call that was given up may still take it, in a thread of its own.
"""

import errno
import fcntl
import os
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import uniform

FILE = "daemon.lock"
#: How a file system says that it has no locks, or none for a folder.
_NONE = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.ENOSYS})
#: Commands have the lock for moments; so long is it asked for until there is one without any of them, after random pauses.
_PATIENCE_S, _PAUSE_S = 20.0, (0.005, 0.05)


class Busy(Exception):  # noqa: N818 - a state, not an error
    """Somebody else holds it; the text is a sentence for people."""


class Lock:
    """An flock on a file or a folder, held until `release`, or until nobody refers to it."""

    def __init__(self, path: Path, *, create: bool = False, shared: bool = False) -> None:
        """Take it, for oneself or `shared` with others who share it.

        Raises:
            Busy: another holder is in the way.
            OSError: the path cannot be opened.
        """
        how = os.O_RDWR | os.O_CREAT if create else os.O_RDONLY  # NFS wants to write where something is held alone
        # Without O_NONBLOCK a pipe that lies where a folder should be would be waited at until somebody writes into it.
        self._path, self._fd = path, os.open(path, how | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        self.release = weakref.finalize(self, os.close, self._fd)
        if create:
            with suppress(OSError):  # whoever can open it could hold it, and so keep the daemon from starting
                os.fchmod(self._fd, 0o600)
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NONE:
                return  # two daemons are then told apart by the ledger's lock alone
            self.release()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise Busy(f"Another nemod holds {path}.") from error
            raise

    @property
    def there(self) -> bool:
        """Whether the path still leads to what is locked."""
        with suppress(OSError):
            return self.release.alive and os.path.samestat(self._path.stat(), os.fstat(self._fd))
        return False


class Seat:
    """The daemon's own place at a state folder."""

    def __init__(self, state: Path) -> None:
        """Take it, as soon as no command is in the way.

        Raises:
            Busy: a daemon has it.
            OSError: the folder cannot be used.
        """
        self._state = state
        self._lock = _once_free(state)

    def keep(self) -> None:
        """Take it again where somebody has removed the lock's file, which would let a second daemon in.

        Raises:
            Busy: one is in already.
        """
        if not self._lock.there:
            with suppress(OSError):  # the folder is away, and the ledger with it
                self._lock = _once_free(self._state)

    def release(self) -> None:
        """Let go."""
        self._lock.release()


def _once_free(state: Path) -> Lock:
    until = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(Busy):
            return Lock(state / FILE, create=True)
        if daemon_runs(state):
            raise Busy("A nemod daemon is running already.")
        if time.monotonic() > until:
            raise Busy(f"Other nemod commands have been at work on {state} without a pause.")
        time.sleep(uniform(*_PAUSE_S))  # noqa: S311 - no secret


def daemon_runs(state: Path) -> bool:
    """Whether a daemon holds this state folder."""
    try:
        lock = Lock(state / FILE, shared=True)
    except Busy:
        return True
    except OSError:
        return False
    lock.release()
    return False


class Claim:
    """What one folder of the config holds of the disk: its inbox, and the places that it writes to as far as they are there."""

    def __init__(self, inbox: Path, places: Iterable[Path]) -> None:
        """Nothing is held before `take`."""
        self._inbox = inbox
        self._places = tuple(places)
        self._held: dict[Path, Lock] = {}
        self._over = False

    def take(self) -> None:
        """Take all; may be called again, for what was not there or is another folder now.

        Raises:
            Busy: another daemon has one of them for another end.
        """
        self._take(self._inbox, shared=False)
        for place in self._places:
            self._take(place, shared=True)

    def release(self) -> None:
        """Let go of all, also of what a `take` in another thread still waits for."""
        self._over = True
        for lock in tuple(self._held.values()):
            lock.release()

    def _take(self, path: Path, *, shared: bool) -> None:
        old = self._held.get(path)
        if old is not None and old.there:
            return
        if old is not None:
            old.release()
        with suppress(OSError):  # it is not there, or may not be read: looking at it will say what is wrong
            try:
                lock = self._held[path] = Lock(path, shared=shared)
            except Busy as busy:
                raise Busy(_why(path, shared=shared)) from busy
            if self._over:
                lock.release()


def _why(path: Path, *, shared: bool) -> str:
    if shared:
        return f"Another nemod watches {path}, and would take in what is written there."
    try:
        Lock(path, shared=True).release()
    except (Busy, OSError):
        return f"Another nemod watches {path}."
    return f"Another nemod writes into {path}; what it writes would be taken in."
