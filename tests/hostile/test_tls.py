"""TLS that fails, in each way that it can: words that say what is wrong, no token that leaves, and no message paid twice."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from nemod.engines.nemo.client import CloudError
from nemod.engines.nemo.wire import Trouble
from nemod.failure import Kind
from nemod.job import JobState
from tests.hostile.caller import SKILL, drain, listen
from tests.hostile.handshakes import CERTS, Server, serving
from tests.nemo.server import TOKEN, client_of
from tests.support.clips import make_clip
from tests.support.daemon import Machine, eventually

#: What fails before a byte of the request has left, and the words for it.
BEFORE = {
    "expired": "its certificate is not valid: it has expired",
    "early": "its certificate is not valid: it begins in the future",
    "other": "its certificate is not valid: it is for another address",
    "itself": "its certificate is not valid: it is signed by itself",
    "old": "it speaks only versions of TLS that are no longer safe",
    "plain": "no TLS is spoken there",
    "garbage": "no TLS is spoken there",
    "alert": "TLS failed (sslv3 alert handshake failure)",
    "half a handshake": "the connection broke before it was safe",
    "cut": "the connection broke before it was safe",
    "reset": "the connection broke before it was safe",
    "silent": "no connection came about in time",
}
#: What fails with the connection made: the message may have arrived.
AFTER = (
    "closes after the handshake",
    "closes after the request",
    "resets after the request",
    "rubbish after the request",
    "asks for a certificate",
)
CALLS = ("balance", "ask", "file")
Told = Mapping[tuple[str, str], CloudError | None]


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, Server]]:
    """One for each way."""
    with serving() as made:
        yield made


async def call(folder: Path, url: str, what: str) -> CloudError | None:
    """One call of a client of its own, and how it failed."""
    try:
        async with client_of(folder, url) as client:
            match what:
                case "balance":
                    await client.balance(SKILL)
                case "ask":
                    await listen(client, "1")
                case _:
                    file = folder / f"{what}.mp4"
                    await drain(client.download(f"{url}/file.mp4", file, most_bytes=1_000))
    except CloudError as error:
        return error
    return None


@pytest.fixture(scope="module")
def told(servers: Mapping[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """How each call ended at each server; side by side, since some wait for a time-out."""

    async def each(what: str, name: str) -> CloudError | None:
        return await call(tmp_path_factory.mktemp("call"), servers[name].url, what)

    async def whole() -> Told:
        cases = [(what, name) for name in servers for what in CALLS]
        return dict(zip(cases, await asyncio.gather(*(each(*case) for case in cases)), strict=True))

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(CERTS / "authority.pem"))
        return asyncio.run(whole())


def test_a_cloud_of_a_known_authority_is_spoken_to(servers: Mapping[str, Server], told: Told) -> None:
    """With SSL_CERT_FILE: or all the failures below would say nothing. A result is asked for without the token."""
    assert told["balance", "good"] is None
    assert told["file", "good"] is None
    assert sorted(TOKEN.encode() in request for request in servers["good"].heard) == [False, True, True]


@pytest.mark.parametrize("name", BEFORE)
def test_what_fails_in_the_handshake_is_told_and_sends_nothing(servers: Mapping[str, Server], told: Told, name: str) -> None:
    """Not "unreachable" alone; the token never leaves, and the message was not sent, so it may be sent again."""
    for what in CALLS:
        error = told[what, name]
        assert error is not None, what
        assert BEFORE[name] in error.failure.detail
        assert error.failure.kind is Kind.UNREACHABLE
        assert not error.unsure
        assert error.failure.hint.endswith(".")
        assert ("at the file's own address" in error.failure.detail) is (what == "file")
    assert servers[name].connected == len(CALLS)
    assert not any(TOKEN.encode() in request or b"HTTP/1.1" in request for request in servers[name].heard)


@pytest.mark.parametrize("name", AFTER)
def test_what_fails_after_the_handshake_may_have_been_paid(told: Told, name: str) -> None:
    """For the message only."""
    found = {what: told[what, name] for what in CALLS}
    assert {what: error is not None and error.unsure for what, error in found.items()} == {
        "balance": False,
        "ask": True,
        "file": False,
    }
    assert all(error is not None and error.trouble is Trouble.CUT for error in found.values())


def test_an_unknown_authority_is_told(servers: Mapping[str, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a proxy that reads along; the hint says what helps."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "itself.pem"))
    error = asyncio.run(call(tmp_path, servers["good"].url, "ask"))
    assert error is not None
    assert "an authority that this computer does not know" in error.failure.detail
    assert "SSL_CERT_FILE" in error.failure.hint
    assert not error.unsure


def test_a_plain_address_of_a_server_that_speaks_tls_is_told(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """Its alert is no status line that people could read."""
    error = asyncio.run(call(tmp_path, servers["alert"].url.replace("https", "http"), "balance"))
    assert error is not None
    assert "no HTTP is spoken there; perhaps the address should begin with https://" in error.failure.detail


def test_the_daemon_works_here_or_waits_while_the_cloud_cannot_be_trusted(
    own: Machine, servers: Mapping[str, Server], tmp_path: Path
) -> None:
    """A folder that may choose is served by this machine, one for the cloud waits, and the log says what is wrong."""
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, size=(160, 120), extra_args=("-crf", "1"))
    expired = servers["expired"]
    before = len(expired.heard)
    own.more_env = {
        "NEMO_API_URL": expired.url,
        "NEMO_TOKEN": TOKEN,
        "SSL_CERT_FILE": str(CERTS / "authority.pem"),
    }
    for name, engine in (("may", "auto"), ("must", "nemo")):
        own.folder(name, f'engine = "{engine}"', preset="tight")
        shutil.copy(clip, own.home / name / "a.mp4")
    own.start()
    own.delivered("a.mp4", folder="may")
    eventually(lambda: own.events("engine.held"), own.told)
    (held,) = own.events("engine.held")[:1]
    assert "its certificate is not valid: it has expired" in held["why"]
    assert own.states(folder="must") == [JobState.QUEUED]
    assert "has expired" in own.nemod("status").stdout
    assert own.stop() == 0
    assert len(expired.heard) == before  # no request was ever readable there
    assert TOKEN not in own.told()
