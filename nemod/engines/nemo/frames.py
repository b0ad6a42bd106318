"""What the agent's event stream says: one SSE event to frames. Pure.

Three families are read, because no document settles which one is sent: events of the Agent Development Kit (camelCase or
snake_case), typed frames (`{"type": "text", …}`) and bare text. Rules kept:
- thoughts, tool calls and their results stay inside; the words are what the agent says to a person;
- an unreadable `data:` is a complaint, never an exception: the stream is read to its close and the state decides.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nemod.engines.nemo.foreign import Garbled, crowded, first, identity, loads, mapping, number, said, true, unpacked, words_of
from nemod.engines.nemo.wire import Reply, Trouble, classify, trouble


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Still working."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words of the agent. `partial`: a whole may follow that repeats it; `delta`: a piece that continues the one before."""

    text: str
    partial: bool = False
    author: str = ""
    delta: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The agent uses a tool."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A tool has answered."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The agent stops to ask, with the tool for it: prompts and options in words."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An error frame, or one that cannot be read; `silent` when the model merely had nothing to say."""

    text: str
    trouble: Trouble | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Other:
    """Nothing that matters here: thoughts, status, marks of the protocol."""


Frame = Heartbeat | Text | Call | Result | Question | Complaint | Other

_BEATS = frozenset({"heartbeat", "ping", "pong", "keepalive", "keep-alive", "keep_alive"})
_SILENT = frozenset({"MODEL_RETURNED_NO_CONTENT", "STOP"})  # early kits give the reason of an empty end as its error
_CALLS = frozenset({"tool_call", "tool_start", "toolcall_start", "toolcall", "tool_use", "function_call", "functioncall"})
_RESULTS = frozenset({"tool_result", "tool_end", "toolcall_end", "tool_response", "function_response", "functionresponse"})
_SILENCE = frozenset(
    {"status", "session_ready", "warming_up", "message_accepted", "done", "end", "state", "usage", "progress", "start"}
)
_PIECES = frozenset({"chunk", "delta", "text_delta", "text_chunk"})
_WORDS_MOST, _NESTED_MOST = 2_000, 6
_CODE = re.compile(r"""["']code["']\s*:\s*["']?(\d{1,6})""")
_BROKEN = re.compile(r"""^\s*(?:\{|\[\s*[\[{"'])""")
_ERROR_HEAD = re.compile(r"""\s*\{\s*["'](?:error|message|detail)["']\s*:\s*["']?""")


def frames(event: str, data: str) -> tuple[Frame, ...]:
    """The frames of one SSE event, at least one; several JSON values glued together are read one by one."""
    kind = event.strip().casefold()
    bare = data.strip()
    if kind in _BEATS or not bare or bare.casefold().strip('":{} ') in _BEATS | {""}:
        return (Heartbeat(),)
    if bare == "[DONE]":
        return (Other(),)
    return tuple(_read(bare, kind)) or (Other(),)


def _read(data: str, kind: str) -> Iterator[Frame]:
    try:
        whole = loads(data)
    except Garbled:
        yield from _read_glued(data, kind)
    else:
        yield from _of_value(whole, kind)


def _read_glued(data: str, kind: str) -> Iterator[Frame]:
    if "\n" in data and not data.lstrip().startswith(("{", "[")):
        for line in filter(None, map(str.strip, data.splitlines())):
            yield from frames(kind, line)
        return
    for value, rest in _glued(data):
        if rest is None:
            yield from _of_value(value, kind)
        elif kind == "error" or _BROKEN.match(rest):
            yield _unreadable(rest)
        else:
            yield Text(text=rest, delta=True)


def _glued(data: str) -> Iterator[tuple[object, str | None]]:
    """Objects that stand one after the other; at the end, with None, the text that is none."""
    decoder, at = json.JSONDecoder(strict=False), 0
    if crowded(data):
        yield None, data
        return
    while at < len(data):
        if data[at].isspace():
            at += 1
            continue
        end = at
        if data[at] in "{[":
            try:
                _, end = decoder.raw_decode(data, at)
                yield loads(data[at:end]), None
            except (ValueError, RecursionError):  # Garbled is a ValueError
                end = at
        if end == at:
            yield None, data[at:]
            return
        at = end


def _of_value(value: object, kind: str, nested: int = 0) -> Iterator[Frame]:
    if nested > _NESTED_MOST:
        yield Other()
    elif isinstance(value, dict):
        yield from _of_object(value, kind, nested) if value else (Heartbeat(),)
    elif isinstance(value, list):
        for each in value:
            yield from _of_value(each, kind, nested + 1)
    elif value is None or (isinstance(value, str) and value.strip().casefold() in _BEATS | {""}):
        yield Heartbeat()
    elif isinstance(value, str):
        yield Complaint(text=_short(value)) if kind == "error" else Text(text=value, delta=True)
    else:
        yield Other()


def _of_object(body: Mapping[str, object], event: str, nested: int) -> Iterator[Frame]:
    kind = (identity(first((body,), "type", "event", "kind")) or event).casefold().replace("-", "_")
    if kind in _BEATS or identity(body.get("status")).casefold() in _BEATS or body.keys() <= _BEATS:
        yield Heartbeat()
        return
    problem = _problem(body, kind)
    if problem:
        yield problem
    content = body.get("content")
    parts = mapping(content).get("parts") or body.get("parts")
    if isinstance(parts, list):
        yield from _of_parts(parts, body, content)
    elif problem:
        return
    elif kind.startswith(("thinking", "thought", "reasoning")) or kind in _SILENCE or true(body.get("thought")):
        yield Other()
    elif kind in _CALLS or kind in _RESULTS or kind in {"ask_question", "question"}:
        yield from _of_tool(body, kind)
    elif call := mapping(first((body,), "functionCall", "function_call", "tool_call")):
        yield from _of_tool(call, "tool_call")
    elif "functionResponse" in body or "function_response" in body:
        yield Result(name=identity(mapping(first((body,), "functionResponse", "function_response")).get("name")))
    else:
        yield from _of_words(body, event, kind, nested)


def _of_parts(parts: list[object], event: Mapping[str, object], content: object) -> Iterator[Frame]:
    """The parts of an event of the kit; texts beside each other are one text."""
    author = identity(event.get("author"))
    # The role is of no use: a tool's answer carries "user" as well. Only a message of ours that comes back is dropped.
    echo = author == "user" and mapping(content).get("role") == "user"
    words = ""
    for part in map(mapping, parts):
        text = part.get("text")
        if isinstance(text, str) and text and not true(part.get("thought")):
            words += text
            continue
        call = mapping(first((part,), "functionCall", "function_call"))
        answer = mapping(first((part,), "functionResponse", "function_response"))
        if (call or answer) and words.strip() and not echo:
            yield Text(text=words, partial=true(event.get("partial")), author=author)
            words = ""
        if call:
            yield from _of_tool(call, "tool_call")
        elif answer:
            yield Result(name=identity(answer.get("name")))
    # A piece of blanks belongs to what is said; a whole of blanks says nothing.
    if words and not echo and (words.strip() or true(event.get("partial"))):
        yield Text(text=words, partial=true(event.get("partial")), author=author)


def _of_tool(body: Mapping[str, object], kind: str) -> Iterator[Frame]:
    called = first((body,), "name", "tool_name", "toolName", "tool", "function")
    name = identity(called) or identity(mapping(called).get("name"))
    asks = kind in {"ask_question", "question"} or re.match(r"ask|clarif|adkrequestinput|requestuserinput", _letters(name))
    if kind in _RESULTS:
        yield Result(name=name)
    elif asks:
        arguments = first((body, mapping(called)), "args", "arguments", "input", "parameters")
        yield Question(text=_question(mapping(unpacked(arguments)) or body))
    else:
        yield Call(name=name)


def _question(body: Mapping[str, object]) -> str:
    asked = body.get("questions")
    lines = []
    for each in asked if isinstance(asked, list) else [asked or body]:
        one = mapping(each)
        prompt = each if isinstance(each, str) else first((one,), "prompt", "question", "text", "content", "message")
        options = one.get("options") or one.get("choices")
        named = [
            identity(option) or identity(first((mapping(option),), "label", "text", "title", "value", "id"))
            for option in (options if isinstance(options, list) else [])
        ]
        listed = " / ".join(filter(None, named))
        lines.append(" ".join(filter(None, (identity(prompt), f"({listed})" if listed else ""))))
    return _short("\n".join(filter(None, lines))) or "The agent asks a question without words."


def _of_words(body: Mapping[str, object], event: str, kind: str, nested: int) -> Iterator[Frame]:
    """Text, wherever it stands."""
    for key in ("content", "text", "delta", "data", "message", "response", "output", "answer"):
        value = body.get(key)
        if isinstance(value, str) and value:
            if kind == "error":
                yield Complaint(text=_short(value))
            elif key == "data" and value.lstrip().startswith("{"):
                yield from _of_value(unpacked(value), event, nested + 1)
            elif key == "message" and "code" in body:
                yield Other()  # "success", in an envelope without content
            else:
                yield Text(text=value, partial=kind in _PIECES or true(body.get("partial")), author="", delta=True)
            return
        if isinstance(value, dict | list) and value:
            yield from _of_value(value, event or kind, nested + 1)
            return
    yield Other()


def _problem(body: Mapping[str, object], kind: str) -> Complaint | None:
    """The error that a frame tells of; its trouble is named only where a code or clear words do."""
    code = first((body,), "errorCode", "error_code")
    if code:
        name = identity(code)
        words = _short(said(first((body,), "errorMessage", "error_message"))) or name
        found = number(code)
        return Complaint(
            text=words,
            trouble=None if found is None else classify([int(found)], words),
            silent=name.upper().rpartition(".")[2] in _SILENT,
        )
    told = trouble(Reply(status=200, body=dict(body), excerpt=""))
    if not told and not body.get("error") and kind != "error":
        return None
    named, words = told or (None, "")
    if named is Trouble.REFUSED and body.get("code") is None:
        named = None  # just words: the state decides
    words = words or said(body.get("error")) or words_of(body) or identity(body.get("content"))
    return Complaint(text=_short(words) or "The agent reports an error without words.", trouble=named)


def _unreadable(data: str) -> Complaint:
    """What pasted text that should have been JSON tells: early kits do not escape the message of an error."""
    code = _CODE.search(data)
    if head := _ERROR_HEAD.match(data):
        data = data[head.end() :].rstrip().removesuffix("}").rstrip()
        data = data[:-1] if data.endswith(('"', "'")) else data
    words = _short(data)
    named = classify([int(code[1])] if code else [], words)
    return Complaint(text=words, trouble=None if named is Trouble.REFUSED else named)


def _short(text: str) -> str:
    return text.strip()[:_WORDS_MOST]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())
