"""What must hold between folders."""

from pathlib import Path
from typing import Protocol

import pytest

from nemod.config.model import Config
from nemod.config.parse import parse


class ReadFaults(Protocol):
    """Reads folders, given as their keys."""

    def __call__(self, **folders: str) -> list[tuple[str, str]]: ...


@pytest.fixture
def faults(tmp_path: Path) -> ReadFaults:
    """Reads folders, given as their keys, and gives the keys that are at fault with what is wrong."""

    def read(**folders: str) -> list[tuple[str, str]]:
        text = "".join(f'[folders.{name}]\npreset = "gmail"\n{keys}\n' for name, keys in folders.items())
        (tmp_path / "config.toml").write_text(text)
        result = parse(tmp_path / "config.toml", home=tmp_path)
        return [] if isinstance(result, Config) else [(p.key, p.what) for p in result]

    return read


def test_folders_that_lie_apart_are_fine(faults: ReadFaults) -> None:
    """Neighbours, names that begin alike, and a shared outbox do no harm."""
    assert faults(a='inbox = "in"\noutbox = "../out"', b='inbox = "in2"\noutbox = "../out"') == []


def test_two_folders_on_one_inbox_are_refused(faults: ReadFaults) -> None:
    """It would be chance which of them takes a video; both places are named."""
    found = faults(a='inbox = "in"', b='inbox = "x/../in"')
    assert [key for key, _ in found] == ["folders.b.inbox"]
    assert "folder a at " in found[0][1]
    assert "config.toml:1" in found[0][1]


def test_a_link_to_an_inbox_is_the_same_inbox(faults: ReadFaults, tmp_path: Path) -> None:
    """Links are followed before places are compared."""
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    assert [key for key, _ in faults(a='inbox = "in"', b='inbox = "link"')] == ["folders.b.inbox"]


@pytest.mark.parametrize("key", ["outbox", "originals", "failed"])
@pytest.mark.parametrize("place", ["../in", "../in/sub/deep"])
@pytest.mark.parametrize("recursive", ["", "recursive = true"])
def test_nothing_is_written_into_another_folders_inbox(faults: ReadFaults, key: str, place: str, recursive: str) -> None:
    """An output in another's inbox would be taken in, so any nesting is refused."""
    found = faults(a=f'inbox = "in"\n{recursive}', b=f'inbox = "other"\n{key} = "{place}"')
    assert [key for key, _ in found] == [f"folders.b.{key}"]


def test_an_inbox_in_a_recursive_inbox_is_refused(faults: ReadFaults) -> None:
    """Both would take the same video."""
    outside = 'outbox = "/x/o"\noriginals = "/x/r"\nfailed = "/x/f"'
    inner = f'inbox = "in/sub"\n{outside}'
    assert [key for key, _ in faults(a='inbox = "in"\nrecursive = true', b=inner)] == ["folders.b.inbox"]
    assert faults(a='inbox = "in"', b=inner) == []


def test_outputs_that_follow_an_inbox_into_another_are_blamed_on_the_inbox(faults: ReadFaults) -> None:
    """What a person did not write is not what he has to mend; it is told once."""
    found = faults(a='inbox = "in"', b='inbox = "in/sub"')
    assert [key for key, _ in found] == ["folders.b.inbox"]
    assert "so does its outbox" in found[0][1]


@pytest.mark.parametrize("key", ["outbox", "originals", "failed"])
def test_an_inbox_where_another_folder_writes_is_refused(faults: ReadFaults, key: str) -> None:
    """What one folder makes must not be what another one takes, not even a level deeper; written or not."""
    assert [k for k, _ in faults(a=f'inbox = "in"\n{key} = "../out"', b='inbox = "out/x/y"')] == ["folders.b.inbox"]
    assert [k for k, _ in faults(a='inbox = "in"', b='inbox = "in/done"')] == ["folders.b.inbox"]


@pytest.mark.parametrize("key", ["outbox", "originals", "failed"])
def test_a_folder_does_not_write_into_its_own_inbox(faults: ReadFaults, key: str) -> None:
    """The inbox itself, however spelled, is no place for outputs; a folder in it is, and one around it is not."""
    assert [k for k, _ in faults(a=f'inbox = "in"\n{key} = "."')] == [f"folders.a.{key}"]
    assert [k for k, _ in faults(a=f'inbox = "in"\n{key} = "../in/x/.."')] == [f"folders.a.{key}"]
    assert [k for k, _ in faults(a=f'inbox = "in"\n{key} = ".."')] == ["folders.a.inbox"]
    assert faults(a=f'inbox = "in"\n{key} = "sub"') == []
