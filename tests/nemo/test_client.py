"""The calls and what the client makes of the replies: headers, retries, tokens."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import respx

from nemod.config.model import Preset
from nemod.engines.nemo.account import Origin
from nemod.engines.nemo.client import Client, CloudError, Skill, skill_of
from nemod.engines.nemo.wire import RenderStatus, Trouble
from nemod.failure import Kind
from tests.nemo.server import TOKEN, Asked, account_at, client_of, fixed, reply, serving

API = "https://cloud.example"
SKILL = Skill(source="compress-video", version="1.0.0", platform="clawhub")
BALANCE = f"{API}/api/credits/balance/simple"
GRANT = f"{API}/api/auth/anonymous-token"
FULL = {"code": 0, "data": {"available": 100, "frozen": 0, "total": 100}}
NOW = 1_000_000.0
ENOUGH = (0.0, 0.0, 0.0)


def granted(token: str, *, user: str = "anon_1") -> dict[str, object]:
    return {"code": 0, "data": {"token": token, "user_id": user, "expires_at": "2099-01-01T00:00:00Z", "credits": 100}}


def bearers(route: respx.Route) -> list[str]:
    return [call.request.headers["authorization"].removeprefix("Bearer ") for call in route.calls]


def test_a_preset_asks_in_the_name_of_its_skill() -> None:
    """Without one nemod asks for itself."""
    preset = Preset(name="a", skill="jpeng-video", skill_version="2.1", skill_platform="cursor")
    assert skill_of(preset) == Skill(source="jpeng-video", version="2.1", platform="cursor")
    assert skill_of(Preset(name="b")).source == "nemod"
    assert skill_of(None).platform == "unknown"


async def test_nothing_is_connected_before_the_first_call(tmp_path: Path) -> None:
    """And a closed client can be used again."""
    async with serving(fixed(reply(200, FULL))) as server, client_of(tmp_path, server.url) as client:
        assert client._line._http is None
        await client.close()
        await client.balance(SKILL)
        await client.close()
        assert client._line._http is None
        assert (await client.balance(SKILL)).total == 100


async def test_every_call_carries_its_headers_and_its_path(tmp_path: Path) -> None:
    """The whole way of a job; ids cannot leave their place in a path."""
    replies: dict[str, dict[str, object]] = {
        "/api/tasks/me/with-session/nemo_agent": {"code": 0, "data": {"session_id": "5529798706024415232", "user_id": "u"}},
        "/api/state/nemo_agent/me/a%2Fb%3F/latest": {"code": 0, "data": {"state": {"draft": None}}},
        "/api/credits/balance/simple": FULL,
        "/api/upload-video/nemo_agent/me/s": {"code": 0, "data": {"files": [], "session_state_applied": True}},
        "/api/render/proxy/lambda": {"success": True, "data": {"id": "render_1", "status": "pending"}},
        "/api/render/proxy/lambda/render_1": {"status": "processing", "progress": 50},
        "/api/render/proxy/lambda/render_1/cancel": {"success": True},
    }

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, replies[asked.path], more="Set-Cookie: a=b; Path=/\r\n"))

    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        assert (await client.open_session(SKILL)).id == "5529798706024415232"
        assert (await client.state(SKILL, "a/b?")).draft is None
        assert (await client.balance(SKILL)).available == 100
        assert (await client.upload_url(SKILL, "s", "https://x.test/a.mp4")).applied
        assert await client.submit(SKILL, "s", "render_1", {"t": [], "unknown": [1.5, None]}) == "render_1"
        render = await client.render(SKILL, "render_1")
        assert render is not None
        assert (render.status, render.fraction) == (RenderStatus.PROCESSING, 0.5)
        await client.cancel_render(SKILL, "render_1")
    assert server.paths() == list(replies)
    for asked in server.asked:
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert asked.headers["x-skill-source"] == "compress-video"
        assert asked.headers["x-skill-version"] == "1.0.0"
        assert asked.headers["x-skill-platform"] == "clawhub"
        assert "cookie" not in asked.headers
    bodies = [asked.json() for asked in server.asked if asked.body]
    assert bodies == [
        {"task_name": "project", "language": "en"},
        {"urls": ["https://x.test/a.mp4"], "source_type": "url"},
        {
            "id": "render_1",
            "sessionId": "s",
            "draft": {"t": [], "unknown": [1.5, None]},
            "output": {"format": "mp4", "quality": "high"},
        },
    ]


@pytest.mark.parametrize(
    "passing",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(408),
        httpx.Response(500, json={"code": 500}),
        httpx.Response(200, json={"code": 503, "message": "busy"}),
        httpx.Response(502, html="<h1>Bad Gateway</h1>"),
        httpx.Response(200, content=b"\x00\xffgarbage"),
        httpx.Response(200, json={"code": 0, "data": {}}),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(429, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:10 GMT"}),
    ],
)
async def test_what_may_pass_by_itself_is_tried_again(
    tmp_path: Path, respx_mock: respx.MockRouter, passing: httpx.Response | Exception
) -> None:
    """In place, before anybody hears of it."""
    route = respx_mock.get(BALANCE)
    route.side_effect = [passing, httpx.Response(200, json=FULL)]
    async with client_of(tmp_path, API, retries_s=ENOUGH) as client:
        assert (await client.balance(SKILL)).available == 100
    assert route.call_count == 2


@pytest.mark.parametrize(
    ("lasting", "calls", "kind"),
    [
        (httpx.ConnectError("refused"), 4, Kind.UNREACHABLE),
        (httpx.ReadError("cut"), 4, Kind.TRANSIENT),
        (httpx.Response(503), 4, Kind.UNREACHABLE),
        (httpx.Response(200, content=b"garbage"), 4, Kind.PROTOCOL),
        (httpx.Response(429), 1, Kind.THROTTLED),
        (httpx.Response(429, headers={"Retry-After": "31"}), 1, Kind.THROTTLED),
        (httpx.Response(429, headers={"Retry-After": "0"}), 2, Kind.THROTTLED),
        (httpx.Response(400, json={"detail": "no"}), 1, Kind.REFUSED),
        (httpx.Response(301, headers={"Location": "https://evil.example/"}), 1, Kind.REFUSED),
        (httpx.Response(401), 1, Kind.CREDENTIALS),
        (httpx.Response(200, json={"code": 2001}), 1, Kind.CREDITS),
    ],
)
async def test_what_does_not_pass_is_told(
    tmp_path: Path, respx_mock: respx.MockRouter, lasting: httpx.Response | Exception, calls: int, kind: Kind
) -> None:
    """After as many tries as there are pauses; a refusal at once, and a redirect leads nowhere."""
    route = respx_mock.get(BALANCE)
    route.side_effect = [lasting] * 4
    async with client_of(tmp_path, API, retries_s=ENOUGH) as client:
        with pytest.raises(CloudError) as caught:
            await client.balance(SKILL)
    assert (route.call_count, caught.value.failure.kind, caught.value.unsure) == (calls, kind, False)


async def test_a_throttle_tells_until_when(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """In seconds or as a date."""
    route = respx_mock.get(BALANCE)
    for told, until in (("90", NOW + 90), ("Mon, 12 Jan 1970 13:50:00 GMT", 1_000_200.0), ("soon", NOW + 30), ("-5", NOW + 30)):
        route.mock(httpx.Response(429, headers={"Retry-After": told}))
        async with client_of(tmp_path, API) as client:
            with pytest.raises(CloudError) as caught:
                await client.balance(SKILL)
        assert caught.value.failure.retry_at == until


async def test_a_reply_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A reply of some megabytes is none."""
    sent = 0

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"a": "')
        while sent < 100_000_000:
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    async with serving(answer) as server, client_of(tmp_path, server.url) as client:
        with pytest.raises(CloudError) as caught:
            await client.state(SKILL, "s")
    assert caught.value.trouble is Trouble.GARBLED
    assert sent < 60_000_000


@pytest.mark.parametrize(
    "again",
    [
        httpx.Response(409, json={"error": "conflict"}),
        httpx.Response(400, json={"success": False, "error": "Duplicate render id"}),
        httpx.Response(200, json={"success": False, "error": "id already exists"}),
    ],
)
async def test_a_render_is_submitted_again_under_the_same_id(
    tmp_path: Path, respx_mock: respx.MockRouter, again: httpx.Response
) -> None:
    """The first one had arrived, and its reply was lost."""
    route = respx_mock.post(f"{API}/api/render/proxy/lambda")
    route.side_effect = [httpx.ReadError("lost"), again]
    async with client_of(tmp_path, API, retries_s=ENOUGH) as client:
        assert await client.submit(SKILL, "s", "render_7", {"t": []}) == "render_7"
    assert [json.loads(call.request.content)["id"] for call in route.calls] == ["render_7", "render_7"]


@pytest.mark.parametrize(
    ("body", "known_as"),
    [
        (b"", "render_7"),
        (b'{"code": 0}', "render_7"),
        (b'{"code": 0, "data": null}', "render_7"),
        (b'{"success": true, "data": {"id": "theirs", "status": "pending"}}', "theirs"),
    ],
)
async def test_the_id_to_poll_is_the_clouds_when_it_names_one(
    tmp_path: Path, respx_mock: respx.MockRouter, body: bytes, known_as: str
) -> None:
    """Else ours."""
    respx_mock.post(f"{API}/api/render/proxy/lambda").respond(200, content=body)
    async with client_of(tmp_path, API) as client:
        assert await client.submit(SKILL, "s", "render_7", {"t": []}) == known_as


async def test_an_unknown_render_is_none_and_another_trouble_is_not(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """Not to be known and not to be told are two things."""
    route = respx_mock.get(f"{API}/api/render/proxy/lambda/r")
    async with client_of(tmp_path, API) as client:
        route.respond(404, json={"error": "Render not found"})
        assert await client.render(SKILL, "r") is None
        route.respond(402, json={"error": "plan"})
        with pytest.raises(CloudError) as caught:
            await client.render(SKILL, "r")
        assert caught.value.failure.kind is Kind.PLAN
        respx_mock.post(f"{API}/api/render/proxy/lambda/r/cancel").respond(500)
        await client.cancel_render(SKILL, "r")


async def test_a_given_token_is_never_replaced(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """Though an anonymous one might be had."""
    route = respx_mock.get(BALANCE).respond(200, json={"code": 1001, "message": f"token {TOKEN} expired"})
    async with client_of(tmp_path, API, anonymous=True, retries_s=ENOUGH) as client:
        with pytest.raises(CloudError) as caught:
            await client.balance(SKILL)
    assert (caught.value.failure.kind, route.call_count) == (Kind.CREDENTIALS, 1)
    assert "NEMO_TOKEN" in caught.value.failure.detail
    assert TOKEN not in str(caught.value)


async def test_without_an_account_nothing_is_asked(tmp_path: Path) -> None:
    """Unless a folder may use an anonymous one."""
    async with client_of(tmp_path, API, token="") as client:
        with pytest.raises(CloudError) as caught:
            await client.balance(SKILL)
    assert (caught.value.trouble, caught.value.failure.kind) == (Trouble.TOKEN, Kind.CREDENTIALS)
    assert "set-token" in caught.value.failure.hint


async def test_an_anonymous_token_is_asked_for_once_and_used_again(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """Many calls at once ask once, and a restarted program not at all; the token is not sent to get a token."""
    mint = respx_mock.post(GRANT).respond(200, json=granted("nmv_usr_1"))
    balance = respx_mock.get(BALANCE).respond(200, json=FULL)
    async with client_of(tmp_path, API, token="", anonymous=True) as client:
        await asyncio.gather(*(client.balance(SKILL) for _ in range(20)))
        found = await client.credentials()
        assert (found.origin, found.user) == (Origin.ANONYMOUS, "anon_1")
    async with client_of(tmp_path, API, token="", anonymous=True) as client:
        await client.balance(SKILL)
    assert mint.call_count == 1
    request = mint.calls[0].request
    assert request.headers["x-client-id"] == account_at(tmp_path, API).client_id()
    assert "authorization" not in request.headers
    assert request.headers["x-skill-source"] == "compress-video"
    assert set(bearers(balance)) == {"nmv_usr_1"}


async def test_two_programs_ask_for_one_token(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """The second one waits for the first, and uses what it got."""
    mint = respx_mock.post(GRANT).respond(200, json=granted("nmv_usr_1"))
    respx_mock.get(BALANCE).respond(200, json=FULL)
    async with (
        client_of(tmp_path, API, token="", anonymous=True) as one,
        client_of(tmp_path, API, token="", anonymous=True) as two,
    ):
        await asyncio.gather(one.balance(SKILL), two.balance(SKILL))
    assert mint.call_count == 1


async def test_an_anonymous_token_is_renewed_with_the_same_client_id(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """Once; a token that is refused as well is told of."""
    mint = respx_mock.post(GRANT)
    mint.side_effect = [httpx.Response(200, json=granted(f"nmv_usr_{n}")) for n in range(3)]
    balance = respx_mock.get(BALANCE)
    balance.side_effect = [httpx.Response(200, json={"code": 1001}), httpx.Response(200, json=FULL)]
    async with client_of(tmp_path, API, token="", anonymous=True) as client:
        await client.balance(SKILL)
        assert bearers(balance) == ["nmv_usr_0", "nmv_usr_1"]
        balance.side_effect = [httpx.Response(401)] * 2
        with pytest.raises(CloudError) as caught:
            await client.balance(SKILL)
    assert caught.value.failure.kind is Kind.CREDENTIALS
    assert mint.call_count == 3
    assert len({call.request.headers["x-client-id"] for call in mint.calls}) == 1


async def test_the_quota_is_asked_twice_and_then_remembered(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """Also by the next program; another client id is never made up."""
    mint = respx_mock.post(GRANT).respond(429, json={"detail": "one token per client in 7 days"})
    for _ in range(2):
        async with client_of(tmp_path, API, token="", anonymous=True, retries_s=ENOUGH) as client:
            with pytest.raises(CloudError) as caught:
                await client.balance(SKILL)
        assert caught.value.failure.kind is Kind.THROTTLED
        assert caught.value.failure.retry_at == NOW + 86400
        assert "set-token" in caught.value.failure.hint
        assert mint.call_count == 2
    assert len({call.request.headers["x-client-id"] for call in mint.calls}) == 1
    mint.respond(200, json=granted("nmv_usr_1"))
    respx_mock.get(BALANCE).respond(200, json=FULL)
    async with client_of(tmp_path, API, token="", anonymous=True, now=NOW + 86401) as client:
        await client.balance(SKILL)


@pytest.mark.parametrize("detail", ["X-Client-Id is required", "bad request"])
async def test_a_client_id_that_is_not_accepted_is_told_without_it(
    tmp_path: Path, respx_mock: respx.MockRouter, detail: str
) -> None:
    """A person has to look at it."""
    client_id = account_at(tmp_path, API).client_id()
    mint = respx_mock.post(GRANT).respond(400, json={"detail": f"{detail}: {client_id}"})
    async with client_of(tmp_path, API, token="", anonymous=True, retries_s=ENOUGH) as client:
        with pytest.raises(CloudError) as caught:
            await client.credentials()
    assert (caught.value.failure.kind, mint.call_count) == (Kind.CREDENTIALS, 1)
    assert detail in caught.value.failure.detail
    assert client_id not in caught.value.failure.detail + caught.value.failure.hint


async def test_a_token_that_could_not_be_kept_is_not_asked_for(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """It would be lost, and there is no other for a week."""
    mint = respx_mock.post(GRANT).respond(200, json=granted("nmv_usr_1"))
    (tmp_path / "state").write_text("no folder")
    async with client_of(tmp_path, API, token="", anonymous=True) as client:
        with pytest.raises(CloudError) as caught:
            await client.credentials()
    assert (caught.value.failure.kind, mint.call_count) == (Kind.CREDENTIALS, 0)


async def test_a_token_on_its_way_survives_the_end_of_the_work(tmp_path: Path) -> None:
    """Whoever is cancelled while it is asked for waits a moment for it, and it is kept."""
    release = asyncio.Event()

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(reply(200, granted("nmv_usr_1")))

    async with serving(answer) as server:
        async with client_of(tmp_path, server.url, token="", anonymous=True) as client:
            asking = asyncio.create_task(client.credentials())
            await server.came.wait()
            asking.cancel()
            asyncio.get_running_loop().call_soon(release.set)
            with pytest.raises(asyncio.CancelledError):
                await asking
        kept = account_at(tmp_path, server.url).current(now=NOW, anonymous=True)
    assert kept is not None
    assert kept.token.get_secret_value() == "nmv_usr_1"


async def test_a_damaged_account_is_an_error_of_the_cloud(tmp_path: Path) -> None:
    """The engine knows one kind of error only."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "account.json").write_text("{")
    async with client_of(tmp_path, API) as client:
        with pytest.raises(CloudError) as caught:
            await client.balance(SKILL)
        assert client.told(Trouble.PLAN, "so it says").failure.kind is Kind.PLAN
    assert caught.value.failure.kind is Kind.CREDENTIALS


async def test_the_bind_id_is_learned_from_the_session(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """Newer replies to the request for a token leave it out."""
    respx_mock.post(GRANT).respond(200, json={"code": 0, "data": {"token": "nmv_usr_1"}})
    respx_mock.post(f"{API}/api/tasks/me/with-session/nemo_agent").respond(
        200, json={"code": 0, "data": {"session_id": "1", "user_id": "anon_9"}}
    )
    async with client_of(tmp_path, API, token="", anonymous=True) as client:
        await client.open_session(SKILL)
        told = client.told(Trouble.CREDITS, "no credits are left")
    assert "/register?bind=anon_9" in told.failure.hint


async def asked(client: Client) -> None:
    async for _ in client.ask(SKILL, "s", "hello"):
        pass


async def test_a_message_refused_for_its_anonymous_token_was_not_sent(tmp_path: Path, respx_mock: respx.MockRouter) -> None:
    """It is not sent again by itself; the next call asks for another token."""
    mint = respx_mock.post(GRANT)
    mint.side_effect = [httpx.Response(200, json=granted(f"nmv_usr_{n}")) for n in range(2)]
    run = respx_mock.post(f"{API}/run_sse").respond(401, json={"code": 1001})
    async with client_of(tmp_path, API, token="", anonymous=True, retries_s=ENOUGH) as client:
        with pytest.raises(CloudError) as caught:
            await asked(client)
        assert (caught.value.trouble, caught.value.unsure, caught.value.failure.kind) == (Trouble.TOKEN, False, Kind.TRANSIENT)
        assert run.call_count == 1
        assert (await client.credentials()).token.get_secret_value() == "nmv_usr_1"
