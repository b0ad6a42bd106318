"""How much of the machine our children may take: how they yield to others, and on which of its cores they run.

One wish holds for every child of a context, encodes and reads alike, so that all of them together keep to the cores: it is
set before the loop begins, and tasks inherit it. The daemon itself needs next to nothing and stays as it is.

Source: sched_setaffinity(2), nice(2). macOS binds nobody to cores; there only an encoder's threads are bounded.
"""

import sys
from contextvars import ContextVar
from dataclasses import dataclass

from nemod.config.model import NICENESS
from nemod.resources import usable_cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Politeness:
    """`niceness` from 0 to 19, of a child as a whole; `cores` are the numbers of those that it may use, None: all."""

    niceness: int = NICENESS
    cores: frozenset[int] | None = None
    threads: int | None = None  # of an encoder, where nobody can be bound to cores


_WISH: ContextVar[Politeness] = ContextVar("politeness", default=Politeness())  # noqa: B039 - it is frozen


def be(*, niceness: int, cores: int | None) -> None:
    """Let every child that is started in this context, and in what is begun from it, keep to that."""
    usable = usable_cores()
    if cores is None or cores >= len(usable):
        _WISH.set(Politeness(niceness=niceness))
    elif sys.platform == "linux":
        # The last ones: systems do their own work on the first.
        _WISH.set(Politeness(niceness=niceness, cores=frozenset(sorted(usable)[-cores:])))
    else:
        _WISH.set(Politeness(niceness=niceness, threads=cores))


def wish() -> Politeness:
    """What holds here."""
    return _WISH.get()


def workers() -> int:
    """How many threads have a core of their own."""
    mine = wish()
    return mine.threads or len(usable_cores() if mine.cores is None else mine.cores)


def threads_argv() -> tuple[str, ...]:
    """What an encoder must be told where nobody can be bound to cores."""
    bound = wish().threads
    return () if bound is None else ("-threads", str(bound))
