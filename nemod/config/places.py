"""Where the configuration and the state lie. The same on Linux and macOS for what a person edits."""

from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_state_dir


def config_file(flag: Path | None, env: Mapping[str, str], home: Path) -> Path:
    """The file named on the command line, else in NEMOD_CONFIG, else config.toml in the XDG place."""
    if flag is not None:
        return flag
    if named := env.get("NEMOD_CONFIG"):
        return Path(named)
    xdg = Path(env.get("XDG_CONFIG_HOME", ""))
    # The XDG specification says that a relative path is to be ignored.
    return (xdg if xdg.is_absolute() else home / ".config") / "nemod" / "config.toml"


def state_dir(env: Mapping[str, str]) -> Path:
    """The folder of the ledger: NEMOD_STATE_DIR, else the platform's; it may not exist yet."""
    named = env.get("NEMOD_STATE_DIR")
    return Path(named or user_state_dir("nemod"))


def account_file(state: Path) -> Path:
    """The file in a state folder that keeps the cloud account; it may not exist yet."""
    return state / "account.json"
