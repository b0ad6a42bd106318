"""Replies of the cloud: every documented shape is read, and nothing else makes a reader fail but by saying so."""

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.engines.nemo import wire
from nemod.engines.nemo.foreign import Garbled, loads
from nemod.engines.nemo.wire import Balance, Grant, Render, RenderStatus, Reply, Session, State, Trouble, Uploaded

KEYS = [
    "code",
    "data",
    "success",
    "error",
    "detail",
    "message",
    "status",
    "state",
    "draft",
    "files",
    "output",
    "url",
    "token",
    "available",
    "session_id",
    "video_infos",
    "progress",
    "expires_at",
    "id",
    "t",
    "size",
    "credits",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)
READERS: tuple[Callable[[Reply], object], ...] = (
    wire.payload,
    wire.session_of,
    wire.grant_of,
    wire.uploaded_of,
    wire.balance_of,
    wire.state_of,
    wire.render_of,
)


def reply(body: object, status: int = 200) -> Reply:
    return wire.reply_of(status, json.dumps(body).encode())


def fails(body: object, status: int = 200) -> Trouble | None:
    found = wire.trouble(reply(body, status))
    return found[0] if found else None


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        (1001, Trouble.TOKEN),
        (1010, Trouble.TOKEN),
        (1011, Trouble.TOKEN),
        (401, Trouble.TOKEN),
        (1002, Trouble.SESSION),
        (2001, Trouble.CREDITS),
        (402, Trouble.PLAN),
        (403, Trouble.PLAN),
        (4001, Trouble.UNSUPPORTED),
        (415, Trouble.UNSUPPORTED),
        (4002, Trouble.TOO_LARGE),
        (413, Trouble.TOO_LARGE),
        (429, Trouble.THROTTLED),
        (408, Trouble.SERVER),
        (500, Trouble.SERVER),
        (599, Trouble.SERVER),
        (409, Trouble.DUPLICATE),
        (404, Trouble.MISSING),
        (400, Trouble.REFUSED),
        (422, Trouble.REFUSED),
        (9999, Trouble.REFUSED),
        (-1, Trouble.REFUSED),
        (0, None),
        (200, None),
    ],
)
def test_a_code_means_the_same_in_the_body_and_as_status(code: int, trouble: Trouble | None) -> None:
    """No document says where a code stands: body, text, error object and HTTP status are all read, the body first."""
    assert fails({"code": code, "message": "m"}) is trouble
    assert fails({"code": str(code), "data": {}}) is trouble
    assert fails({"error": {"code": code, "message": "m"}}) is trouble
    if 300 <= code <= 599:
        assert fails({"detail": "m"}, code) is trouble
        assert wire.trouble(wire.reply_of(code, b"")) == (trouble, "")
    if trouble not in {None, Trouble.REFUSED}:
        assert fails({"code": code}, 400) is trouble


@pytest.mark.parametrize(
    ("status", "body", "trouble", "words"),
    [
        (400, {"code": 400, "message": "Missing X-Client-Id"}, Trouble.CLIENT_ID, "Missing X-Client-Id"),
        (400, {"detail": "X-Client-Id header required"}, Trouble.CLIENT_ID, "X-Client-Id header required"),
        (404, {"detail": "Session not found: 55"}, Trouble.SESSION, "Session not found: 55"),
        (404, {"detail": "Not Found"}, Trouble.MISSING, "Not Found"),
        (200, {"success": False, "error": "render not found"}, Trouble.MISSING, "render not found"),
        (200, {"success": False, "error": "Duplicate render id"}, Trouble.DUPLICATE, "Duplicate render id"),
        (500, {"message": "id already exists"}, Trouble.DUPLICATE, "id already exists"),
        (422, {"detail": [{"msg": "field required", "loc": []}, "x"]}, Trouble.REFUSED, "field required; x"),
        (200, {"success": "false", "reason": "no"}, Trouble.REFUSED, "no"),
        (200, {"success": True, "data": {"success": False, "error": {"message": "deep"}}}, Trouble.REFUSED, "deep"),
        (200, {"error": "boom"}, Trouble.REFUSED, "boom"),
        (302, {}, Trouble.REFUSED, ""),
        (500, {"code": 1001, "msg": "expired"}, Trouble.TOKEN, "expired"),
        (200, {"code": "TOKEN_X", "msg": "what"}, Trouble.REFUSED, "what"),
    ],
)
def test_words_of_the_server(status: int, body: object, trouble: Trouble, words: str) -> None:
    """Where a code says too little the words decide, and they are handed on whatever key they stand under."""
    assert wire.trouble(reply(body, status)) == (trouble, words)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"code": None},
        {"success": True},
        {"status": "failed", "error": "x"},
        {"status": "failed", "error": {"code": 500}},
    ],
)
def test_no_trouble(body: object) -> None:
    """A reply without a code is good news, also about a render that failed."""
    assert fails(body) is None


@pytest.mark.parametrize(
    "content", [b"<html>502</html>", b"\xff\xfe\x00", b"{", b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500, b"9" * 5000]
)
def test_what_is_not_json_is_garbled(content: bytes) -> None:
    """Whatever bytes come, there is a reply; it is trouble, and every reader says that it cannot be read."""
    found = wire.reply_of(200, content)
    assert wire.trouble(found) == (Trouble.GARBLED, "")
    for reader in READERS:
        with pytest.raises(Garbled):
            reader(found)
    assert wire.trouble(wire.reply_of(502, content))[0] is Trouble.SERVER  # type: ignore[index]


def test_an_empty_reply_is_no_trouble() -> None:
    """Nothing to say is all right where nothing was asked."""
    assert wire.trouble(wire.reply_of(204, b"")) is None


@pytest.mark.parametrize(("header", "seconds"), [("30", 30.0), ("-1", None), ("soon", None), ("nan", None), (None, None)])
def test_when_to_come_again(header: str | None, seconds: float | None) -> None:
    """Only a number of seconds is taken for one."""
    assert wire.reply_of(429, b"{}", retry_after=header).retry_after_s == seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", None),
        ("[1e999, -Infinity]", [None, None]),
        (r'"\ud83d\ude00"', "😀"),
        (r'["\ud83d", "a"]', ["?", "a"]),
        ('"a\nb"', "a\nb"),
    ],
)
def test_json_that_could_not_be_sent_back(text: str, value: object) -> None:
    """Numbers and characters that no JSON may carry are gone before anybody keeps them."""
    assert loads(text) == value


@pytest.mark.parametrize(
    ("body", "session"),
    [
        (
            {"code": 0, "data": {"task_id": "t", "session_id": "5529798706024415232", "user_id": "anon_a"}},
            ("5529798706024415232", "t", "anon_a"),
        ),
        ({"session_id": 5529798706024415232}, ("5529798706024415232", "", "")),
        ({"data": {"sessionId": "s", "taskId": 7, "userId": "u"}}, ("s", "7", "u")),
        ({"id": "s", "userId": "me", "state": {}}, ("s", "", "me")),
        ({"data": {"session": {"id": "s"}, "id": "x"}}, ("s", "", "")),
    ],
)
def test_sessions(body: object, session: tuple[str, str, str]) -> None:
    """A session's id is kept as text, digit by digit."""
    assert wire.session_of(reply(body)) == Session(id=session[0], task=session[1], user=session[2])


@pytest.mark.parametrize(
    ("data", "expires_at"),
    [
        ({"expires_at": "2026-03-18T00:00:00Z"}, 1773792000.0),
        ({"expires_at": "2026-03-18T00:00:00"}, 1773792000.0),
        ({"expires_at": 1773792000}, 1773792000.0),
        ({"expiresAt": "1773792000000"}, 1773792000.0),
        ({"expires_at": "soon"}, None),
        ({}, None),
    ],
)
def test_grants(data: dict[str, object], expires_at: float | None) -> None:
    """A token comes with or without its expiry, and never shows in a representation."""
    grant = wire.grant_of(reply({"code": 0, "data": {"token": "nmv_usr_x", "user_id": "anon_1", "credits": "100", **data}}))
    assert grant == Grant(token="nmv_usr_" + "x", user="anon_1", expires_at=expires_at, credits=100.0)
    assert "nmv_usr" not in repr(grant)


@pytest.mark.parametrize("token", [None, "", 5, "a b", "a\r\nX-Evil: 1", "ü"])
def test_a_token_that_no_header_can_carry(token: object) -> None:
    """What could not be sent as a header is no token."""
    with pytest.raises(Garbled):
        wire.grant_of(reply({"data": {"token": token}}))


@pytest.mark.parametrize(
    ("body", "uploaded"),
    [
        (
            {"code": 0, "data": {"files": [{"filename": "a.mp4", "cdn_url": "https://c/a"}], "session_state_applied": True}},
            Uploaded(names=("a.mp4",), urls=("https://c/a",), applied=True),
        ),
        ({"data": [{"name": "a", "url": "u"}]}, Uploaded(names=("a",), urls=("u",))),
        ({"data": {"filename": "a", "url": "u"}}, Uploaded(names=("a",), urls=("u",))),
        ({"files": ["https://c/a", None, {}]}, Uploaded(urls=("https://c/a",))),
        ({"code": 0, "data": {}}, Uploaded()),
    ],
)
def test_uploads(body: object, uploaded: Uploaded) -> None:
    """What was uploaded is known by name and address, as far as the reply tells."""
    assert wire.uploaded_of(reply(body)) == uploaded


@pytest.mark.parametrize(
    ("body", "balance"),
    [
        ({"code": 0, "data": {"available": 25000, "frozen": 40, "total": 25040}}, (25000, 40, 25040)),
        ({"available": "1,050.5", "frozen": "2"}, (1050.5, 2, 1052.5)),
        ({"data": {"balance": {"available": 3}}}, (3, 0, 3)),
        ({"code": 0, "data": 7}, (7, 0, 7)),
    ],
)
def test_balances(body: object, balance: tuple[float, float, float]) -> None:
    """The total is what is available and frozen, unless it is told."""
    assert wire.balance_of(reply(body)) == Balance(available=balance[0], frozen=balance[1], total=balance[2])


DRAFT: dict[str, object] = {"t": [{"tt": 0, "sg": [{"unknown": None}]}], "zz": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": {"session_id": "s", "state": {"draft": DRAFT, "video_infos": [1]}}},
        {"data": {"draft": json.dumps(DRAFT), "video_infos": [1]}},
        {"draft": DRAFT, "video_infos": {"a": 1}, "canvas_config": {}, "generated_media": []},
        {"data": {"state": json.dumps({"draft": DRAFT, "video_infos": [1], "video_analyses": {"x": 1}})}},
    ],
)
def test_states(body: object) -> None:
    """The timeline is found at any level, as an object or as its text, unknown keys intact; every shape has one fingerprint."""
    state = wire.state_of(reply(body))
    assert state.draft == DRAFT
    assert state.infos == (1,)
    assert state.fingerprint == State(draft=dict(DRAFT), infos=(1,)).fingerprint


@pytest.mark.parametrize("none", [None, {}, [], "", "null", "not json", 3])
def test_no_timeline_yet(none: object) -> None:
    """Before the first edit there is no draft, however that is written."""
    state = wire.state_of(reply({"data": {"state": {"draft": none}}}))
    assert state.draft is None
    assert state.fingerprint == State().fingerprint


def test_a_fingerprint_tells_edits_from_analyses() -> None:
    """The draft, the files, the canvas and the media count; the order of keys does not."""
    base = State(draft={"a": 1, "b": 2})
    assert base.fingerprint == State(draft={"b": 2, "a": 1}, user="u").fingerprint
    others = [State(draft={"a": 2, "b": 2}), State(draft=base.draft, infos=(1,)), State(draft=base.draft, canvas={"w": 1})]
    others.append(State(draft=base.draft, media=[1]))
    assert len({base.fingerprint, *(each.fingerprint for each in others)}) == 5


URL = "https://static1/render.mp4"


@pytest.mark.parametrize(
    "body",
    [
        {"taskId": "r", "status": "completed", "progress": 100, "output": {"url": URL, "duration": 3, "size": 9}},
        {
            "success": True,
            "data": {"id": "r", "status": "completed", "progress": 100, "outputUrl": URL, "output": {"size": "9"}},
        },
        {"code": 0, "data": {"render_id": "r", "status": "COMPLETED", "output": {"url": URL, "size": 9}}},
        {"code": 0, "data": {"success": True, "data": {"id": "r", "status": "completed", "output_url": URL, "size": 9}}},
        {"id": "r", "status": "completed", "url": f" {URL} ", "fileSize": 9, "data": {}},
        {"id": "r", "status": "completed", "data": {"outputUrl": URL, "size": 9}},
    ],
)
def test_a_completed_render_in_every_documented_shape(body: object) -> None:
    """The documents put status and address in different places; all of them are found."""
    assert wire.render_of(reply(body)) == Render(id="r", status=RenderStatus.COMPLETED, fraction=1.0, url=URL, size_bytes=9)


@pytest.mark.parametrize(
    ("body", "status", "fraction", "error"),
    [
        ({"status": "pending", "progress": 5}, RenderStatus.PENDING, 0.05, ""),
        ({"data": {"status": "processing", "progress": "45%"}}, RenderStatus.PROCESSING, 0.45, ""),
        ({"status": "transmogrifying", "progress": 900}, RenderStatus.PROCESSING, 1.0, ""),
        ({}, RenderStatus.PROCESSING, None, ""),
        ({"status": "failed", "error": {"message": "no codec"}}, RenderStatus.FAILED, None, "no codec"),
        ({"message": "ok", "data": {"status": "failed", "error": "oom"}}, RenderStatus.FAILED, None, "oom"),
        ({"status": "completed", "output": None}, RenderStatus.COMPLETED, 1.0, ""),
        ({"success": True, "status": "success", "data": {"status": "processing"}}, RenderStatus.PROCESSING, None, ""),
    ],
)
def test_a_render_under_way(body: object, status: RenderStatus, fraction: float | None, error: str) -> None:
    """Progress is a share of the whole, unknown words mean that it goes on, and a completed render may lack its address."""
    found = wire.render_of(reply(body))
    assert (found.status, found.fraction, found.error, found.url) == (status, fraction, error, None)


def test_request_bodies() -> None:
    """What is sent is spelt as documented, snake_case and camelCase in their places, the draft verbatim."""
    assert wire.session_body("en") == {"task_name": "project", "language": "en"}
    assert wire.ask_body("5", "hi") == {
        "app_name": "nemo_agent",
        "user_id": "me",
        "session_id": "5",
        "new_message": {"parts": [{"text": "hi"}]},
    }
    assert wire.render_body("render_1", "5", DRAFT) == {
        "id": "render_1",
        "sessionId": "5",
        "draft": DRAFT,
        "output": {"format": "mp4", "quality": "high"},
    }


@given(JSON, st.sampled_from([200, 204, 302, 400, 404, 429, 500]))
def test_no_reply_is_too_strange(body: object, status: int) -> None:
    """Any JSON is read by every reader, or said to be garbled."""
    found = reply(body, status)
    told = wire.trouble(found)
    assert told is None or isinstance(told[1], str)
    for reader in READERS:
        with contextlib.suppress(Garbled):
            value = reader(found)
            if isinstance(value, State):
                assert len(value.fingerprint) == 64


@given(st.binary())
def test_no_bytes_are_too_strange(content: bytes) -> None:
    """Any bytes make a reply."""
    assert len(wire.reply_of(200, content).excerpt) <= 300
