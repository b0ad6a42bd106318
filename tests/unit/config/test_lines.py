"""On which line a key was written."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemod.config.lines import line_of

TEXT = '''# first
top = 1

[folders.clips]
inbox = "in"
"quoted key" = 2
a.dotted.key = 3
inline = { x = 1, y = { z = 2 } }
ignore = [
  "one",
  "two",
  { deep = """
[folders.fake]
inbox = "not here"
""" },
]
long = """
[folders.nor]
here = 1
"""
raw = \'\'\'
""" ] }
\'\'\'
after = "x"
[[things]]
n = 1
[[things]]
n = 2
[folders]
late.inbox = "y"'''

PLACES = [
    (("top",), 2),
    (("folders",), 4),
    (("folders", "clips"), 4),
    (("folders", "clips", "inbox"), 5),
    (("folders", "clips", "quoted key"), 6),
    (("folders", "clips", "a"), 7),
    (("folders", "clips", "a", "dotted", "key"), 7),
    (("folders", "clips", "inline", "y", "z"), 8),
    (("folders", "clips", "ignore"), 9),
    (("folders", "clips", "ignore", 1), 11),
    (("folders", "clips", "ignore", 2, "deep"), 12),
    (("folders", "clips", "long"), 17),
    (("folders", "clips", "raw"), 21),
    (("folders", "clips", "after"), 24),
    (("things", 0, "n"), 26),
    (("things", 1, "n"), 28),
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("path", "line"), PLACES)
def test_a_key_is_found_where_it_was_written(path: tuple[str | int, ...], line: int | None, end: str) -> None:
    """Dotted and quoted keys, inline tables, lists, long texts and Windows line ends are all found."""
    text = TEXT.replace("[folders]\nlate.inbox", "[late]\ninbox").replace("\n", end)
    tomllib.loads(text)
    assert line_of(text, path) == line


def test_a_table_that_is_opened_late_is_found_where_it_was_first_named() -> None:
    """A table exists from the first line that names a part of it."""
    text = "[a.b]\nx = 1\n[a]\ny = 2\n"
    assert (line_of(text, ("a",)), line_of(text, ("a", "y")), line_of(text, ("a", "b", "x"))) == (1, 4, 2)


def test_a_missing_key_is_blamed_on_the_table_around_it() -> None:
    """What was not written has the line of what it should stand in."""
    assert line_of("x = 1\n\n[folders.clips]\npreset = 1\n", ("folders", "clips", "inbox")) == 3


def test_nothing_of_the_key_means_no_line() -> None:
    """A key of which nothing was written has no line, and an empty text has none at all."""
    assert line_of("x = 1\n", ("y", "z")) is None
    assert line_of("", ("y",)) is None


VALUES = st.sampled_from(
    ["1", '"# no comment"', "[1, 2]", "[\n  1, # one\n  2,\n]", '"""\nk0 = 1\n[t]\n"""', "'''a\n]'''"],
)
FILLERS = st.lists(st.sampled_from(["", "# k0 = 1", "   "]), max_size=3)
STATEMENTS = st.lists(
    st.tuples(FILLERS, st.sampled_from(["key", "table", "inline", "dotted"]), VALUES), min_size=1, max_size=12
)


@settings(max_examples=60)
@given(STATEMENTS, st.sampled_from(["\n", "\r\n"]))
def test_every_key_of_any_document_is_found(statements: list[tuple[list[str], str, str]], end: str) -> None:
    """In documents put together at random every key is found on the line on which it was put."""
    lines: list[str] = []
    places: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, (fillers, kind, value) in enumerate(statements):
        lines += fillers
        name = f"k{number}"
        here = len(lines) + 1
        match kind:
            case "key":
                written, path = f"{name} = {value}", (*table, name)
            case "table":
                written, path = f"[{name}]", (name,)
                table = path
            case "inline":
                written, path = f"{name} = {{ a = 1, b = {value} }}", (*table, name, "b")
            case _:
                written, path = f'{name}."x.y" = {value}', (*table, name, "x.y")
        lines += written.split("\n")
        places[path] = here
    text = end.join(lines)
    tomllib.loads(text)
    assert {path: line_of(text, path) for path in places} == places
