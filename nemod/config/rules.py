"""What must hold between folders, so that no output is ever taken for an input. Reads the disk, changes nothing.

An inbox belongs to one folder; nothing that nemod writes lies in another folder's inbox; no inbox lies where nemod writes.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path

from nemod.config.model import Folder
from nemod.config.shapes import Table
from nemod.threads import ANSWER_S, begin

#: What makes a place itself: the disk's own answer, which knows about case and bind mounts, or the path when it is not there.
_Identity = tuple[int, int] | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A place, and every place that it lies in, itself among them."""

    identity: _Identity
    around: frozenset[_Identity]

    def inside(self, other: "_Spot") -> bool:
        """Whether it is the other place or lies in it, however deep."""
        return other.identity in self.around


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sited:
    """A folder's table and where its places are."""

    table: Table
    recursive: bool
    inbox: _Spot
    outputs: tuple[tuple[str, _Spot], ...]

    @property
    def whose(self) -> str:
        """How another folder's problem speaks of it."""
        return f"folder {self.table.name} at {self.table.place}"


def outputs(folder: Folder) -> tuple[tuple[str, Path], ...]:
    """The places that nemod writes to, by their keys."""
    every = (("outbox", folder.outbox), ("originals", folder.originals), ("failed", folder.failed))
    return tuple((key, path) for key, path in every if path is not None)


def check_folders(folders: Sequence[tuple[Folder, Table]]) -> None:
    """Report every fault in and between the folders to the tables that they were read from."""
    places = {path for folder, _ in folders for path in (folder.inbox, *(path for _, path in outputs(folder)))}
    known = _identities({around for path in places for around in (path, *path.parents)})
    sited = [_sited(folder, table, known) for folder, table in folders]
    for one in sited:
        _own(one)
    for first, second in combinations(sited, 2):
        if first.inbox.identity == second.inbox.identity:
            second.table.fault("inbox", f"is the inbox of {first.whose} as well", "give each folder an inbox of its own")
    for one, other in permutations(sited, 2):
        if one.inbox.identity != other.inbox.identity:
            _between(one, other)


def _sited(folder: Folder, table: Table, known: Mapping[Path, _Identity]) -> _Sited:
    places = tuple((key, _spot(path, known)) for key, path in outputs(folder))
    return _Sited(table=table, recursive=folder.recursive, inbox=_spot(folder.inbox, known), outputs=places)


def _own(one: _Sited) -> None:
    for key, spot in one.outputs:
        if spot.identity == one.inbox.identity:
            one.table.fault(key, "is the folder's own inbox", "its files would be taken in again; leave it out or name another")
        elif one.inbox.inside(spot):
            one.table.fault("inbox", f"lies in the folder's own {key}", "what is written there could be taken in again")


def _between(one: _Sited, other: _Sited) -> None:
    """Faults of `one` that come from `other`."""
    stray = [key for key, spot in one.outputs if spot.inside(other.inbox)]
    for key in stray:
        if key in one.table.values:
            one.table.fault(key, f"lies in the inbox of {other.whose}", "what is written there would be taken in")
    for key, spot in other.outputs:
        # One that was written into this very inbox is reported on its own line, above.
        if one.inbox.inside(spot) and not (key in other.table.values and spot.inside(one.inbox)):
            one.table.fault("inbox", f"lies in the {key} of {other.whose}", "what is written there would be taken in")
            return
    # Places that were not written follow the inbox, so the inbox is what to mend.
    follow = [key for key in stray if key not in one.table.values]
    if one.inbox.inside(other.inbox) and (other.recursive or follow):
        and_so = f", and so does its {follow[0]}" if follow else ", which takes in sub-folders"
        one.table.fault("inbox", f"lies in the inbox of {other.whose}{and_so}", "keep the two apart")


def _spot(path: Path, known: Mapping[Path, _Identity]) -> _Spot:
    return _Spot(identity=known[path], around=frozenset(known[around] for around in (path, *path.parents)))


def _identities(paths: Iterable[Path]) -> Mapping[Path, _Identity]:
    """Asked all at once, so that a disk that does not answer is waited for only once."""
    asking = {path: begin(path.stat) for path in paths}
    wait(asking.values(), timeout=ANSWER_S)
    return {path: _identity(path, asked) for path, asked in asking.items()}


def _identity(path: Path, asked: Future[os.stat_result]) -> _Identity:
    try:
        status = asked.result(timeout=0)
    except OSError:
        return path
    return status.st_dev, status.st_ino
