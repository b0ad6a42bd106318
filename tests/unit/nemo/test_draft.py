"""A timeline is read without trusting any of it, and told in the words that the documents use."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.engines.nemo import draft
from nemod.engines.nemo.wire import State

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["t", "tt", "sg", "d", "m", "name", "url", "start", "x"]), inner)
    ),
    max_leaves=25,
)
DRAFTS = st.none() | st.dictionaries(st.sampled_from(["t", "d", "m", "x"]), JSON)


def segment(name: str, length: int, **more: object) -> dict[str, object]:
    return {"d": length, "m": {"name": name}, **more}


VIDEO = {"tt": 0, "sg": [segment("city timelapse", 10_000, src="https://cdn/u/clip.mp4?sig=1")]}
MUSIC = {"tt": 1, "sg": [segment("Lo-fi", 10_000, volume=0.35)]}
TITLE = {"tt": 7, "sg": [{"d": 3000, "m": {"text": "Urban Dreams"}}]}
THREE: dict[str, object] = {"d": 10_000, "t": [VIDEO, MUSIC, TITLE]}


def test_the_documented_summary() -> None:
    """Three tracks read as the documents show them."""
    assert draft.summary(THREE) == (
        'Timeline (3 tracks): 1. Video: city timelapse (0-10s) 2. BGM: Lo-fi (0-10s, 35%) 3. Title: "Urban Dreams" (0-3s)'
    )


@pytest.mark.parametrize(
    ("given_draft", "line"),
    [
        (None, "Timeline (0 tracks)"),
        ({}, "Timeline (0 tracks)"),
        ({"t": "x"}, "Timeline (0 tracks)"),
        ({"t": [{"tt": 0, "sg": []}]}, "Timeline (1 track): 1. Video: empty"),
        (
            {"t": [{"tt": "0", "sg": [segment("a", 1500), segment("b\nc", 500)]}]},
            "Timeline (1 track): 1. Video: a (0-1.5s), b c (1.5-2s)",
        ),
        ({"t": [{"tt": 9, "sg": [{"src": "https://h/x/a%20b.png?k=1"}]}]}, "Timeline (1 track): 1. Type 9: a b.png"),
        (
            {"t": [{"sg": [segment("a", 1000, start=2000)] * 6}]},
            "Timeline (1 track): 1. Track: " + "a (2-3s), " * 4 + "and 2 more",
        ),
    ],
)
def test_a_summary_of_what_can_be_read(given_draft: Mapping[str, object] | None, line: str) -> None:
    """Whatever is there is told on one line."""
    assert draft.summary(given_draft) == line


@pytest.mark.parametrize(
    ("given_draft", "answer"),
    [
        (None, False),
        ({}, False),
        ({"t": None}, False),
        ({"t": [{"sg": []}, {"sg": None}]}, False),
        ({"t": [{"sg": []}, {"sg": [{}]}]}, True),
        (THREE, True),
    ],
)
def test_what_can_be_rendered(given_draft: Mapping[str, object] | None, *, answer: bool) -> None:
    """A render needs a track with a segment."""
    assert draft.exportable(given_draft) is answer


@pytest.mark.parametrize(
    ("given_draft", "seconds"),
    [
        (THREE, 10),
        ({"m": {"d": 4000}}, 4),
        ({"t": [{"d": 7000, "sg": [segment("a", 1000)]}]}, 7),
        ({"t": [{"sg": [segment("a", 1000), segment("b", 2000)]}]}, 3),
        ({"t": [{"sg": [{"start": 1000, "end": 2500}]}]}, 2.5),
        ({"d": "NaN"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_length_is_found_at_any_level(given_draft: Mapping[str, object] | None, seconds: float | None) -> None:
    """Documents do not say where the length stands: every level is looked at."""
    assert draft.duration_s(given_draft) == seconds


def test_what_nobody_asked_for() -> None:
    """New sound and text are named; what was there before, and the picture, are not."""
    assert draft.unasked(None, THREE, own=()) == ('music "Lo-fi"', 'title "Urban Dreams"')
    assert draft.unasked({"t": [MUSIC]}, THREE, own=()) == ('title "Urban Dreams"',)
    assert draft.unasked(THREE, THREE, own=()) == ()
    assert draft.unasked(draft.without_picture(THREE), THREE, own=()) == ()
    assert draft.unasked(THREE, None, own=()) == ()


@pytest.mark.parametrize(
    ("sound", "own"),
    [
        (segment("clip", 1), ["clip.mp4"]),
        (segment("CLIP.MP4", 1), ["clip.mp4"]),
        ({"src": "https://cdn/u/clip.mp4?sig=2"}, ["https://cdn/u/clip.mp4?sig=9"]),
        ({"x": {"y": ["/mnt/userdata/my%20clip.mp4"]}}, ["my clip.mp4"]),
        ({"src": "https://cdn/u/clip.mp4?sig=2"}, []),  # the same file as the picture's
        (segment("Original audio", 1), []),
    ],
)
def test_the_videos_own_sound_is_no_addition(sound: dict[str, object], own: list[str]) -> None:
    """A sound that names what we uploaded, or what the picture is made of, belongs to the video."""
    assert draft.unasked(None, {"t": [VIDEO, {"tt": 1, "sg": [sound]}]}, own=own) == ()


def test_a_word_of_the_format_is_no_name() -> None:
    """A file called like a kind of segment does not make every such segment the video's own."""
    after = {"t": [{"tt": 1, "sg": [{"type": "music", "m": {"name": "Beat"}}]}]}
    assert draft.unasked(None, after, own=["music.mp4"]) == ('music "Beat"',)


def test_what_an_edit_has_changed() -> None:
    """One sentence tells tracks, length and new files; nothing changed is no sentence."""
    before = State(draft={"d": 30_000, "t": [VIDEO]}, infos=({"filename": "clip.mp4"},))
    after = State(draft=THREE, infos=({"filename": "clip.mp4"}, {"filename": "b.mp4"}))
    assert draft.changes(before, before) == ""
    assert draft.changes(before, after) == (
        'The session now has 3 tracks instead of 1, 10 s instead of 30 s, music "Lo-fi", title "Urban Dreams" and 1 new file.'
    )
    assert (
        draft.changes(State(draft={"t": [VIDEO], "x": 1}), State(draft={"t": [VIDEO], "x": 2})) == "The timeline was changed."
    )


@given(DRAFTS, DRAFTS, st.lists(st.text(max_size=8), max_size=2))
def test_no_draft_is_too_strange(before: dict[str, object] | None, after: dict[str, object] | None, own: list[str]) -> None:
    """Any JSON in place of a timeline can be read."""
    assert "\n" not in draft.summary(after)
    assert draft.exportable(after) in {True, False}
    assert draft.unasked(after, after, own=own) == ()
    assert isinstance(draft.unasked(before, after, own=own), tuple)
    length = draft.duration_s(after)
    assert length is None or length >= 0
    same = State(draft=before).fingerprint == State(draft=after).fingerprint
    assert (draft.changes(State(draft=before), State(draft=after)) == "") is same
