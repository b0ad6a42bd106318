"""How files arrive: each is taken once, when it is whole, and its original lies where the folder's policy puts it."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.job import JobState
from tests.support.clips import clip
from tests.support.daemon import Machine, eventually, every, leftovers, machine

BURST = 1000 if os.environ.get("NEMOD_SLOW") else 24


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Machine]:
    """One daemon with a folder for each policy; a file lay in one of them before it started."""
    with machine(tmp_path_factory.mktemp("arrivals")) as made:
        shutil.copy(tiny, made.folder("plain") / "early.mp4")
        made.folder("tree", "recursive = true")
        made.folder("burst")
        for after in ("keep", "trash", "delete", "archive"):
            made.folder(after, f'after = "{after}"')
        made.folder("tight", preset="tight")
        made.start()
        yield made
        for name in made.folders:
            eventually(lambda inbox=made.home / name: not leftovers(inbox), made.told)  # type: ignore[misc]
        told = made.events("job.delivered")
        assert len({line["job"] for line in told}) == len(told) == made.states().count(JobState.DONE)
        assert not made.events("job.bug")
        assert made.stop(signal.SIGTERM) == 0


def test_a_file_that_lay_there_before_the_start_is_delivered(daemon: Machine, tiny: Path) -> None:
    """The first look finds it; it fits already, so its bytes come out as they are and the original is archived."""
    output = daemon.delivered("early.mp4")
    assert output == daemon.home / "plain" / "done" / "early.mp4"
    assert output.read_bytes() == tiny.read_bytes()
    assert (daemon.home / "plain" / "originals" / "early.mp4").read_bytes() == tiny.read_bytes()
    assert not (daemon.home / "plain" / "early.mp4").exists()


def test_a_dropped_file_is_encoded_below_its_limit(daemon: Machine, needy: Path) -> None:
    """The whole way with a real encode: at most the limit, and the original safe in the archive."""
    shutil.copy(needy, daemon.home / "tight" / "drop.mkv")
    output = daemon.delivered("drop.mkv")
    assert output.name == "drop.mp4"
    assert 0 < output.stat().st_size <= 100_000 < needy.stat().st_size
    assert (daemon.home / "tight" / "originals" / "drop.mkv").read_bytes() == needy.read_bytes()


def test_a_file_that_is_moved_in_is_delivered(daemon: Machine, tiny: Path) -> None:
    """A move makes no write at all in the inbox, only a name."""
    elsewhere = shutil.copy(tiny, daemon.home / "elsewhere.mp4")
    Path(elsewhere).rename(daemon.home / "plain" / "moved.mp4")
    assert daemon.delivered("moved.mp4").read_bytes() == tiny.read_bytes()


def test_a_slow_copy_is_delivered_whole(daemon: Machine) -> None:
    """The copy takes several times as long as a file must rest; what comes out is all of it, once."""
    source = clip("stream-of-water.mp4").read_bytes()
    step = len(source) // 24
    with (daemon.home / "plain" / "slowly.mp4").open("wb", buffering=0) as file:
        for start in range(0, len(source), step):
            file.write(source[start : start + step])
            time.sleep(0.05)
    assert daemon.delivered("slowly.mp4").read_bytes() == source
    assert daemon.states("slowly.mp4").count(JobState.DONE) == 1
    assert not daemon.count("job.failed", file="slowly.mp4")


def test_a_copy_that_stays_open_is_waited_for(daemon: Machine) -> None:
    """Its picture and index are there and it rests, but whoever writes has not let go: only then it is taken."""
    source = clip("stream-of-water.mp4").read_bytes()
    with (daemon.home / "plain" / "open.mp4").open("wb", buffering=0) as file:
        file.write(source[: len(source) // 2])
        eventually(lambda: any(job.failure is not None for job in daemon.jobs("open.mp4")), daemon.told)
        assert not (daemon.home / "plain" / "done" / "open.mp4").exists()
        file.write(source[len(source) // 2 :])
    assert daemon.delivered("open.mp4").read_bytes() == source
    assert not daemon.count("job.failed", file="open.mp4")


def test_a_copy_that_pauses_is_not_failed(daemon: Machine, late: Path) -> None:
    """The index comes last and the file is closed in between: it looks broken for a while, and is taken once it is whole."""
    source = late.read_bytes()
    arriving = daemon.home / "plain" / "pausing.mp4"
    arriving.write_bytes(source[: len(source) // 2])
    eventually(lambda: any(job.failure is not None for job in daemon.jobs("pausing.mp4")), daemon.told)
    with arriving.open("ab") as file:
        file.write(source[len(source) // 2 :])
    output = daemon.delivered("pausing.mp4")
    assert output.stat().st_size == pytest.approx(len(source), rel=0.05), "wrapped anew, the index first"
    assert (daemon.home / "plain" / "originals" / "pausing.mp4").read_bytes() == source
    assert daemon.states("pausing.mp4").count(JobState.DONE) == 1
    assert not daemon.count("job.failed", file="pausing.mp4")


def test_a_copy_cut_short_behind_its_index_is_waited_for(daemon: Machine) -> None:
    """The index comes first and promises more than is there: it would play, and is taken only once the rest has come."""
    source = clip("stream-of-water.mp4").read_bytes()
    arriving = daemon.home / "plain" / "short.mp4"
    arriving.write_bytes(source[: len(source) * 9 // 10])
    eventually(lambda: any(job.failure is not None for job in daemon.jobs("short.mp4")), daemon.told)
    (job,) = daemon.wait_for(JobState.QUEUED, "short.mp4")
    assert job.failure is not None
    assert job.failure.kind is Kind.INCOMPLETE
    assert not (daemon.home / "plain" / "done" / "short.mp4").exists()
    with arriving.open("ab") as file:
        file.write(source[len(source) * 9 // 10 :])
    assert daemon.delivered("short.mp4").read_bytes() == source
    assert daemon.states("short.mp4").count(JobState.DONE) == 1
    assert not daemon.count("job.failed", file="short.mp4")


@pytest.mark.parametrize(
    ("temporary", "name"),
    [("web.mp4.crdownload", "web.mp4"), (".synced.mp4.AbC123", "synced.mp4"), ("big.mp4.part", "big.mp4")],
)
def test_only_the_final_name_of_a_download_counts(daemon: Machine, tiny: Path, temporary: str, name: str) -> None:
    """What browsers and rsync write first is never looked at; the rename at the end is."""
    plain = daemon.home / "plain"
    (plain / temporary).write_bytes(tiny.read_bytes()[:5000])
    marker = f"after {name}"
    shutil.copy(tiny, plain / marker)
    daemon.delivered(marker)  # the daemon has looked at the inbox since
    assert daemon.jobs(temporary) == []
    (plain / temporary).write_bytes(tiny.read_bytes())
    (plain / temporary).rename(plain / name)
    assert daemon.delivered(name).read_bytes() == tiny.read_bytes()
    assert daemon.jobs(temporary) == []


def test_a_burst_is_delivered_file_by_file(daemon: Machine, tiny: Path) -> None:
    """Many files at once: each gets one job and one output, and each original is in the archive."""
    burst = daemon.home / "burst"
    names = {f"{number:04}.mp4" for number in range(BURST)}
    for name in sorted(names):
        shutil.copy(tiny, burst / name)
    for tenth in range(1, 11):  # each wait has patience of its own
        daemon.until_done("burst", BURST * tenth // 10)
    assert sorted(job.relpath for job in daemon.jobs(folder="burst")) == sorted(names)
    assert {path.name for path in every(burst / "done")} == names
    assert {path.name for path in every(burst / "originals")} == names
    assert not [path for path in burst.iterdir() if path.is_file()]


def test_the_same_name_again_gets_a_number(daemon: Machine, tiny: Path, quiet: Path) -> None:
    """A second drop of the name overwrites neither the first output nor the first original."""
    plain = daemon.home / "plain"
    shutil.copy(tiny, plain / "again.mp4")
    first = daemon.delivered("again.mp4")
    shutil.copy(quiet, plain / "again.mp4")
    second = daemon.delivered("again.mp4", times=2)
    assert (first.name, second.name) == ("again.mp4", "again (2).mp4")
    for place in (plain / "done", plain / "originals"):
        assert (place / "again.mp4").read_bytes() == tiny.read_bytes()
        assert (place / "again (2).mp4").read_bytes() == quiet.read_bytes()


def test_a_file_changed_under_its_name_is_a_new_job(daemon: Machine, tiny: Path, quiet: Path) -> None:
    """A kept original is done once; new content under its name is done as well."""
    keep = daemon.home / "keep"
    shutil.copy(tiny, keep / "changing.mp4")
    assert daemon.delivered("changing.mp4").read_bytes() == tiny.read_bytes()
    (keep / "changing.mp4").write_bytes(quiet.read_bytes())
    output = daemon.delivered("changing.mp4", times=2)
    assert output.name == "changing (2).mp4"
    assert output.read_bytes() == quiet.read_bytes()
    assert (keep / "changing.mp4").read_bytes() == quiet.read_bytes()


def test_a_file_rewritten_while_it_is_encoded_is_done_anew(own: Machine, lengthy: Path, needy: Path) -> None:
    """What was read is no more: that job is cancelled, the file stays where it is, and its new content comes out once."""
    inbox = own.folder("in", preset="roomy")
    own.start()
    source = Path(shutil.copy(lengthy, inbox / "rewritten.mkv"))
    eventually(own.encoding, own.told)
    inode = source.stat().st_ino
    source.write_bytes(needy.read_bytes())
    assert source.stat().st_ino == inode
    output = own.delivered("rewritten.mkv")
    assert output.name == "rewritten.mp4"
    own.wait_for(JobState.CANCELLED, "rewritten.mkv")
    eventually(lambda: not leftovers(inbox), own.told)
    assert own.states("rewritten.mkv") == [JobState.CANCELLED, JobState.DONE]
    assert [path.name for path in (inbox / "done").iterdir()] == ["rewritten.mp4"]
    assert not list((inbox / "failed").iterdir())
    assert (inbox / "originals" / "rewritten.mkv").read_bytes() == needy.read_bytes()
    assert own.stop() == 0


def test_sub_folders_stay_sub_folders(daemon: Machine, tiny: Path) -> None:
    """In a recursive folder the output and the original keep their place in the tree; our own folders are never entered."""
    tree = daemon.home / "tree"
    (tree / "2024" / "May").mkdir(parents=True)
    shutil.copy(tiny, tree / "2024" / "May" / "trip.mp4")
    shutil.copy(tiny, tree / "top.mp4")
    relpath = "2024/May/trip.mp4"
    assert daemon.delivered(relpath) == tree / "done" / relpath
    assert daemon.delivered("top.mp4") == tree / "done" / "top.mp4"
    assert (tree / "originals" / relpath).is_file()
    shutil.copy(tiny, tree / "later.mp4")
    daemon.delivered("later.mp4")  # looked at again with outputs and originals in place
    assert sorted(job.relpath for job in daemon.jobs(folder="tree")) == [relpath, "later.mp4", "top.mp4"]


def test_a_flat_folder_leaves_sub_folders_alone(daemon: Machine, tiny: Path) -> None:
    """Without `recursive` only the inbox itself is looked at."""
    (daemon.home / "plain" / "below").mkdir()
    shutil.copy(tiny, daemon.home / "plain" / "below" / "hidden away.mp4")
    shutil.copy(tiny, daemon.home / "plain" / "seen.mp4")
    daemon.delivered("seen.mp4")
    assert not [job for job in daemon.jobs() if job.relpath.endswith("hidden away.mp4")]


def test_a_kept_original_stays_and_is_done_once(daemon: Machine, tiny: Path) -> None:
    """`after = "keep"`: however often the inbox is looked at."""
    keep = daemon.home / "keep"
    shutil.copy(tiny, keep / "kept.mp4")
    daemon.delivered("kept.mp4")
    shutil.copy(tiny, keep / "next.mp4")
    daemon.delivered("next.mp4")
    assert daemon.states("kept.mp4") == [JobState.DONE]
    assert (keep / "kept.mp4").read_bytes() == tiny.read_bytes()
    assert not (keep / "originals").exists()


def test_a_deleted_original_is_gone(daemon: Machine, tiny: Path) -> None:
    """`after = "delete"`: only the output is left."""
    shutil.copy(tiny, daemon.home / "delete" / "gone.mp4")
    assert daemon.delivered("gone.mp4").read_bytes() == tiny.read_bytes()
    assert [path for path in every(daemon.home / "delete") if path.is_file()] == [daemon.home / "delete" / "done" / "gone.mp4"]


def test_a_trashed_original_can_be_found_again(daemon: Machine, tiny: Path) -> None:
    """`after = "trash"`: it lies in the trash of this home, or in the archive where there is no trash."""
    shutil.copy(tiny, daemon.home / "trash" / "trashed.mp4")
    daemon.delivered("trashed.mp4")
    assert not (daemon.home / "trash" / "trashed.mp4").exists()
    outbox = daemon.home / "trash" / "done"
    found = [path for path in every(daemon.home) if "trashed" in path.name and path.suffix == ".mp4"]
    (original,) = [path for path in found if path.parent != outbox]
    assert original.read_bytes() == tiny.read_bytes()
