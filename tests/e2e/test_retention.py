"""`after = "trash"` with `retention`: where originals lie, until when, and that they then go."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from nemod.daemon.service import LEDGER
from tests.support.daemon import Machine, eventually

DAY_S = 86_400.0


def test_originals_lie_in_the_trash_for_their_time_and_then_go(own: Machine, tiny: Path) -> None:
    """Told by the job until then and afterwards; the outputs stay."""
    inbox = own.folder("in", 'after = "trash"', 'retention = "30d"')
    shutil.copy(tiny, inbox / "a.mp4")
    own.start()
    output = own.delivered("a.mp4")
    original = inbox / "originals" / "a.mp4"
    assert original.exists()
    shown = json.loads(own.nemod("jobs", "show", "1", "--json").stdout)
    assert (shown["original"], shown["original_file"]) == ("trashed", str(original))
    assert abs(shown["original_until"] - shown["finished"] - 30 * DAY_S) < DAY_S
    text = own.nemod("jobs", "show", "1").stdout
    assert str(original) in text
    own.stop()
    with closing(sqlite3.connect(own.state / LEDGER)) as ledger, ledger:
        ledger.execute("UPDATE counted SET seconds = seconds + ?", (31 * DAY_S,))
    own.start()
    eventually(lambda: own.count("original.removed", job=1), own.told)
    assert not original.exists()
    assert output.exists()
    assert json.loads(own.nemod("jobs", "show", "1", "--json").stdout)["original"] == "removed"
    own.stop()
