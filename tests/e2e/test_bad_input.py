"""Bad input and odd names: a clear answer each, nothing lost, and the daemon goes on."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.job import JobState
from tests.e2e.conftest import slow
from tests.support.clips import clip, run_ffmpeg
from tests.support.daemon import Machine, eventually, every, leftovers, machine
from tests.support.people import without_power

ODD_NAMES = [
    "two\nlines.mp4",
    "-vf.mp4",
    "🎬 wow.mp4",
    "\u202eevil\x1b[31m.mp4",
    "'quotes' $(and) `more`; %d.mp4",
    "file:pipe:0.mp4",
    "concat:a|b.mp4",
    f"{'long' * 62}abc.mp4",  # 255 bytes
    f"{'é' * 125}x.mp4",  # 255 bytes of two each
    "no suffix",
]
#: macOS takes no names that are not UTF-8.
NOT_UTF8 = [os.fsdecode(b"caf\xe9.mp4")] if sys.platform == "linux" else []


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One daemon for all of them; at the end it is still there and has met no bug."""
    with machine(tmp_path_factory.mktemp("bad")) as made:
        made.folder("in")
        made.folder("tight", preset="tight")
        made.folder("hopeless", preset="hopeless")
        made.start()
        yield made
        eventually(lambda: not leftovers(made.home / "in"), made.told)
        assert not made.events("job.bug")
        assert made.stop(signal.SIGTERM) == 0


def failed(daemon: Machine, name: str) -> tuple[Kind, str]:
    """Wait until a file has failed; the kind, and the words beside it in the failed folder."""
    (job,) = daemon.wait_for(JobState.FAILED, name)
    folder = daemon.home / job.folder.name
    assert (folder / "failed" / name).is_file()
    assert not (folder / name).exists()
    words = (folder / "failed" / f"{name}.failed.txt").read_text(encoding="utf-8")
    assert job.failure is not None
    assert job.failure.detail in words
    assert f"nemod jobs retry {job.id}" in words
    return job.failure.kind, words


@pytest.mark.parametrize("name", ODD_NAMES + NOT_UTF8, ids=ascii)
def test_any_name_is_delivered_under_itself(daemon: Machine, tiny: Path, name: str) -> None:
    """The output's name is the source's, as far as 255 bytes hold it; the log stays one plain line per event."""
    shutil.copy(tiny, daemon.home / "in" / name)
    output = daemon.delivered(name)
    assert output.parent == daemon.home / "in" / "done"
    assert output.name == (name if name.endswith(".mp4") else f"{name}.mp4")
    assert output.read_bytes() == tiny.read_bytes()
    assert (daemon.home / "in" / "originals" / name).read_bytes() == tiny.read_bytes()
    assert daemon.told().isascii()


@pytest.mark.parametrize(
    "name", ["-i.mkv", "new\nline.mkv", "%03d.mkv", *(n.replace(".mp4", ".mkv") for n in NOT_UTF8)], ids=ascii
)
def test_any_name_can_be_encoded(daemon: Machine, needy: Path, name: str) -> None:
    """Names that ffmpeg could take for options, patterns or protocols."""
    shutil.copy(needy, daemon.home / "tight" / name)
    output = daemon.delivered(name)
    assert output.name == name.replace(".mkv", ".mp4")
    assert output.stat().st_size <= 100_000


def test_a_text_named_as_a_video_fails_with_words(daemon: Machine) -> None:
    """It lies in the failed folder at once, a reason beside it."""
    (daemon.home / "in" / "text.mp4").write_text("once upon a time\n" * 20)
    kind, words = failed(daemon, "text.mp4")
    assert kind is Kind.UNSUPPORTED
    assert "not a video" in words


def test_a_sound_without_a_picture_fails_with_words(daemon: Machine, tmp_path: Path) -> None:
    """It may be called a video, and there is nothing to see in it."""
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "song.mp4")
    shutil.copy(tmp_path / "song.mp4", daemon.home / "in")
    assert failed(daemon, "song.mp4")[0] is Kind.UNSUPPORTED


def test_a_limit_that_cannot_be_kept_fails_with_what_would_do(daemon: Machine) -> None:
    """A real clip that no quality makes so small: the words name a limit or a length."""
    shutil.copy(clip("hevc_rot_datatrack.mp4"), daemon.home / "hopeless" / "hopeless.mp4")
    kind, words = failed(daemon, "hopeless.mp4")
    assert kind is Kind.IMPOSSIBLE
    assert "What to do:" in words


@slow
def test_an_empty_file_fails_in_the_end(daemon: Machine) -> None:
    """It is looked at again for two and a half minutes, since a copy may begin like this."""
    (daemon.home / "in" / "empty.mp4").touch()
    daemon.wait_for(JobState.QUEUED, "empty.mp4")
    for tries in range(1, 6):
        eventually(lambda tries=tries: daemon.jobs("empty.mp4")[0].tries >= tries, daemon.told)  # type: ignore[misc]
    kind, words = failed(daemon, "empty.mp4")
    assert kind is Kind.INCOMPLETE
    assert "empty" in words


def test_an_empty_file_is_waited_for(daemon: Machine, tiny: Path) -> None:
    """A copy may begin like this: the file is neither failed nor moved, and delivered once it has content."""
    arriving = daemon.home / "in" / "filling.mp4"
    arriving.touch()
    eventually(lambda: any(job.failure is not None for job in daemon.jobs("filling.mp4")), daemon.told)
    assert arriving.exists()
    arriving.write_bytes(tiny.read_bytes())
    assert daemon.delivered("filling.mp4").read_bytes() == tiny.read_bytes()


def test_a_file_that_may_not_be_read_fails_with_words(own: Machine, tiny: Path) -> None:
    """The words say what to allow; the file itself is moved, since the folder is ours."""
    inbox = own.folder("in")
    own.start(*without_power())
    secret = Path(shutil.copy(tiny, own.home / "secret.mp4"))
    secret.chmod(0)
    secret.rename(inbox / "secret.mp4")
    kind, words = failed(own, "secret.mp4")
    assert kind is Kind.UNREADABLE
    assert "chmod" in words
    assert own.stop() == 0


def test_what_is_no_file_is_left_alone(daemon: Machine, tiny: Path) -> None:
    """A folder, a pipe and links called like videos: never opened, never moved, each told once in the log."""
    inbox = daemon.home / "in"
    (inbox / "folder.mp4").mkdir()
    os.mkfifo(inbox / "pipe.mp4")
    (inbox / "dangling.mp4").symlink_to("nowhere.mp4")
    (inbox / "link.mp4").symlink_to(tiny)
    (inbox / "notes.txt").write_text("not a video")
    shutil.copy(tiny, inbox / "beside.mp4")
    daemon.delivered("beside.mp4")
    odd = {"folder.mp4", "pipe.mp4", "dangling.mp4", "link.mp4", "notes.txt"}
    assert odd <= {path.name for path in every(inbox)}
    told = [line["file"] for line in daemon.events("intake.left_alone")]
    assert sorted(name for name in told if name in odd) == sorted(odd)
    assert not [job for job in daemon.jobs() if job.relpath in odd]


def test_a_video_that_was_cut_off_is_not_delivered(daemon: Machine, water: Path) -> None:
    """Half a video whose header promises the whole: it is waited for, and no half output appears meanwhile."""
    whole = water.read_bytes()
    (daemon.home / "in" / "half.mp4").write_bytes(whole[: len(whole) // 2])
    eventually(lambda: any(job.failure is not None for job in daemon.jobs("half.mp4")), daemon.told)
    (job,) = daemon.jobs("half.mp4")
    assert job.failure is not None
    assert job.failure.kind is Kind.INCOMPLETE
    assert not (daemon.home / "in" / "done" / "half.mp4").exists()
    (daemon.home / "in" / "half.mp4").unlink()
    daemon.wait_for(JobState.CANCELLED, "half.mp4")
