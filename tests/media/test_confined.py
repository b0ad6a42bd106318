"""How much memory a container or a service leaves is read as the kernel tells it."""

from pathlib import Path

import pytest

from nemod.media.confined import memory_bytes

#: What /proc/self/cgroup says, what is below /sys/fs/cgroup, and what follows.
RECORDED: dict[str, tuple[str, dict[str, str], int | None]] = {
    "no limit": ("0::/user.slice/session-1.scope\n", {"user.slice/session-1.scope/memory.max": "max\n"}, None),
    "a service": ("0::/system.slice/nemod.service\n", {"system.slice/nemod.service/memory.max": "2147483648\n"}, 2**31),
    "around it": (
        "0::/system.slice/nemod.service\n",
        {"system.slice/nemod.service/memory.max": "max\n", "system.slice/memory.max": "1073741824\n"},
        2**30,
    ),
    "a container": ("0::/\n", {"memory.max": "536870912\n"}, 2**29),
    "version 1": (
        "12:cpu,cpuacct:/docker/ab\n9:memory:/docker/ab\n0::/system.slice\n",
        {"memory/memory.limit_in_bytes": "268435456\n"},
        2**28,
    ),
    "version 1, the least": (
        "9:memory:/a/b\n",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/a/memory.limit_in_bytes": "100\n",
            "memory/a/b/memory.limit_in_bytes": "200\n",
        },
        100,
    ),
    "garbage": ("nothing\n\n:\n", {"memory.max": "5\n"}, None),
}


@pytest.mark.parametrize("case", RECORDED)
def test_the_least_limit_counts(tmp_path: Path, case: str) -> None:
    """Of our own group and of those around it, in both versions; what cannot be read is no limit."""
    ours, limits, least = RECORDED[case]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(ours)
    for name, text in limits.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert memory_bytes(tmp_path) == least


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    """As on macOS."""
    assert memory_bytes(tmp_path) is None
