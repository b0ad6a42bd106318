"""What goes wrong on the way to the cloud, as troubles, and troubles as failures. Pure.

Rules kept here:
- the tables are total: every exception of httpx has a row, every trouble an answer, and tests enumerate both;
- whoever pays must know whether the request may have arrived: only what comes before the first byte says no;
- what the cloud says is quoted without secrets, on one line and short.
"""

from dataclasses import dataclass
from typing import assert_never

import httpx
from httpx_sse import SSEError

from nemod.engines.nemo.account import Credentials, Origin
from nemod.engines.nemo.handshake import distrusted
from nemod.engines.nemo.wire import Trouble
from nemod.failure import Failure, Kind, NemodError
from nemod.logs import redact
from nemod.text import safe

#: What people see of a server's words, and what is looked at for it.
WORDS_MOST, LOOKED_AT_MOST = 200, 4_000
#: A server that names no time is asked again after this; one that names a far one is believed for a day.
THROTTLE_S, THROTTLE_MOST_S = 30.0, 86400.0
#: Gateways say with these that what lies behind them is away.
_AWAY = range(502, 505)


class CloudError(NemodError):
    """The cloud did not do what it was asked."""

    def __init__(self, failure: Failure, *, trouble: Trouble, unsure: bool = False, retry_after_s: float | None = None) -> None:
        """Keep what happened; `unsure` says that a request that costs money may have reached the cloud."""
        super().__init__(failure)
        self.trouble = trouble
        self.unsure = unsure
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Row:
    """What an exception means; `left` says that the request, or a part of it, may have left this machine."""

    trouble: Trouble
    left: bool


_BEFORE, _AFTER = Row(Trouble.UNREACHABLE, left=False), Row(Trouble.CUT, left=True)

#: Every exception that httpx exports, and the one of httpx_sse, which is an httpx.TransportError: a JSON body in place of a
#: stream is raised as one, so that "try again after a transport error" would send a paid message twice.
ROWS: dict[type[Exception], Row] = {
    httpx.ConnectError: _BEFORE,  # no such host, refused, TLS failed
    httpx.ConnectTimeout: _BEFORE,
    httpx.PoolTimeout: _BEFORE,  # no connection was free
    httpx.UnsupportedProtocol: _BEFORE,
    httpx.InvalidURL: Row(Trouble.REFUSED, left=True),  # a redirect, which httpx reads though it does not follow it
    httpx.ProxyError: _BEFORE,  # the proxy did not connect us
    httpx.LocalProtocolError: _BEFORE,  # the request could not be written
    httpx.ReadError: _AFTER,
    httpx.ReadTimeout: _AFTER,
    httpx.WriteError: _AFTER,
    httpx.WriteTimeout: _AFTER,
    httpx.CloseError: _AFTER,
    httpx.NetworkError: _AFTER,
    httpx.TimeoutException: _AFTER,
    httpx.RemoteProtocolError: _AFTER,  # closed in the middle of a reply, or before one
    httpx.ProtocolError: _AFTER,
    httpx.TransportError: _AFTER,
    httpx.RequestError: _AFTER,
    httpx.HTTPError: _AFTER,
    httpx.DecodingError: Row(Trouble.GARBLED, left=True),
    httpx.TooManyRedirects: Row(Trouble.REFUSED, left=True),
    httpx.HTTPStatusError: Row(Trouble.REFUSED, left=True),
    httpx.CookieConflict: _AFTER,
    httpx.StreamError: _AFTER,
    httpx.StreamClosed: _AFTER,
    httpx.StreamConsumed: _AFTER,
    httpx.RequestNotRead: _AFTER,
    httpx.ResponseNotRead: _AFTER,
    SSEError: Row(Trouble.GARBLED, left=True),
}


def of_exception(error: Exception, *, paid: bool) -> tuple[Trouble, bool]:
    """The trouble that an exception means, and whether a paid request may have arrived; an unknown one counts as a cut."""
    row = next((ROWS[kind] for kind in type(error).__mro__ if kind in ROWS), _AFTER)
    trouble = Trouble.UNTRUSTED if distrusted(error) else row.trouble
    return trouble, paid and row.left


def of_status(trouble: Trouble, status: int) -> bool:
    """Whether a paid request that was answered like this may have been taken all the same.

    Where a stream should have been, an error of no known code does not say that nothing was done, nor does a redirect: some
    servers send one after they have done what was asked. One that calls a message a duplicate has met it before: a proxy on
    the way may have sent it twice.
    """
    unclear = trouble in {Trouble.SERVER, Trouble.GARBLED, Trouble.DUPLICATE}
    return unclear or status == 408 or status >= 500 or (trouble is Trouble.REFUSED and status < 400)


def quoted(words: str, *, secrets: tuple[str, ...] = ()) -> str:
    """Foreign words fit for a sentence: no secrets, one line, not long."""
    for secret in secrets:
        if secret:
            words = words.replace(secret, "[redacted]")
    words = safe(redact(" ".join(words[:LOOKED_AT_MOST].split())))
    return words if len(words) <= WORDS_MOST else f"{words[:WORDS_MOST].rstrip()}…"


def failure(
    trouble: Trouble,
    words: str,
    *,
    credentials: Credentials | None,
    web_url: str,
    now: float,
    retry_after_s: float | None = None,
    code: int = 0,
    unsure: bool = False,
) -> Failure:
    """What a trouble means for the work.

    Args:
        trouble: what went wrong.
        words: the server's, or of the exception; fit for people already (see `quoted`).
        credentials: those that were used.
        web_url: where people register.
        now: epoch seconds.
        retry_after_s: what the server asked for.
        code: the HTTP status or the code in the body, where one says it.
        unsure: a paid request may have arrived.
    """
    says = f": {words}" if words else "."
    anonymous = credentials is not None and credentials.origin is Origin.ANONYMOUS
    match trouble:
        case Trouble.TOKEN:
            return _token(credentials, says)
        case Trouble.SESSION:
            return Failure(kind=Kind.TRANSIENT, detail=f"The cloud no longer knows the session{says}")
        case Trouble.CREDITS:
            user = credentials.user if credentials is not None and anonymous else ""
            hint = (
                f"Register at {web_url}/register{bind(user)} to get more; the work then goes on by itself."
                if anonymous
                else f"Top up credits in your account at {web_url}; the work then goes on by itself, within some minutes."
            )
            return Failure(kind=Kind.CREDITS, detail=f"The account has no credits left{says}", hint=hint)
        case Trouble.PLAN:
            hint = "Register or upgrade your plan to unlock export; then `nemod jobs release` lets the work go on."
            return Failure(kind=Kind.PLAN, detail=f"The account's plan does not allow it{says}", hint=hint)
        case Trouble.UNSUPPORTED:
            return Failure(kind=Kind.REFUSED, detail=f"The cloud does not take this kind of file{says}", hint=_LOCALLY)
        case Trouble.TOO_LARGE:
            hint = "Lower `upload_limit` in the table [nemo] to what the cloud takes; larger files are then shrunk here first."
            return Failure(kind=Kind.TOO_LARGE, detail=f"The file is too large for the cloud{says}", hint=hint)
        case Trouble.CLIENT_ID:
            hint = "Check NEMO_CLIENT_ID, or the file client_id in ~/.config/nemovideo."
            return Failure(kind=Kind.CREDENTIALS, detail=f"The cloud does not accept the client id{says}", hint=hint)
        case Trouble.THROTTLED:
            wait = THROTTLE_S if retry_after_s is None else min(max(retry_after_s, 0.0), THROTTLE_MOST_S)
            return Failure(kind=Kind.THROTTLED, detail=f"The cloud asks to wait{says}", retry_at=now + wait)
        case Trouble.SERVER:
            if code in _AWAY:
                until = None if retry_after_s is None else now + min(max(retry_after_s, 0.0), THROTTLE_MOST_S)
                return Failure(kind=Kind.UNREACHABLE, detail=f"The cloud is away at the moment ({code}){says}", retry_at=until)
            return Failure(kind=Kind.TRANSIENT, detail=f"The cloud had an error of its own{f' ({code})' if code else ''}{says}")
        case Trouble.DUPLICATE if unsure:
            return Failure(kind=Kind.UNCERTAIN, detail=f"The cloud says that it has this message already{says}")
        case Trouble.DUPLICATE:
            return Failure(kind=Kind.TRANSIENT, detail=f"The cloud has a render of this id already{says}")
        case Trouble.MISSING:
            return Failure(kind=Kind.TRANSIENT, detail=f"The cloud does not find what it was asked for{says}")
        case Trouble.REFUSED:
            return Failure(kind=Kind.REFUSED, detail=f"The cloud refused the request{says}", hint=_LOCALLY)
        case Trouble.GARBLED:
            hint = "Check `api_url` and NEMO_API_URL; a proxy or a login page may stand in the way."
            return Failure(kind=Kind.PROTOCOL, detail=f"The cloud's reply cannot be read{says}", hint=hint)
        case Trouble.UNREACHABLE:
            return Failure(kind=Kind.UNREACHABLE, detail=f"The cloud cannot be reached{says}", hint=_NETWORK)
        case Trouble.UNTRUSTED:
            return Failure(kind=Kind.UNREACHABLE, detail=f"No safe connection to the cloud can be made{says}", hint=_TRUST)
        case Trouble.CUT if unsure:
            detail = f"The connection broke, and it is unknown whether the message arrived{says}"
            return Failure(kind=Kind.UNCERTAIN, detail=detail)
        case Trouble.CUT:
            return Failure(kind=Kind.TRANSIENT, detail=f"The connection to the cloud broke{says}")
        case Trouble.TIMED_OUT:
            return Failure(kind=Kind.UNCERTAIN, detail=f"The cloud did not come to an end in time{says}")
        case _ as never:
            assert_never(never)


_LOCALLY = 'Set the folder\'s engine to "auto" or "local" to have it done on this machine.'
_NETWORK = "Check the network and `api_url`; the work goes on by itself when the cloud is back."
_TRUST = (
    "Nothing was sent. Check this computer's clock and `api_url`; "
    "where a proxy reads along, let SSL_CERT_FILE name its authority."
)


def bind(user: str) -> str:
    """What goes behind /register so that an anonymous account's history is kept; "" when its user is unknown."""
    return f"?{httpx.QueryParams(bind=user)}" if user else ""


def _token(credentials: Credentials | None, says: str) -> Failure:
    match credentials.origin if credentials is not None else None:
        case Origin.ENVIRONMENT:
            detail = f"The cloud does not accept the token from NEMO_TOKEN{says}"
            hint = "Set a valid one and start nemod again; a token that was given is never replaced by another."
        case Origin.CREDENTIAL:
            detail = f"The cloud does not accept the token that the service manager hands over{says}"
            hint = "Put a valid one into the file that LoadCredential= names in the unit, and restart the service."
        case Origin.STORED:
            detail = f"The cloud does not accept the token from `nemod account set-token`{says}"
            hint = "Store a valid one with `nemod account set-token`, or drop it with `nemod account forget`."
        case Origin.ANONYMOUS:
            detail = f"The cloud does not accept the anonymous token that it gave{says}"
            hint = "Register, and store your own token with `nemod account set-token`."
        case None:
            detail = f"The cloud asks for a token{says}"
            hint = "Store one with `nemod account set-token`, or set NEMO_TOKEN."
        case _ as never:
            assert_never(never)
    return Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint)
