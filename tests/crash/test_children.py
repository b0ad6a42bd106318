"""Somebody kills an ffmpeg, or stops the daemon: told as what it was, tried again, delivered once.

The ffmpeg is a script that dies at a chosen start, a moment after the real one has begun. By default two of the starts that
one video takes are died at; NEMOD_CRASH=full takes all of them, by both signals.
"""

import shutil
import signal
import sys
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.crash.conftest import DEATHS, Record
from tests.crash.world import FULL, digest
from tests.support.clips import ffmpeg, make_clip
from tests.support.daemon import CONFIG, Machine, eventually, leftovers

#: Counts its starts by empty folders, since it may not write, and dies at the one that stands in a file, by the signal beside.
SCRIPT = """\
#!/bin/sh
here=$(dirname "$0")
case "$*" in *-encoders|*-filters|*-version) exec {ffmpeg} "$@" ;; esac
mkdir "$here/starts/$$"
read -r at by < "$here/fate"
if [ "$(ls "$here/starts" | wc -l)" -ne "$at" ]; then exec {ffmpeg} "$@"; fi
{ffmpeg} "$@" > /dev/null 2>&1 & child=$!
sleep 0.02; kill -"$by" $child; wait $child
kill -"$by" $$
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video, over the limit."""
    made = make_clip(tmp_path_factory.mktemp("clips") / "clip.mkv", seconds=1, size=(160, 120), extra_args=("-crf", "1"))
    assert made.stat().st_size > 100_000
    return made


def fated(own: Machine) -> Path:
    """An ffmpeg on this machine that can be told to die."""
    place = own.home / "fated"
    place.mkdir()
    script = place / "ffmpeg"
    script.write_text(SCRIPT.format(ffmpeg=ffmpeg()), encoding="utf-8")
    script.chmod(0o755)
    fate(place, 0)
    own.folders["tools"] = ""
    own.configure(CONFIG.replace("[nemod]\n", f'[nemod]\nffmpeg = "{script}"\n') + "".join(own.folders.values()))
    return place


def fate(place: Path, start: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Let the so-manieth start from now on die."""
    shutil.rmtree(place / "starts", ignore_errors=True)
    (place / "starts").mkdir()
    (place / "fate").write_text(f"{start} {by.name.removeprefix('SIG')}\n")


@pytest.mark.timeout(3600)
def test_an_ffmpeg_that_is_killed_costs_a_try_and_nothing_else(own: Machine, clip: Path, record_property: Record) -> None:
    """At each of its starts: told as a kill, tried again, one output; a crash may fail the job, with its source safe."""
    inbox = own.folder("in", 'engine = "local"', preset="tight")
    place = fated(own)
    own.start()
    shutil.copy(clip, inbox / "whole.mkv")
    own.delivered("whole.mkv")
    starts = len(list((place / "starts").iterdir()))
    assert starts >= 4
    kills = [(number, signal.SIGKILL) for number in range(1, starts + 1)]
    cases = kills + [(number, signal.SIGSEGV) for number, _ in kills] if FULL else [kills[len(kills) // 2], kills[-1]]
    for number, by in cases:
        name = f"{number} {by.name}.mkv"
        fate(place, number, by)
        shutil.copy(clip, inbox / name)
        told = f"start {number} of {starts} by {by.name}\n"

        def settled(name: str = name) -> bool:
            return own.count("job.waiting", file=name) > 0 or bool({JobState.DONE, JobState.FAILED} & {*own.states(name)})

        eventually(settled, own.told)
        if JobState.QUEUED in own.states(name):
            waiting = [line for line in own.events("job.waiting") if line["file"] == name]
            assert all(line["kind"] == "transient" for line in waiting), told
            own.nemod("jobs", "release", str(own.jobs(name)[0].id))
        if by is signal.SIGKILL:
            assert own.delivered(name).stat().st_size <= 100_000
            assert digest(inbox / "originals" / name) == digest(clip), told
            own.wait_for(JobState.DONE, name)
        assert sum((inbox / folder / name).exists() for folder in ("", "originals", "failed")) == 1, told
        assert not own.encoding(), told
    record_property(DEATHS, len(cases))
    assert len(own.jobs()) == len(cases) + 1
    assert own.stop() == 0
    assert leftovers(inbox) == []


@pytest.fixture(scope="module")
def lengthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose encode takes a while."""
    return make_clip(tmp_path_factory.mktemp("clips") / "long.mkv", seconds=20, size=(640, 360))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_daemon_that_is_stopped_and_then_killed_takes_its_children_along(own: Machine, clip: Path, lengthy: Path) -> None:
    """SIGSTOP, kill -9: no encode goes on alone, the next start delivers once, and what changed meanwhile is taken as it is."""
    inbox = own.folder("in", 'engine = "local"', preset="tight")
    own.start()
    shutil.copy(lengthy, inbox / "long.mkv")
    eventually(own.encoding, own.told)
    own.send(signal.SIGSTOP)
    shutil.copy(clip, inbox / "other.mkv")
    own.kill()
    eventually(lambda: not own.encoding(), own.told)
    (inbox / "other.mkv").replace(inbox / "long.mkv")
    own.start()
    eventually(own.encoding, own.told)
    own.send(signal.SIGSTOP)
    shutil.copy(clip, inbox / "late.mkv")
    (inbox / "long.mkv").unlink()
    shutil.copy(clip, inbox / "long.mkv")
    own.send(signal.SIGCONT)
    for name in ("late.mkv", "long.mkv"):
        own.delivered(name)
        assert digest(inbox / "originals" / name) == digest(clip)
    assert own.stop() == 0
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["late.mp4", "long.mp4"]
    assert leftovers(inbox) == []
