"""The instruction beside a video, `clip.mp4.txt` beside `clip.mp4`: it goes where its video goes.

Rules kept here:
- it is a regular file with the video's whole name and ".txt"; a link, a folder or a pipe of that name is somebody else's, and
  so is what we write ourselves (`clip.mp4.failed.txt`);
- it moves after its video, overwrites nothing, and may be asked to again after a kill: what has moved is no longer beside it;
- it is never worth a job: what cannot be moved stays, and the answer says so in a sentence.
"""

import errno
import os
import stat
from pathlib import Path

from nemod.delivery import names, reason, spelling, transfer
from nemod.job import Fingerprint

SUFFIX = ".txt"
#: As people and systems write it, in the order in which it is looked for.
_ENDINGS = (SUFFIX, ".TXT", ".Txt")


def beside(video: Path) -> Path | None:
    """The instruction that lies beside a video now; the video itself need not lie there."""
    for ending in _ENDINGS:
        path = video.with_name(video.name + ending)
        if not path.name.lower().endswith(reason.SUFFIX) and _regular(path):
            return path
    return None


def move_along(source: Path, target: Path) -> str:
    """Move what lies beside a video to where the video went.

    Args:
        source: where the video lay.
        target: where it lies now, or would; its folder is there.

    Returns:
        A sentence when it stays where it is, else "".
    """
    found = beside(source)
    if found is None or source == target:
        return ""
    try:
        _bring(found, target)
    except OSError as error:
        return left(error)
    return ""


def left(error: OSError) -> str:
    """What to say of an instruction that stays where it is."""
    return f"The instruction beside it stays where it is: {names.safe(error.strerror or str(error))}."


def _bring(found: Path, video: Path) -> None:
    seen = found.lstat()
    fingerprint = Fingerprint(size_bytes=seen.st_size, mtime_ns=seen.st_mtime_ns, inode=seen.st_ino)
    for name in spelling.candidates(video.parent, video.name, SUFFIX):
        try:
            if not transfer.bring(found, video.with_name(name), fingerprint):
                raise OSError(errno.EBUSY, "it was changed at this moment")
        except FileExistsError:
            continue
        return


def _regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:  # not there, not ours to see, or a name too long to exist
        return False
