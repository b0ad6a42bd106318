"""Every exception and every code has a row, and money is never risked twice."""

from pathlib import Path

import httpx
import httpx_sse
import pytest
import respx
from pydantic import SecretStr

from nemod.engines.nemo.account import Credentials, Origin
from nemod.engines.nemo.client import CloudError, skill_of
from nemod.engines.nemo.faults import ROWS, WORDS_MOST, failure, of_exception, quoted
from nemod.engines.nemo.wire import Trouble
from nemod.failure import Failure, Kind
from tests.nemo.server import client_of

EXCEPTIONS = [
    *(kind for name in httpx.__all__ if isinstance(kind := getattr(httpx, name), type) and issubclass(kind, Exception)),
    httpx_sse.SSEError,
]
#: What is raised before the first byte of a request leaves.
BEFORE = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
    httpx.LocalProtocolError,
}
API = "https://cloud.example"
WEB = "https://nemovideo.com"


def made(kind: type[Exception]) -> Exception:
    return kind.__new__(kind, "it went wrong")


@pytest.mark.parametrize("kind", EXCEPTIONS)
@pytest.mark.parametrize("paid", [False, True])
def test_every_exception_has_a_row_of_its_own(kind: type[Exception], *, paid: bool) -> None:
    """For a free and for a paid call; a paid one is sure only of what never left."""
    assert kind in ROWS
    trouble, unsure = of_exception(made(kind), paid=paid)
    assert unsure is (paid and kind not in BEFORE)
    assert (trouble is Trouble.UNREACHABLE) is (kind in BEFORE)


def test_the_list_of_exceptions_is_not_empty() -> None:
    """The test above is about something; an SSEError is a transport error, and yet no break of the transport."""
    assert len(EXCEPTIONS) > 25
    assert issubclass(httpx_sse.SSEError, httpx.TransportError)
    assert of_exception(httpx_sse.SSEError("not a stream"), paid=True) == (Trouble.GARBLED, True)


@pytest.mark.parametrize("error", [OSError("broken"), TimeoutError(), RuntimeError("?"), ConnectionResetError()])
def test_an_unknown_exception_may_have_paid(error: Exception) -> None:
    """The careful answer."""
    assert of_exception(error, paid=True) == (Trouble.CUT, True)


def credentials(origin: Origin, user: str = "") -> Credentials:
    return Credentials(token=SecretStr("nmv_usr_x"), origin=origin, user=user)


def told(
    trouble: Trouble, *, who: Credentials | None = None, code: int = 0, wait: float | None = None, unsure: bool = False
) -> Failure:
    return failure(
        trouble, "so it says", credentials=who, web_url=WEB, now=1000.0, code=code, retry_after_s=wait, unsure=unsure
    )


KINDS = {
    Trouble.TOKEN: Kind.CREDENTIALS,
    Trouble.SESSION: Kind.TRANSIENT,
    Trouble.CREDITS: Kind.CREDITS,
    Trouble.PLAN: Kind.PLAN,
    Trouble.UNSUPPORTED: Kind.REFUSED,
    Trouble.TOO_LARGE: Kind.TOO_LARGE,
    Trouble.CLIENT_ID: Kind.CREDENTIALS,
    Trouble.THROTTLED: Kind.THROTTLED,
    Trouble.SERVER: Kind.TRANSIENT,
    Trouble.DUPLICATE: Kind.TRANSIENT,
    Trouble.MISSING: Kind.TRANSIENT,
    Trouble.REFUSED: Kind.REFUSED,
    Trouble.GARBLED: Kind.PROTOCOL,
    Trouble.UNREACHABLE: Kind.UNREACHABLE,
    Trouble.UNTRUSTED: Kind.UNREACHABLE,
    Trouble.CUT: Kind.TRANSIENT,
    Trouble.TIMED_OUT: Kind.UNCERTAIN,
}


@pytest.mark.parametrize("trouble", Trouble)
@pytest.mark.parametrize("who", [None, *(credentials(origin) for origin in Origin)])
def test_every_trouble_is_a_failure_in_whole_sentences(trouble: Trouble, who: Credentials | None) -> None:
    """Whoever asked."""
    found = told(trouble, who=who)
    assert found.kind is KINDS[trouble]
    assert found.detail.endswith(": so it says")
    assert not found.hint or found.hint.endswith(".")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(500, Kind.TRANSIENT), (408, Kind.TRANSIENT), (0, Kind.TRANSIENT)] + [(c, Kind.UNREACHABLE) for c in (502, 503, 504)],
)
def test_a_gateway_without_a_server_behind_it_is_out_of_reach(code: int, kind: Kind) -> None:
    """Other errors of a server concern one job."""
    assert told(Trouble.SERVER, code=code).kind is kind


def test_a_break_after_payment_is_uncertain() -> None:
    """And without payment it passes."""
    assert told(Trouble.CUT, unsure=True).kind is Kind.UNCERTAIN
    assert told(Trouble.CUT).kind is Kind.TRANSIENT


@pytest.mark.parametrize(("wait", "until"), [(None, 1030.0), (5.0, 1005.0), (-1.0, 1000.0), (1e9, 1000.0 + 86400)])
def test_a_throttle_is_believed_within_reason(wait: float | None, until: float) -> None:
    """For a day at most; half a minute when no time is named."""
    assert told(Trouble.THROTTLED, wait=wait).retry_at == until


def test_without_credits_it_says_what_to_do() -> None:
    """An anonymous account registers under its bind id, so that its history is kept; others top up."""
    assert f"{WEB}/register?bind=anon_1 " in told(Trouble.CREDITS, who=credentials(Origin.ANONYMOUS, "anon_1")).hint
    assert f"{WEB}/register?bind=a%26b " in told(Trouble.CREDITS, who=credentials(Origin.ANONYMOUS, "a&b")).hint
    assert f"{WEB}/register " in told(Trouble.CREDITS, who=credentials(Origin.ANONYMOUS)).hint
    assert "Top up credits in your account" in told(Trouble.CREDITS, who=credentials(Origin.STORED, "u")).hint
    assert told(Trouble.PLAN).hint.startswith("Register or upgrade your plan to unlock export")


@pytest.mark.parametrize(
    ("origin", "words"), [(Origin.ENVIRONMENT, "NEMO_TOKEN"), (Origin.STORED, "set-token"), (Origin.ANONYMOUS, "anonymous")]
)
def test_a_refused_token_is_called_by_where_it_comes_from(origin: Origin, words: str) -> None:
    """A person must know which one to replace."""
    assert words in told(Trouble.TOKEN, who=credentials(origin)).detail


def test_foreign_words_are_quoted_safely() -> None:
    """Without secrets, escapes and length."""
    words = quoted(
        "bad token nmv_usr_abcdef for client 123e4567 at https://x.test/a?sig=1\n\x1b[31m" + "x" * 999, secrets=("123e4567", "")
    )
    assert "nmv_usr" not in words
    assert "123e4567" not in words
    assert "sig=1" not in words
    assert "\x1b" not in words
    assert "\n" not in words
    assert len(words) <= WORDS_MOST + 1


#: Every code of the contract, as the documents give it: what it means in a body, and as an HTTP status where it can be one.
CODES = {
    1001: Trouble.TOKEN,
    1002: Trouble.SESSION,
    1010: Trouble.TOKEN,
    1011: Trouble.TOKEN,
    401: Trouble.TOKEN,
    2001: Trouble.CREDITS,
    4001: Trouble.UNSUPPORTED,
    4002: Trouble.TOO_LARGE,
    400: Trouble.CLIENT_ID,
    402: Trouble.PLAN,
    403: Trouble.PLAN,
    429: Trouble.THROTTLED,
    408: Trouble.SERVER,
    500: Trouble.SERVER,
    502: Trouble.SERVER,
    503: Trouble.SERVER,
    504: Trouble.SERVER,
}
WORDS = {400: "Missing X-Client-Id header nmv_usr_echo"}


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, code) for code in CODES] + [(code, None) for code in CODES if code < 600] + [(400, 2001), (500, 1001), (422, 4002)],
)
@pytest.mark.parametrize("word", ["message", "msg", "detail", "error", "reason"])
async def test_every_code_is_told_in_the_body_and_as_a_status(
    tmp_path: Path, respx_mock: respx.MockRouter, status: int, code: int | None, word: str
) -> None:
    """Under whatever name its words come; the token is in none of ours."""
    number = status if code is None else code
    body: dict[str, object] = {word: WORDS.get(number, "no nmv_usr_echo here")}
    if code is not None:
        body["code"] = code
    respx_mock.get(f"{API}/api/credits/balance/simple").respond(status, json=body)
    async with client_of(tmp_path, API) as client:
        with pytest.raises(CloudError) as caught:
            await client.balance(skill_of(None))
    error = caught.value
    assert error.trouble is CODES[number]
    away = number in {502, 503, 504}
    assert error.failure.kind is (Kind.UNREACHABLE if away else KINDS[error.trouble])
    assert "here" in error.failure.detail or "Missing" in error.failure.detail
    assert "nmv_usr" not in error.failure.detail + error.failure.hint + str(error) + repr(error)
