"""How a name is spelled so that a disk takes it: sticks, cards, shares and encrypted folders refuse names that others take.

Rules kept here:
- a name that the disk takes stays as it is; only one that it refuses is written more plainly;
- the disk is asked by trying, since what it refuses depends on its kind, its options and who serves it; a name that all disks
  take is not even tried;
- it is tried in a hidden folder of ours, so nobody sees it. Whoever asks the same after a kill takes that folder away.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from nemod.delivery import names
from nemod.delivery.names import Spelling

#: How disks say that they do not take a name: a forbidden character, no text in their code, too long; a share may say that
#: there is no such file where one is to be made.
_REFUSED = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG, errno.ENOENT})


def inside(place: Path, relpath: str) -> Path:
    """The sub-folders that a file had in its inbox, as the disk of a place takes their names; the place need not be there."""
    return Path(*(names.portable(part, _of(place, part)) for part in PurePosixPath(relpath).parent.parts))


def candidates(folder: Path, stem: str, suffix: str) -> Iterator[str]:
    """Names to try in turn, as `names.candidates`, in the spelling that a folder's disk takes."""
    return names.candidates(stem, suffix, spelling(folder, stem, suffix))


def spelling(folder: Path, stem: str, suffix: str) -> Spelling:
    """The first spelling of a name that a folder's disk takes."""
    return _of(folder, next(names.candidates(stem, suffix)))


def trial_folder(folder: Path, name: str) -> Path:
    """Where a name is tried; the same each time, so that what a killed run has left is found and taken away."""
    return folder / f".nemod-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part"


def _of(folder: Path, name: str) -> Spelling:
    if names.plain(name):
        return Spelling.OWN
    return next((one for one in Spelling if _takes(folder, names.portable(name, one))), Spelling.ASCII)


def _takes(folder: Path, name: str) -> bool:
    """Whether a file may be called so; what cannot be tried may."""
    trial = trial_folder(folder, name)
    while True:
        try:
            trial.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            return True
        try:
            os.close(os.open(trial / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError as error:
            if error.errno == errno.ENOENT and not trial.exists():
                continue  # another one, who asked the same, has just taken the folder away
            return error.errno not in _REFUSED
        else:
            return True
        finally:
            with suppress(OSError):
                (trial / name).unlink(missing_ok=True)
            with suppress(OSError):
                trial.rmdir()
