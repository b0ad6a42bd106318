"""What a person wrote beside a video, as the first look at the video finds it: real files, a real probe."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from nemod.config.model import EnginePolicy, Folder, Nemo, Preset
from nemod.daemon.examine import Examined, Examiner, OutOfReach, Unread, instruction_of
from nemod.daemon.source import fingerprint_of, verify
from nemod.engines.base import EngineName
from nemod.failure import Kind
from nemod.job import Job, JobId, JobState
from nemod.media.probe import probe
from nemod.media.verdict import How
from tests.ledger.values import MEDIA
from tests.support.clips import ffmpeg, make_clip
from tests.support.people import ordinary

BOTH = frozenset(EngineName)
HERE = frozenset({EngineName.LOCAL})


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video that fits as it is."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=1, size=(160, 120), extra_args=["-movflags", "+faststart"])


def folder_at(inbox: Path, engine: EnginePolicy) -> Folder:
    return Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=inbox / "failed",
        preset=Preset(name="discord", limit_bytes=20_000_000),
        engine=engine,
    )


def job_of(folder: Folder, clip: Path, relpath: str = "clip.mp4") -> Job:
    """A job for a copy of the clip in the inbox."""
    source = folder.inbox / relpath
    source.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip, source)
    return Job(
        id=JobId(1),
        folder=folder,
        relpath=relpath,
        fingerprint=fingerprint_of(source),
        present=True,
        state=JobState.RUNNING,
        due=0,
        rank=0,
        tries=0,
        source=source,
        created=0,
    )


async def look(job: Job, engines: frozenset[EngineName] = BOTH, *, patient: bool = True) -> Examined:
    return await Examiner(ffmpeg=ffmpeg(), patient=patient).examine(job, engines, Nemo())


@pytest.mark.parametrize("engine", [EnginePolicy.NEMO, EnginePolicy.AUTO])
async def test_an_instruction_sends_even_a_small_file_to_the_cloud(tmp_path: Path, clip: Path, engine: EnginePolicy) -> None:
    """It would fit as it is, but a person wants something of it; without words it stays here."""
    job = job_of(folder_at(tmp_path, engine), clip)
    plain = await look(job)
    assert (plain.instruction, plain.route.how, plain.route.engines) == (None, How.PASS, (EngineName.LOCAL,))
    (tmp_path / "clip.mp4.txt").write_text("make it a square")
    found = await look(job)
    assert found.instruction == "make it a square"
    assert found.route.how is How.ENCODE
    assert found.route.engines[0] is EngineName.NEMO


@pytest.mark.parametrize(
    ("engine", "engines", "why"),
    [(EnginePolicy.LOCAL, BOTH, "by this machine alone"), (EnginePolicy.AUTO, HERE, "no account")],
)
async def test_an_instruction_that_nobody_can_follow_is_told(
    tmp_path: Path, clip: Path, engine: EnginePolicy, engines: frozenset[EngineName], why: str
) -> None:
    """The video is done as if there were none, and the log says so, with the reason."""
    job = job_of(folder_at(tmp_path, engine), clip)
    (tmp_path / "_instructions.txt").write_text("make it a square")
    with structlog.testing.capture_logs() as told:
        found = await look(job, engines)
    assert (found.instruction, found.route.how) == (None, How.PASS)
    (line,) = [line for line in told if line["event"] == "job.instruction_ignored"]
    assert why in line["why"]
    assert line["instruction"] == str(tmp_path / "_instructions.txt")


async def test_a_failed_file_takes_its_instruction_along(tmp_path: Path, clip: Path) -> None:
    """A retry looks beside the file where it lies now."""
    folder = folder_at(tmp_path, EnginePolicy.NEMO)
    job = job_of(folder, clip, "failed/clip.mp4")
    (tmp_path / "failed" / "clip.mp4.txt").write_text("make it a square")
    assert (await look(replace(job, relpath="clip.mp4"))).instruction == "make it a square"


def test_an_instruction_that_cannot_be_read_is_waited_for(clip: Path) -> None:
    """Nothing is paid for what nobody asked for."""
    data = clip.read_bytes()
    with ordinary() as inbox:
        (inbox / "own.mp4").write_bytes(data)
        job = job_of(folder_at(inbox, EnginePolicy.NEMO), inbox / "own.mp4")
        (inbox / "clip.mp4.txt").write_text("secret")
        (inbox / "clip.mp4.txt").chmod(0)
        with pytest.raises(Unread, match="Permission denied") as raised:
            instruction_of(job, MEDIA, BOTH)
    assert raised.value.failure.kind is Kind.TRANSIENT


async def test_a_file_named_at_a_command_line_has_no_instruction(tmp_path: Path, clip: Path) -> None:
    """A text that happens to lie beside it is nobody's word."""
    job = job_of(folder_at(tmp_path, EnginePolicy.LOCAL), clip)
    (tmp_path / "clip.mp4.txt").write_text("a transcript")
    with structlog.testing.capture_logs() as told:
        assert (await look(job, HERE, patient=False)).instruction is None
    assert told == []


async def test_a_job_in_anothers_session_needs_no_source(tmp_path: Path, clip: Path) -> None:
    """The original is gone, and what lies beside its place is not for this job: its own words count, in the cloud only."""
    job = job_of(folder_at(tmp_path, EnginePolicy.AUTO), clip)
    media = (await look(job)).media
    os.unlink(job.source)  # noqa: PTH108 - as a person would
    (tmp_path / "clip.mp4.txt").write_text("make it a square")
    for words in (None, "make it a circle"):
        child = replace(job, parent=JobId(7), media=media, instruction=words)
        verify(child)
        found = await look(child, HERE)
        assert (found.media, found.instruction) == (media, words)
        assert (found.route.how, found.route.engines) == (How.ENCODE, (EngineName.NEMO,))


@pytest.mark.parametrize("when", ["before", "while it is decoded"])
async def test_an_output_that_went_away_while_it_is_checked_is_not_refused(clip: Path, tmp_path: Path, when: str) -> None:
    """Its drive is gone: that says nothing of the output, and the job goes on when the drive is back."""
    place = tmp_path / "drive"
    place.mkdir()
    output = Path(shutil.copy(clip, place / "output.mp4"))
    program = tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\nmv "{place}" "{place}.away"\nexec "{ffmpeg()}" "$@"\n')
    program.chmod(0o755)
    media = await probe(output, timeout_s=60)
    if when == "before":
        place.rename(tmp_path / "away")
    with pytest.raises(OutOfReach) as gone:
        await Examiner(ffmpeg=program).judge(
            media, output, source_file=clip, preset=Preset(name="p", limit_bytes=10**9), limit_bytes=10**9, how=How.PASS
        )
    assert gone.value.failure.kind is Kind.TRANSIENT
