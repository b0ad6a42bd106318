"""What the installation and the machine have: files that lie at the repository's top level, and processor cores.

In a wheel the files lie in the package's `share` folder; in a checkout they lie where they were written.
"""

import os
import sys
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


def usable_cores() -> frozenset[int]:
    """The cores that we may use ourselves: a container or a service may be bound to some of the machine's."""
    if sys.platform == "linux":
        return frozenset(os.sched_getaffinity(0))
    else:  # noqa: RET505 - so that both are checked for their types
        return frozenset(range(os.cpu_count() or 1))
