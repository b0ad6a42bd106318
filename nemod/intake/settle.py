"""Which of the files seen have come to rest: nobody has changed them for a while.

Rules kept here:
- pure: `now` is a monotonic clock's, an argument;
- rest is two sightings at least `settle_s` apart by *our* clock with the same size, mtime and inode; a file's own times
  decide nothing, because `cp -p`, cameras and network drives bring times of their own;
- nothing is remembered but the mapping that goes in and comes out, so a caller that could not use an answer keeps the old one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nemod.job import Fingerprint, Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A file under watch: unchanged since then (monotonic seconds), and whether its rest has been reported."""

    fingerprint: Fingerprint
    since: float
    reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one look found; `fresh` are those of `resting` that were not resting at the look before."""

    resting: tuple[Sighting, ...]
    fresh: tuple[Sighting, ...]
    watched: Mapping[str, Watched]
    next_look: float | None  # monotonic: when the first moving file could be at rest; None: nothing moves


def settle(previous: Mapping[str, Watched], sightings: Iterable[Sighting], now: float, settle_s: float) -> Settled:
    """Compare what is seen now with what was seen before.

    Args:
        previous: `watched` of the look before; empty at first.
        sightings: every file there now; what is not among them is forgotten.
        now: monotonic seconds.
        settle_s: how long a file must stay the same; with 0 it still takes two sightings.
    """
    resting: list[Sighting] = []
    fresh: list[Sighting] = []
    watched: dict[str, Watched] = {}
    next_look: float | None = None
    for sighting in sightings:
        was = previous.get(sighting.relpath)
        same = was is not None and was.fingerprint == sighting.fingerprint
        since = was.since if was is not None and same else now
        # The very sum that `next_look` carries: `now - since >= settle_s` can be false at that moment, by rounding.
        rests_at = since + settle_s
        rests = same and now >= rests_at
        watched[sighting.relpath] = Watched(fingerprint=sighting.fingerprint, since=since, reported=rests)
        if rests:
            resting.append(sighting)
            if was is not None and not was.reported:
                fresh.append(sighting)
        else:
            next_look = rests_at if next_look is None else min(next_look, rests_at)
    return Settled(resting=tuple(resting), fresh=tuple(fresh), watched=watched, next_look=next_look)
