"""What systemd wants to hear of a service: that it is ready, that it lives, what it does, that it ends (sd_notify(3)).

The protocol is a datagram of `KEY=value` lines to a socket that the environment names. Nothing listens: nothing is said.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

#: How often the status is told where nobody is in a hurry.
EVERY_S = 10.0


class Notifier:
    """Tells the service manager; children get no such address from us (`media.child` hands on little of the environment)."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Read who wants to hear, and how often (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID)."""
        named = env.get("NOTIFY_SOCKET", "")
        # "@" begins a name in the abstract namespace, whose first byte is zero.
        self._address = "\0" + named[1:] if named.startswith("@") else named if named.startswith("/") else ""
        wanted, whose = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
        watched = self._address and wanted.isdecimal() and whose in {"", str(os.getpid())}
        #: Seconds between signs of life: three within the time after which a service is held for dead.
        self.every_s = min(EVERY_S, int(wanted) / 3e6) if watched and int(wanted) else EVERY_S
        self._said = ""

    @property
    def listening(self) -> bool:
        """Whether anybody wants to hear."""
        return bool(self._address)

    def ready(self) -> None:
        """Every folder is watched."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """The work goes on, and this is what it is; a text for people, on one line."""
        told = [] if status == self._said else [f"STATUS={' '.join(status.split())}"]
        self._said = status
        self._send("WATCHDOG=1", *told)

    def stopping(self) -> None:
        """No new work is begun."""
        self._send("STOPPING=1", "STATUS=Stopping")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A manager that does not listen now must not harm the work, and a full socket not hold it up.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)
            line.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
