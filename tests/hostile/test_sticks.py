"""Sticks and cards: no hard links, no case, coarse times, and files numbered anew at each mount."""

import shutil
from pathlib import Path

from nemod.job import JobState
from tests.support.clips import make_clip
from tests.support.daemon import CONFIG, Machine, eventually, leftovers
from tests.support.disks import Disks


def test_a_stick_is_worked_on_and_comes_back(own: Machine, hands: Disks, tiny: Path, tmp_path: Path) -> None:
    """Inbox and outbox on it: no name is overwritten, and what was kept there is not done again."""
    needy = make_clip(tmp_path / "needy.mkv", seconds=1, size=(320, 240))
    base, stick = tmp_path / "base", own.home / "stick"
    (base / "in").mkdir(parents=True)
    hands.stick(base, stick)
    (own.home / "local").mkdir()
    own.configure(
        CONFIG
        + f'[folders.in]\ninbox = "{stick}/in"\noutbox = "{stick}/out"\npreset = "tight"\nafter = "keep"\n'
        + f'[folders.local]\ninbox = "~/local"\noutbox = "{stick}/out"\noriginals = "{stick}/old"\npreset = "discord"\n'
    )
    own.start()
    shutil.copy(needy, stick / "in" / "Clip.mkv")
    assert own.delivered("Clip.mkv").name == "Clip.mp4"
    shutil.copy(tiny, own.home / "local" / "clip.mp4")
    assert own.delivered("clip.mp4").name == "clip (2).mp4"
    hands.pull(stick)
    eventually(lambda: own.count("folder.away", folder="in"), own.told)
    hands.stick(base, stick)
    eventually(lambda: own.count("folder.back", folder="in"), own.told)
    shutil.copy(tiny, stick / "in" / "next.mp4")
    own.delivered("next.mp4")
    assert own.stop() == 0
    assert own.states() == [JobState.DONE] * 3
    assert len(list((base / "out").iterdir())) == 3
    assert {path.read_bytes() for path in (base / "old").iterdir()} == {tiny.read_bytes()}
    assert leftovers(base) == []
    assert not own.events("job.bug", "job.waiting")
