"""Names and things in an inbox made to lead the daemon astray: it reads, moves and deletes what was dropped, nothing else."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.daemon import Machine, eventually, leftovers, machine

NAMES = [
    "-i.mp4",
    "--help.mp4",
    "$(touch x).mp4",
    ";rm -rf ..mp4",
    "`touch x`.mp4",
    "|touch x.mp4",
    "%d.mp4",
    "[0-9].mp4",
    "a:b.mp4",
    "file:x.mp4",
    "http:x.mp4",
    "con.mp4",
    "done",
    "failed.mp4",
    "originals.mp4",
    " leading.mp4",
    "trailing .mp4 ",
    "dots...mp4",
    "*.mp4",
    "?.mp4",
    "\u202e4pm.exe.mp4",
    "e\u0301.mp4",
    "two\nlines\rthree.mp4",
    "\x1b]0;title\x07\x1b[2J.mp4",
    "\x9b31m.mp4",
    "'quote\"\\.mp4",
    "{braces}.mp4",
    "x" * 251 + ".mp4",
    "y" * 255,
]
#: Not on every file system at once: macOS takes no names that are not UTF-8, and takes two spellings for one.
if sys.platform == "linux":
    NAMES += [os.fsdecode(b"caf\xe9.mp4"), "\u00e9.mp4", "Case.mp4", "case.mp4"]
#: Each is a file's whole way through the daemon; without NEMOD_SLOW=1 every other one goes it.
TRIED = NAMES if os.environ.get("NEMOD_SLOW") else NAMES[::2]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Machine]:
    """An empty machine."""
    with machine(tmp_path) as empty:
        yield empty


def test_any_name_is_only_a_name(made: Machine, tiny: Path) -> None:
    """Each is delivered and archived under itself; no output of ours carries its control characters to a terminal."""
    inbox = made.folder("in", 'outbox = "~/out"')
    for name in TRIED:
        shutil.copy(tiny, inbox / name)
    (inbox / "bad\x1b[31m.mp4").write_bytes(b"\x00\x01\x02\x03 no video")
    made.start()
    made.until_done("in", len(TRIED))
    eventually(lambda: JobState.FAILED in made.states(), made.told)
    for name in TRIED:
        (job,) = made.jobs(name)
        assert job.target is not None
        assert job.target.read_bytes() == tiny.read_bytes()
        assert not os.path.lexists(inbox / name)
        assert job.target.parent == made.home / "out"
    assert not list(made.home.rglob("x"))
    for words in (["status"], ["jobs", "list"], ["jobs", "list", "--json"]):
        said = made.nemod(*words)
        assert said.returncode == 0, said.stderr
        assert all(c.isprintable() or c == "\n" for c in said.stdout + said.stderr), words
    reasons = [path.read_text(encoding="utf-8") for path in made.home.rglob("*.failed.txt")]
    assert reasons
    assert all(c.isprintable() or c == "\n" for text in reasons for c in text)
    assert made.stop() == 0
    assert made.told().isascii()
    assert not leftovers(made.home)


def test_nothing_outside_is_read_or_moved(made: Machine, tiny: Path) -> None:
    """Links, pipes, sockets, devices and folders are left alone; another name of a deleted file stays."""
    inbox = made.folder("in", "recursive = true", 'after = "delete"')
    outside = made.home / "outside"
    outside.mkdir()
    secret = Path(shutil.copy(tiny, outside / "secret.mp4"))
    (inbox / "link.mp4").symlink_to(secret)
    (inbox / "folder").symlink_to(outside)
    (inbox / "loop").symlink_to(inbox)
    (inbox / "x.mp4").mkdir()
    os.mkfifo(inbox / "pipe.mp4")
    os.link(secret, inbox / "hard.mp4")
    with socket.socket(socket.AF_UNIX) as heard:
        here = Path.cwd()
        os.chdir(inbox)
        try:
            heard.bind("socket.mp4")  # the whole path would be too long
        finally:
            os.chdir(here)
    if os.geteuid() == 0 and sys.platform == "linux":
        os.mknod(inbox / "zero.mp4", 0o20666, os.makedev(1, 5))
    with (inbox / "sparse.mp4").open("wb") as sparse:
        sparse.truncate(2**40 if sys.platform == "linux" else 2**30)
    made.start()
    made.delivered("hard.mp4")
    eventually(lambda: any(job.failure for job in made.jobs("sparse.mp4")), made.told)
    assert secret.read_bytes() == tiny.read_bytes()
    assert not (inbox / "hard.mp4").exists()
    assert {job.relpath for job in made.jobs()} == {"hard.mp4", "sparse.mp4"}
    assert made.stop() == 0


def test_what_becomes_a_link_is_no_longer_taken(made: Machine, tiny: Path) -> None:
    """A file, or the folder above it, that turns into a link between the look and the work: nothing of it is moved."""
    inbox = made.folder("in", "recursive = true")
    made.configure(made.config.read_text(encoding="utf-8").replace('settle = "300ms"', 'settle = "3s"'))
    outside = made.home / "outside"
    outside.mkdir()
    secret = Path(shutil.copy(tiny, outside / "clip.mp4"))
    (inbox / "sub").mkdir()
    shutil.copy(tiny, inbox / "sub" / "clip.mp4")
    shutil.copy(tiny, inbox / "file.mp4")
    made.start()
    eventually(lambda: made.jobs() or (inbox / "file.mp4").exists(), made.told)
    (inbox / "sub").rename(made.home / "away")
    (inbox / "sub").symlink_to(outside)
    (inbox / "file.mp4").unlink()
    (inbox / "file.mp4").symlink_to(secret)
    shutil.copy(tiny, inbox / "last.mp4")
    made.delivered("last.mp4")
    assert secret.read_bytes() == tiny.read_bytes()
    assert (inbox / "file.mp4").is_symlink()
    assert [path.name for path in (inbox / "done").rglob("*.mp4")] == ["last.mp4"]
    assert made.stop() == 0
