"""The real engine of this machine under kill -9: at each file that it makes, at each start of a child and in the life of each.

In the daemon, and in `nemod compress`, which knows nothing of its earlier lives. By default two moments of it are
died of; NEMOD_CRASH=full takes all that differ.
"""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from nemod.daemon.service import open_ledger
from nemod.delivery.publish import WORK
from nemod.job import JobState
from nemod.media.probe import probe
from tests.crash.conftest import DEATHS, Record
from tests.crash.victim import ALONE, LIMIT_BYTES, REAL, RUNNING, folder
from tests.crash.world import FULL, PARALLEL, Death, digest, files, live, moments, sample
from tests.support.clips import make_clip
from tests.support.daemon import eventually, leftovers, processes


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video over the limit."""
    made = make_clip(tmp_path_factory.mktemp("clips") / "big.mkv", seconds=1, size=(160, 120))
    assert made.stat().st_size > LIMIT_BYTES
    return made


def fill(root: Path, big: Path) -> Path:
    """A new world with the video in its inbox."""
    (root / "state").mkdir(parents=True)
    (root / "home").mkdir()
    (root / REAL).touch()
    folder(root).inbox.mkdir()
    shutil.copy(big, folder(root).inbox / "a.mkv")
    return root


def at_work(root: Path) -> list[int]:
    """The children that work on something in a world."""
    return [pid for pid, words in processes() if any(os.fsencode(folder(root).inbox) in word for word in words)]


async def hold_laws(root: Path, big: Path) -> None:
    """One whole output within the limit, the original put away, and nothing else anywhere."""
    place = folder(root)
    assert [path.name for path in files(place.outbox)] == ["a.mp4"], "law 3: delivered once"
    output = place.outbox / "a.mp4"
    assert output.stat().st_size <= LIMIT_BYTES, "law 1"
    assert (await probe(output, timeout_s=60)).duration_s == pytest.approx(1, abs=0.1)
    assert digest(place.originals / "a.mkv") == digest(big), "law 2"
    assert files(place.inbox) == []
    eventually(lambda: not at_work(root))
    assert leftovers(place.inbox) == []
    with closing(open_ledger(root / "state")) as ledger:
        assert [job.state for job in ledger.jobs()] == [JobState.DONE]


def chosen(met: list[Death]) -> list[Death]:
    """What is died of, of all that a life met."""
    starts = [death for death in met if death.label.startswith("start ")]
    assert len(starts) >= 5
    met = sample(met) + [Death(label=death.label + RUNNING, number=death.number) for death in starts]
    return met if FULL else [met[len(met) // 3], met[-3]]


@pytest.mark.timeout(3600)
async def test_a_kill_at_any_moment_of_an_encode_leaves_one_output_and_no_child(
    big: Path, tmp_path: Path, record_property: Record
) -> None:
    """Before a child starts, in its life and between them: the next life makes one whole output of it."""
    census = fill(tmp_path / "census", big)
    met = chosen(moments(census))
    await hold_laws(census, big)

    def die(number: int, death: Death) -> int:
        root = fill(tmp_path / str(number), big)
        died = live(root, death) == -signal.SIGKILL
        originals = [where / "a.mkv" for where in (folder(root).inbox, folder(root).originals)]
        assert [digest(path) for path in originals if path.exists()] == [digest(big)], "law 2"
        assert live(root) == 0, death
        return died

    with ThreadPoolExecutor(PARALLEL) as pool:
        record_property(DEATHS, died := sum(pool.map(die, range(len(met)), met)))
    assert died >= 0.8 * len(met)
    for number in range(len(met)):
        await hold_laws(tmp_path / str(number), big)


def compress(root: Path, name: str, death: Death | None = None) -> int:
    """Compress a world's video into this name, or die of it; nothing but the videos and our own work lies beside it."""
    (root / ALONE).write_text(name, encoding="utf-8")
    code = live(root, death)
    assert {path.name for path in (root / "inbox").iterdir()} <= {"a.mkv", "first.mp4", "second.mp4", WORK}
    return code


@pytest.mark.timeout(3600)
async def test_a_kill_of_the_command_leaves_the_source_and_no_half_output(
    big: Path, tmp_path: Path, record_property: Record
) -> None:
    """What it leaves of its work is hidden, and removed by the next command."""
    census = fill(tmp_path / "census", big)
    (census / ALONE).write_text("first.mp4", encoding="utf-8")
    met = chosen(moments(census))
    assert leftovers(census) == []

    def die(number: int, death: Death) -> int:
        root = fill(tmp_path / str(number), big)
        died = compress(root, "first.mp4", death) == -signal.SIGKILL
        assert digest(root / "inbox" / "a.mkv") == digest(big), death
        assert compress(root, "second.mp4") == 0
        return died

    with ThreadPoolExecutor(PARALLEL) as pool:
        record_property(DEATHS, died := sum(pool.map(die, range(len(met)), met)))
    assert died >= 0.8 * len(met)
    for number, death in enumerate(met):
        root = tmp_path / str(number)
        assert (root / "inbox" / "second.mp4").exists(), death
        for output in (root / "inbox").glob("*.mp4"):
            assert output.stat().st_size <= LIMIT_BYTES, death
            assert (await probe(output, timeout_s=60)).duration_s == pytest.approx(1, abs=0.1), death
        assert not at_work(root), death
        assert digest(root / "inbox" / "a.mkv") == digest(big), death
        assert leftovers(root) == [], death
