"""Whether a place lies on the drive that it lay on: a bare mount point looks like an empty folder, and is none.

Rules kept here:
- what is missing on a drive that is not mounted is not gone, and nothing is written into its bare mount point;
- the ledger remembers a place's drive, so that this holds after a restart, too;
- only whole file systems are drives: a folder that is mounted a second time (for containers and sandboxed services) is seen by
  some and not by others.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from nemod.failure import Failure, Kind
from nemod.intake.mounts import Mount, holding, mounts
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from nemod.threads import resolved


async def unplugged(desk: Desk, place: Path) -> Failure | None:
    """What is to be said when a place's drive is not mounted; else its drive is remembered, and None the answer."""
    known = (await desk(Ledger.drives)).get(place)
    found, real = await asyncio.to_thread(_look, place)
    if is_away(found, real, known):
        return Failure(
            kind=Kind.NOT_WRITABLE,
            detail=f"The drive at {known}, on which {place} lies, is not mounted.",
            hint="Mount it; the folder then goes on by itself. If it is to lie elsewhere from now on, name another place.",
        )
    if (now := drive(found, real)) != known:
        await desk(Ledger.note_drive, place, now)
    return None


def away(places: Iterable[Path], known: Mapping[Path, Path]) -> frozenset[Path]:
    """Those places that lie on a drive which one of them is known to have lain on, and which is not mounted."""
    found, all_places = mounts(), frozenset(places)
    drives = {known[place] for place in all_places & known.keys()}
    return frozenset(p for p in all_places if any(is_away(found, resolved(p), drive) for drive in drives))


def is_away(found: Iterable[Mount], real: Path, known: Path | None) -> bool:
    """Whether a place would lie on its drive if that were mounted, which it is not.

    A service's sandbox mounts the bare folder on itself: that is no drive.
    """
    there = any(mount.whole and mount.mount_point == known for mount in found)
    return known is not None and real.is_relative_to(known) and not there


def drive(found: Iterable[Mount], real: Path) -> Path | None:
    """The mount point of the drive that holds a path; None for the system's own disk, and for a part of one."""
    mount = holding(found, real)
    return mount.mount_point if mount.whole and mount.mount_point != Path("/") else None


def _look(place: Path) -> tuple[tuple[Mount, ...], Path]:
    os.path.lexists(place)  # a drive that is mounted when somebody asks for it is asked for before the list is read
    return mounts(), Path(os.path.realpath(place))
