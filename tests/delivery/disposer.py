"""A child that disposes of a file and of what lies beside it, and prints how.

It is for what a process cannot be twice: an unprivileged user, or one with another home.

Arguments: what to do (a wish of `After`, or "quarantine"), the file, its size, time and inode; "-u" first: unprivileged.
"""

import os
import sys
from pathlib import Path

from nemod.config.model import After
from nemod.delivery.originals import dispose, dispose_sidecar, quarantine
from nemod.job import Fingerprint

NOBODY = 65534


def main(arguments: list[str]) -> None:
    """Do what the arguments say; prints the fate and the note, or whether the file was moved."""
    if arguments[0] == "-u":
        arguments = arguments[1:]
        if os.geteuid() == 0:  # permissions do not bind root
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    verb, name, size, mtime, inode = arguments
    source, fingerprint = Path(name), Fingerprint(size_bytes=int(size), mtime_ns=int(mtime), inode=int(inode))
    if verb == "quarantine":
        sys.stdout.write(str(quarantine(source, source.parent / "failed" / source.name, fingerprint, relpath=source.name)))
        return
    after, originals = After(verb), source.parent / "originals"
    done = dispose(source, fingerprint, after=after, originals=originals, relpath=source.name)
    beside = dispose_sidecar(source, done, after=after, originals=originals, relpath=source.name)
    sys.stdout.write(f"{done.how}|{done.note}{beside}")


if __name__ == "__main__":
    main(sys.argv[1:])
