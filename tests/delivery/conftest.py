"""Folders and files that the tests of delivery share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from nemod.job import Fingerprint

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the one file system that is most often another one


class Make(Protocol):
    """Make a file with the given bytes and time, and its folder; returns its fingerprint."""

    def __call__(self, path: Path, data: bytes = ..., mtime_ns: int = ...) -> Fingerprint:
        """Replace what lies there."""
        ...


@pytest.fixture
def make() -> Make:
    """A way to make files, with an old time unless told."""

    def make(path: Path, data: bytes = b"video" * 1000, mtime_ns: int = 1_600_000_000_123_456_789) -> Fingerprint:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        found = path.lstat()
        return Fingerprint(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)

    return make


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path | None]:
    """A folder on another file system than tmp_path, or None where the machine has none to write to."""
    usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    if not usable or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        yield None
        return
    folder = Path(tempfile.mkdtemp(dir=SHARED_MEMORY))
    yield folder
    shutil.rmtree(folder)
