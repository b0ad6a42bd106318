"""Videos that no camera makes, through the real daemon: delivered clean, or answered in words; a few by default."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.job import Job, JobState
from nemod.media.boxes import read_boxes
from tests.support import zoo
from tests.support.clips import ffmpeg, make_clip
from tests.support.daemon import Machine, eventually

SLOW = bool(os.environ.get("NEMOD_SLOW"))
LIMIT_BYTES = {"in": 20_000_000, "tight": 100_000}
#: What a video is blamed for; anything else would be our fault or the machine's.
BLAMED = frozenset({Kind.UNSUPPORTED, Kind.INCOMPLETE, Kind.IMPOSSIBLE, Kind.BAD_OUTPUT})
#: What they do by default: files that would be passed through as they are, and two for whom that was never the question.
BY_HAND = ("dref-url.mp4", "dref-two.mp4", "two-indexes.mp4", "zip.mp4", "traks-empty.mp4")
MADE = ("aspect-wide.mp4", "escapes.mp4")
#: What a terminal would obey, or show as something else: control characters but newlines, and those that turn the writing.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def animals(folder: Path) -> list[Path]:
    """The files."""
    clip = make_clip(folder / "clip.mp4", seconds=1, size=(160, 120)).read_bytes()
    found = []
    for name, data in zoo.by_hand(clip).items():
        if SLOW or name in BY_HAND:
            found.append(folder / name)
            found[-1].write_bytes(data)
    for name, make in zoo.MADE.items():
        if SLOW or name in MADE:
            (folder / f"for {name}").mkdir()
            found.append(folder / f"for {name}" / name)
            make(found[-1])
    return found


@pytest.mark.timeout(1800)
def test_each_is_delivered_clean_or_answered(daemon: Machine, tmp_path: Path) -> None:
    """What comes out is a plain MP4 within the limit that decodes and is whole in itself; else the video is told what it is."""
    beasts = animals(tmp_path)
    folders = ("in", "tight") if SLOW else ("in",)
    for beast in beasts:
        for folder in folders:
            shutil.copy(beast, daemon.home / folder / beast.name)
    number = len(beasts) * len(folders)

    def answered() -> bool:
        return sum(job.state is JobState.DONE or job.failure is not None for job in daemon.jobs()) >= number

    for _ in range(6 if SLOW else 1):  # as patient as so many videos need
        try:
            eventually(answered, daemon.told)
        except AssertionError:
            assert SLOW
            continue
        break
    for job in daemon.jobs():
        _holds(job)
    done = {job.relpath for job in daemon.jobs(folder="in") if job.state is JobState.DONE}
    assert {"dref-url.mp4", "dref-two.mp4", "two-indexes.mp4", "zip.mp4", "aspect-wide.mp4", "escapes.mp4"} <= done


def _holds(job: Job) -> None:
    if job.state is not JobState.DONE:
        assert job.failure is not None
        assert job.failure.kind in BLAMED, (job.relpath, job.failure)
        assert job.failure.detail.endswith("."), (job.relpath, job.failure)
        return
    assert job.target is not None
    data = job.target.read_bytes()
    assert len(data) <= LIMIT_BYTES[job.folder.name], job.relpath
    with job.target.open("rb") as file:
        boxes = read_boxes(file, len(data))
    for fault in (boxes.elsewhere, boxes.odd, boxes.place):
        assert not fault, (job.relpath, boxes)
    for word in (b"file:///etc/passwd", b"autorun"):
        assert word not in data, job.relpath
    said = subprocess.run(
        [ffmpeg(), "-v", "error", "-nostdin", "-i", job.target, "-map", "0", "-fps_mode", "vfr", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not said.stderr, (job.relpath, said.stderr)


def test_a_terminal_obeys_no_tag(daemon: Machine, tmp_path: Path) -> None:
    """What a video calls itself reaches neither the log nor any command's output as an order to the terminal."""
    zoo.MADE["escapes.mkv"](tmp_path / "again.mkv")
    shutil.copy(tmp_path / "again.mkv", daemon.home / "in")
    output = daemon.delivered("again.mkv")
    (job,) = daemon.jobs("again.mkv")
    source = daemon.home / "in" / "originals" / "again.mkv"
    eventually(source.exists, daemon.told)
    for words in (
        ("jobs", "show", str(job.id)),
        ("jobs", "show", str(job.id), "--json"),
        ("jobs", "list"),
        ("status",),
        ("check", str(source), "--for", "discord"),
        ("check", str(output), "--for", "discord", "--json"),
        ("compress", str(source), "--preset", "tight", "--json", "-o", str(tmp_path / "x.mp4")),
    ):
        said = daemon.nemod(*words)
        assert not OBEYED.search(said.stdout + said.stderr), words
        assert said.stdout, (words, said.stderr)
    assert not OBEYED.search(daemon.told())
