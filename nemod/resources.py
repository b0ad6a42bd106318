"""Files that lie at the repository's top level because people read and edit them, found wherever nemod is installed.

In a wheel they lie in the package's `share` folder; in a checkout they lie where they were written.
"""

from pathlib import Path


def shared_file(relative: str) -> Path:
    """The file under `config/` or `systemd/`, such as "config/nemod.toml"; FileNotFoundError when the installation lacks it."""
    package = Path(__file__).resolve().parent
    carried = package / "share" / relative
    if carried.is_file():
        return carried
    # Beside an installed package lie other packages; only a checkout has this file there.
    if (package.parent / "pyproject.toml").is_file() and (written := package.parent / relative).is_file():
        return written
    raise FileNotFoundError(f"this installation of nemod lacks {relative}; install it again")
