"""The folders of a configuration on the disk."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nemod.config.model import Config
from nemod.config.parse import parse
from nemod.config.prepare import inspect, prepare
from tests.support.people import ordinary

ReadConfig = Callable[[str], Config]


@pytest.fixture
def config(tmp_path: Path) -> ReadConfig:
    """A configuration with one folder, given as its keys."""
    return partial(read_config, tmp_path)


def read_config(root: Path, keys: str) -> Config:
    """A configuration in a folder, beside a home."""
    (root / "home").mkdir(exist_ok=True)
    (root / "config.toml").write_text(f'\n[folders.a]\npreset = "gmail"\n{keys}\n')
    result = parse(root / "config.toml", home=root / "home")
    assert isinstance(result, Config), result
    return result


def test_an_empty_home_gets_all_folders(config: ReadConfig, tmp_path: Path) -> None:
    """`~/Compress/a` is made with all that belongs to it, and a second time changes nothing."""
    home = tmp_path / "home"
    read = config('inbox = "~/Compress/a"')
    assert inspect(read, home=home) == ()
    assert list(home.iterdir()) == []
    assert prepare(read, home=home) == ()
    assert sorted(p.name for p in (home / "Compress" / "a").iterdir()) == ["done", "failed", "originals"]
    assert prepare(read, home=home) == ()


def test_no_folder_for_originals_is_made_where_none_are_kept(config: ReadConfig, tmp_path: Path) -> None:
    """Only `after = "archive"` needs a place for originals."""
    assert prepare(config('inbox = "in"\nafter = "delete"'), home=tmp_path / "home") == ()
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["done", "failed"]


@pytest.mark.parametrize("inbox", ["gone/in", "~/a/b/in"])
def test_a_missing_place_around_an_inbox_is_told_and_not_made(config: ReadConfig, tmp_path: Path, inbox: str) -> None:
    """Where a disk is not plugged in nothing is made in its stead; it is told once, on the inbox's line."""
    read = config(f'inbox = "{inbox}"')
    for look in (inspect, prepare):
        problems = look(read, home=tmp_path / "home")
        assert [(p.line, p.key) for p in problems] == [(4, "folders.a.inbox")]
        assert "is missing" in problems[0].what
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.toml", "home"]


def test_a_missing_place_around_an_outbox_is_told_and_not_made(config: ReadConfig, tmp_path: Path) -> None:
    """The same holds for an outbox on a disk that is not there."""
    problems = prepare(config('inbox = "in"\noutbox = "../gone/out"'), home=tmp_path / "home")
    assert [(p.line, p.key) for p in problems] == [(5, "folders.a.outbox")]
    assert not (tmp_path / "gone").exists()


def test_an_outbox_deep_in_the_inbox_is_made(config: ReadConfig, tmp_path: Path) -> None:
    """What lies in the inbox comes into being with it."""
    assert prepare(config('inbox = "in"\noutbox = "out/of/it"'), home=tmp_path / "home") == ()
    assert (tmp_path / "in" / "out" / "of" / "it").is_dir()


@pytest.mark.parametrize(
    ("keys", "line", "key"), [('inbox = "file"', 4, "inbox"), ('inbox = "in"\nfailed = "../file"', 5, "failed")]
)
def test_a_file_in_a_folders_place_is_told(config: ReadConfig, tmp_path: Path, keys: str, line: int | None, key: str) -> None:
    """A file where a folder should be is named, and left alone."""
    (tmp_path / "file").write_text("mine")
    read = config(keys)
    for look in (inspect, prepare):
        assert [(p.line, p.key, "is not a directory" in p.what) for p in look(read, home=tmp_path)] == [
            (line, f"folders.a.{key}", True)
        ]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_below_a_file_is_told(config: ReadConfig, tmp_path: Path) -> None:
    """What cannot be made is told by the look and by the attempt, never raised."""
    (tmp_path / "file").write_text("mine")
    read = config('inbox = "file/in"')
    for look in (inspect, prepare):
        assert [(p.line, p.key, "cannot be made" in p.what) for p in look(read, home=tmp_path)] == [
            (4, "folders.a.inbox", True)
        ]


def test_a_place_that_was_not_written_is_blamed_on_its_folder(config: ReadConfig, tmp_path: Path) -> None:
    """The default outbox has no line of its own, so the folder's line is given."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "done").write_text("mine")
    assert [(p.line, p.key) for p in prepare(config('inbox = "in"'), home=tmp_path)] == [(2, "folders.a.outbox")]


@pytest.mark.parametrize(("mode", "said"), [(0o300, "cannot be read"), (0o500, "cannot be written to")])
def test_an_inbox_without_permission_is_told(mode: int, said: str) -> None:
    """An inbox must be readable, and writable when originals leave it."""
    with ordinary() as own:
        read = read_config(own, 'inbox = "in"')
        assert prepare(read, home=own / "home") == ()
        (own / "in").chmod(mode)
        problems = inspect(read, home=own / "home")
        (own / "in").chmod(0o700)
    assert [said in p.what for p in problems] == [True]
