"""Who writes: asked of a real kernel about real writers."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemod.intake.writers import being_written

linux = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")

HOLD = "import sys; file = open(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"
SEND = "import sys; print('open', flush=True); open(sys.argv[1], 'wb').write(b'whole')"
HAMMER = """
import os, sys
print("open", flush=True)
while True:
    for _ in range(50):
        fd = os.open(sys.argv[1], os.O_RDWR)
        os.write(fd, b"x")
        os.close(fd)
    print(flush=True)
"""
ASK = """
import sys, threading
from pathlib import Path
from nemod.intake.writers import being_written
answers = [0, 0, 0]
def ask():
    for _ in range(int(sys.argv[2])):
        answers[{True: 0, False: 1, None: 2}[being_written(Path(sys.argv[1]))]] += 1
others = [threading.Thread(target=ask) for _ in range(2)]
for other in others: other.start()
for other in others: other.join()
print(*answers)
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"data")
    return path


def start(script: str, *args: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", script, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"open\n"
    return child


@linux
def test_a_file_in_peace_is_not_being_written(clip: Path) -> None:
    """Neither a closed file nor one that somebody only reads."""
    assert being_written(clip) is False
    with clip.open("rb"), start(HOLD, str(clip), "rb") as reader:
        assert being_written(clip) is False
        reader.communicate()


@linux
def test_another_process_that_writes_is_seen_until_it_lets_go(clip: Path) -> None:
    """However long it pauses, as long as it holds the file open for writing it may go on."""
    with start(HOLD, str(clip), "r+b") as writer:
        assert being_written(clip) is True
        writer.communicate()
    assert being_written(clip) is False


@linux
def test_a_writable_mapping_counts_as_writing(clip: Path) -> None:
    """A downloader may have closed the file and still write to it through memory."""
    with clip.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    assert being_written(clip) is True
    mapping.close()
    assert being_written(clip) is False


@linux
def test_the_question_leaves_nothing_behind(clip: Path) -> None:
    """No lease that would hold a writer up, and no descriptor."""
    before = len(list(Path("/dev/fd").iterdir()))
    assert being_written(clip) is False
    os.close(os.open(clip, os.O_RDWR | os.O_NONBLOCK))  # with a lease in its way: BlockingIOError
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_what_is_no_regular_file_cannot_be_known(tmp_path: Path, clip: Path) -> None:
    """Links, folders and what is not there give no answer and no error."""
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    for path in (link, tmp_path, tmp_path / "missing"):
        assert being_written(path) is None


def test_a_fifo_is_not_touched(tmp_path: Path) -> None:
    """Opening it would wake whoever waits to write to it, and break the pipe a moment later."""
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    with start(SEND, str(fifo)) as writer:
        assert [being_written(fifo) for _ in range(500)] == [None] * 500
        assert fifo.read_bytes() == b"whole"
        writer.communicate()
        assert writer.returncode == 0


@linux
def test_asking_in_the_midst_of_writing_kills_and_blocks_nobody(clip: Path) -> None:
    """Writers that open the file all the time break the lease again and again: they go on, and so do we, with both answers."""
    writers = [start(HAMMER, str(clip)) for _ in range(2)]
    try:
        asking = subprocess.run([sys.executable, "-c", ASK, str(clip), "500"], stdout=subprocess.PIPE, check=False, timeout=200)
        assert asking.returncode == 0  # a signal would have made it negative
        yes, no, unknown = map(int, asking.stdout.split())
        assert (yes + no, unknown) == (1000, 0)
        assert yes > 0
        assert no > 0
        assert all(writer.poll() is None for writer in writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
