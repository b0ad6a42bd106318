"""From a poke to jobs: scan the inbox, see what has come to rest, bring the ledger in line.

Start-up, events and rescans are this one path; a poke that is lost costs time and nothing else.
"""

import asyncio
from collections.abc import Mapping

from nemod import logs
from nemod.config.model import Folder
from nemod.intake.drives import unplugged
from nemod.intake.mounts import file_system
from nemod.intake.scan import InboxUnavailable, Odd, scan
from nemod.intake.settle import Watched, settle
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, Reconciled

log = logs.get(__name__)


class Intake:
    """One inbox under watch."""

    def __init__(self, folder: Folder, desk: Desk, *, settle_s: float) -> None:
        """Nothing has been seen yet."""
        self.folder = folder
        self._desk = desk
        self._settle_s = settle_s
        self._watched: Mapping[str, Watched] = {}
        self._identity: tuple[int, int] | None = None
        self._told: frozenset[Odd] = frozenset()
        self._exclude = frozenset({folder.outbox, folder.originals, *((folder.failed,) if folder.failed else ())})

    async def look(self, *, mono: float, now: float) -> tuple[Reconciled, float | None]:
        """Look once.

        Args:
            mono: monotonic seconds.
            now: epoch seconds.

        Returns:
            What changed in the ledger, and after how many seconds the next file could be at rest (None: nothing moves).

        Raises:
            InboxUnavailable: the inbox cannot be read; nothing is known of its files, so nothing is changed.
        """
        folder = self.folder
        if (failure := await unplugged(self._desk, folder.inbox)) is not None:
            raise InboxUnavailable(failure)
        if self._identity is None:
            for place in self._exclude:  # their drives are known before they are missed
                await unplugged(self._desk, place)
        # Asked before the look: a file whose original is put away meanwhile was seen, and is no new one.
        known = await self._desk(Ledger.present, folder.inbox)
        seen = await asyncio.to_thread(
            scan,
            folder.inbox,
            recursive=folder.recursive,
            ignore=folder.ignore,
            exclude=self._exclude,
            steady=(await asyncio.to_thread(file_system, folder.inbox)).steady,
            expect=self._identity,
        )
        self._identity = seen.identity
        self._tell(frozenset(seen.odd))
        settled = settle(self._watched, seen.sightings, mono, self._settle_s)
        fresh = [sighting for sighting in settled.resting if sighting not in known]
        reconciled = Reconciled(added=(), gone=())
        if fresh or not known.issubset(seen.sightings):
            reconciled = await self._desk(Ledger.reconcile, folder, resting=fresh, seen=seen.sightings, sees=seen.sees, now=now)
        self._watched = settled.watched
        return reconciled, None if settled.next_look is None else max(0.0, settled.next_look - mono)

    def _tell(self, odd: frozenset[Odd]) -> None:
        for thing in sorted(odd - self._told, key=lambda o: o.relpath):
            log.info("intake.left_alone", folder=self.folder.name, file=thing.relpath, why=thing.what.value)
        self._told = odd
