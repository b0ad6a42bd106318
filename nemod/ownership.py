"""To whom what we make for people belongs: outputs, reasons, and the folders that we make for them.

Rules kept here:
- only what was made a moment ago is given away; a folder or file that was there before keeps its owner;
- what nemod keeps for itself (its state, work folders) is never given;
- where the system refuses, the file stays ours: a video is delivered all the same, and somebody is told why.

One wish holds for a context, as with `media.polite`: it is set before the loop begins, and tasks and threads inherit it.

Source: chown(2): a file's group may be changed by its owner to one of his groups, everything else needs CAP_CHOWN.
"""

import errno
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

_CAP_CHOWN = 1 << 0  # linux/capability.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A user and a group by their numbers; None: as the system makes it."""

    user: int | None = None
    group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    owner: Owner
    refused: Callable[[str], None]


_WISH: ContextVar[_Wish] = ContextVar("ownership", default=_Wish(owner=Owner(), refused=lambda _: None))  # noqa: B039 - it is frozen


def be(owner: Owner, refused: Callable[[str], None]) -> None:
    """Give what is made for people in this context to that owner; `refused` hears a sentence for each that cannot be given."""
    _WISH.set(_Wish(owner=owner, refused=refused))


def give(made: int | Path) -> None:
    """Give a file or folder that was made a moment ago to whom it shall belong; a link is not followed.

    Args:
        made: its descriptor, or its path.
    """
    wish = _WISH.get()
    # The group first: who gives a file away may not change it any more.
    for user, group, whom in ((None, wish.owner.group, "group"), (wish.owner.user, None, "user")):
        wanted = group if user is None else user
        if wanted is None:
            continue
        try:
            _give(made, user, group)
        except OSError as error:
            wish.refused(f"What nemod makes cannot be given to {whom} {wanted}: {error.strerror}.")


def _give(made: int | Path, user: int | None, group: int | None) -> None:
    found = made.lstat() if isinstance(made, Path) else os.fstat(made)
    if user in {None, found.st_uid} and group in {None, found.st_gid}:
        return
    if found.st_uid not in {os.geteuid(), user}:  # not what we made: a share that makes up owners, or somebody put it there
        raise PermissionError(errno.EPERM, f"it belongs to user {found.st_uid}")
    ids = (-1 if user is None else user, -1 if group is None else group)
    if isinstance(made, Path):
        os.chown(made, *ids, follow_symlinks=False)
        return
    try:
        os.fchown(made, *ids)
    except OSError as error:
        if error.errno != errno.EBADF:  # a folder that is held only to go through it
            raise
        os.chown(f"/proc/self/fd/{made}", *ids)


def may_give(owner: Owner) -> str:
    """Why this account may not give files to an owner, as far as can be known; "" when it may."""
    if _may_chown():
        return ""
    if owner.user not in {None, os.geteuid()}:
        return f"only the superuser may give files to user {owner.user}"
    if owner.group not in {None, os.getegid(), *os.getgroups()}:
        return f"this account is not in group {owner.group}"
    return ""


def _may_chown() -> bool:
    if sys.platform != "linux":
        return os.geteuid() == 0
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return any(bool(int(line.split()[1], 16) & _CAP_CHOWN) for line in lines if line.startswith("CapEff:"))
    except (OSError, ValueError):
        return os.geteuid() == 0
