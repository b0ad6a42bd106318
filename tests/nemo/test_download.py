"""Fetching results over real sockets: whole or not at all, without credentials, and from nowhere private."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from nemod.engines.nemo.address import Guard, PrivateAddressError
from nemod.engines.nemo.client import Client, CloudError, skill_of
from nemod.engines.nemo.wire import Trouble
from nemod.failure import Kind
from tests.nemo.server import TOKEN, Answer, Asked, client_of, fixed, reply, serving

VIDEO = bytes(range(256)) * 20_000
SECRET = ("authorization", "x-skill-source", "x-skill-version", "x-skill-platform", "x-client-id", "cookie")


def video(content: bytes = VIDEO, more: str = "") -> bytes:
    return reply(200, content, kind="video/mp4", more=more)


async def got(client: Client, url: str, to: Path, *, most_bytes: int = 100_000_000) -> list[int]:
    async with aclosing(client.download(url, to, most_bytes=most_bytes)) as counts:
        return [count async for count in counts]


async def failed(tmp_path: Path, answer: Answer, *, most_bytes: int = 100_000_000) -> CloudError:
    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        with pytest.raises(CloudError) as caught:
            await got(client, f"{server.url}/x.mp4", tmp_path / "x.mp4", most_bytes=most_bytes)
    return caught.value


async def test_a_file_comes_whole_and_without_our_credentials(tmp_path: Path) -> None:
    """What was in the file before is gone; the last count is its size."""
    (tmp_path / "x.mp4").write_bytes(b"old" * len(VIDEO))
    async with serving(fixed(video(more="Set-Cookie: a=b\r\n"))) as server, client_of(tmp_path, server.url) as client:
        counts = await got(client, f"{server.url.replace('//', '//user:pass@')}/x.mp4?sig=1#top", tmp_path / "x.mp4")
        await got(client, f"{server.url}/x.mp4", tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == VIDEO
    assert counts[-1] == len(VIDEO)
    assert server.asked[0].path == "/x.mp4?sig=1"
    assert [name for asked in server.asked for name in SECRET if name in asked.headers] == []


async def test_a_length_that_is_not_told_is_taken_as_it_comes(tmp_path: Path) -> None:
    """The end of the connection is the end of the file; a relative address belongs to the API's host."""
    answer = fixed(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nConnection: close\r\n\r\n" + VIDEO)
    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        await got(client, "/renders/x.mp4", tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == VIDEO
    assert server.paths() == ["/renders/x.mp4"]


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (video()[:-1000], Trouble.CUT),
        (b"", Trouble.CUT),
        (reply(500, b"oops"), Trouble.SERVER),
        (reply(404, b"gone"), Trouble.MISSING),
        (reply(410, b"gone"), Trouble.MISSING),
        (reply(401, b"no"), Trouble.REFUSED),
        (reply(403, b"no"), Trouble.REFUSED),
        (reply(204, b""), Trouble.REFUSED),
        (reply(200, b"<html></html>", kind="text/html; charset=utf-8"), Trouble.GARBLED),
        (reply(200, {"error": "expired"}), Trouble.GARBLED),
        (reply(302, b"", more="Location: /x.mp4\r\n"), Trouble.REFUSED),
        (reply(302, b"", more="Location: file:///etc/passwd\r\n"), Trouble.REFUSED),
        (reply(302, b"", more="Location: http://x:port/\r\n"), Trouble.CUT),
        (reply(302, b"", more="Location: http://xn--/\r\n"), Trouble.CUT),
        (reply(302, b"", more="Location: http://x:99999/\r\n"), Trouble.REFUSED),
        (reply(302, b"", more="Location: http://169.254.169.254/latest/\r\n"), Trouble.REFUSED),
        (reply(302, b"", more="Location: http://10.0.0.1/\r\n"), Trouble.REFUSED),
    ],
)
async def test_what_is_no_file_is_told(tmp_path: Path, answer: bytes, trouble: Trouble) -> None:
    """The status of another host says nothing of our account."""
    assert (await failed(tmp_path, fixed(answer))).trouble is trouble


async def test_a_file_that_is_larger_than_it_can_be_is_not_fetched(tmp_path: Path) -> None:
    """Whether its length is told or not."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nConnection: close\r\n\r\n" + VIDEO
    for answer in (video(), endless):
        error = await failed(tmp_path, fixed(answer), most_bytes=1_000_000)
        assert (error.trouble, error.failure.kind) == (Trouble.REFUSED, Kind.REFUSED)
        assert not (tmp_path / "x.mp4").exists() or (tmp_path / "x.mp4").stat().st_size <= 1_000_000 + (1 << 20)


async def test_a_broken_download_begins_again_from_the_start(tmp_path: Path) -> None:
    """Twice cut, once away, then whole."""
    answers = iter([video()[:-1], reply(503, b""), video()[:3000], video()])

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async with serving(answer) as server, client_of(tmp_path, server.url, retries_s=(0.0, 0.0, 0.0)) as client:
        await got(client, f"{server.url}/x.mp4", tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == VIDEO
    assert len(server.asked) == 4


async def test_a_redirect_is_followed_without_credentials(tmp_path: Path) -> None:
    """Five times at most; the bound is tested by the redirect to itself above."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        step = int(asked.path.removeprefix("/"))
        writer.write(video() if step == 5 else reply(307, b"", more=f"Location: /{step + 1}\r\nSet-Cookie: s=1\r\n"))

    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        await got(client, f"{server.url}/0", tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == VIDEO
    assert [name for asked in server.asked for name in SECRET if name in asked.headers] == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://169.254.169.254/", "http://192.168.0.1/", "http://x:port/", "http://xn--/", "//10.0.0.1/"],
)
async def test_a_private_address_is_refused_in_a_sentence(tmp_path: Path, url: str) -> None:
    """Nothing is asked there."""
    async with client_of(tmp_path, "http://127.0.0.1:9") as client:
        with pytest.raises(CloudError) as caught:
            await got(client, url, tmp_path / "x.mp4")
    assert (caught.value.trouble, caught.value.unsure) == (Trouble.REFUSED, False)
    assert "the cloud gave an address that" in caught.value.failure.detail


async def test_a_name_that_leads_elsewhere_when_it_is_connected_to_gets_no_request() -> None:
    """The look-up is of no use if the second one answers otherwise: what was connected to is checked before a byte leaves."""
    async with serving(fixed(video())) as server, httpx.AsyncClient() as http:
        place = httpx.URL(server.url)
        with pytest.raises(PrivateAddressError):
            await http.get(place, extensions={"trace": Guard("https://1.1.1.1").watch(place)})
        await http.get(place, extensions={"trace": Guard(server.url).watch(place)})
        assert len(server.asked) == 1


async def test_behind_a_proxy_the_proxy_connects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own private address is not the file's."""
    async with serving(fixed(video())) as proxy, client_of(tmp_path, "https://1.1.1.1") as client:
        monkeypatch.setenv("http_proxy", proxy.url)
        await got(client, "http://8.8.8.8/x.mp4", tmp_path / "x.mp4")
    assert proxy.paths() == ["http://8.8.8.8/x.mp4"]
    assert (tmp_path / "x.mp4").read_bytes() == VIDEO


async def test_a_file_that_cannot_be_written_is_no_fault_of_the_cloud(tmp_path: Path) -> None:
    """The system's own error comes through."""
    async with serving(fixed(video())) as server, client_of(tmp_path, server.url) as client:
        with pytest.raises(FileNotFoundError):
            await got(client, f"{server.url}/x.mp4", tmp_path / "no" / "x.mp4")


async def fetched(client: Client, to: Path) -> None:
    async with aclosing(client.fetch(skill_of(None), "render/../1", to, most_bytes=100_000_000)) as counts:
        async for _ in counts:
            pass


@pytest.mark.parametrize(
    "first",
    [
        video(),
        reply(200, {"output": {"url": "/there.mp4"}}),
        reply(200, {"code": 0, "data": {"outputUrl": "/there.mp4"}}),
        reply(200, b'{"success": true, "data": {"output": {"url": "/there.mp4"}}}', kind="text/plain"),
        reply(302, b"", more="Location: /there.mp4\r\n"),
    ],
)
async def test_the_other_way_gives_the_file_or_its_address(tmp_path: Path, first: bytes) -> None:
    """The endpoint is asked with our credentials, the address never; the id cannot leave its place in the path."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(video() if asked.path == "/there.mp4" else first)

    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        await fetched(client, tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == VIDEO
    assert server.asked[0].path == "/api/render/proxy/render%2F..%2F1/download"
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert [name for asked in server.asked[1:] for name in SECRET if name in asked.headers] == []


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (reply(200, {"status": "processing"}), Trouble.MISSING),
        (reply(404, {"detail": "no such render"}), Trouble.MISSING),
        (reply(200, {"code": 1001, "message": "bad token"}), Trouble.TOKEN),
        (reply(200, {"output": {"url": "http://169.254.169.254/x"}}), Trouble.REFUSED),
        (video()[:-5], Trouble.CUT),
    ],
)
async def test_the_other_way_may_fail_as_well(tmp_path: Path, answer: bytes, trouble: Trouble) -> None:
    """Here the status does speak of our account."""
    async with serving(fixed(answer)) as server, client_of(tmp_path, server.url) as client:
        with pytest.raises(CloudError) as caught:
            await fetched(client, tmp_path / "x.mp4")
    assert caught.value.trouble is trouble
