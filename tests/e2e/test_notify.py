"""A service manager hears when the folders are watched, that the daemon lives, what it does, and that it ends."""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.daemon import Machine, eventually


@pytest.fixture
def heard(own: Machine) -> Iterator[Callable[[], list[str]]]:
    """The lines that have come so far, in a socket where systemd would have its own."""
    lines: list[str] = []
    name = own.home / "notify"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(name))
        listener.setblocking(False)
        own.more_env |= {"NOTIFY_SOCKET": str(name), "WATCHDOG_USEC": "600000"}

        def drain() -> list[str]:
            while True:
                try:
                    lines.extend(listener.recv(4096).decode().split("\n"))
                except BlockingIOError:
                    return lines

        yield drain


def test_it_tells_that_it_is_ready_lives_works_and_ends(own: Machine, lengthy: Path, heard: Callable[[], list[str]]) -> None:
    """Ready only once the folders are watched; no child of it hears where to report to."""
    inbox = own.folder("in", preset="roomy")
    own.start()
    eventually(lambda: "WATCHDOG=1" in heard(), own.told)
    assert heard()[0] == "READY=1"
    assert "STATUS=Watching the folders" in heard()
    shutil.copy(lengthy, inbox / "a.mkv")
    eventually(own.encoding, own.told)
    assert b"NOTIFY_SOCKET" not in b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in own.encoding())
    eventually(lambda: any(line.startswith("STATUS=job 1 ") for line in heard()), lambda: "\n".join(heard()))
    before = heard().count("WATCHDOG=1")
    eventually(lambda: heard().count("WATCHDOG=1") > before + 2, own.told)
    assert own.stop() == 0
    assert "STOPPING=1" in heard()


def test_nobody_listens(own: Machine, tiny: Path) -> None:
    """A socket that is gone, or a name that is none, harms nothing."""
    inbox = own.folder("in")
    for name in (str(own.home / "gone"), "not a name"):
        own.more_env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000"}
        own.start()
        shutil.copy(tiny, inbox / f"{len(name)}.mp4")
        own.delivered(f"{len(name)}.mp4")
        assert own.stop() == 0
