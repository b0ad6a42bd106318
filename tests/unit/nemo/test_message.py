"""Every message names the limit in words that a machine finds as well, and never the word for exporting."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.config.model import Preset
from nemod.engines.nemo import message
from nemod.media.verdict import Reason, Refuse

PRESET = Preset(name="small", max_height=720, message="compress this video to {limit} without losing too much quality")
LIMIT = re.compile(r"under ([\d.]+) MB")
TEN = 10_000_000
OVER = Refuse(reason=Reason.OVER_LIMIT, detail="It has 12,345,678 bytes.", size_bytes=12_345_678)
SHORT = Refuse(reason=Reason.DURATION, detail="It lasts 5.00 s, its source 10.00 s.", size_bytes=5_000_000)


@pytest.mark.parametrize(
    ("limit_bytes", "words"),
    [
        (10_000_000, "10 MB"),
        (300_000, "0.3 MB"),
        (600_000, "0.6 MB"),
        (54_321, "0.0543 MB"),
        (999, "0.000999 MB"),
        (1, "0.000001 MB"),
        (10_485_760, "10.4 MB"),
        (22_741_332, "22.7 MB"),
        (99_999_999, "99.9 MB"),
        (100_000_000, "100 MB"),
        (123_456_789, "123 MB"),
        (1_234_567_890, "1234 MB"),
    ],
)
def test_a_limit_in_plain_decimals(limit_bytes: int, words: str) -> None:
    """Megabytes are decimal, rounded down to three digits, without exponents or trailing zeros."""
    assert message.megabytes(limit_bytes) == words


@given(st.integers(min_value=1, max_value=10**13))
def test_a_limit_is_never_named_larger_than_it_is(limit_bytes: int) -> None:
    """Rounding never promises the agent more than there is, and takes off less than one percent."""
    named = float(message.megabytes(limit_bytes).removesuffix(" MB")) * 1e6
    assert limit_bytes * 0.99 < named <= limit_bytes * 1.000001


def test_the_presets_message_is_filled_in() -> None:
    """The limit stands where the preset wants it, and once; nothing else is to be changed."""
    text = message.first(PRESET, limit_bytes=TEN, language="en")
    assert text.startswith("compress this video to under 10 MB without losing too much quality.")
    assert LIMIT.findall(text) == ["10"]
    assert "no music" in text
    assert "720p" in text


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        ("make it {limit}, {height}, {language}, {x} {}", "make it under 10 MB, 720p, de, {x} {}."),
        ("make it under {limit}", "make it under 10 MB. The picture may have at most 720p."),
        (
            "cut it to 5 s, under 8MB",
            "cut it to 5 s, under 8MB. The file must be under 10 MB. The picture may have at most 720p.",
        ),
        ("under 10 MB at 720p please!", "under 10 MB at 720p please!"),
        ("under 10 MBit at 720p", "under 10 MBit at 720p. The file must be under 10 MB."),
        ("剪到720p。", "剪到720p。 The file must be under 10 MB."),
        ("export at 720p", "prepare at 720p. The file must be under 10 MB."),
    ],
)
def test_a_persons_words_come_first(instruction: str, text: str) -> None:
    """A person's instruction stands in place of the preset's message; only what it lacks is added."""
    assert message.first(PRESET, limit_bytes=TEN, language="de", instruction=instruction) == text


@pytest.mark.parametrize("preset", [Preset(name="bare"), Preset(name="blank", message="  ")])
def test_a_preset_without_a_message(preset: Preset) -> None:
    """There is always a message, and a blank instruction is none."""
    text = message.first(preset, limit_bytes=TEN, language="en", instruction=" ")
    assert text.startswith("Compress this video to under 10 MB")
    assert "None" not in text


def test_the_file_that_is_meant_is_named() -> None:
    """Where several files share a session one is named, and its name cannot pass for the limit."""
    text = message.first(PRESET, limit_bytes=TEN, language="en", file='under 500 MB "a"\n.mp4')
    assert "under 500 MB 'a'\\n.mp4" in text
    assert LIMIT.findall(text)[0] == "10"


def test_a_result_too_large_is_answered_with_its_figures() -> None:
    """The follow-up tells how large the result is, and the first figure behind "under" is the limit."""
    text = message.follow_up([SHORT, OVER], limit_bytes=TEN)
    assert text.startswith("The result has 12,345,678 bytes (12.4 MB). Make it under 10 MB:")
    assert LIMIT.findall(text) == ["10"]


def test_another_fault_is_quoted() -> None:
    """A result of the wrong length is told so, and must keep the limit all the same."""
    text = message.follow_up([OVER, SHORT], limit_bytes=TEN)
    assert SHORT.detail in text
    assert LIMIT.findall(text) == ["10"]


@pytest.mark.parametrize(
    "text",
    [
        message.first(PRESET, limit_bytes=TEN, language="en", file="export.mp4"),
        message.follow_up([], limit_bytes=TEN),
        message.answer("Export as you like", limit_bytes=TEN),
        message.answer("", limit_bytes=TEN),
        message.no_screen(TEN),
        message.take_away(['music "Export 导出, under 3 MB"', 'title "x"'], limit_bytes=TEN),
    ],
)
def test_every_message_names_the_limit_and_never_exports(text: str) -> None:
    """Whatever is sent, the limit can be read off it, and the word for exporting is not in it."""
    assert LIMIT.findall(text)[0] == "10"
    assert not re.search("export|导出", text, re.IGNORECASE)


@pytest.mark.parametrize(
    "instruction",
    [
        "add music",
        "with a BGM",
        "put a title on it",
        "add subtitles in German",
        "加点音乐",
        "加字幕",
        "换一首歌",
        "添加水印",
        "remove the music and add a title",
    ],
)
def test_a_wish_for_more(instruction: str) -> None:
    """A person who asks for music, titles or the like gets them."""
    assert message.allows(instruction)


@pytest.mark.parametrize(
    "instruction",
    [
        None,
        "",
        "make it shorter",
        "no music please",
        "without music, titles or effects",
        "keep the audio",
        "不要加音乐",
        "去掉字幕",
        "压缩一下",
        "context matters",
    ],
)
def test_no_wish_for_more(instruction: str | None) -> None:
    """Who does not ask for them, or asks that they stay away, has not asked for them."""
    assert not message.allows(instruction)
