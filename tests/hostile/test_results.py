"""A cloud, or somebody on the way to it, that gives back something else than the render; all of it with NEMOD_SLOW=1."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.job import Job, JobState
from nemod.media.boxes import read_boxes
from tests.support import zoo
from tests.support.clips import ffmpeg, make_clip, run_ffmpeg
from tests.support.cloud import Cloud
from tests.support.daemon import Machine, eventually, leftovers, machine
from tests.support.relay import Relay

SLOW = bool(os.environ.get("NEMOD_SLOW"))
LIMIT_BYTES = 100_000
#: Messages that a job may pay for: the first, and those that ask for less after a refusal.
PAID_MOST = 2
CLOUD = """\
[nemo]
poll_interval = "300ms"
recheck_first = "300ms"
recheck_every = "300ms"
"""
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PARKED})
Forge = Callable[[bytes], bytes]


def through(folder: Path, *args: str, also: tuple[str, ...] = ()) -> Forge:
    """A forger that lets ffmpeg make another video of the render, of which another input may be a part."""

    def forge(data: bytes) -> bytes:
        (folder / "in.mp4").write_bytes(data)
        run_ffmpeg("-i", folder / "in.mp4", *also, *args, folder / "out.mp4")
        return (folder / "out.mp4").read_bytes()

    return forge


def forgers(folder: Path) -> dict[str, Forge]:
    """Each by its name; those without an ffmpeg are quick."""
    fast = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    black = ("-f", "lavfi", "-i", "color=black:size=160x120:rate=30:duration=2")
    other = ("-f", "lavfi", "-i", "mandelbrot=size=160x120:rate=30")
    small = ("-crf", "38", *fast)
    noise = ("-f", "lavfi", "-i", "color=size=1280x720:rate=30:duration=2,noise=alls=100:allf=t")
    fetches: list[int] = []

    def changing(data: bytes) -> bytes:
        fetches.append(len(data))
        return data[: len(data) // 2] if len(fetches) % 2 else data

    return {
        "reference": lambda data: data.replace(b"url \0\0\0\1", b"url \0\0\0\0"),
        "black": through(folder, "-map", "1:v", "-map", "0:a", "-shortest", *fast, also=black),
        "playlist": lambda _: PLAYLIST,
        "playlist-behind": lambda _: b"\0\1\2\3" + PLAYLIST,
        "several-things": lambda data: data + b"PK\3\4" + PLAYLIST,
        "cut": lambda data: data[: len(data) // 2],
        "changing": changing,
        "nothing": lambda _: b"",
        "zeros": lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
        "table": lambda data: zoo.patched(data, b"stts", 4, b"\x7f\xff\xff\xff"),
        "tracks": lambda data: zoo.grown(zoo.moov_last(data), (b"moov",), zoo.box(b"trak") * 20_000),
        "picture": lambda _: b"\x89PNG\r\n\x1a\n" + bytes(5000),
        "page": lambda _: b"<!DOCTYPE html><html>no</html>" * 100,
        "mute": through(folder, "-an", "-c", "copy", "-movflags", "+faststart"),
        "silent": through(folder, "-af", "volume=0", *fast),
        "another": through(folder, "-map", "1:v", "-map", "0:a", "-shortest", *small, also=other),
        "half": through(folder, "-t", "1", *fast),
        "slow": through(folder, "-vf", "setpts=2*PTS", "-af", "atempo=0.5", *small),
        "still": through(folder, "-vf", "loop=-1:1,trim=duration=2", "-map", "0:v", "-map", "0:a", *fast),
        "index-last": through(folder, "-c", "copy"),
        "large": through(folder, "-map", "1:v", "-map", "0:a", "-crf", "10", *fast, also=noise),
        "wide": through(folder, "-vf", "scale=320:60,setsar=1", *small),
        "notes": through(folder, "-c", "copy", "-metadata", f"title={zoo.ESCAPES}", "-movflags", "+faststart"),
    }


BY_DEFAULT = ("reference",)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, sandbox: Cloud, way: Relay) -> Iterator[Machine]:
    """A daemon whose folder uses that cloud alone; at the end it has met no bug and leaves nothing behind."""
    with machine(tmp_path_factory.mktemp("results")) as made:
        made.more_env = {**sandbox.env(), "NEMO_API_URL": way.url}
        made.folder("in", 'engine = "nemo"', preset="tight")
        made.configure(made.config.read_text(encoding="utf-8") + CLOUD)
        made.start()
        yield made
        assert not made.events("job.bug")
        assert made.stop() == 0


@pytest.mark.timeout(1800)
def test_what_comes_is_no_rubbish_not_paid_twice_and_not_the_sources_fault(
    daemon: Machine, sandbox: Cloud, way: Relay, tmp_path: Path
) -> None:
    """What is delivered is the source's video within the limit; else the job ends with words about the cloud's file."""
    source = make_clip(tmp_path / "source.mkv", seconds=2, size=(160, 120), extra_args=("-crf", "5"))
    assert source.stat().st_size > LIMIT_BYTES
    forgery = forgers(tmp_path)
    for name in forgery if SLOW else BY_DEFAULT:
        way.forge, paid = forgery[name], len(sandbox.charged())
        shutil.copy(source, daemon.home / "in" / f"{name}.mkv")

        def ended(name: str = name) -> bool:
            return bool(ENDED & {*daemon.states(f"{name}.mkv")})

        eventually(ended, daemon.told)
        (job,) = daemon.jobs(f"{name}.mkv")
        assert len(sandbox.charged()) - paid <= PAID_MOST, name
        _holds(daemon, job, source, tmp_path)
        if job.state is JobState.PARKED:
            daemon.nemod("jobs", "cancel", str(job.id))
        if name in {"reference", "several-things", "index-last", "notes", "changing"}:
            assert job.state is JobState.DONE, (name, job.failure)
    assert not sandbox.faults()


def test_a_reader_that_is_killed_is_not_the_results_fault(daemon: Machine, sandbox: Cloud, way: Relay, tmp_path: Path) -> None:
    """Whoever kills each process that reads what was downloaded costs time, and neither a message nor another render."""
    source = make_clip(tmp_path / "source.mkv", seconds=2, size=(160, 120), extra_args=("-crf", "5"))
    paid, submitted = len(sandbox.charged()), len(sandbox.journal("submitted"))

    def kill() -> None:
        while daemon.process is not None and not daemon.count("job.waiting", file="killed.mkv", kind="transient"):
            found = ["pgrep", "-P", str(daemon.pid), "-f", "nemod.media.(probe_child|launch)"]
            for pid in subprocess.run(found, capture_output=True, text=True, check=False).stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)

    def forge(data: bytes) -> bytes:
        if killer.ident is None:
            killer.start()
        return data

    way.forge = forge
    shutil.copy(source, daemon.home / "in" / "killed.mkv")
    eventually(lambda: ENDED & {*daemon.states("killed.mkv")} or (not killer.is_alive() and killer.ident), daemon.told)
    daemon.nemod("jobs", "release", str(daemon.jobs("killed.mkv")[0].id))
    daemon.delivered("killed.mkv")
    assert len(sandbox.charged()) - paid == 1
    assert len(sandbox.journal("submitted")) - submitted == 1


def _holds(daemon: Machine, job: Job, source: Path, folder: Path) -> None:
    places = [daemon.home / "in" / place / job.relpath for place in ("", "originals", "failed")]
    (original,) = [place for place in places if place.exists()]
    assert original.read_bytes() == source.read_bytes(), job.relpath
    if job.state is not JobState.DONE:
        assert job.failure is not None
        assert job.failure.kind in {Kind.BAD_OUTPUT, Kind.REFUSED, Kind.TRANSIENT}, (job.relpath, job.failure)
        return
    assert job.target is not None
    data = job.target.read_bytes()
    assert len(data) <= LIMIT_BYTES
    with job.target.open("rb") as file:
        boxes = read_boxes(file, len(data))
    assert not boxes.elsewhere, job.relpath
    assert not boxes.odd, job.relpath
    argv: list[str | Path] = [ffmpeg(), "-v", "info", "-nostdin", "-i", job.target, "-i", source, "-lavfi"]
    argv += ["[0:v]scale=160:120,setsar=1[a];[1:v]setsar=1[b];[a][b]ssim", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    likeness = float(said.rpartition("All:")[2].split()[0])
    assert likeness > 0.5, (job.relpath, likeness)
    assert not leftovers(folder)
