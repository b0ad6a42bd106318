"""Damaged clips through the real daemon: each is delivered sound or answered in words, and the daemon goes on."""

import os
import subprocess
import time
from pathlib import Path

from nemod.failure import Kind
from nemod.job import Job, JobState
from tests.support.clips import ffmpeg
from tests.support.daemon import Machine, leftovers, machine
from tests.support.garble import garbled, whole

SLOW = bool(os.environ.get("NEMOD_SLOW"))
#: Every damage of every container a few times; in between lie as many of those that need an encode.
CASES = int(os.environ.get("NEMOD_FUZZ", "3000")) if SLOW else 14
#: Files in the inboxes at once, and seconds that such a heap may take: what looks unfinished is waited for.
HEAP, HEAP_S = (120, 900.0) if SLOW else (14, 240.0)
ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PARKED})
LIMIT_BYTES = {"pass": 10_000_000, "tight": 30_000}
CONFIG_TIGHT = '[presets.tiny]\nbase = "compress-video"\nlimit = "30KB"\nspeed = "fast"\n'


def test_damaged_clips_are_delivered_sound_or_answered(tmp_path: Path) -> None:
    """Thousands of them behind NEMOD_SLOW: none ends the daemon, none is delivered broken, none is left without a word."""
    clips = whole(tmp_path)
    with machine(tmp_path) as made:
        made.folder("pass")
        made.folder("tight", preset="tiny")
        made.configure(made.config.read_text(encoding="utf-8") + CONFIG_TIGHT)
        made.start()
        for first in range(0, CASES, HEAP):
            numbers = range(first, min(CASES, first + HEAP))
            _drop(made, clips, numbers)
            jobs = _answered(made, len(numbers) + first)
            for job in jobs[first:]:
                _holds(job)
        assert made.process is not None
        assert made.process.poll() is None
        assert len([job for job in jobs if job.state is JobState.DONE]) > CASES // 5
        assert not made.events("job.bug")
        assert made.stop() == 0
        assert not leftovers(made.home)


def _drop(made: Machine, clips: dict[str, bytes], numbers: range) -> None:
    for number in numbers:
        kind, data = garbled(clips, number)
        folder = "tight" if number % 5 == 0 else "pass"
        (made.home / folder / f"{number:05}.{kind}").write_bytes(data)


def _answered(made: Machine, count: int) -> list[Job]:
    """Wait until every file has an answer; what looks like a copy that goes on has one in its failure."""
    until = time.monotonic() + HEAP_S
    while True:
        jobs = made.jobs()
        settled = [job for job in jobs if job.state in ENDED or job.failure is not None]
        if len(settled) >= count:
            return sorted(jobs, key=lambda job: job.relpath)
        assert made.process is not None
        assert made.process.poll() is None, made.told()[-3000:]
        assert time.monotonic() < until, [(job.relpath, job.state) for job in jobs if job not in settled]
        time.sleep(0.2)


def _holds(job: Job) -> None:
    if job.state is not JobState.DONE:
        assert job.failure is not None
        assert job.failure.kind is not Kind.BUG, (job.relpath, job.failure)
        assert job.failure.detail.endswith("."), (job.relpath, job.failure)
        return
    assert job.target is not None
    assert job.media is not None
    assert job.target.stat().st_size <= LIMIT_BYTES[job.folder.name], job.relpath
    argv: list[str | Path] = [ffmpeg(), "-v", "error", "-nostdin", "-progress", "pipe:1", "-i", job.target]
    argv += ["-map", "0:v:0", "-map", "0:a?", "-fps_mode", "vfr", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not said.stderr, (job.relpath, said.stderr)
    times = [int(line.partition("=")[2]) for line in said.stdout.splitlines() if line.startswith("out_time_us=")]
    assert abs(times[-1] / 1e6 - job.media.duration_s) < max(0.6, 0.05 * job.media.duration_s), job.relpath
