"""Pokes, from a real watchdog on real folders."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nemod.intake.scan import InboxUnavailable
from nemod.intake.watch import Method, Watcher

both = pytest.mark.parametrize("remote", [False, True], ids=["events", "polling"])
linux = pytest.mark.skipif(sys.platform != "linux", reason="counts on inotify's events and their order")


class Pokes:
    """Counts what a watcher tells."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)


@pytest.fixture
def pokes() -> Pokes:
    return Pokes()


@pytest.fixture
def watcher(pokes: Pokes) -> Iterator[Watcher]:
    made = Watcher(pokes, poll_s=0.05)
    yield made
    made.close()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    return path


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen; the limit is only there to end a test that fails."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@both
def test_a_new_file_pokes_with_the_name_of_its_folder(
    watcher: Watcher, pokes: Pokes, inbox: Path, tmp_path: Path, *, remote: bool
) -> None:
    """Dropped, changed, moved in and moved out: each is news, and of that folder only."""
    other = tmp_path / "other"
    other.mkdir()
    watching = watcher.watch("clips", inbox, recursive=False, remote=remote)
    watcher.watch("other", other, recursive=False, remote=remote)
    assert (watching.method, watching.note) == (Method.POLLING if remote else Method.EVENTS, "")
    clip, elsewhere = inbox / "clip.mp4", tmp_path / "clip.mp4"
    for happening in (
        lambda: clip.write_bytes(b"1"),
        lambda: clip.write_bytes(b"more"),
        lambda: clip.rename(elsewhere),
        lambda: elsewhere.rename(clip),
    ):
        before = len(pokes.names)
        happening()
        until(lambda before=before: len(pokes.names) > before)  # type: ignore[misc]
    assert set(pokes.names) == {"clips"}


@both
def test_sub_folders_poke_when_asked(watcher: Watcher, pokes: Pokes, inbox: Path, *, remote: bool) -> None:
    """Also those that are made later."""
    watcher.watch("clips", inbox, recursive=True, remote=remote)
    (inbox / "new").mkdir()
    until(lambda: bool(pokes.names))
    before = len(pokes.names)
    (inbox / "new" / "clip.mp4").write_bytes(b"1")
    until(lambda: len(pokes.names) > before)


@both
def test_an_inbox_behind_a_link_is_watched(
    watcher: Watcher, pokes: Pokes, inbox: Path, tmp_path: Path, *, remote: bool
) -> None:
    """The folder is, not the link."""
    link = tmp_path / "link"
    link.symlink_to(inbox)
    watcher.watch("clips", link, recursive=False, remote=remote)
    (inbox / "clip.mp4").write_bytes(b"1")
    until(lambda: bool(pokes.names))
    assert watcher.alive("clips")


@linux
def test_a_name_that_is_not_utf8_pokes(watcher: Watcher, pokes: Pokes, inbox: Path) -> None:
    """Names may hold any bytes; the watch must outlive them."""
    watcher.watch("clips", inbox, recursive=False, remote=False)
    (inbox / os.fsdecode(b"caf\xe9\n.mp4")).write_bytes(b"1")
    until(lambda: bool(pokes.names))
    assert watcher.alive("clips")


@linux
def test_reading_is_no_news(watcher: Watcher, pokes: Pokes, inbox: Path) -> None:
    """Our own probe reads every file; if that woke us we would never sleep again."""
    clip = inbox / "clip.mp4"
    clip.write_bytes(b"1")
    watcher.watch("clips", inbox, recursive=False, remote=False)
    for _ in range(50):
        clip.read_bytes()
        list(inbox.iterdir())
    # Events keep their order: what the reading caused, if anything, is told before the end of the folder is.
    shutil.rmtree(inbox)
    until(lambda: len(pokes.names) >= 2)
    assert len(pokes.names) == 2  # the file is gone, the folder is gone


@linux
def test_excluded_folders_are_nobodys_business(watcher: Watcher, pokes: Pokes, inbox: Path) -> None:
    """Delivering into a folder below the inbox does not wake the intake."""
    done = inbox / "done"
    done.mkdir()
    watcher.watch("clips", inbox, recursive=True, remote=False, exclude=frozenset({done}))
    for number in range(20):
        (done / f"{number}.mp4").write_bytes(b"1")
    (done / "0.mp4").rename(done / "00.mp4")
    shutil.rmtree(inbox)
    until(lambda: len(pokes.names) >= 1)
    assert len(pokes.names) == 1  # the inbox itself is gone


@both
def test_an_inbox_that_went_away_can_be_watched_again(watcher: Watcher, pokes: Pokes, inbox: Path, *, remote: bool) -> None:
    """Its end pokes and shows; while it is away the watch is refused; once back it works as before."""
    assert not watcher.alive("clips")
    watcher.watch("clips", inbox, recursive=True, remote=remote)
    assert watcher.alive("clips")
    inbox.rmdir()
    until(lambda: not watcher.alive("clips") and bool(pokes.names))
    with pytest.raises(InboxUnavailable):
        watcher.watch("clips", inbox, recursive=True, remote=remote)
    inbox.mkdir()
    assert not watcher.alive("clips")
    watcher.watch("clips", inbox, recursive=True, remote=remote)
    assert watcher.alive("clips")
    before = len(pokes.names)
    (inbox / "clip.mp4").write_bytes(b"1")
    until(lambda: len(pokes.names) > before)


def test_another_folder_in_the_place_of_the_inbox_is_noticed(watcher: Watcher, inbox: Path, tmp_path: Path) -> None:
    """A mount that comes or goes, or a folder that is swapped, leaves a watch on something that nobody sees any more."""
    watcher.watch("clips", inbox, recursive=False, remote=False)
    inbox.rename(tmp_path / "old")
    assert not watcher.alive("clips")
    inbox.mkdir()
    assert not watcher.alive("clips")


def test_polling_that_gave_up_is_noticed_though_the_same_folder_is_back(
    watcher: Watcher, pokes: Pokes, inbox: Path, tmp_path: Path
) -> None:
    """A share that was away for a moment comes back as it was, but nobody polls it any more."""
    watcher.watch("clips", inbox, recursive=False, remote=True)
    inbox.rename(tmp_path / "away")
    until(lambda: bool(pokes.names))
    (tmp_path / "away").rename(inbox)
    until(lambda: not watcher.alive("clips"))


@both
def test_a_link_to_a_folder_above_does_no_harm(watcher: Watcher, pokes: Pokes, inbox: Path, *, remote: bool) -> None:
    """Two of them would make a follower walk for ever."""
    (inbox / "one").symlink_to(inbox)
    (inbox / "two").symlink_to(inbox)
    watcher.watch("clips", inbox, recursive=True, remote=remote)
    (inbox / "clip.mp4").write_bytes(b"1")
    until(lambda: bool(pokes.names))


@both
def test_nothing_is_told_once_unwatched(watcher: Watcher, pokes: Pokes, inbox: Path, *, remote: bool) -> None:
    """Forgetting a folder, even twice or one never known, ends its threads."""
    before = threading.active_count()
    watcher.watch("clips", inbox, recursive=False, remote=remote)
    assert threading.active_count() > before
    watcher.unwatch("clips")
    watcher.unwatch("clips")
    assert threading.active_count() == before
    (inbox / "clip.mp4").write_bytes(b"1")
    assert pokes.names == []
    assert not watcher.alive("clips")


def test_closing_ends_every_thread(pokes: Pokes, inbox: Path, tmp_path: Path) -> None:
    """Folders by events and by polling alike, and one whose inbox is gone already."""
    before = threading.active_count()
    watcher = Watcher(pokes)
    gone = tmp_path / "gone"
    gone.mkdir()
    watcher.watch("events", inbox, recursive=True, remote=False)
    watcher.watch("polling", inbox, recursive=True, remote=True)
    watcher.watch("gone", gone, recursive=False, remote=False)
    gone.rmdir()
    until(lambda: not watcher.alive("gone"))
    watcher.close()
    assert threading.active_count() == before


LIMITED = """
import sys, time
from pathlib import Path
from nemod.intake.watch import Watcher
limit, value, inbox = sys.argv[1], sys.argv[2], Path(sys.argv[3])
Path("/proc/sys/user", limit).write_text(value)
poked = []
watcher = Watcher(poked.append, poll_s=0.05)
watching = watcher.watch("clips", inbox, recursive=True, remote=False)
print(watching.method, watching.note)
(inbox / "sub" / "clip.mp4").write_bytes(b"1")
end = time.monotonic() + 30
while not poked and time.monotonic() < end:
    time.sleep(0.01)
print(len(poked) > 0)
watcher.close()
"""


@linux
@pytest.mark.parametrize(
    ("limit", "value", "sysctl"),
    [
        ("max_inotify_watches", "0", "fs.inotify.max_user_watches="),
        ("max_inotify_watches", "2", "fs.inotify.max_user_watches="),  # the inbox fits, not all of its sub-folders
        ("max_inotify_instances", "0", "fs.inotify.max_user_instances="),
    ],
)
def test_a_folder_beyond_the_watch_limit_is_polled(inbox: Path, limit: str, value: str, sysctl: str) -> None:
    """Under a real limit, in a user namespace of its own: the note names the setting, and changes are still noticed."""
    unshare = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("user namespaces are not to be had here")
    for name in ("one", "sub", "three"):
        (inbox / name).mkdir()
    command = [*unshare, sys.executable, "-c", LIMITED, limit, value, str(inbox)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().splitlines()
    assert said[0].startswith("polling ")
    assert sysctl in said[0]
    assert said[1] == "True"
