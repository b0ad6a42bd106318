"""Storage in trouble under the real daemon: it waits and says for what, goes on by itself, and loses nothing."""

import shutil
from pathlib import Path

from tests.support.daemon import Machine, eventually
from tests.support.disks import Disks


def test_a_share_that_hangs_delays_nobody_else_and_no_end(own: Machine, hands: Disks, tiny: Path) -> None:
    """An inbox stops to answer under watch: the other goes on, it is told of, it works again, and SIGTERM ends the daemon."""
    stuck, free = own.folder("stuck"), own.folder("free")
    own.start()
    hands.hang(stuck)
    for number in range(8):  # more than any pool of threads has, were each look to keep one
        shutil.copy(tiny, free / f"{number}.mp4")
        own.delivered(f"{number}.mp4")
    eventually(lambda: own.count("folder.away", folder="stuck"), own.told)
    hands.answer(stuck)
    shutil.copy(tiny, stuck / "after.mp4")
    own.delivered("after.mp4")
    assert own.count("folder.back", folder="stuck")
    hands.hang(stuck)
    shutil.copy(tiny, free / "more.mp4")
    own.delivered("more.mp4")
    assert own.stop() == 0
    assert not own.events("job.bug")


def test_a_bare_mount_point_is_no_empty_inbox(own: Machine, hands: Disks, tiny: Path, tmp_path: Path) -> None:
    """A drive is away while the daemon starts: it waits, takes nothing for gone, writes nothing there, does nothing twice."""
    base, drive = hands.small(tmp_path / "base", "20m"), own.home / "drive"
    hands.again(base, drive)
    (drive / "in").mkdir()
    own.folder("drive/in")
    text = own.config.read_text().replace("[folders.drive/in]", '[folders.in]\nafter = "keep"')
    own.configure(text + '[folders.out]\ninbox = "~/local"\noutbox = "~/drive/out"\npreset = "discord"\n')
    (own.home / "local").mkdir()
    own.start()
    shutil.copy(tiny, drive / "in" / "a.mp4")
    shutil.copy(tiny, own.home / "local" / "b.mp4")
    own.delivered("a.mp4")
    own.delivered("b.mp4")
    assert own.stop() == 0
    hands.pull(drive)
    own.start()
    shutil.copy(tiny, own.home / "local" / "c.mp4")
    eventually(lambda: own.count("folder.away", folder="in") and own.count("folder.held", folder="out"), own.told)
    assert list(drive.iterdir()) == []
    assert [job.present for job in own.jobs("a.mp4")] == [True]
    hands.again(base, drive)
    eventually(lambda: own.count("folder.back", folder="in"), own.told)
    (held,) = own.jobs("c.mp4")
    assert own.nemod("jobs", "release", str(held.id)).returncode == 0
    own.delivered("c.mp4")
    assert [path.name for path in sorted((drive / "out").iterdir())] == ["b.mp4", "c.mp4"]
    assert len(own.jobs("a.mp4")) == 1
    assert own.stop() == 0
    assert not own.events("job.bug", "job.cancelled")


def test_a_share_whose_server_crashes_is_waited_for(own: Machine, hands: Disks, tiny: Path, tmp_path: Path) -> None:
    """Outbox and originals are gone in the middle of deliveries: words about their jobs end no daemon, all is done later."""
    share = tmp_path / "share"
    (tmp_path / "stored").mkdir()
    hands.stick(tmp_path / "stored", share)
    blocked = own.folder("out", f'outbox = "{share}/done"', "recursive = true")
    archived = own.folder("put", f'originals = "{share}/originals"')
    free = own.folder("free")
    own.start()
    (share / "done" / "sub").write_text("in the way")
    (blocked / "sub").mkdir()
    shutil.copy(tiny, blocked / "sub" / "clip.mp4")
    eventually(lambda: own.count("folder.held", folder="out"), own.told)
    hands.crash(share)
    shutil.copy(tiny, archived / "second.mp4")
    eventually(lambda: own.count("folder.held", folder="put"), own.told)
    (clip,) = own.jobs("sub/clip.mp4")
    own.nemod("jobs", "cancel", str(clip.id))
    eventually(lambda: own.count("request.answered", job=clip.id, done=False), own.told)
    shutil.copy(tiny, free / "third.mp4")
    own.delivered("third.mp4")
    assert f"{share}/done" in own.nemod("doctor").stdout
    hands.pull(share)
    hands.stick(tmp_path / "stored", share)
    (share / "done" / "sub").unlink()
    for job in own.jobs():
        own.nemod("jobs", "release", str(job.id))
    own.delivered("sub/clip.mp4")
    own.delivered("second.mp4")
    assert own.stop() == 0
    assert not own.events("job.bug", "request.bug")
