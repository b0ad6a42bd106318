"""A power cut at each side effect: only what was synced is there afterwards, and the laws hold all the same.

One life is lived to its end while it is noted what is sure (`disk`); of chosen moments the disk is laid out, and a daemon
starts on it. By default a handful of moments, in turns as strict as POSIX allows and otherwise, of the life that removes its
originals; NEMOD_CRASH=full takes all moments and all cuts.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import After
from tests.crash.disk import Cut, lay
from tests.crash.world import FULL, Clips, census, hold_laws_at_every_moment, hold_laws_at_the_end, live, make_clips, sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the traced file layer looks into /proc")


#: By default one in so many kinds of moments.
EVERY = 11


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Small real videos."""
    return make_clips(tmp_path_factory.mktemp("clips"))


def cut_off(clips: Clips, root: Path) -> int:
    """Cut the power at each chosen moment of a life, and live on; how many cuts there were."""
    deaths = sample(census(clips, root.with_name("census")))[:: 1 if FULL else EVERY]
    clips.fill(root)
    wishes = [(cut, death) for n, death in enumerate(deaths) for cut in (list(Cut) if FULL else [list(Cut)[n % len(Cut)]])]
    lines = [f"{cut} {death.number} {death.label}" for cut, death in wishes]
    Path(f"{root}.wishes").write_text("\n".join(lines), encoding="utf-8")
    assert live(root, None, "--disks") == 0
    hold_laws_at_the_end(clips, root)
    broken, cuts = [], 0
    for number, line in enumerate(lines):
        disk = Path(f"{root}.disks") / str(number)
        if not disk.exists():
            continue  # looks at the inbox differ in number
        lay(disk, root)
        cuts += 1
        try:
            hold_laws_at_every_moment(clips, root)
            assert live(root) == 0
            hold_laws_at_the_end(clips, root)
        except AssertionError as error:
            broken.append(f"{line}: {error}")
    assert not broken, "\n\n".join(broken)
    assert cuts >= 0.8 * len(wishes)
    return cuts


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("after", [After.DELETE, None, After.TRASH, After.KEEP])
def test_a_power_cut_changes_nothing_of_the_end(clips: Clips, tmp_path: Path, after: After | None) -> None:
    """Whatever was not synced is lost, and every output is there once and whole, every original safe, nothing left over."""
    if after is not After.DELETE and not FULL:
        pytest.skip("NEMOD_CRASH=full tries it")
    assert cut_off(replace(clips, after=after), tmp_path / "root")
