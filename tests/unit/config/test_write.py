"""What nemod writes: a first configuration, and one more folder."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from nemod.config.model import After, Config, EnginePolicy
from nemod.config.parse import parse
from nemod.config.problem import Problem
from nemod.config.write import add_folder, remove_folder, write_default, write_shared
from nemod.resources import shared_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A default configuration in a home."""
    file = tmp_path / ".config" / "nemod" / "config.toml"
    write_default(file, {})
    return file


def test_the_default_is_the_commented_example(file: Path) -> None:
    """It is written whole, for its owner alone, with nothing left beside it."""
    assert file.read_bytes() == shared_file("config/nemod.toml").read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in file.parent.iterdir()] == ["config.toml"]


def test_a_configuration_that_is_there_is_never_overwritten(file: Path) -> None:
    """What a person wrote stays, down to a dangling link."""
    file.write_text("mine")
    with pytest.raises(FileExistsError):
        write_default(file, {})
    link = file.with_name("link.toml")
    link.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_default(link, {})
    assert file.read_text() == "mine"
    assert sorted(p.name for p in file.parent.iterdir()) == ["config.toml", "link.toml"]


def test_a_folder_is_added_in_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    """The new file is read with the next start, and the main one is untouched."""
    before = file.read_bytes()
    added = add_folder(
        file,
        "a.b",
        "whatsapp",
        tmp_path / 'in é "quoted"',
        home=tmp_path,
        env={},
        outbox=tmp_path / "out",
        engine=EnginePolicy.LOCAL,
        after=After.KEEP,
        recursive=True,
    )
    assert added == file.parent / "folders.d" / "a.b.toml"
    assert file.read_bytes() == before
    config = parse(file, home=tmp_path)
    assert isinstance(config, Config), config
    folder = config.folders[-1]
    assert (folder.name, folder.preset.name, folder.inbox.name) == ("a.b", "whatsapp", 'in é "quoted"')
    assert (folder.outbox, folder.engine, folder.after, folder.recursive) == (
        tmp_path / "out",
        EnginePolicy.LOCAL,
        After.KEEP,
        True,
    )


@pytest.mark.parametrize(
    ("name", "preset", "inbox", "said"),
    [
        ("discord", "gmail", "in", "a folder of this name"),
        ("../x", "gmail", "in", "is not a name"),
        ("-x", "gmail", "in", "is not a name"),
        ("x", "gmial", "in", 'did you mean "gmail"?'),
        ("x", "gmail", "Compress/gmail", "is the inbox of folder gmail"),
        ("x", "gmail", "in\udcff", "cannot hold this path"),
    ],
)
def test_a_folder_that_would_spoil_the_configuration_is_not_written(
    file: Path, tmp_path: Path, name: str, preset: str, inbox: str, said: str
) -> None:
    """The whole is judged before anything is written."""
    refused = add_folder(file, name, preset, tmp_path / inbox, home=tmp_path, env={})
    assert isinstance(refused, tuple)
    assert any(said in str(problem) for problem in refused)
    assert [p.name for p in file.parent.iterdir()] == ["config.toml"]


def test_a_file_that_is_there_is_not_written_over(file: Path, tmp_path: Path) -> None:
    """A file of that name may hold something else; it stays as it is."""
    other = file.parent / "folders.d" / "x.toml"
    other.parent.mkdir()
    other.write_text("# mine\n")
    refused = add_folder(file, "x", "gmail", tmp_path / "in", home=tmp_path, env={})
    assert isinstance(refused, tuple)
    assert "already" in str(refused[0])
    assert other.read_text() == "# mine\n"


def test_a_broken_configuration_gets_no_folder(file: Path, tmp_path: Path) -> None:
    """What is broken is told first."""
    file.write_text("[nemod\n")
    refused = add_folder(file, "x", "gmail", tmp_path / "in", home=tmp_path, env={})
    assert isinstance(refused, tuple)
    assert "not valid TOML" in refused[0].what


def test_a_folder_that_was_added_is_removed_and_its_settings_are_kept(file: Path, tmp_path: Path) -> None:
    """As often as somebody changes his mind."""
    for suffix in (".removed", ".removed1"):
        added = add_folder(file, "x", "gmail", tmp_path / "in", home=tmp_path, env={})
        assert isinstance(added, Path), added
        text = added.read_text()
        removed = remove_folder(file, "x")
        assert isinstance(removed, Path), removed
        assert removed.name == f"x.toml{suffix}"
        assert removed.read_text() == text
        config = parse(file, home=tmp_path)
        assert isinstance(config, Config), config
        assert "x" not in [folder.name for folder in config.folders]


def test_a_folder_among_other_things_is_a_persons_to_remove(file: Path) -> None:
    """In the main file, or beside another in a file that somebody wrote; the problem says where, and nothing is changed."""
    more = file.parent / "folders.d" / "two.toml"
    more.parent.mkdir(exist_ok=True)
    more.write_text('# mine\n[folders.a]\ninbox = "/a"\npreset = "gmail"\n[folders.b]\ninbox = "/b"\npreset = "gmail"\n')
    before = (file.read_bytes(), more.read_bytes())
    for name, place in (("discord", f"{file}:"), ("b", f"{more}:5"), ("nobody", "no such folder")):
        (problem,) = [remove_folder(file, name)]
        assert not isinstance(problem, Path)
        assert place in " ".join(map(str, problem))
    assert (file.read_bytes(), more.read_bytes()) == before


def test_commands_at_once_agree_who_was_first(file: Path, tmp_path: Path) -> None:
    """Of several that add or remove the same folder one does it, and the others are told in a sentence."""
    at_once = Barrier(4)

    def add(_: int) -> Path | tuple[Problem, ...]:
        at_once.wait()
        return add_folder(file, "x", "gmail", tmp_path / "in", home=tmp_path, env={})

    def remove(_: int) -> Path | tuple[Problem, ...]:
        at_once.wait()
        return remove_folder(file, "x")

    with ThreadPoolExecutor(4) as pool:
        for command in [add, remove] * 10:
            answers = list(pool.map(command, range(4)))
            assert sum(isinstance(answer, Path) for answer in answers) == 1


def test_what_a_killed_command_has_left_is_removed_by_a_later_one(file: Path, tmp_path: Path) -> None:
    """Once it is so old that nobody writes it any more."""
    folders = file.parent / "folders.d"
    folders.mkdir()
    dead, alive = folders / ".nemod-abcdefgh", folders / ".nemod-ijklmnop"
    for part in (dead, alive):
        part.touch()
    os.utime(dead, (1, 1))
    assert isinstance(add_folder(file, "x", "gmail", tmp_path / "in", home=tmp_path, env={}), Path)
    assert {path.name for path in folders.iterdir()} == {alive.name, "x.toml"}


def test_the_machine_s_first_config_can_be_read_by_all_and_shares_what_is_made(tmp_path: Path) -> None:
    """Else it is the default one; who is in the service's group may then tidy up."""
    file = tmp_path / "config.toml"
    write_shared(file)
    config = parse(file, home=tmp_path)
    assert isinstance(config, Config)
    assert config.settings.umask == 0o002
    assert file.stat().st_mode & 0o777 == 0o644
    with pytest.raises(FileExistsError):
        write_shared(file)
