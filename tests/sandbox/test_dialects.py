"""How a stream is written: each dialect and each heartbeat that the documents know."""

import pytest

from tests.sandbox.caller import Caller, said, words


def test_adk_tells_whole_events_in_camel_case(caller: Caller) -> None:
    """Each with an id of its own, one invocation for all, the tool's answer in the role of a user."""
    events = said(caller.ready().ask())
    assert len({event["id"] for event in events}) == len(events) == 4
    assert len({event["invocationId"] for event in events}) == 1
    assert [event["content"]["role"] for event in events] == ["model", "model", "user", "model"]
    assert events[2]["actions"]["stateDelta"] == {"draft": "updated"}
    assert events[3]["finishReason"] == "STOP"
    assert "partial" not in events[3]


def test_adk_with_deltas_tells_the_words_in_pieces_and_then_whole(caller: Caller) -> None:
    """The deltas make up the whole, and an empty event follows, as from old servers."""
    caller.cloud.misbehave("dialect:adk-stream")
    events = said(caller.ready().ask())
    texts = [(event.get("partial"), event["content"]["parts"][0].get("text")) for event in events]
    deltas = "".join(text for partial, text in texts if partial)
    assert len(deltas) > 30
    assert texts[-2:] == [(False, deltas), (None, "")]


def test_typed_frames_name_their_type(caller: Caller) -> None:
    """Text, tool call and tool result."""
    caller.cloud.misbehave("dialect:typed")
    frames = said(caller.ready().ask())
    assert [frame["type"] for frame in frames] == ["tool_call", "tool_result", "text"]
    assert frames[0]["name"] == frames[1]["name"] == "edit_multitrack"
    assert "compressed" in frames[2]["content"]


def test_a_bare_stream_has_nothing_but_text(caller: Caller) -> None:
    """One frame."""
    caller.cloud.misbehave("dialect:bare")
    (frame,) = said(caller.ready().ask())
    assert list(frame) == ["text"]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("comment", ": ping"),
        ("empty", "data:"),
        ("word", "data: heartbeat"),
        ("event", "event: heartbeat"),
        ("braces", "data: {}"),
        ("typed", 'data: {"type": "heartbeat"}'),
    ],
)
def test_heartbeats_come_in_every_form(caller: Caller, kind: str, line: str) -> None:
    """Many of them, and the words are still there."""
    caller.cloud.misbehave(f"heartbeats:{kind}")
    reply = caller.ready().ask()
    assert reply.text.splitlines().count(line) >= 40
    assert "compressed" in words(reply)


def test_heartbeats_of_all_forms_come_together(caller: Caller) -> None:
    """When none is named."""
    caller.cloud.misbehave("heartbeats")
    lines = caller.ready().ask().text.splitlines()
    assert all(lines.count(line) >= 4 for line in (": ping", "data:", "data: heartbeat", "event: heartbeat", "data: {}"))
