"""What the sandbox keeps over a restart, and how much memory it takes for a large upload."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.caller import Caller
from tests.support.cloud import cloud

MIB = 1024 * 1024


def test_a_folder_of_ones_own_outlives_a_restart(tmp_path: Path, small: Path) -> None:
    """Credits, session, timeline and renders are there again, and the file with the tokens is nobody else's to read."""
    with cloud(tmp_path) as first:
        caller = Caller(cloud=first, clip=small).ready()
        caller.ask()
        draft, done = caller.draft(), caller.rendered()
        first.stop()
    assert (tmp_path / "sandbox" / "world.json").stat().st_mode & 0o777 == 0o600
    with cloud(tmp_path) as second:
        caller.cloud = second
        assert caller.credits() == (50, 0)
        assert caller.draft() == draft
        assert caller.poll(done["id"])["data"]["status"] == "completed"
        assert caller.rendered()["status"] == "completed"


def test_a_render_under_way_has_failed_after_a_restart(tmp_path: Path, small: Path) -> None:
    """Nobody works on it any more."""
    with cloud(tmp_path, "--misbehave", "render-stuck") as first:
        caller = Caller(cloud=first, clip=small).ready()
        caller.ask()
        number = caller.submit().json()["data"]["id"]
        first.stop()
    with cloud(tmp_path) as second:
        caller.cloud = second
        assert caller.poll(number)["data"]["error"] == "The server was restarted."


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process from /proc")
def test_a_large_upload_does_not_go_through_memory(tmp_path: Path, small: Path) -> None:
    """200 MB of zeros: the server's memory at its highest stays far below that."""
    boundary = "a-line-that-is-not-in-the-file"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="zeros.mp4"\r\n\r\n'.encode()

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(200):
            yield bytes(MIB)
        yield f"\r\n--{boundary}--\r\n".encode()

    with cloud(tmp_path) as own:
        caller = Caller(cloud=own, clip=small).open()
        path = f"/api/upload-video/nemo_agent/me/{caller.session}"
        reply = caller.call("POST", path, content=body(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
        assert reply.json()["code"] == 4001
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{own.pid}/status").read_text("ascii"))
        assert peak is not None
        assert int(peak[1]) * 1024 < 150 * MIB
        assert list((tmp_path / "sandbox" / "uploads").iterdir()) == []
