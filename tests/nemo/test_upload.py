"""Uploads over real sockets: streamed, told of, safe in their names, and never sent half."""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import aclosing
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import pytest

from nemod.engines.nemo.client import Client, CloudError, skill_of
from nemod.engines.nemo.wire import Trouble, Uploaded
from nemod.failure import Kind
from tests.nemo.server import TOKEN, client_of, fixed, listening, reply, serving

DONE = {"code": 0, "data": {"files": [{"filename": "a.mp4", "cdn_url": "https://x.test/a.mp4"}], "session_state_applied": True}}
MEGABYTES = int(os.environ.get("NEMOD_TEST_UPLOAD_MB", "150"))


async def sent(client: Client, file: Path, name: str) -> tuple[list[int], Uploaded]:
    counts: list[int] = []
    async with aclosing(client.upload(skill_of(None), "s/1", file, name=name)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Uploaded):
                return counts, piece
            counts.append(piece)
    raise AssertionError("no answer")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("clip.mp4", "video/mp4"),
        ("CLIP.MOV", "video/quicktime"),
        ("Урок 压缩 🎬.mkv", "video/x-matroska"),
        ('a "quoted" one.webm', "video/webm"),
        ("two\r\nlines\x00.avi", "video/x-msvideo"),
        ("bytes \udcff.mp4", "video/mp4"),
        ("what.xyz", "application/octet-stream"),
    ],
)
async def test_a_file_is_sent_as_a_form_sends_it(tmp_path: Path, name: str, kind: str) -> None:
    """One part named `files` with the file's bytes; no name breaks out of its header."""
    file = tmp_path / "source"
    file.write_bytes(os.urandom(3_000_000))
    async with serving(fixed(reply(200, DONE))) as server, client_of(tmp_path, server.url) as client:
        _, answer = await sent(client, file, name)
    assert answer == Uploaded(names=("a.mp4",), urls=("https://x.test/a.mp4",), applied=True)
    (asked,) = server.asked
    assert asked.path == "/api/upload-video/nemo_agent/me/s%2F1"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert "transfer-encoding" not in asked.headers
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    before, head_and_content, after = asked.body.split(b"--" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    head, _, content = head_and_content.partition(b"\r\n\r\n")
    assert content == file.read_bytes() + b"\r\n"
    part = BytesParser(policy=HTTP).parsebytes(head.lstrip(), headersonly=True)
    assert part["content-type"] == kind
    assert sorted(part.keys()) == ["Content-Disposition", "Content-Type"]
    disposition = head.decode("utf-8").split("\r\n")[1]
    assert disposition.startswith('Content-Disposition: form-data; name="files"; filename="')
    assert disposition.count('"') == 4
    assert disposition.isprintable()


async def test_it_is_told_how_much_has_left(tmp_path: Path) -> None:
    """While a slow server takes it."""
    file = tmp_path / "a.mp4"
    file.write_bytes(b"x" * 30_000_000)
    told = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A kernel may hold 33 MB for a reader that waits; this one holds little, so the sender must wait as well.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        rest = 30_000_000
        while rest > 15_000_000:
            rest -= len(await reader.read(1_000_000))
        await told.wait()
        while rest > 0:
            rest -= len(await reader.read(1_000_000))
        writer.write(reply(200, DONE))

    counts: list[int] = []
    async with (
        listening(handle) as url,
        client_of(tmp_path, url) as client,
        aclosing(client.upload(skill_of(None), "s", file, name="a.mp4")) as pieces,
    ):
        async for piece in pieces:
            if isinstance(piece, int):
                counts.append(piece)
                told.set()
    assert 0 < counts[0] < 30_000_000
    assert counts == sorted(set(counts))
    assert counts[-1] <= 30_000_000


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (reply(200, {"code": 4001, "message": "unsupported"}), Trouble.UNSUPPORTED),
        (reply(413, b"too large", kind="text/plain"), Trouble.TOO_LARGE),
        (reply(200, {"code": 4002}), Trouble.TOO_LARGE),
        (reply(500, b""), Trouble.SERVER),
        (reply(200, b"<html>", kind="text/html"), Trouble.GARBLED),
        (b"", Trouble.CUT),
    ],
)
async def test_a_failed_upload_is_not_sent_again_by_itself(tmp_path: Path, answer: bytes, trouble: Trouble) -> None:
    """It may have arrived: the session's state tells."""
    (tmp_path / "a.mp4").write_bytes(b"x" * 100)
    async with serving(fixed(answer)) as server, client_of(tmp_path, server.url, retries_s=(0.0,)) as client:
        with pytest.raises(CloudError) as caught:
            await sent(client, tmp_path / "a.mp4", "a.mp4")
    assert caught.value.trouble is trouble
    assert len(server.asked) == 1


async def test_a_server_that_refuses_before_it_has_read_everything_is_heard(tmp_path: Path) -> None:
    """A file that is too large is refused by its length."""
    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(50_000_000)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(413, {"code": 4002, "message": "too large"}))
        await writer.drain()
        while await reader.read(1_000_000):
            pass

    async with listening(handle) as url, client_of(tmp_path, url) as client:
        with pytest.raises(CloudError) as caught:
            await sent(client, tmp_path / "a.mp4", "a.mp4")
    assert caught.value.trouble is Trouble.TOO_LARGE


async def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """Nothing is asked for it."""
    async with serving(fixed(reply(200, DONE))) as server, client_of(tmp_path, server.url) as client:
        with pytest.raises(CloudError) as caught:
            await sent(client, tmp_path / "none.mp4", "a.mp4")
        assert caught.value.failure.kind is Kind.SOURCE_GONE

    assert server.asked == []


@pytest.mark.parametrize("size_bytes", [60_000_000, 140_000_000])
async def test_a_file_that_changes_meanwhile_is_not_sent(tmp_path: Path, size_bytes: int) -> None:
    """Half a file under the promise of a whole one would be taken for it."""

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        os.truncate(tmp_path / "a.mp4", size_bytes)
        while await reader.read(1_000_000):
            pass

    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(100_000_000)
    async with listening(handle) as url, client_of(tmp_path, url) as client:
        with pytest.raises(CloudError) as caught:
            await sent(client, tmp_path / "a.mp4", "a.mp4")
    assert caught.value.failure.kind is Kind.SOURCE_CHANGED


async def test_closing_the_generator_ends_the_upload(tmp_path: Path) -> None:
    """No task and no connection stays."""
    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(200_000_000)
    told, ended = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(100_000)
            await told.wait()
            while await reader.read(1_000_000):
                pass
        finally:
            ended.set()

    async with listening(handle) as url, client_of(tmp_path, url) as client:
        async with aclosing(client.upload(skill_of(None), "s", tmp_path / "a.mp4", name="a.mp4")) as pieces:
            assert await anext(pieces)
        told.set()
        await ended.wait()


_PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.nemo.test_upload import sent
from tests.nemo.server import client_of

async def main():
    async with client_of(Path(sys.argv[1]), sys.argv[2]) as client:
        await sent(client, Path(sys.argv[3]), "big.mp4")

asyncio.run(main())
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is read from /proc")
async def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    """Below 100 MB for all of a process that sends a file of NEMOD_TEST_UPLOAD_MB megabytes."""
    file = tmp_path / "big.mp4"
    with file.open("wb") as empty:
        empty.truncate(MEGABYTES * 1_000_000)
    came = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while came < length:
            came += len(await reader.read(1 << 20))
        writer.write(reply(200, DONE))

    async with listening(handle) as url:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, str(tmp_path), url, str(file), stdout=subprocess.PIPE
        )
        out, _ = await child.communicate()
    assert child.returncode == 0
    assert came > MEGABYTES * 1_000_000
    assert int(out) * 1024 < 100_000_000
