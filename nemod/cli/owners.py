"""What a command that makes files for people sets before it makes any: the umask, and to whom they shall belong."""

import os
from collections.abc import Callable, Mapping

from nemod import ownership
from nemod.config.model import Settings


def make_as_wished(settings: Settings, env: Mapping[str, str], refused: Callable[[str], None]) -> None:
    """Make from now on as the config says; UMASK in the environment wins, and is in force since the process began.

    Args:
        settings: of the config.
        env: the environment.
        refused: hears, once each, what cannot be given to whom.
    """
    if settings.umask is not None and not env.get("UMASK", "").strip():
        os.umask(settings.umask)
    told: set[str] = set()

    def once(why: str) -> None:
        if why not in told:
            told.add(why)
            refused(why)

    ownership.be(ownership.Owner(user=settings.owner, group=settings.group), once)
