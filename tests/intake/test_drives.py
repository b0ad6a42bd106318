"""Whether a place's drive is there."""

from pathlib import Path

import pytest

from nemod.intake.drives import is_away
from nemod.intake.mounts import Mount

USB = Path("/mnt/usb")


def mount(*, whole: bool, point: Path = USB) -> Mount:
    return Mount(type="ext4", remote=False, mount_point=point, whole=whole)


@pytest.mark.parametrize(
    ("found", "away"),
    [
        ((), True),
        ((mount(whole=True),), False),
        # A sandboxed service that began without the drive has its bare mount point mounted on itself …
        ((mount(whole=False),), True),
        # … and sees the drive above that when it comes.
        ((mount(whole=False), mount(whole=True)), False),
        ((mount(whole=True, point=Path("/mnt")),), True),
    ],
)
def test_a_drive_is_there_when_a_whole_file_system_is_mounted_where_it_was(found: tuple[Mount, ...], *, away: bool) -> None:
    """A folder that is mounted in its place is none."""
    assert is_away(found, USB / "in", USB) is away


def test_a_place_that_was_on_no_drive_is_not_away() -> None:
    """Nor is one that was moved off its drive."""
    assert not is_away((), USB / "in", None)
    assert not is_away((), Path("/srv/in"), USB)
