"""How much memory we are confined to: a container or a service may have far less than its machine.

Who takes more is killed, and perhaps the daemon with it. Source: cgroups(7), the kernel's cgroup-v2.rst (`memory.max`) and
cgroup-v1/memory.rst (`memory.limit_in_bytes`).
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("sys/fs/cgroup")


def memory_bytes(root: Path) -> int | None:
    """The least limit of our group and of those around it; None where there is none, as outside of Linux.

    Args:
        root: the folder that holds `proc` and `sys`.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    limits = [_limit(root / file) for line in lines for file in _files(line)]
    return min((limit for limit in limits if limit is not None), default=None)


def _files(line: str) -> Iterator[Path]:
    """Where the limits of a group and of all around it are told, by its line in /proc/self/cgroup.

    In a container the path may be the one outside, of which only the top is seen.
    """
    _, controllers, group = line.split(":", 2) if line.count(":") >= 2 else ("", "none", "")
    match controllers.split(","):
        case [""]:
            top, name = _GROUPS, "memory.max"
        case kinds if "memory" in kinds:
            top, name = _GROUPS / "memory", "memory.limit_in_bytes"
        case _:
            return
    inner = PurePosixPath(group.lstrip("/"))
    yield from (top / folder / name for folder in (inner, *inner.parents))


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max", or one that is not there
        return None
