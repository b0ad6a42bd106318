"""How misbehaviours are written, and how often they act."""

import re

import pytest

from nemod.sandbox.faults import CATALOGUE, LISTED, Endpoint, FaultError, Faults, Switch, parse


@pytest.mark.parametrize(
    ("word", "switch"),
    [
        ("silent-edit", Switch(name="silent-edit", arg="", endpoint="", left=None)),
        ("silent-edit@2", Switch(name="silent-edit", arg="", endpoint="", left=2)),
        ("overshoot:1.5", Switch(name="overshoot", arg="1.5", endpoint="", left=None)),
        ("code:2001:ask@1", Switch(name="code", arg="2001", endpoint="ask", left=1)),
        ("reset:poll", Switch(name="reset", arg="", endpoint="poll", left=None)),
        ("throttle:7", Switch(name="throttle", arg="7", endpoint="", left=None)),
        ("throttle:state", Switch(name="throttle", arg="", endpoint="state", left=None)),
        ("late-reply:2:render", Switch(name="late-reply", arg="2", endpoint="render", left=None)),
        ("stall", Switch(name="stall", arg="", endpoint="ask", left=None)),
        ("stall:poll", Switch(name="stall", arg="", endpoint="poll", left=None)),
    ],
)
def test_a_misbehaviour_is_read_as_it_is_written(word: str, switch: Switch) -> None:
    """Name, argument, endpoint, how often."""
    assert parse(word) == switch


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("silent-edits", 'Did you mean "silent-edit"?'),
        ("nonsense-of-mine", "nemod sandbox --list"),
        ("silent-edit@0", "how often"),
        ("silent-edit@often", "how often"),
        ("silent-edit:state", "says more than"),
        ("code", "must be a number"),
        ("code:abc", "must be a number"),
        ("http:12:ask", "must be a number"),
        ("slow", "must be a number"),
        ("overshoot:much", "must be a number"),
        ("heartbeats:loud", "comment, empty"),
        ("poll-shape", "wrapped, flat"),
        ("render-402:registered", "anonymous"),
    ],
)
def test_one_that_cannot_be_read_is_refused_in_words(word: str, words: str) -> None:
    """With what would be right."""
    with pytest.raises(FaultError, match=re.escape(words)):
        parse(word)


def test_nothing_is_switched_on_when_one_word_is_wrong() -> None:
    """All or none."""
    faults = Faults()
    with pytest.raises(FaultError):
        faults.switch_on(["silent-edit", "nonsense"])
    assert faults.names() == []


def test_a_misbehaviour_acts_as_often_as_it_was_told() -> None:
    """And is then no longer named."""
    faults = Faults()
    faults.switch_on(["overshoot:1.2@2", "drop"])
    assert faults.names() == ["overshoot:1.2@2", "drop"]
    assert faults.peek("overshoot") == "1.2"
    assert [faults.take("overshoot") for _ in range(3)] == ["1.2", "1.2", None]
    assert [faults.take("drop") for _ in range(3)] == ["", "", ""]
    assert faults.names() == ["drop"]
    faults.clear()
    assert faults.take("drop") is None


def test_one_with_an_endpoint_acts_only_there() -> None:
    """Elsewhere it is as if it were off."""
    faults = Faults()
    faults.switch_on(["code:1001:poll", "http:503"])
    assert faults.take("code", Endpoint.STATE) is None
    assert faults.take("code", Endpoint.POLL) == "1001"
    assert faults.take("http", Endpoint.STATE) == "503"


def test_every_misbehaviour_says_what_happens() -> None:
    """In a sentence."""
    assert len(LISTED) == len(CATALOGUE)
    assert [name for name, known in CATALOGUE.items() if not known.says.endswith(".") or len(known.says) < 10] == []
