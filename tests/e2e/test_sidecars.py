"""A person's own words: beside a video, for a folder, and asked afterwards; the real daemon and a cloud of our own."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.config.places import account_file
from nemod.engines.nemo.account import Account
from nemod.job import Job, JobState
from nemod.media.probe import probe
from tests.support.clips import make_clip
from tests.support.cloud import Cloud, cloud
from tests.support.daemon import Machine, eventually, machine

WORDS = "Trim it to the first 2 seconds."
FOLDER_WORDS = "Compress this video, and keep the first 3 seconds of it."


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds that fit everywhere as they are."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=4, size=(160, 120), extra_args=["-movflags", "+faststart"])


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with credits enough."""
    with cloud(tmp_path_factory.mktemp("sky"), "--credits", "10000") as running:
        yield running
        assert running.faults() == []


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, sky: Cloud) -> Iterator[Machine]:
    """One daemon with folders that stay here and folders that go to the cloud."""
    with machine(tmp_path_factory.mktemp("sidecars")) as made:
        made.folder("here", 'engine = "local"')
        made.folder("hopeless", 'engine = "local"', preset="hopeless")
        made.folder("there", 'engine = "nemo"')
        made.folder("album", 'engine = "nemo"', "recursive = true", 'session = "folder"')
        made.configure(made.config.read_text() + f'[nemo]\napi_url = "{sky.url}"\npoll_interval = "1s"\n')
        made.state.mkdir()
        account = Account(account_file(made.state), api_url=sky.url, env={}, home=made.home)
        account.keep_given(sky.token, now=time.time())
        made.start()
        yield made
        assert not made.events("job.bug")
        assert made.stop() == 0


def drop(daemon: Machine, clip: Path, folder: str, relpath: str, words: str = "") -> None:
    """A video, and its instruction a moment after it."""
    path = daemon.home / folder / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip, path)
    if words:
        path.with_name(f"{path.name}.txt").write_text(words)


async def length_s(path: Path) -> float:
    return (await probe(path, timeout_s=60)).duration_s


def done(daemon: Machine, relpath: str, folder: str, times: int = 1) -> Job:
    return daemon.wait_for(JobState.DONE, relpath, folder=folder, times=times)[-1]


def test_on_this_machine_an_instruction_is_told_of_and_put_away(daemon: Machine, clip: Path) -> None:
    """Nobody here understands it: the log says so, the video is done, and both lie in the archive; no other line, no job."""
    drop(daemon, clip, "here", "clip.mp4", WORDS)
    assert daemon.delivered("clip.mp4", folder="here").read_bytes() == clip.read_bytes()
    assert (daemon.home / "here" / "originals" / "clip.mp4.txt").read_text() == WORDS
    assert not (daemon.home / "here" / "clip.mp4.txt").exists()
    assert daemon.count("job.instruction_ignored", file="clip.mp4", folder="here") == 1
    assert daemon.count("intake.left_alone", folder="here") == 0
    assert len(daemon.jobs(folder="here")) == 1


def test_an_instruction_goes_to_the_failed_folder_and_stays_for_a_retry(daemon: Machine, needy: Path) -> None:
    """Beside the video that could not be done and the reason; tried again in vain, nothing has moved."""
    failed = daemon.home / "hopeless" / "failed"
    drop(daemon, needy, "hopeless", "needy.mkv", WORDS)
    (job,) = daemon.wait_for(JobState.FAILED, "needy.mkv", folder="hopeless")
    names = ["needy.mkv", "needy.mkv.failed.txt", "needy.mkv.txt"]
    assert sorted(path.name for path in failed.iterdir()) == names
    assert daemon.nemod("jobs", "retry", str(job.id)).returncode == 0
    eventually(lambda: daemon.count("job.failed", job=job.id) == 2, daemon.told)
    assert sorted(path.name for path in failed.iterdir()) == names
    assert daemon.count("job.instruction_ignored", job=job.id) == 2


async def test_a_sidecar_is_followed_and_the_session_is_gone_on_in(daemon: Machine, sky: Cloud, clip: Path) -> None:
    """The cloud hears the person's words and the limit; a further wish and an export are delivered beside the first."""
    drop(daemon, clip, "there", "trip.mp4", WORDS)
    first = done(daemon, "trip.mp4", "there")
    assert first.instruction == WORDS
    (message,) = sky.charged()
    assert WORDS.rstrip(".") in message
    assert "under 20 MB" in message
    assert await length_s(daemon.home / "there" / "done" / "trip.mp4") == pytest.approx(2, abs=0.2)
    assert (daemon.home / "there" / "originals" / "trip.mp4.txt").read_text() == WORDS
    (line,) = daemon.events("job.delivered")[-1:]
    assert (line["job"], line["credits"]) == (first.id, 50)

    asked = daemon.nemod("ask", str(first.id), "Trim it to the first 1 second.")
    assert asked.returncode == 0, asked.stderr
    assert f"goes on in the session of job {first.id}" in asked.stdout
    second = done(daemon, "trip.mp4", "there", times=2)
    assert second.parent == first.id
    assert await length_s(daemon.home / "there" / "done" / "trip (2).mp4") == pytest.approx(1, abs=0.2)
    status = daemon.nemod("ask", str(first.id), "show tracks")
    assert status.stdout.startswith("Timeline (1 track): 1. Video: "), status.stderr

    exported = daemon.nemod("ask", str(second.id), "export", "--json")
    third = done(daemon, "trip.mp4", "there", times=3)
    assert json.loads(exported.stdout)["job"] == third.id
    assert await length_s(daemon.home / "there" / "done" / "trip (3).mp4") == pytest.approx(1, abs=0.2)
    assert len(sky.charged()) == 2
    assert sky.count("session") == 1
    assert sorted(path.name for path in (daemon.home / "there" / "originals").iterdir()) == ["trip.mp4", "trip.mp4.txt"]
    assert not any("export" in text.lower() for text in sky.charged())


async def test_files_of_a_folder_share_a_session_with_words_of_their_own(daemon: Machine, sky: Cloud, clip: Path) -> None:
    """The folder's instruction for one, its own for the other; one session, and the folder's file stays where it is."""
    sessions, paid = sky.count("session"), len(sky.charged())
    album = daemon.home / "album"
    (album / "_instructions.txt").write_text(FOLDER_WORDS)
    drop(daemon, clip, "album", "day 1/a.mp4")
    drop(daemon, clip, "album", "day 1/b.mp4", WORDS)
    assert done(daemon, "day 1/a.mp4", "album").instruction == FOLDER_WORDS
    assert done(daemon, "day 1/b.mp4", "album").instruction == WORDS
    assert await length_s(album / "done" / "day 1" / "a.mp4") == pytest.approx(3, abs=0.2)
    assert await length_s(album / "done" / "day 1" / "b.mp4") == pytest.approx(2, abs=0.2)
    assert (sky.count("session"), len(sky.charged())) == (sessions + 1, paid + 2)
    assert (album / "_instructions.txt").read_text() == FOLDER_WORDS
    originals = album / "originals" / "day 1"
    assert sorted(path.name for path in originals.iterdir()) == ["a.mp4", "b.mp4", "b.mp4.txt"]
    assert daemon.count("intake.left_alone", folder="album") == 0
