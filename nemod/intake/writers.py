"""Whether somebody has a file open for writing, as far as the system can tell.

Rules kept here:
- never a guess: None says that it cannot be known, and then a longer wait decides;
- never harm: a question must not block or kill anybody, neither us nor the writer.

Linux answers with a read lease (`F_SETLEASE` in fcntl(2)): it is refused with EAGAIN while anyone on this machine has the file
open for writing. While we hold one, whoever opens the file for writing has to wait for us, so it is given back at once. And
the kernel then tells us by a signal, SIGIO, of which an unprepared process *dies*; asking for SIGURG instead, which is ignored
by default and whose delivery never falls back to SIGIO, makes the message harmless without touching any handler.
"""

import errno
import fcntl
import os
import signal
import stat
import sys
from pathlib import Path

from nemod.intake.mounts import UNKNOWN, file_system


def being_written(path: Path) -> bool | None:
    """Whether a process has the file open for writing; None when it cannot be known.

    Unknown are other systems than Linux, network and FUSE mounts (the writer may be elsewhere, and NFS and SMB refuse leases
    for reasons of their own), files of other owners (leases are for owners and CAP_LEASE), and whatever is no regular file.
    """
    mount = file_system(path)
    if mount.remote or mount.type == UNKNOWN:
        return None
    try:
        # Asked before opening: to open a FIFO, even for a moment, would wake its writer and then break its pipe.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _lease_refused(fd)
    finally:
        os.close(fd)


def _lease_refused(fd: int) -> bool | None:
    refused: bool | None = None
    if sys.platform == "linux":
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            # Not left to close(): a child forked in between would hold the descriptor, and the lease with it, until its exec.
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            refused = False
        except OSError as error:
            # EAGAIN to the last call: we were held up so long that the kernel took the lease away, for somebody who writes.
            refused = True if error.errno == errno.EAGAIN else None
    return refused
