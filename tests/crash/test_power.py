"""A power cut at each side effect: only what was synced is there afterwards, and the laws hold all the same.

One life is lived to its end while it is noted what is sure (`disk`); of chosen moments the disk is laid out, and a daemon
starts on it. By default a handful of moments, in turns as strict as POSIX allows and otherwise, of the life that removes its
originals; NEMOD_CRASH=full takes all moments and all cuts.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nemod.config.model import After
from tests.crash.conftest import DEATHS, Record
from tests.crash.disk import Cut, lay
from tests.crash.victim import state
from tests.crash.world import (
    FULL,
    PARALLEL,
    Clips,
    Death,
    census,
    hold_laws_at_every_moment,
    hold_laws_at_the_end,
    live,
    make_clips,
    sample,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the traced file layer looks into /proc")


#: By default one in so many kinds of moments.
EVERY = 11


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Small real videos."""
    return make_clips(tmp_path_factory.mktemp("clips"))


@dataclass(slots=True, kw_only=True)
class Tried:
    """How many cuts there were, which disks they left, and what went wrong on them."""

    cuts: int = 0
    disks: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


def cut_off(clips: Clips, root: Path, wishes: Sequence[tuple[Cut, Death]]) -> Tried:
    """Cut the power at each of these moments of a life, and live on from each disk that differs from those before."""
    clips.fill(root)
    lines = [f"{cut} {death.number} {death.label}" for cut, death in wishes]
    Path(f"{root}.wishes").write_text("\n".join(lines), encoding="utf-8")
    assert live(root, None, "--disks") == 0
    hold_laws_at_the_end(clips, root)
    tried = Tried()
    for number, line in enumerate(lines):
        disk = Path(f"{root}.disks") / str(number)
        if not disk.exists():
            continue  # looks at the inbox differ in number
        lay(disk, root)
        tried.cuts += 1
        if (left := state(root)) in tried.disks:
            continue  # what is the same on the disk goes on in the same way
        tried.disks.add(left)
        try:
            hold_laws_at_every_moment(clips, root)
            assert live(root) == 0
            hold_laws_at_the_end(clips, root)
        except AssertionError as error:
            tried.broken.append(f"{line}: {error}")
    return tried


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("after", [After.DELETE, None, After.TRASH, After.KEEP])
def test_a_power_cut_changes_nothing_of_the_end(
    clips: Clips, tmp_path: Path, after: After | None, record_property: Record
) -> None:
    """Whatever was not synced is lost, and every output is there once and whole, every original safe, nothing left over."""
    if after is not After.DELETE and not FULL:
        pytest.skip("NEMOD_CRASH=full tries it")
    mine = replace(clips, after=after)
    met = census(mine, tmp_path / "census")
    if FULL:
        wishes = [(cut, death) for death in met for cut in Cut]
    else:
        wishes = [(list(Cut)[n % len(Cut)], death) for n, death in enumerate(sample(met)[::EVERY])]
    lives = PARALLEL if FULL else 1
    each = -(-len(wishes) // lives)
    with ThreadPoolExecutor(lives) as pool:
        shares = [pool.submit(cut_off, mine, tmp_path / f"root{n}", wishes[n * each : (n + 1) * each]) for n in range(lives)]
    tried = [share.result() for share in shares]
    cuts, disks = sum(one.cuts for one in tried), sum(len(one.disks) for one in tried)
    record_property(DEATHS, f"{cuts} (on {disks} different disks)")
    broken = [line for one in tried for line in one.broken]
    assert not broken, "\n\n".join(broken)
    assert cuts >= 0.8 * len(wishes)
