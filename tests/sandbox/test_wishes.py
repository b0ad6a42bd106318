"""What the agent reads out of a message."""

import pytest

from nemod.sandbox.wishes import Extra, read, says_export


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("compress this video under 10MB for Discord upload", 10_000_000),
        ("The result has 12.3 MB. It must be under 10 MB.", 10_000_000),
        ("please stay under 0.3 MB", 300_000),
        ("compress this video to under 100MB. Keep it under 22.7 MB", 22_700_000),
        ("把视频压缩到低于 10 MB", 10_000_000),
        ("at most 600 KB", 600_000),
        ("it has 12 MB now", None),
        ("make it 720p", None),
    ],
)
def test_the_size_is_read_from_the_words(text: str, goal: int | None) -> None:
    """The last figure that stands behind a word such as "under" counts."""
    assert read(text).goal_bytes == goal


@pytest.mark.parametrize(
    ("text", "add", "remove"),
    [
        ("add some background music", {Extra.MUSIC}, set()),
        ('Add a title "Summer" at the start', {Extra.TITLE}, set()),
        ("Do not add music, titles or effects. Keep it under 10 MB.", set(), set()),
        ("Same length and sound, no music, titles or effects added.", set(), set()),
        ('Please remove music "Lo-fi" and title "Urban Dreams"; stay under 10 MB.', set(), {Extra.MUSIC, Extra.TITLE}),
        ("Take the music away again.", set(), {Extra.MUSIC}),
        ("Take away what you added.", set(), {Extra.MUSIC, Extra.TITLE}),
        ("Do not remove the sound.", set(), set()),
        ("去掉音乐", set(), {Extra.MUSIC}),
        ("添加标题", {Extra.TITLE}, set()),
        ("compress it without losing quality", set(), set()),
    ],
)
def test_what_to_add_and_to_remove_is_read_from_the_words(text: str, add: set[Extra], remove: set[Extra]) -> None:
    """A "not" before the verb turns it round."""
    wishes = read(text)
    assert (set(wishes.add), set(wishes.remove)) == (add, remove)


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("only the first 5 seconds", 5.0), ("trim it down to 1.5 s", 1.5), ("前10秒", 10.0), ("the first video", None)],
)
def test_a_length_is_read_from_the_words(text: str, length_s: float | None) -> None:
    """In seconds, and only where it is one."""
    assert read(text).length_s == length_s


def test_a_title_is_what_stands_in_quotes() -> None:
    """And a height is what stands before a p."""
    wishes = read('at most 720p, with a title added: "Hello"')
    assert (wishes.title, wishes.height) == ("Hello", 720)


def test_nothing_is_read_out_of_small_talk() -> None:
    """It is left to the agent's imagination."""
    assert not read("make it feel like summer").known


@pytest.mark.parametrize(("text", "says"), [("Export it now", True), ("导出", True), ("send the file", False)])
def test_the_word_export_is_found(text: str, *, says: bool) -> None:
    """It must never be sent to the agent."""
    assert says_export(text) is says
