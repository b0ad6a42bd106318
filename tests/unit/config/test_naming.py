"""Templates for the names of outputs: what they may say, and what they come to."""

import pytest

from nemod.config.naming import FIELDS, fill, literal, parse_template
from nemod.config.units import UnitError

FACTS = {"stem": "my {clip}", "preset": "discord", "date": "2026-11-21", "height": "720", "limit": "10MB"}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stem}", "my {clip}"),
        ("{stem} {height}p {limit}", "my {clip} 720p 10MB"),
        ("{date}_{preset}", "2026-11-21_discord"),
        ("{{{stem}}}", "{my {clip}}"),
        ("always the same", "always the same"),
    ],
)
def test_a_template_is_filled_with_facts_as_they_are(template: str, name: str) -> None:
    """Braces in a person's file name are only that."""
    assert fill(parse_template(template), FACTS) == name


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("", "not a name"),
        (7, "not a name"),
        ("a\0b", "not a name"),
        ("{stem}/{date}", "names a folder"),
        ("{stem}.mp4", "ends in .mp4"),
        ("{stem", "stands alone"),
        ("}", "stands alone"),
        ("{}", "there is no"),
        ("{0}", "there is no"),
        ("{name}", "there is no"),
        ("{stem.__class__}", "there is no"),
        ("{stem[0]}", "there is no"),
        ("{stem!r}", "takes no format"),
        ("{height:>99999999}", "takes no format"),
    ],
)
def test_what_cannot_name_a_file_is_said_at_once(template: object, says: str) -> None:
    """Each with what to write instead, before any file is touched."""
    with pytest.raises(UnitError) as caught:
        parse_template(template)
    assert says in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("text", ["{stem}", "a } b", "{{x}}", "plain"])
def test_a_literal_means_itself(text: str) -> None:
    """Whatever a person names a file with `-o`."""
    assert fill(parse_template(literal(text)), FACTS) == text


def test_every_field_can_be_filled() -> None:
    """What may be written is what is known of an output."""
    assert FACTS.keys() == FIELDS.keys()
