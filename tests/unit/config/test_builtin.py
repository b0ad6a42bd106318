"""The platforms and presets that nemod brings along."""

import re

import pytest

from nemod.config.builtin import Confidence, adhoc_preset, builtin_presets, parse_limit, platforms
from nemod.config.units import UnitError

SKILLS = {
    "jpeng-video": (None, 1080),
    "compress-video": (100_000_000, 1080),
    "video-compressor-panda": (50_000_000, 1080),
    "video-compressor-for-discord-10mb": (10_000_000, 720),
    "video-compressore-parkside": (200_000_000, 1080),
}


@pytest.mark.parametrize(("name", "promise"), SKILLS.items())
def test_each_skill_is_a_preset(name: str, promise: tuple[int | None, int]) -> None:
    """The five skills are there with their limit, their picture bound and words to ask for them that fit any limit."""
    preset = builtin_presets()[name]
    assert (preset.limit_bytes, preset.max_height) == promise
    assert preset.skill == name
    assert preset.message is not None
    assert preset.message.startswith("compress this video")
    assert "{limit}" in preset.message
    assert not re.search(r"\d", preset.message)


def test_a_short_name_is_the_same_preset_under_the_name_that_was_written() -> None:
    """A short name differs from the long one in nothing but the name."""
    presets = builtin_presets()
    short, long = presets["discord-10mb"], presets["video-compressor-for-discord-10mb"]
    assert short.name == "discord-10mb"
    assert short.skill == "video-compressor-for-discord-10mb"
    assert (short.limit_bytes, short.max_height, short.message) == (long.limit_bytes, long.max_height, long.message)
    assert presets["nitro"].limit_bytes == 500_000_000


def test_every_preset_stands_under_its_name_and_says_what_it_is_for() -> None:
    """Where people choose they see a name and a summary."""
    for name, preset in builtin_presets().items():
        assert preset.name == name
        assert preset.summary


@pytest.mark.parametrize("name", ["discord", "discord-10mb"])
def test_discords_limit_is_told_where_people_choose(name: str) -> None:
    """Both Discord presets say what the free limit is, since when, and who still needs 10 MB."""
    preset = builtin_presets()[name]
    for text in (preset.summary, preset.note):
        assert "20 MB since August 2026" in text
        assert "old clients, bots and webhooks" in text


def test_every_platform_has_a_preset() -> None:
    """No platform in the table is without a preset that uses its limit."""
    for name, platform in platforms().items():
        assert builtin_presets()[name].limit_bytes == platform.limit_bytes
        assert builtin_presets()[name].note == platform.note


def test_every_platform_is_dated_and_sourced() -> None:
    """A limit without a source, a date of the last look and a measure of trust is a rumour."""
    for platform in platforms().values():
        assert platform.limit_bytes > 0
        assert platform.title
        assert platform.published
        assert platform.source
        assert re.fullmatch(r"20\d\d-\d\d", platform.checked)
        assert re.fullmatch(r"(20\d\d(-\d\d)?)?", platform.since)
        assert platform.confidence in Confidence


def test_the_limits_that_people_meet_are_the_published_ones() -> None:
    """The figures that users rely on are pinned, so that none changes by accident."""
    wanted = {"discord": 20_000_000, "gmail": 18_000_000, "whatsapp": 16_000_000, "mms": 600_000, "mastodon": 99_000_000}
    assert {name: platforms()[name].limit_bytes for name in wanted} == wanted


def test_a_limit_alone_makes_a_preset_without_bounds() -> None:
    """With nothing but a limit no picture bound is set, and the name is the limit."""
    preset = adhoc_preset(8_000_000)
    assert (preset.name, preset.limit_bytes, preset.max_height, preset.max_fps) == ("8MB", 8_000_000, None, None)


def test_a_limit_is_a_size_or_a_platform() -> None:
    """Either may be written, in any case of letters."""
    assert (parse_limit("8MB"), parse_limit(8), parse_limit("gmail"), parse_limit("Discord")) == (
        8_000_000,
        8,
        18_000_000,
        20_000_000,
    )


@pytest.mark.parametrize(
    ("written", "hint"), [("discrod", '"discord"'), ("", "10MB"), ("8 MBit", "10MB"), ("?", "discord"), (True, "10MB")]
)
def test_what_is_neither_a_size_nor_a_platform_is_refused_with_a_hint(written: object, hint: str) -> None:
    """A misspelled platform is answered with the right one, anything else with an example."""
    with pytest.raises(UnitError) as caught:
        parse_limit(written)
    assert hint in caught.value.hint
