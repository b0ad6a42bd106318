"""Who is told: addresses, which are secrets, from three places; a folder's programs."""

from pathlib import Path
from typing import Any

import pytest

from nemod.config.model import Config, EnginePolicy, Tell
from nemod.config.parse import check, parse
from nemod.config.telling import address_problem, address_text

SECRET = "hunter2"  # noqa: S105 - of nobody
FOLDER = '[folders.a]\ninbox = "a"\npreset = "discord"\n'


def read(tmp_path: Path, text: str, **env: str) -> Config | list[str]:
    """A config, or its problems as a person sees them."""
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    found = parse(tmp_path / "config.toml", home=tmp_path, env=env)
    return found if isinstance(found, Config) else [str(problem) for problem in found]


def sound(tmp_path: Path, text: str, **env: str) -> Config:
    """The same of a text that must be right."""
    found = read(tmp_path, text, **env)
    assert isinstance(found, Config), found
    return found


def test_addresses_come_from_the_table_a_file_and_the_environment(tmp_path: Path) -> None:
    """In that order; a file has comments and empty lines, and all of them are kept out of what prints a config."""
    (tmp_path / "urls").write_text(f"# mine\n\n  json://two/{SECRET}  \n")
    text = f'[notify]\nurls = ["json://one/{SECRET}"]\nurls_file = "urls"\non = ["done", "held"]\ndigest = "90s"\n'
    config = sound(tmp_path, text, NEMOD_NOTIFY_URLS=f"json://three/{SECRET}\njson://four")
    assert config.notify.urls == (f"json://one/{SECRET}", f"json://two/{SECRET}", f"json://three/{SECRET}", "json://four")
    assert (config.notify.on, config.notify.digest_s) == ((Tell.DONE, Tell.HELD), 90)
    assert SECRET not in repr(config)
    assert sound(tmp_path, "").notify.urls == ()
    assert sound(tmp_path, f'[notify]\nurls = "json://{SECRET}"').notify.urls == (f"json://{SECRET}",)
    assert address_text(f"tgram://{SECRET}/1") == "tgram://[redacted]"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'notify = "ntfy://{SECRET}"', 1),
        (f'[[notify]]\nurls = "ntfy://{SECRET}"', 1),
        (f'[notify]\nurls = "{SECRET}"', 2),
        (f'[notify]\nurls = [\n"ntfy://fine",\n"ntfy:/{SECRET}",\n]', 4),
        (f'[notify]\nurls = [["ntfy://{SECRET}"]]', 2),
        (f'[notify]\nurls = {{ a = "ntfy://{SECRET}" }}', 2),
        (f'[notify]\nurls_file = "ntfy://{SECRET}"', 2),
        (f'[notify]\nurls_file = ["ntfy://{SECRET}"]', 2),
        (f'[notify]\non = "ntfy://{SECRET}"', 2),
        (f'[notify]\non = ["ntfy://{SECRET}"]', 2),
        ('[notify]\nurls_file = "nowhere"', 2),
        ("[notify]\nulrs = []", 2),
        (f'{FOLDER}notify = "ntfy://{SECRET}"', 4),
        (f'{FOLDER}on_done = "publish --password {SECRET}"', 4),
        (f'{FOLDER}on_done = ["publish", 3]', 4),
        (f"{FOLDER}on_failed = ['~somebody/tell']", 4),
        (f"{FOLDER}on_failed = [' ']", 4),
    ],
)
def test_a_fault_has_its_line_and_shows_no_secret(tmp_path: Path, text: str, line: int) -> None:
    """Wherever somebody has put an address."""
    found = read(tmp_path, text)
    assert isinstance(found, list)
    (problem,) = found
    assert f"config.toml:{line}: " in problem
    assert SECRET not in problem


def test_a_fault_outside_the_config_is_told_without_its_secret(tmp_path: Path) -> None:
    """The file is named with its line, the environment by its variable."""
    (tmp_path / "urls").write_text(f"json://fine\n{SECRET}\n")
    found = read(tmp_path, '[notify]\nurls_file = "urls"', NEMOD_NOTIFY_URLS=f"json://fine {SECRET}")
    assert isinstance(found, list)
    first, second = found if "line 2" in found[0] else reversed(found)
    assert f"line 2 of {tmp_path / 'urls'}" in first
    assert "NEMOD_NOTIFY_URLS" in second
    assert SECRET not in first + second


@pytest.mark.parametrize(
    ("values", "number", "line"),
    [
        ({"urls": ["a://1", "b://2"]}, 1, 4),
        ({"urls": ["a://1", "b://2"]}, 2, 1),
    ],
)
def test_an_address_that_means_nothing_is_blamed_on_its_line(
    tmp_path: Path, values: dict[str, Any], number: int, line: int
) -> None:
    """Or on the table, when it stands elsewhere."""
    from nemod.config.sources import Source  # noqa: PLC0415

    text = '[notify]\nurls = [\n"a://1",\n"b://2"]\n'
    main = Source(file=tmp_path / "config.toml", text=text, values={"notify": values})
    problem = address_problem(main, number, "is nothing")
    assert (problem.line, "b://2" in str(problem)) == (line, False)


def test_a_program_is_a_list_of_words_and_found_from_the_config(tmp_path: Path) -> None:
    """A bare name is left for the system to find, a link stays a link, and there is no shell."""
    (tmp_path / "link").symlink_to("/bin/busybox")
    text = (
        FOLDER
        + "on_done = ['~/link', '~/x', '$HOME', '']\non_failed = ['bin/tell']\n[folders.b]\ninbox = 'b'\npreset = 'discord'\n"
    )
    first, second = sound(tmp_path, text).folders
    assert first.on_done == (str(tmp_path / "link"), "~/x", "$HOME", "")
    assert first.on_failed == (str(tmp_path / "bin" / "tell"),)
    assert second.on_done == ()


@pytest.mark.parametrize("engine", list(EnginePolicy))
def test_a_folder_that_keeps_its_videos_here_tells_nobody_unless_it_says_so(tmp_path: Path, engine: EnginePolicy) -> None:
    """The name of a video says much about it."""
    plain = f'{FOLDER}engine = "{engine}"\n'
    assert sound(tmp_path, plain).folders[0].notify is (engine is not EnginePolicy.LOCAL)
    assert sound(tmp_path, plain + "notify = true\n").folders[0].notify
    assert not sound(tmp_path, plain + "notify = false\n").folders[0].notify


def test_a_program_that_cannot_be_run_is_found_by_a_check(tmp_path: Path) -> None:
    """One that is not there, a directory, one without its mode; `parse` alone does not look, so a daemon goes on."""
    (tmp_path / "plain").write_text("no program")
    text = "".join(
        f"[folders.f{n}]\ninbox = 'f{n}'\npreset = 'discord'\non_done = ['{program}']\n"
        for n, program in enumerate(["/no/such/program", "no-such-program", str(tmp_path), "plain/x", "./plain", "sh"])
    )
    assert isinstance(read(tmp_path, text), Config)
    found = check(tmp_path / "config.toml", home=tmp_path)
    assert not isinstance(found, Config)
    assert [problem.key for problem in found] == [f"folders.f{n}.on_done" for n in range(5)]
    assert [problem.line for problem in found] == [4, 8, 12, 16, 20]
