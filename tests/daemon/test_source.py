"""A step reads the file that was accepted, whatever becomes of its name meanwhile; any other file it refuses to read."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Folder, Preset
from nemod.daemon.source import SourceLost, fingerprint_of, reading
from nemod.engines.base import EngineName, Task
from nemod.engines.local.engine import LocalEngine
from nemod.engines.nemo.client import skill_of
from nemod.engines.nemo.prepare import Parcel, parcel
from nemod.failure import Kind
from nemod.job import Attempt, AttemptId, Job, JobId, JobState
from nemod.media.child import run
from nemod.media.probe import probe
from nemod.media.verdict import How
from tests.nemo.server import client_of, fixed, reply, serving
from tests.nemo.test_upload import DONE
from tests.support.clips import ffmpeg, make_clip
from tests.support.people import ordinary

OURS, OTHER = b"what was accepted", b"somebody's secret"

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files are read by their names")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job for a file in a folder of an inbox; `private` holds another one of that name, as old and as large."""
    return job_below(tmp_path)


def job_below(root: Path) -> Job:
    inbox = root / "inbox"
    for place, content in ((inbox / "sub", OURS), (root / "private", OTHER)):
        place.mkdir(parents=True)
        (place / "clip.mp4").write_bytes(content)
        os.utime(place / "clip.mp4", ns=(10**18, 10**18))
    source = inbox / "sub" / "clip.mp4"
    folder = Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=None,
        preset=Preset(name="discord", limit_bytes=20_000_000),
    )
    return Job(
        id=JobId(1),
        folder=folder,
        relpath="sub/clip.mp4",
        fingerprint=fingerprint_of(source),
        present=True,
        state=JobState.RUNNING,
        due=0,
        rank=0,
        tries=0,
        source=source,
        created=0,
    )


def _link(source: Path, private: Path) -> None:
    source.unlink()
    source.symlink_to(private / "clip.mp4")


def _parent(source: Path, private: Path) -> None:
    source.parent.rename(source.parent.with_name("away"))
    source.parent.symlink_to(private)


def _other(source: Path, private: Path) -> None:
    (private / "clip.mp4").replace(source)


def _gone(source: Path, private: Path) -> None:
    del private
    source.unlink()


def _pipe(source: Path, private: Path) -> None:
    del private
    source.unlink()
    os.mkfifo(source)


Trick = Callable[[Path, Path], None]
#: What the file's name leads to, and what is said when it did so before it was opened.
TRICKS: dict[Trick, Kind] = {
    _link: Kind.SOURCE_CHANGED,
    _parent: Kind.SOURCE_GONE,  # no link is followed
    _other: Kind.SOURCE_CHANGED,
    _gone: Kind.SOURCE_GONE,
    _pipe: Kind.SOURCE_CHANGED,
}


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@linux
@pytest.mark.parametrize("trick", TRICKS)
async def test_once_opened_it_stays_what_it_was(tmp_path: Path, job: Job, trick: Trick) -> None:
    """For us and for a child, each from its beginning; afterwards nothing stays open."""
    before = _open_files()
    async with reading(job, None) as path:
        trick(job.source, tmp_path / "private")
        for _ in range(2):
            assert path.read_bytes() == OURS
            assert (await run(["cat", str(path)], timeout_s=30)).stdout == OURS
    assert _open_files() == before


@pytest.mark.parametrize("trick", TRICKS)
async def test_another_file_is_not_opened(tmp_path: Path, job: Job, trick: Trick) -> None:
    """It is said what became of the accepted one, and nothing stays open."""
    before = _open_files()
    trick(job.source, tmp_path / "private")
    with pytest.raises(SourceLost) as lost:
        async with reading(job, None):
            pass
    assert lost.value.failure.kind is TRICKS[trick]
    assert _open_files() == before


@pytest.mark.parametrize("trick", [_link, _gone, _pipe])
async def test_who_goes_on_in_a_session_may_do_without(tmp_path: Path, job: Job, trick: Trick) -> None:
    """A further wish needs no file; where another one lies in its place, it has none. The same one elsewhere will do."""
    asked = replace(job, parent=JobId(7))
    assert asked.asked
    shutil.copy2(job.source, tmp_path / "archived.mp4")
    async with reading(replace(asked, source=tmp_path / "archived.mp4"), None) as path:
        assert path.read_bytes() == OURS
    trick(job.source, tmp_path / "private")
    async with reading(asked, None) as path:
        assert not path.exists()


async def test_what_may_not_be_read_is_told() -> None:
    """At the first look that is an answer; later it is waited for, since the work may have been paid for."""
    tried = Attempt(id=AttemptId(1), engine=EngineName.NEMO, how=How.ENCODE, folder=Path("/work"))
    with ordinary() as own:
        job = job_below(own)
        job.source.chmod(0)
        for attempt, kind in ((None, Kind.UNREADABLE), (tried, Kind.TRANSIENT)):
            with pytest.raises(SourceLost) as lost:
                async with reading(job, attempt):
                    pass
            assert lost.value.failure.kind is kind


@linux
async def test_what_a_child_says_of_it_is_said_to_people(job: Job) -> None:
    """It calls it by a number, which tells nobody anything."""
    async with reading(job, None) as path:
        finished = await run([os.fspath(ffmpeg()), "-v", "error", "-i", f"file:{path}"], timeout_s=60)
    assert "the video" in finished.stderr_tail
    assert "/fd/" not in finished.stderr_tail


@linux
async def test_the_cloud_is_sent_what_was_accepted_under_its_own_name(tmp_path: Path, job: Job) -> None:
    """A link that takes its place on the way to the upload sends nothing else."""
    make_clip(job.source, seconds=1, size=(160, 120))
    job = replace(job, fingerprint=fingerprint_of(job.source))
    content = job.source.read_bytes()
    async with (
        reading(job, None) as path,
        serving(fixed(reply(200, DONE))) as server,
        client_of(tmp_path, server.url) as client,
    ):
        media = await probe(path, timeout_s=60)
        task = Task(
            job=1,
            source=path,
            name=job.source.name,
            media=media,
            how=How.ENCODE,
            preset=job.folder.preset,
            limit_bytes=10**6,
            folder=tmp_path,
        )
        _link(job.source, tmp_path / "private")
        async with aclosing(parcel(task, LocalEngine(ffmpeg()), limit_bytes=10**8, refused=False)) as steps:
            (sent,) = [step async for step in steps if isinstance(step, Parcel)]
        async with aclosing(client.upload(skill_of(None), "s", sent.file, name=sent.name)) as pieces:
            async for _ in pieces:
                pass
    (asked,) = server.asked
    assert content in asked.body
    assert b'filename="clip.mp4"' in asked.body
