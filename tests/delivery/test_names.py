"""Names: cut in bytes, never odd, and printable for people."""

import itertools
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.delivery.names import Spelling, candidates, output_stem, parts, plain, portable, safe

FROM_DISK = st.binary(min_size=0, max_size=300).map(os.fsdecode)


def first(stem: str, suffix: str, count: int = 3) -> list[str]:
    return list(itertools.islice(candidates(stem, suffix), count))


def test_the_names_count_up() -> None:
    """The plain name comes first, then numbers from 2 on."""
    assert first("clip", ".mp4") == ["clip.mp4", "clip (2).mp4", "clip (3).mp4"]


def test_a_long_name_keeps_its_extension_and_its_number() -> None:
    """What gives way is the stem, by whole characters."""
    plain, second, _ = first("ü" * 200, ".mp4")
    assert plain == "ü" * 125 + ".mp4"
    assert second == "ü" * 123 + " (2).mp4"
    assert len(os.fsencode(second)) <= 255


def test_bytes_that_are_not_utf8_are_cut_between_bytes() -> None:
    """Each escaped byte is a character of its own and costs one byte."""
    stem = os.fsdecode(b"\xff" * 255)
    assert os.fsencode(first(stem, ".mp4")[0]) == b"\xff" * 251 + b".mp4"


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("", "video.mp4"),
        (".", "video.mp4"),
        ("..", "video.mp4"),
        ("...x", "x.mp4"),
        (".hidden", "hidden.mp4"),
        ("   ", "video.mp4"),
        ("a/b", "a_b.mp4"),
        ("a\0b", "a_b.mp4"),
        ("-rf", "-rf.mp4"),
        ("a\nb", "a\nb.mp4"),
        ("\ud800", "_.mp4"),
    ],
)
def test_odd_stems_become_ordinary_names(stem: str, name: str) -> None:
    """Nothing hidden, nothing empty, nothing that leads to another folder; what is merely odd stays."""
    assert first(stem, ".mp4")[0] == name


@given(stem=FROM_DISK, suffix=st.one_of(st.just(""), st.just(".mp4"), FROM_DISK))
def test_every_name_is_fit_for_a_disk(stem: str, suffix: str) -> None:
    """Whatever the stem, each candidate can be created, is visible, and differs from the others."""
    found = first(stem, suffix, 12)
    assert len(set(found)) == 12
    for name in found:
        assert 0 < len(os.fsencode(name)) <= 255
        assert not name.startswith(".")
        assert "/" not in name
        assert "\0" not in name


@pytest.mark.parametrize(
    ("name", "portable_name", "ascii_name"),
    [
        ("a: b?.mp4", "a_ b_.mp4", "a_ b_.mp4"),
        ('<>:"\\|?*.mov', "________.mov", "________.mov"),
        ("two\nlines\x7f.mp4", "two_lines_.mp4", "two_lines_.mp4"),
        ("CON.mp4", "_CON.mp4", "_CON.mp4"),
        ("com¹.tar.mp4", "_com¹.tar.mp4", "_com1.tar.mp4"),
        ("console.mp4", "console.mp4", "console.mp4"),
        ("clip.mp4. ", "clip.mp4", "clip.mp4"),
        ("dots...", "dots", "dots"),
        (". .", "video", "video"),
        ("Grüße 日本.mp4", "Grüße 日本.mp4", "Gru_e __.mp4"),
        (os.fsdecode(b"caf\xe9.mp4"), "caf_.mp4", "caf_.mp4"),
        ("ü" * 200 + ".mp4", "ü" * 69 + ".mp4", "u" * 139 + ".mp4"),
    ],
)
def test_names_in_plainer_spellings(name: str, portable_name: str, ascii_name: str) -> None:
    """What the strictest systems forbid becomes a line below, the rest stays; the plainest is spelled plainly already."""
    assert portable(name, Spelling.OWN) == name
    assert portable(name, Spelling.PORTABLE) == portable_name
    assert portable(name, Spelling.ASCII) == ascii_name
    assert plain(ascii_name)


@given(stem=FROM_DISK, suffix=st.one_of(st.just(""), st.just(".mp4"), FROM_DISK), spelling=st.sampled_from(Spelling))
def test_every_spelling_counts_up_and_is_fit_for_a_disk(stem: str, suffix: str, spelling: Spelling) -> None:
    """Whatever the stem, names differ from each other, and a plain one stays plain with its number."""
    found = list(itertools.islice(candidates(stem, suffix, spelling), 12))
    assert len(set(found)) == 12
    for name in found:
        assert 0 < len(os.fsencode(name)) <= (255 if spelling is Spelling.OWN else 143)
        assert not name.startswith(".")
        if spelling is Spelling.ASCII:
            assert plain(name)


def test_the_stem_is_the_name_without_its_last_extension() -> None:
    """Folders and the last extension go, other dots stay."""
    assert output_stem("trip/day.one/clip.v2.MOV") == "clip.v2"
    assert output_stem("clip") == "clip"
    assert output_stem(".mov") == ".mov"
    assert parts("a/clip.MOV") == ("clip", ".MOV")


def test_safe_shows_what_a_terminal_would_obey() -> None:
    """Line breaks, escapes, direction marks and stray bytes are written out; letters and emoji stay."""
    assert safe("a\nb\t\r") == r"a\nb\t\r"
    assert safe("\x1b[31mred\x9b") == r"\x1b[31mred\x9b"
    assert safe(os.fsdecode(b"caf\xe9.mov")) == r"caf\xe9.mov"
    assert safe("gpj\u202e.exe") == r"gpj\u202e.exe"
    assert safe("\u2028\ud800") == r"\u2028\ud800"
    assert safe("Grüße 👩‍👩‍👧 日本.mov") == "Grüße 👩‍👩‍👧 日本.mov"


@given(st.text(alphabet=st.characters()))
def test_safe_text_can_always_be_encoded_and_never_controls(text: str) -> None:
    """Whatever goes in, what comes out is UTF-8 without a control character, and stays as it is a second time."""
    shown = safe(text)
    shown.encode()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert safe(shown) == shown
