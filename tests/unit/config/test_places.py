"""Where the configuration and the state lie."""

from pathlib import Path

import pytest

from nemod.config.places import account_file, config_file, state_dir

HOME = Path("/home/ann")


@pytest.mark.parametrize(
    ("flag", "env", "file"),
    [
        (None, {}, "/home/ann/.config/nemod/config.toml"),
        (None, {"XDG_CONFIG_HOME": "/etc/xdg"}, "/etc/xdg/nemod/config.toml"),
        (None, {"XDG_CONFIG_HOME": "relative"}, "/home/ann/.config/nemod/config.toml"),
        (None, {"XDG_CONFIG_HOME": "", "NEMOD_CONFIG": ""}, "/home/ann/.config/nemod/config.toml"),
        (None, {"NEMOD_CONFIG": "/x.toml", "XDG_CONFIG_HOME": "/etc/xdg"}, "/x.toml"),
        (Path("here.toml"), {"NEMOD_CONFIG": "/x.toml"}, "here.toml"),
    ],
)
def test_the_command_line_goes_before_the_environment_and_that_before_the_default(
    flag: Path | None, env: dict[str, str], file: str
) -> None:
    """The nearest word counts; an empty variable or a relative XDG path is no word."""
    assert config_file(flag, env, HOME) == Path(file)


def test_the_state_lies_where_the_environment_says() -> None:
    """NEMOD_STATE_DIR names the folder of the ledger; else it is a folder of that name in the platform's place."""
    assert state_dir({"NEMOD_STATE_DIR": "/var/lib/n"}) == Path("/var/lib/n")
    assert state_dir({}).name == "nemod"


def test_the_account_lies_beside_the_ledger() -> None:
    """Each state folder has an account of its own."""
    assert account_file(Path("/var/lib/n")) == Path("/var/lib/n/account.json")
