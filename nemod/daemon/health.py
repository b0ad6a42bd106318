"""How the daemon of a state folder is: it is asked through a socket there, and answers once its work loop has turned.

Asked for what it sees of the machine, it looks around from where it is, with the rights that its service gives it.

Rules kept here:
- an answer is made at the moment of the question: no file grows old, no clock is read, and no disk is kept awake meanwhile;
- whoever is paused, hangs or stands still does not answer in time, and that is the answer;
- a socket that a dead daemon has left answers nobody; whether one is there at all its lock tells;
- only the daemon's own account, and the superuser, can ask;
- asking writes nothing, so it works in a container whose disks are read-only.

Where the state folder's disk knows no sockets (some shares of virtual machines) it lies in the folder for temporary files.
"""

import asyncio
import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from nemod import logs
from nemod.daemon.locks import daemon_runs
from nemod.threads import patiently

log = logs.get(__name__)

FILE = "health.sock"
#: How long the work loop may take to turn, and how long an answer is awaited: a little longer.
TURN_S, ANSWER_S = 8.0, 10.0
#: How long looking around may take: disks and networks may not answer.
AROUND_S = 120.0
#: What is asked for beside health, and how long a question takes to arrive.
AROUND, QUESTION_S = b"around", 2.0
#: The longest name that a socket may have on every system, its closing zero left out (sys/un.h: 104 on macOS, 108 on Linux).
_NAME_BYTES = 103
_ANSWER_BYTES = 4 * 1024 * 1024


class State(StrEnum):
    """How the daemon is; only the first one is well."""

    WORKING = "working"
    STARTING = "starting"
    STOPPING = "stopping"
    STUCK = "stuck"
    SILENT = "silent"  # it is there and does not answer
    ABSENT = "absent"
    UNKNOWN = "unknown"  # it cannot be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the daemon said, or what its silence says; `doing` is a line for people."""

    state: State
    pid: int | None = None
    doing: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it works."""
        return self.state is State.WORKING


class Answers:
    """The daemon's side."""

    def __init__(
        self, state: Path, look: Callable[[], Awaitable[Health]], around: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """Answer with what `look` finds, or with what can be seen `around`, as JSON; nothing is there before `open`."""
        self._state = state
        self._look = look
        self._around = around
        self._place: Path | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen from now on; where no place takes a socket it is said, and `nemod health` cannot ask."""
        found = await asyncio.to_thread(_listen, self._state)
        if isinstance(found, str):
            log.warning("health.unheard", why=found)
            return
        self._place, line = found
        self._server = await asyncio.start_unix_server(self._answer, sock=line)

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None and self._place is not None:
            self._server.close()
            with suppress(OSError):
                await asyncio.to_thread(self._place.unlink)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b""
        with suppress(TimeoutError, OSError):
            asked = await asyncio.wait_for(reader.read(len(AROUND)), QUESTION_S)
        said: object
        if asked == AROUND and self._around is not None:
            said = await self._around()
        else:
            health = await self._look()
            said = {"state": health.state.value, "pid": os.getpid(), "doing": health.doing}
        with suppress(OSError):  # who asked has gone
            writer.write(json.dumps(said).encode("ascii"))
            await writer.drain()
            writer.close()
            await writer.wait_closed()


def ask(state: Path) -> Health:
    """How the daemon of a state folder is."""
    raw = _said(state, b"", ANSWER_S)
    if isinstance(raw, Health):
        return raw
    try:
        return Health(state=State(raw["state"]), pid=int(raw["pid"]), doing=str(raw["doing"]))
    except (ValueError, KeyError, TypeError):
        return Health(state=State.SILENT)


def around(state: Path) -> Any | Health:
    """What the daemon of a state folder sees from where it is; its health where it says nothing."""
    return _said(state, AROUND, AROUND_S)


def _said(state: Path, question: bytes, patience_s: float) -> Any | Health:
    refused = False
    for place in _places(state):
        try:
            if place.parent == state or _ours(place.parent, state):
                return _asked(place, question, patience_s)
        except PermissionError:
            refused = True
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            continue  # none there, or one that is left of a dead daemon
        except (OSError, ValueError):
            return Health(state=State.SILENT)  # also a full queue, or one that was killed meanwhile
    try:
        os.close(os.open(state / "daemon.lock", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError:
        return Health(state=State.UNKNOWN)
    except OSError:
        return Health(state=State.ABSENT)
    if patiently(partial(daemon_runs, state)):
        return Health(state=State.UNKNOWN if refused else State.STARTING)
    return Health(state=State.ABSENT)


def _asked(place: Path, question: bytes, patience_s: float) -> Any:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line, _address(place) as address:
        line.settimeout(patience_s)
        line.connect(address)
        line.sendall(question)
        line.shutdown(socket.SHUT_WR)
        said = b""
        while (more := line.recv(65536)) and len(said) < _ANSWER_BYTES:
            said += more
    return json.loads(said)


def _listen(state: Path) -> tuple[Path, socket.socket] | str:
    """A socket that listens in the first place that takes one; why none does."""
    why = ""
    for place in _places(state):
        try:
            if place.parent != state:
                with suppress(FileExistsError):
                    place.parent.mkdir(mode=0o700)
                if not _ours(place.parent, state):
                    continue
            place.unlink(missing_ok=True)  # ours: the caller holds the state folder
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
            try:
                with _address(place) as address:
                    line.bind(address)
                place.chmod(0o600)
                line.listen(16)
            except OSError:
                line.close()
                raise
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return place, line
    return f"No place takes a socket ({why}), so that `nemod health` cannot ask this daemon."


def _places(state: Path) -> Iterator[Path]:
    yield state / FILE
    name = hashlib.sha256(os.fsencode(os.path.realpath(state))).hexdigest()[:16]
    yield Path(tempfile.gettempdir()) / f"nemod-{_owner(state)}" / f"{name}.sock"


def _owner(state: Path) -> int:
    """Whose the state folder is: the superuser may ask as well, and looks where the daemon would."""
    try:
        return state.stat().st_uid
    except OSError:
        return os.geteuid()


def _ours(folder: Path, state: Path) -> bool:
    """Whether a folder among the temporary files is the daemon's: anybody may make one of that name."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid in {0, os.geteuid(), _owner(state)}


@contextmanager
def _address(place: Path) -> Iterator[str]:
    """The name of a socket; one that is too long for the system is said by way of its folder, where there is such a name."""
    if len(os.fsencode(place)) <= _NAME_BYTES:
        yield str(place)
        return
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)
