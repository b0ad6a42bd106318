"""Sticks and cards: no hard links, no case, coarse times, files numbered anew at each mount, and names that they refuse."""

import os
import shutil
import signal
import unicodedata
from functools import partial
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


#: What the stick makes of names that it does not take; of two that are one to it, the later one gets a number.
SPELLED = {
    "a: b?.mp4": "a_ b_.mp4",
    "a* b|.mp4": "a_ b_ (2).mp4",
    'quote".mp4': "quote_.mp4",
    "back\\slash.mp4": "back_slash.mp4",
    "two\nlines.mp4": "two_lines.mp4",
    "CON.mp4": "_CON.mp4",
    "trip: day 1/NUL.tar.mp4": "trip_ day 1/_NUL.tar.mp4",
    "x" * 251 + ".mp4": "x" * 139 + ".mp4",
    "plain.mp4": "plain.mp4",
    "\u00fc.mp4": "\u00fc.mp4",
    "u\u0308.mp4": "u\u0308 (2).mp4",
    "\u1e9e.mp4": "\u1e9e.mp4",
    "\u00df.mp4": "\u00df (2).mp4",
    "\u0130.mp4": "\u0130.mp4",
    "i\u0307.mp4": "i\u0307 (2).mp4",
    os.fsdecode(b"caf\xe9.mp4"): "caf_.mp4",
}
#: Without NEMOD_SLOW=1 some of them.
SHORT = ("a: b?.mp4", "a* b|.mp4", "trip: day 1/NUL.tar.mp4", "x" * 251 + ".mp4")
TRIED = SPELLED if os.environ.get("NEMOD_SLOW") else {name: SPELLED[name] for name in SHORT}


def test_names_that_a_stick_refuses_are_spelled_plainly(own: Machine, hands: Disks, tiny: Path, tmp_path: Path) -> None:
    """Its outbox, originals and failed files: each comes out once, also when the daemon is killed, and overwrites nothing."""
    base, stick = tmp_path / "base", own.home / "stick"
    base.mkdir()
    hands.stick(base, stick)
    inbox = own.folder("in", "recursive = true", *(f'{what} = "{stick}/{what}"' for what in ("outbox", "originals", "failed")))
    own.start()
    second = {name for name, spelled in TRIED.items() if "(2)" in spelled}
    for batch in (TRIED.keys() - second, second):
        for name in batch:
            (inbox / name).parent.mkdir(exist_ok=True)
            shutil.copy(tiny, inbox / name)
        eventually(partial(own.count, "job.delivered"), own.told)
        own.stop(signal.SIGKILL)
        own.start()
        for name in batch:
            own.delivered(name)
    (inbox / "what?.mp4.txt").write_text("Calmer.")
    (inbox / "what?.mp4").write_bytes(b"no video " * 99)
    own.wait_for(JobState.FAILED, "what?.mp4")
    assert own.stop() == 0
    for place in ("outbox", "originals"):
        found = {str(path.relative_to(base / place)) for path in (base / place).rglob("*") if path.is_file()}
        assert {unicodedata.normalize("NFC", name) for name in found} == {
            unicodedata.normalize("NFC", name) for name in TRIED.values()
        }
        assert {(base / place / name).read_bytes() for name in found} == {tiny.read_bytes()}
    assert sorted(path.name for path in (base / "failed").iterdir()) == ["what_.mp4", "what_.mp4.failed.txt", "what_.mp4.txt"]
    assert [path for path in inbox.rglob("*") if path.is_file()] == []
    assert leftovers(base) == []
    assert not own.events("job.bug", "job.waiting", "folder.held", "job.original")
