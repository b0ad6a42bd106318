"""Whoever stands outside of the daemon and listens, or asks: what is handed in for them from above."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nemod.daemon.pulse import Watcher
from nemod.herald.herald import Describe


def _nothing(_ledger: object, _job: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """By default nobody.

    `watcher` wants to hear that the daemon is well; `describe` makes what a folder's own program is told of a job (nothing is
    told of one that it knows nothing of); `around` makes what is answered to `nemod doctor --service`, as JSON.
    """

    watcher: Watcher | None = None
    describe: Describe = _nothing
    around: Callable[[], Awaitable[object]] | None = None
