"""The five laws under kill -9: at each kind of side effect, and again in the recovery from it.

By default one occurrence of some kinds is died of, in turns the first and the last; NEMOD_CRASH=full takes all that leave
something different behind.
Law 5, that nothing leaves the machine, has nothing to do with dying.
"""

import hashlib
import re
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nemod.config.model import After
from nemod.daemon.service import open_ledger
from nemod.job import JobState
from tests.crash.conftest import DEATHS, Record
from tests.crash.victim import LIMIT_BYTES, engine, folder
from tests.crash.world import (
    FULL,
    PARALLEL,
    TEXT,
    Clips,
    Death,
    all_hold,
    census,
    different,
    digest,
    files,
    live,
    make_clips,
    moments,
    sample,
)
from tests.support.clips import make_clip
from tests.support.daemon import leftovers

#: The last moment before an original's end is a fact, by what becomes of it.
DISPOSED = {
    After.DELETE: "commit UPDATE job disposed = 'deleted'",
    After.TRASH: "commit UPDATE job disposed = 'trashed'",
    After.KEEP: "commit UPDATE job disposed = 'kept'",
    "elsewhere": "commit UPDATE job disposed = 'archived'",
}
SHM = Path("/dev/shm")  # noqa: S108 - another file system, in which each test makes a folder of its own


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Small real videos."""
    return make_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def deaths(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> list[Death]:
    """Every side effect of an undisturbed run."""
    return census(clips, tmp_path_factory.mktemp("census") / "root")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """A video that is delivered in two parts, whose first choice of names is taken."""

    big: Path
    parts: tuple[Path, ...]

    def fill(self, root: Path) -> None:
        """A new world with the video in its inbox, and the parts that become of it."""
        place = folder(root)
        place.outbox.mkdir(parents=True)
        (root / "state").mkdir()
        shutil.copytree(self.parts[0].parent, root / "halves")
        shutil.copy(self.big, place.inbox / "a.mkv")
        (place.outbox / "a part 2 of 2.mp4").write_bytes(TEXT)

    def hold_laws(self, root: Path, *, ended: bool) -> None:
        """At every moment what is visible is whole, and the original is there; in the end both parts are, once."""
        place = folder(root)
        visible = {path.name: digest(path) for path in files(place.outbox)}
        assert visible.pop("a part 2 of 2.mp4") == hashlib.sha256(TEXT).hexdigest(), "law 3: a file was overwritten"
        wanted = {f"a (2) part {number} of 2.mp4": digest(part) for number, part in enumerate(self.parts, 1)}
        assert visible.items() <= wanted.items(), "law 1: something is visible and not whole"
        originals = [where / "a.mkv" for where in (place.inbox, place.originals)]
        assert [digest(self.big)] == [digest(path) for path in originals if path.exists()], "law 2"
        if originals[1].exists() or ended:
            assert visible == wanted, "law 2: the original was put away before all parts were delivered"
        if ended:
            assert originals[1].exists()
            assert leftovers(place.inbox) == []
            with closing(open_ledger(root / "state")) as ledger:
                (job,) = ledger.jobs()
            assert job.state is JobState.DONE
            assert [path.name for path in job.targets] == sorted(wanted)
            assert len(engine(root).paid()) == 1


@pytest.fixture(scope="module")
def split(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Halves:
    """Two small halves."""
    place = tmp_path_factory.mktemp("halves")
    coded = ("-crf", "40", "-b:a", "32k", "-movflags", "+faststart")
    parts = tuple(make_clip(place / f"{n}.mp4", seconds=0.5, size=(160, 120), fps=30 - n, extra_args=coded) for n in (1, 2))
    assert max(part.stat().st_size for part in parts) <= LIMIT_BYTES
    return Halves(big=clips.big, parts=parts)


@pytest.mark.timeout(3600)
def test_a_kill_while_parts_are_delivered_leaves_each_of_them_once(
    split: Halves, tmp_path: Path, record_property: Record
) -> None:
    """At each side effect from the choice of their names to the original's end: none is lost, doubled or half there."""
    split.fill(tmp_path / "census")
    met = moments(tmp_path / "census")
    split.hold_laws(tmp_path / "census", ended=True)
    met = met[next(n for n, death in enumerate(met) if death.label == "commit UPDATE job target") :]
    if FULL:
        met = different(met)
    else:  # what is new beside one file: names, links, the one fact for all, second names
        decisive = re.compile(r"commit UPDATE job (target|delivered_bytes)|os\.link|os\.remove \S+\.mp#$")
        met = [death for death in met if decisive.match(death.label)]
    assert len(met) >= 6

    def die(number: int, death: Death) -> int:
        root = tmp_path / str(number)
        split.fill(root)
        died = live(root, death) == -signal.SIGKILL
        split.hold_laws(root, ended=False)
        assert live(root) == 0
        split.hold_laws(root, ended=True)
        return died

    with ThreadPoolExecutor(PARALLEL) as pool:
        record_property(DEATHS, died := sum(pool.map(die, range(len(met)), met)))
    assert died >= 0.8 * len(met)


def test_the_census_sees_every_kind_of_side_effect(deaths: list[Death]) -> None:
    """Files, names, folders, times and facts: whatever a job changes is among what can be died of."""
    kinds = {death.label.split()[0] for death in deaths}
    assert {"commit", "open", "os.mkdir", "os.chmod", "os.utime", "os.link", "os.remove", "os.rmdir"} <= kinds


@pytest.mark.timeout(3600)
def test_a_kill_at_any_side_effect_changes_nothing_of_the_end(
    clips: Clips, deaths: list[Death], tmp_path: Path, record_property: Record
) -> None:
    """One death, one recovery: every output once and whole, every original safe, nothing paid twice, nothing left over."""
    cases = [(death,) for death in sample(deaths)[:: 1 if FULL else 4]]
    record_property(DEATHS, died := all_hold(clips, tmp_path, cases))
    assert died >= 0.8 * len(cases), "most deaths are met; looks at the inbox differ in number"


@pytest.mark.timeout(3600)
def test_a_second_kill_in_the_recovery_changes_nothing_either(
    clips: Clips, deaths: list[Death], tmp_path: Path, record_property: Record
) -> None:
    """Two deaths in a row, the second one in the life that recovers from the first."""
    chosen = sample(deaths)
    every_case = [(death, chosen[(n * 7 + 3) % len(chosen)]) for n, death in enumerate(chosen)]
    cases = every_case if FULL else every_case[::8]
    record_property(DEATHS, died := all_hold(clips, tmp_path, cases))
    assert died >= len(cases)


def disposing(met: list[Death]) -> list[Death]:
    """All that differ, from a delivery to the original's end: what comes before is the same whatever becomes of it."""
    begin = next(n for n, death in enumerate(met) if death.label == "commit UPDATE job delivered_bytes")
    last = max(n for n, death in enumerate(met) if death.label.startswith("commit UPDATE job disposed"))
    return different(met[begin : last + 1])


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("way", [After.DELETE, After.TRASH, After.KEEP, "elsewhere"])
def test_a_kill_changes_nothing_whatever_becomes_of_the_originals(
    clips: Clips, tmp_path: Path, way: str, record_property: Record
) -> None:
    """Deleted, thrown away, kept, or carried to another disk, from a sub-folder; by default just before that is a fact."""
    if way is After.TRASH and sys.platform == "darwin":
        pytest.skip("the trash of macOS is not a folder that a test may choose")
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as shm:
        if way == "elsewhere" and Path(shm).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is no second file system here that anybody may write to")
        mine = replace(clips, after=After.ARCHIVE, elsewhere=Path(shm))
        if way != "elsewhere":
            mine = replace(clips, after=After(way))
        cases: list[tuple[Death, ...]] = [(Death(label=DISPOSED[way], number=1),)]
        if FULL:
            met = disposing(census(mine, tmp_path / "census"))
            cases = [(death,) for death in met] + [(death, met[(n * 7 + 3) % len(met)]) for n, death in enumerate(met)]
        record_property(DEATHS, died := all_hold(mine, tmp_path, cases))
        assert died >= 0.6 * sum(map(len, cases))
