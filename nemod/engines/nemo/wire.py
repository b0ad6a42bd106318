"""What goes over the wire to the cloud and back, as values: replies, error codes, request bodies. Pure.

Source: the published skills and their reference pages, which contradict each other; every documented shape is read. Rules kept:
- foreign types are never trusted (`foreign`), and `Garbled` is the only exception that leaves this module;
- an error is one if the HTTP status or the body's code or its `success` says so, and is classified by the body's code first;
- ids are strings, because theirs have 19 digits; a draft is kept as it came, because it is sent back verbatim.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nemod.engines.nemo.foreign import (
    Garbled,
    amount,
    false,
    first,
    fraction,
    loads,
    mapping,
    moment,
    name_of,
    number,
    said,
    true,
    unpacked,
    unsigned,
    words_of,
)

_EXCERPT_CHARS = 300
_NAMES_MOST, _TOKEN_CHARS_MOST = 100, 8_000


class Trouble(StrEnum):
    """What a reply, or the lack of one, says went wrong."""

    TOKEN = "token"  # noqa: S105 - not a secret; 1001, 1010, 1011, HTTP 401
    SESSION = "session"  # 1002; HTTP 404 with "session not found"
    CREDITS = "credits"  # 2001
    PLAN = "plan"  # 402, 403
    UNSUPPORTED = "unsupported"  # 4001, HTTP 415
    TOO_LARGE = "too_large"  # 4002, HTTP 413
    CLIENT_ID = "client_id"  # 400 that speaks of X-Client-Id
    THROTTLED = "throttled"  # 429
    SERVER = "server"  # 408, 5xx
    DUPLICATE = "duplicate"  # a render id that exists already: 409, or the words for it
    MISSING = "missing"  # 404 otherwise: an unknown render id
    REFUSED = "refused"  # any other 4xx, code, or success false
    GARBLED = "garbled"  # a reply that cannot be read
    UNREACHABLE = "unreachable"  # no connection was made: nothing was sent
    UNTRUSTED = "untrusted"  # the same, since TLS failed: another try at once would fail as well
    CUT = "cut"  # the connection broke or the reading timed out after the request, or a part of it, had left
    TIMED_OUT = "timed_out"  # a message: heartbeats only for too long, or the whole time is over


_BY_CODE: dict[int, Trouble] = {
    1001: Trouble.TOKEN,
    1010: Trouble.TOKEN,
    1011: Trouble.TOKEN,
    401: Trouble.TOKEN,
    1002: Trouble.SESSION,
    2001: Trouble.CREDITS,
    402: Trouble.PLAN,
    403: Trouble.PLAN,
    4001: Trouble.UNSUPPORTED,
    415: Trouble.UNSUPPORTED,
    4002: Trouble.TOO_LARGE,
    413: Trouble.TOO_LARGE,
    404: Trouble.MISSING,
    409: Trouble.DUPLICATE,
    429: Trouble.THROTTLED,
    408: Trouble.SERVER,
}
#: Codes that say too little by themselves, so that words may say more: an id that exists may come as 400, 422 or 500.
_VAGUE = frozenset({Trouble.REFUSED, Trouble.MISSING, Trouble.SERVER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP reply. `body` is its JSON, None when it is not JSON; `excerpt` is the start of its text, not yet redacted."""

    status: int
    body: object | None
    excerpt: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session of the cloud's agent; `task` and `user` are "" when the reply does not tell them."""

    id: str
    task: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An anonymous token; `expires_at` is epoch seconds, None when the reply does not tell."""

    token: str
    user: str = ""
    expires_at: float | None = None
    credits: float | None = None

    def __repr__(self) -> str:
        """The grant without its token."""
        return f"Grant(user={self.user!r}, expires_at={self.expires_at!r}, credits={self.credits!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What the cloud calls the files that it took, and whether the session knows them already."""

    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    applied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Credits; `frozen` are reserved for work under way."""

    available: float
    frozen: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A session's state; `draft` None means that there is no timeline yet."""

    draft: dict[str, object] | None = None
    infos: tuple[object, ...] = ()  # the files uploaded and made
    media: object = None  # what was generated
    canvas: object = None
    user: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that an edit changes.

        The analyses are left out, because they fill in by themselves, and so is what signs an address, anew at each read.
        """
        facts = unsigned([self.draft or None, list(self.infos) or None, self.canvas or None, self.media or None])
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RenderStatus(StrEnum):
    """How far a render is."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


_STATUS_WORDS: dict[str, RenderStatus] = {
    **dict.fromkeys(("pending", "queued", "waiting", "submitted", "created"), RenderStatus.PENDING),
    **dict.fromkeys(("completed", "complete", "done", "succeeded", "finished"), RenderStatus.COMPLETED),
    **dict.fromkeys(("failed", "failure", "error", "errored", "cancelled", "canceled", "aborted"), RenderStatus.FAILED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """A render as a reply shows it; a completed one may still lack its URL."""

    status: RenderStatus
    id: str | None = None
    fraction: float | None = None  # 0 to 1
    url: str | None = None
    size_bytes: int | None = None
    error: str = ""


def reply_of(status: int, content: bytes, *, retry_after: str | None = None) -> Reply:
    """A reply from what HTTP brought; never fails."""
    text = content.decode("utf-8-sig", "replace")
    try:
        body = loads(text)
    except Garbled:
        body = None
    return Reply(
        status=status,
        body=body,
        excerpt=text[: 10 * _EXCERPT_CHARS].strip()[:_EXCERPT_CHARS],
        retry_after_s=number(retry_after, least=0.0),
    )


def trouble(reply: Reply) -> tuple[Trouble, str] | None:
    """The trouble that a reply tells and the server's own words for it; None when all is well."""
    envelopes = tuple(_envelopes(reply.body))
    codes = tuple(code for body in envelopes for code in _codes(body))
    bad_codes = tuple(code for code in codes if not _fine(code))
    bad_status = not 200 <= reply.status < 300
    unsuccessful = any(false(body.get("success")) for body in envelopes)
    if not (bad_status or bad_codes or unsuccessful or (not codes and _only_an_error(reply.body))):
        unreadable = reply.body is None and reply.excerpt not in {"", "null"}
        return (Trouble.GARBLED, "") if unreadable else None
    words = next((found for body in envelopes if (found := words_of(body))), "")
    if not isinstance(reply.body, dict) and not reply.excerpt.lstrip().startswith("<"):
        words = reply.excerpt
    numbers = [int(code) for code in bad_codes if not isinstance(code, str)] + ([reply.status] if bad_status else [])
    spoken = f"{words} {' '.join(code for code in bad_codes if isinstance(code, str))}"
    return classify(numbers, spoken), words


def classify(codes: list[int], words: str) -> Trouble:
    """What codes (the most telling first) and words mean together."""
    found = [_BY_CODE.get(code) or (Trouble.SERVER if 500 <= code <= 599 else Trouble.REFUSED) for code in codes]
    best = next((each for each in found if each is not Trouble.REFUSED), Trouble.REFUSED)
    plain = words.casefold().replace("_", " ").replace("-", " ")
    if best not in _VAGUE:
        return best
    if "client id" in plain and 400 in codes:
        return Trouble.CLIENT_ID
    if "duplicate" in plain or "already exist" in plain:
        return Trouble.DUPLICATE
    if best is Trouble.SERVER:
        return best
    if "not found" in plain or "does not exist" in plain:
        return Trouble.SESSION if "session" in plain else Trouble.MISSING
    return best


def payload(reply: Reply) -> dict[str, object]:
    """What a reply carries, out of its envelope; raises Garbled."""
    return _layers(reply)[0]


def session_of(reply: Reply) -> Session:
    """The session that was created; raises Garbled."""
    layers = _layers(reply)
    nested = mapping(first(layers, "session"))
    found = name_of(first(layers, "session_id", "sessionId", "session")) or name_of(nested.get("id"))
    found = found or name_of(first(layers, "id"))  # as stock ADK calls it
    if not found:
        raise Garbled("The reply names no session.")
    return Session(
        id=found,
        task=name_of(first(layers, "task_id", "taskId")),
        user=name_of(first(layers, "user_id", "userId", "bind_id")),
    )


def grant_of(reply: Reply) -> Grant:
    """The anonymous token that was granted; raises Garbled."""
    layers = _layers(reply)
    token = first(layers, "token", "access_token", "accessToken")
    # It goes into a header: anything but plain visible characters could not be sent.
    if not isinstance(token, str) or len(token) > _TOKEN_CHARS_MOST or not re.fullmatch(r"[!-~]+", token.strip()):
        raise Garbled("The reply holds no token.")
    return Grant(
        token=token.strip(),
        user=name_of(first(layers, "user_id", "userId", "bind_id")),
        expires_at=moment(first(layers, "expires_at", "expiresAt")),
        credits=number(first(layers, "credits")),
    )


def uploaded_of(reply: Reply) -> Uploaded:
    """What became of an upload; raises Garbled."""
    layers = _layers(reply)
    listed = first(layers, "files", "data")
    if isinstance(listed, Mapping) and not any(key in listed for key in _NAME_KEYS + _URL_KEYS):
        listed = None
    items = listed if isinstance(listed, list) else [listed if isinstance(listed, Mapping) else layers[0]]
    names, urls = [], []
    for item in items[:_NAMES_MOST]:
        entry = mapping(item) or ({"url": item} if isinstance(item, str) and "://" in item else {"name": item})
        names.append(name_of(first((entry,), *_NAME_KEYS)))
        urls.append(name_of(first((entry,), *_URL_KEYS)))
    return Uploaded(
        names=tuple(filter(None, names)),
        urls=tuple(filter(None, urls)),
        applied=true(first(layers, "session_state_applied", "sessionStateApplied")),
    )


_NAME_KEYS = ("filename", "file_name", "fileName", "name")
_URL_KEYS = ("cdn_url", "cdnUrl", "url", "file_url", "fileUrl")


def balance_of(reply: Reply) -> Balance:
    """The credits of an account; raises Garbled."""
    layers = _layers(reply)
    layers = tuple(mapping(layer.get(key)) for layer in layers for key in ("balance", "credits")) + layers
    available = amount(first(layers, "available", "balance", "credits"))
    if available is None:
        available = amount(first(layers, "data"))  # a bare figure
    if available is None:
        raise Garbled("The reply tells no balance.")
    frozen = amount(first(layers, "frozen")) or 0.0
    total = amount(first(layers, "total"))
    return Balance(available=available, frozen=frozen, total=available + frozen if total is None else total)


def state_of(reply: Reply) -> State:
    """The state of a session; raises Garbled."""
    layers = _layers(reply)
    inner = mapping(unpacked(first(layers, "state")))
    layers = ((inner,) if inner else ()) + layers
    infos = unpacked(first(layers, "video_infos", "videoInfos"))
    return State(
        draft=mapping(unpacked(first(layers, "draft"))) or None,
        infos=tuple(infos) if isinstance(infos, list) else tuple(mapping(infos).values()),
        media=first(layers, "generated_media", "generatedMedia") or None,
        canvas=first(layers, "canvas_config", "canvasConfig") or None,
        user=name_of(first(layers, "user_id", "userId", "bind_id")),
    )


def render_of(reply: Reply) -> Render:
    """How far a render is, in every shape that any document shows; raises Garbled."""
    layers = _layers(reply)
    outputs = tuple(mapping(layer.get(key)) for layer in layers for key in ("output", "result"))
    url = first(layers, "outputUrl") or first(outputs, "url", "outputUrl", "output_url")
    url = url or first(layers, "output_url", "url", "downloadUrl", "download_url", "output")
    url = url.strip() or None if isinstance(url, str) else None
    word = first(layers, "status")
    word = word.strip().casefold() if isinstance(word, str) else ""
    status = _STATUS_WORDS.get(word, RenderStatus.PROCESSING)
    if url and word in {"", "ok", "success"}:
        status = RenderStatus.COMPLETED
    size = number(first((*outputs, *layers), "size", "size_bytes", "sizeBytes", "fileSize", "file_size"), least=1.0)
    failed = status is RenderStatus.FAILED
    return Render(
        status=status,
        id=name_of(first(layers, "id", "render_id", "renderId", "taskId", "task_id")) or None,
        fraction=1.0 if status is RenderStatus.COMPLETED else fraction(first(layers, "progress")),
        url=url,
        size_bytes=None if size is None else int(size),
        error=next((why for layer in layers if (why := said(layer.get("error")) or words_of(layer))), "") if failed else "",
    )


def session_body(language: str) -> dict[str, object]:
    """The body that asks for a session."""
    return {"task_name": "project", **({"language": language} if language else {})}


def ask_body(session: str, text: str) -> dict[str, object]:
    """The body of a message to the agent; the keys are snake_case here, and only here."""
    return {"app_name": "nemo_agent", "user_id": "me", "session_id": session, "new_message": {"parts": [{"text": text}]}}


def render_body(render_id: str, session: str, draft: Mapping[str, object]) -> dict[str, object]:
    """The body that asks for a render under an id of ours; `sessionId` is camelCase here, and only here."""
    return {"id": render_id, "sessionId": session, "draft": dict(draft), "output": {"format": "mp4", "quality": "high"}}


def _envelopes(body: object) -> Iterator[dict[str, object]]:
    """The body, and what lies in its data as long as that looks like an envelope itself: a proxy wraps what it was told."""
    layer = mapping(body)
    for depth in range(4):
        if not layer or (depth and not ({"success", "code"} & layer.keys())):
            return
        yield layer
        if "status" not in layer:  # a render that failed carries its error as a value
            yield from filter(None, (mapping(layer.get("error")), mapping(layer.get("detail"))))
        layer = mapping(layer.get("data"))


def _layers(reply: Reply) -> tuple[dict[str, object], ...]:
    """The dictionaries in which a value may stand, the innermost first."""
    if not isinstance(reply.body, dict):
        raise Garbled("The reply is not a JSON object.")
    layers: list[dict[str, object]] = [reply.body]
    for _ in range(3):
        inner = layers[0].get("data")
        inner = unpacked(inner) if isinstance(inner, str) else inner
        if not isinstance(inner, dict) or not inner:
            break
        layers.insert(0, inner)
    return tuple(layers)


def _codes(body: Mapping[str, object]) -> Iterator[int | str]:
    code = body.get("code")
    found = number(code)
    if found is not None:
        yield int(found)
    elif isinstance(code, str) and code.strip():
        yield code.strip()


def _fine(code: int | str) -> bool:
    return code.casefold() in {"ok", "success"} if isinstance(code, str) else code == 0 or 200 <= code < 300


def _only_an_error(body: object) -> bool:
    """Whether a body says nothing but that something went wrong; a render that failed says more."""
    layer = mapping(body)
    return bool(layer.get("error")) and not layer.get("success") and not ({"status", "data"} & layer.keys())
