"""The agent's stream in every dialect: what was said, asked and done."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.engines.nemo.frames import Call, Complaint, Heartbeat, Other, Question, Result, Text, frames
from nemod.engines.nemo.listener import Listener
from nemod.engines.nemo.wire import Trouble

KEYS = [
    "content",
    "parts",
    "text",
    "type",
    "data",
    "error",
    "errorCode",
    "functionCall",
    "name",
    "args",
    "questions",
    "author",
    "partial",
    "code",
    "message",
    "thought",
    "options",
    "function_response",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)


def event(*parts: object, **more: object) -> str:
    return json.dumps(
        {"content": {"role": "model", "parts": list(parts)}, "author": "agent", "actions": {"stateDelta": {}}, **more}
    )


def heard(*events: str) -> Listener:
    listener = Listener()
    for data in events:
        for frame in frames("message", data):
            listener.hear(frame)
    return listener


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *(("message", data) for data in ("", " ", "{}", '""', "null", "heartbeat", "HEARTBEAT", '"ping"', "keepalive", "[ ]")),
        *(("message", json.dumps({"type": kind})) for kind in ("heartbeat", "ping", "keepalive", "keep-alive", "Heartbeat")),
        ("heartbeat", "whatever"),
        ("ping", '{"time": 1}'),
        ("message", '{"heartbeat": true}'),
        ("message", '{"event": "heartbeat"}'),
    ],
)
def test_every_form_of_heartbeat(name: str, data: str) -> None:
    """However it says that it is still working, it is a heartbeat."""
    assert set(frames(name, data)) <= {Heartbeat(), Other()} if data == "[ ]" else frames(name, data) == (Heartbeat(),)


@pytest.mark.parametrize(
    "data",
    [
        '{"text": "hello"}',
        '{"data": {"text": "hello"}}',
        '{"data": "hello"}',
        '{"code": 0, "data": {"text": "hello"}}',
        '{"type": "text", "content": "hello"}',
        '{"type": "message", "text": "hello"}',
        '{"data": "{\\"text\\": \\"hello\\"}"}',
        '"hello"',
        "hello",
    ],
)
def test_typed_and_bare_text(data: str) -> None:
    """Text is found in typed frames, in bare ones and as plain words."""
    assert frames("", data) == (Text(text="hello", delta=True),)


@pytest.mark.parametrize(
    ("name", "data"), [("", "[DONE]"), ("", "7"), ("", '{"type": "done"}'), ("", '{"code": 0, "message": "success"}')]
)
def test_what_does_not_matter(name: str, data: str) -> None:
    """Marks of the protocol say nothing."""
    assert frames(name, data) == (Other(),)


@pytest.mark.parametrize("snake", [False, True])
def test_an_event_of_the_kit(*, snake: bool) -> None:
    """Thoughts stay inside, texts beside each other are one, calls and results keep their order, in either case of keys."""
    call, answer = ("function_call", "function_response") if snake else ("functionCall", "functionResponse")
    data = event(
        {"text": "hm", "thought": True},
        {"text": "I "},
        {"text": "cut it"},
        {call: {"name": "edit_multitrack", "args": {}}},
        {answer: {"name": "edit_multitrack", "response": {"text": "inside"}}},
        {"inlineData": {}},
    )
    said = Text(text="I cut it", author="agent")
    assert frames("message", data) == (said, Call(name="edit_multitrack"), Result(name="edit_multitrack"))


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        ({"type": "tool_call", "name": "generate_video_with_seedance", "args": {}}, Call(name="generate_video_with_seedance")),
        ({"type": "tool_start", "tool_name": "x"}, Call(name="x")),
        ({"type": "tool_call", "function": {"name": "x"}}, Call(name="x")),
        ({"type": "tool_result", "name": "x", "result": {"text": "inside"}}, Result(name="x")),
        ({"type": "thinking_delta", "content": "hm"}, Other()),
        ({"type": "status", "message": "warming up"}, Other()),
        ({"functionResponse": {"name": "x"}}, Result(name="x")),
    ],
)
def test_typed_frames(data: object, frame: object) -> None:
    """Tools stay inside, whatever they are called by."""
    assert frames("message", json.dumps(data)) == (frame,)


ASKED = {"questions": [{"id": "1", "prompt": "Which part?", "options": ["start", {"label": "end"}]}, {"prompt": "How long?"}]}


@pytest.mark.parametrize(
    "data",
    [
        event({"functionCall": {"name": "ask_question", "args": ASKED}}),
        json.dumps({"type": "tool_call", "name": "askQuestion", "args": json.dumps(ASKED)}),
        json.dumps({"type": "ask_question", **ASKED}),
    ],
)
def test_a_question_with_the_tool_for_it(data: str) -> None:
    """Prompts and options come out in words, and the question is no edit."""
    words = "Which part? (start / end)\nHow long?"
    assert frames("message", data) == (Question(text=words),)
    assert heard(data, data).question == words
    assert not heard(data).changes_things


@pytest.mark.parametrize(
    ("name", "data", "text", "trouble"),
    [
        ("", '{"error": "ValueError: bad"}', "ValueError: bad", None),
        ("", '{"error": {"message": "bad"}}', "bad", None),
        ("", '{"error": "he said "no" to it"}', 'he said "no" to it', None),
        ("", '{"error": "first line', "first line", None),
        ("", "{'error': 'x'}", "x", None),
        ("", '{"error": "Session not found: 5"}', "Session not found: 5", Trouble.SESSION),
        ("", '{"code": 2001, "message": "no credits"}', "no credits", Trouble.CREDITS),
        ("", '{"type": "error", "code": "1001", "message": "expired"}', "expired", Trouble.TOKEN),
        ("", '{"error": "oh "my"", "code": 2001}', None, Trouble.CREDITS),
        ("", '{"errorCode": "SAFETY", "errorMessage": "blocked"}', "blocked", None),
        ("", '{"error_code": 429, "error_message": "slow down"}', "slow down", Trouble.THROTTLED),
        ("", '{"type": "error", "content": "broken"}', "broken", None),
        ("error", "broken", "broken", None),
        ("error", '{"text": "broken"}', None, None),
        ("", "[" * 5000, None, None),
        ("", '{"a":' * 5000, None, None),
    ],
)
def test_complaints(name: str, data: str, text: str | None, trouble: Trouble | None) -> None:
    """Errors are told with their words and, where a code or clear words name it, with their trouble, valid JSON or not."""
    found = frames(name, data)
    complaint = found[0]
    assert isinstance(complaint, Complaint)
    assert complaint.trouble is trouble
    assert not complaint.silent
    assert text is None or complaint.text == text


@pytest.mark.parametrize("code", ["MODEL_RETURNED_NO_CONTENT", "STOP", "FinishReason.STOP"])
def test_a_model_with_nothing_to_say(code: str) -> None:
    """An end without words is silent, no failure."""
    (complaint,) = frames("", event(errorCode=code))
    assert isinstance(complaint, Complaint)
    assert complaint.silent


def test_values_glued_together_are_read_one_by_one() -> None:
    """Several values in one event are all read, up to one that cannot be."""
    data = '{"type":"text","content":"a"}\n{"type":"heartbeat"}{"text":"b"} {"error": "x "y""}'
    assert frames("", data) == (Text(text="a", delta=True), Heartbeat(), Text(text="b", delta=True), Complaint(text='x "y"'))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([event({"text": "One."}), event({"text": "Two."}, author="other")], "One.\nTwo."),
        (
            [
                event({"text": "Com"}, partial=True),
                event({"text": "pressed"}, partial=True),
                event({"text": "Compressed"}, partial=False),
            ],
            "Compressed",
        ),
        (
            [
                event({"text": "Com"}, partial=True),
                event({"text": "pressed"}, partial=True),
                event({"text": "Compressed"}),
                event(finishReason="STOP"),
            ],
            "Compressed",
        ),
        ([event({"text": "Com"}, partial=True), event({"text": "pressed"}, partial=True)], "Compressed"),
        ([event({"text": "Com"}, partial=True), event({"text": "Compressed"}, partial=True)], "Compressed"),
        (
            [
                event({"text": "a"}, partial=True, author="x"),
                event({"text": "B."}, author="y"),
                event({"text": "a b"}, author="x"),
            ],
            "B.\na b",
        ),
        ([event({"text": "Same."}), event({"text": "Same."})], "Same."),
        ([event({"functionResponse": {"name": "x", "response": {"result": "inside"}}})], ""),
        ([event({"text": "mine"}, author="user").replace('"model"', '"user"')], ""),
        (['{"text": "I com"}', '{"text": "pressed it."}'], "I compressed it."),
        (
            [
                '{"type":"chunk","content":"I com"}',
                '{"type":"chunk","content":"pressed."}',
                '{"type":"text","content":"I compressed."}',
            ],
            "I compressed.",
        ),
        (
            ['{"text": "I compressed"}', '{"text": " the whole video."}', '{"text": "I compressed the whole video."}'],
            "I compressed the whole video.",
        ),
        (['{"text": "Wait."}', '{"type":"tool_call","name":"x"}', '{"text": "Done."}'], "Wait.\nDone."),
        ([event({"text": "Done."}), event({"text": "I encountered a temporary issue. Please try again."})], "Done."),
        ([event({"text": "Done. I'm sorry, I encountered a temporary issue"})], "Done."),
        ([event({"text": "I encountered a temporary issue."})], ""),
        ([event({"text": "已完成。我遇到了一个临时问题。"})], "已完成。"),
        (["{}", "heartbeat", "{}"], ""),
    ],
)
def test_what_was_said(events: list[str], words: str) -> None:
    """Each text counts once: wholes over their pieces, pieces where no whole came, and trailing noise never."""
    assert heard(*events).words == words


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        *(
            (name, True)
            for name in (
                "edit_multitrack",
                "generate_video_with_seedance",
                "suno_music",
                "updateDraft",
                "compress",
                "voice_over",
            )
        ),
        *((name, False) for name in ("get_draft", "understand_video", "analyze", "readDraft", "")),
    ],
)
def test_tools_that_change_something(name: str, *, edits: bool) -> None:
    """A tool's name tells whether it edits or only looks."""
    listener = heard(event({"functionCall": {"name": name}}))
    assert listener.calls == (name,)
    assert listener.changes_things is edits


def test_complaints_are_kept() -> None:
    """Errors do not end the hearing, and words around them stay."""
    listener = heard('{"error": "x "y""}', event({"text": "Done."}))
    assert listener.words == "Done."
    assert [complaint.text for complaint in listener.complaints] == ['x "y"']


@given(value=JSON, name=st.sampled_from(["", "message", "error", "heartbeat", "tool_call"]), cut=st.booleans())
def test_no_event_is_too_strange(value: object, name: str, *, cut: bool) -> None:
    """Any JSON, whole or cut short, makes at least one frame, and all of them can be heard."""
    data = json.dumps(value)
    found = frames(name, data[: len(data) // 2] if cut else data)
    assert found
    listener = Listener()
    for frame in found:
        listener.hear(frame)
    assert isinstance(listener.words + listener.question, str)


@given(st.text(), st.text())
def test_no_text_is_too_strange(name: str, data: str) -> None:
    """Any text makes at least one frame."""
    assert frames(name, data)
