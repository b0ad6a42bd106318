"""The words of a turn as server-sent events, in every documented dialect. Pure, but for fresh ids and the time of day."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

AUTHOR = "nemo_agent"
NO_CONTENT = "MODEL_RETURNED_NO_CONTENT"
#: Pieces of text that a streaming dialect sends as one delta.
_DELTA = 24


class Dialect(StrEnum):
    """ADK's events, whole or with deltas before them; typed frames; a bare `text`."""

    ADK = "adk"
    ADK_STREAM = "adk-stream"
    TYPED = "typed"
    BARE = "bare"


class Beat(StrEnum):
    """The forms of a heartbeat."""

    COMMENT = "comment"
    EMPTY = "empty"
    WORD = "word"
    EVENT = "event"
    BRACES = "braces"
    TYPED = "typed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What the model thinks, which is not for people."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the agent says."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool is called."""

    id: str
    name: str
    args: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A tool answers; `changed` are the keys of the session's state that it changed."""

    id: str
    name: str
    response: Mapping[str, object]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelError:
    """The model failed, or said nothing: an ordinary event with a code."""

    code: str
    text: str


Frame = Thought | Words | Call | Result | ModelError


def heartbeat(kind: Beat) -> bytes:
    """A sign of life."""
    match kind:
        case Beat.COMMENT:
            return b": ping\n\n"
        case Beat.EMPTY:
            return b"data:\n\n"
        case Beat.WORD:
            return b"data: heartbeat\n\n"
        case Beat.EVENT:
            return b"event: heartbeat\ndata: {}\n\n"
        case Beat.BRACES:
            return b"data: {}\n\n"
        case Beat.TYPED:
            return _data({"type": "heartbeat"})
        case _:
            assert_never(kind)


def error_frame(text: str, *, valid: bool) -> bytes:
    """The end of a run that failed: as JSON, or pasted together so that quotes and line ends break it."""
    if not valid:
        return b'data: {"error": "' + text.encode() + b'"}\n\n'
    details = {"error_type": "RuntimeError", "error_message": text, "timestamp": time.time()}
    return _data({"error": f"RuntimeError: {text}", "error_details": details})


def encode(frame: Frame, dialect: Dialect, invocation: str) -> bytes:
    """A frame as one event or several; empty where the dialect has no form for it."""
    match dialect:
        case Dialect.ADK | Dialect.ADK_STREAM:
            return b"".join(map(_data, _adk(frame, invocation, deltas=dialect is Dialect.ADK_STREAM)))
        case Dialect.TYPED:
            return _typed(frame)
        case Dialect.BARE:
            return _data({"text": frame.text}) if isinstance(frame, Words) else b""
        case _:
            assert_never(dialect)


def _data(value: object) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _adk(frame: Frame, invocation: str, *, deltas: bool) -> Iterator[dict[str, object]]:
    role = "model"
    changed: dict[str, object] = {}
    extra: dict[str, object] = {}
    match frame:
        case Thought(text=text):
            part: dict[str, object] = {"text": text, "thought": True}
        case Words(text=text):
            part = {"text": text}
            if deltas:
                for at in range(0, len(text), _DELTA):
                    piece = {"text": text[at : at + _DELTA]}
                    yield _event(piece, invocation, {"partial": True})
                extra["partial"] = False
            extra["finishReason"] = "STOP"
        case Call(id=number, name=name, args=args):
            part = {"functionCall": {"id": number, "name": name, "args": args}}
        case Result(id=number, name=name, response=response):
            part = {"functionResponse": {"id": number, "name": name, "response": response}}
            # ADK's own habit: what a tool answers has the agent as its author and the role of a user.
            role, changed = "user", dict.fromkeys(frame.changed, "updated")
        case ModelError(code=code, text=text):
            yield _event(None, invocation, {"errorCode": code, **({"errorMessage": text} if text else {})})
            return
        case _:
            assert_never(frame)
    yield _event(part, invocation, extra, role=role, changed=changed)
    if deltas and isinstance(frame, Words):
        # Old servers let an empty event follow the whole text.
        yield _event({"text": ""}, invocation, {"finishReason": "STOP"})


def _event(
    part: Mapping[str, object] | None,
    invocation: str,
    extra: Mapping[str, object],
    *,
    role: str = "model",
    changed: Mapping[str, object] | None = None,
) -> dict[str, object]:
    return {
        **({"content": {"role": role, "parts": [part]}} if part is not None else {}),
        **extra,
        "usageMetadata": {"candidatesTokenCount": 17, "promptTokenCount": 1042, "totalTokenCount": 1059},
        "invocationId": invocation,
        "author": AUTHOR,
        "actions": {"stateDelta": changed or {}, "artifactDelta": {}, "requestedAuthConfigs": {}},
        "id": str(uuid.uuid4()),
        "timestamp": time.time(),
    }


def _typed(frame: Frame) -> bytes:
    match frame:
        case Thought():
            return b""
        case Words(text=text):
            return _data({"type": "text", "content": text})
        case Call(name=name, args=args):
            return _data({"type": "tool_call", "name": name, "args": args})
        case Result(name=name, response=response):
            return _data({"type": "tool_result", "name": name, "result": response})
        case ModelError(code=code, text=text):
            return _data({"type": "error", "code": code, "message": text})
        case _:
            assert_never(frame)
