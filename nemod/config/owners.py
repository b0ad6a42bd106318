"""Umask, user and group as people write them: "002", "media", "1000". Names are looked up in the system's own lists."""

import grp
import pwd
import re
from collections.abc import Callable

from nemod.config.units import UnitError, shown

_UMASK = re.compile(r"[0-7]{1,4}")
_UMASK_HINT = 'write it in quotes, like "022" (others may read) or "002" (the group may write as well)'
#: The highest that systems give; the one above means "nobody at all" to them.
_LAST = 2**32 - 2


def parse_umask(value: object) -> int:
    """The rights that new files and folders lack; raises UnitError, also for one that would shut nemod out itself."""
    if not isinstance(value, str) or not _UMASK.fullmatch(value.strip()):
        raise UnitError(f"{shown(value)} is not a umask", _UMASK_HINT)
    umask = int(value.strip(), 8)
    if umask & ~0o077:
        raise UnitError(f"{shown(value)} would take the rights from nemod itself", _UMASK_HINT)
    return umask


def parse_user(value: object) -> int:
    """A user's number, from it or from the name; raises UnitError when there is none of that name."""
    return _number(value, "user", lambda name: pwd.getpwnam(name).pw_uid)


def parse_group(value: object) -> int:
    """A group's number, from it or from the name; raises UnitError when there is none of that name."""
    return _number(value, "group", lambda name: grp.getgrnam(name).gr_gid)


def _number(value: object, what: str, look_up: Callable[[str], int]) -> int:
    hint = f"write its name in quotes, or its number from 0 to {_LAST}; see: id"
    if isinstance(value, str) and value.strip() and not value.strip().isdecimal():
        try:
            return look_up(value.strip())
        except (KeyError, ValueError) as error:  # ValueError: a zero byte
            raise UnitError(f"there is no {what} named {shown(value)} here", hint) from error
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or int(text) > _LAST:
        raise UnitError(f"{shown(value)} is no {what}", hint)
    return int(text)
