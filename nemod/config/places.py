"""Where the configuration and the state lie. The same on Linux and macOS for what a person edits.

The system service's user is known by its home: so its commands (`sudo -u nemod nemod status`) find what the service uses.
"""

from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_state_dir

#: The system service's: its config, its ledger, and its user's home, where `~` in the config leads.
SYSTEM_CONFIG, SYSTEM_STATE, SYSTEM_HOME = Path("/etc/nemod/config.toml"), Path("/var/lib/nemod"), Path("/srv/nemod")

#: Its token for the cloud, which only root can read; the service manager hands it over.
SYSTEM_TOKEN = SYSTEM_CONFIG.with_name("token")


def config_file(flag: Path | None, env: Mapping[str, str], home: Path) -> Path:
    """The file named on the command line, else in NEMOD_CONFIG, else config.toml in the XDG place."""
    if flag is not None:
        return flag
    if named := env.get("NEMOD_CONFIG"):
        return Path(named)
    if home == SYSTEM_HOME:
        return SYSTEM_CONFIG
    xdg = Path(env.get("XDG_CONFIG_HOME", ""))
    # The XDG specification says that a relative path is to be ignored.
    return (xdg if xdg.is_absolute() else home / ".config") / "nemod" / "config.toml"


def state_dir(env: Mapping[str, str]) -> Path:
    """The folder of the ledger: NEMOD_STATE_DIR, else the platform's; it may not exist yet."""
    if named := env.get("NEMOD_STATE_DIR"):
        return Path(named)
    return SYSTEM_STATE if env.get("HOME") == str(SYSTEM_HOME) else Path(user_state_dir("nemod"))


def account_file(state: Path) -> Path:
    """The file in a state folder that keeps the cloud account; it may not exist yet."""
    return state / "account.json"
