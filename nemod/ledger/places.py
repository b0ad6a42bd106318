"""Which drive each place lay on when it was last seen; a place on the system's own disk has no row."""

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from nemod.ledger.store import transaction


def drives(db: sqlite3.Connection) -> Mapping[Path, Path]:
    """The mount points of the drives, by place."""
    rows = db.execute("SELECT place, mount_point FROM drive").fetchall()
    return {Path(os.fsdecode(row["place"])): Path(os.fsdecode(row["mount_point"])) for row in rows}


def note_drive(db: sqlite3.Connection, place: Path, mount_point: Path | None) -> None:
    """A place was seen on that drive; None: on the system's own disk."""
    with transaction(db):
        db.execute("DELETE FROM drive WHERE place = ?", (os.fsencode(place),))
        if mount_point is not None:
            db.execute("INSERT INTO drive (place, mount_point) VALUES (?, ?)", (os.fsencode(place), os.fsencode(mount_point)))
