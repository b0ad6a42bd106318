"""Names in an inbox that lead elsewhere just while a child opens them: what was accepted is read, and nothing else gets out."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from nemod.media.verdict import How
from tests.support.clips import ffmpeg, run_ffmpeg
from tests.support.daemon import Machine

OURS, PRIVATE = "red", "blue"
#: Encoded, re-wrapped and passed through.
FILES = ("big.avi", "small.mkv", "fits.mp4")


def _clip(path: Path, colour: str) -> None:
    """A second in one colour, in the codec that its way through the daemon asks for."""
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p"] if path.suffix != ".avi" else ["-c:v", "mpeg4"]
    run_ffmpeg("-f", "lavfi", "-i", f"color={colour}:s=160x120:r=25:d=1", *coded, "-movflags", "+faststart", f"file:{path}")


def _shown(path: Path) -> str:
    """The colour of a video's first picture."""
    raw = path.with_suffix(".raw")
    run_ffmpeg("-i", f"file:{path}", "-vf", "scale=1:1,format=rgb24", "-frames:v", "1", "-f", "rawvideo", f"file:{raw}")
    red, _, blue = raw.read_bytes()
    raw.unlink()
    return "red" if red > blue else "blue"


def _swapping(program: Path, real: str, inbox: Path, private: Path) -> Path:
    """A program that lets every name in the inbox lead to the private folder's while the real one runs, one run at a time."""
    turn, aside = program.with_suffix(".turn"), program.parent / "aside"
    lines = ["#!/bin/sh", f"until mkdir {shlex.quote(str(turn))} 2>/dev/null; do sleep 0.02; done"]
    lines += [f"mkdir {shlex.quote(str(aside))}"]
    for name in FILES:
        ours, away, secret = (shlex.quote(str(folder / name)) for folder in (inbox, aside, private))
        lines += [f"if [ -f {ours} ]; then mv {ours} {away} && ln -s {secret} {ours}; fi"]
    lines += [f'{shlex.quote(real)} "$@"', "code=$?"]
    for name in FILES:
        ours, away = (shlex.quote(str(folder / name)) for folder in (inbox, aside))
        lines += [f"if [ -f {away} ]; then mv -f {away} {ours}; fi"]
    lines += [f"rmdir {shlex.quote(str(aside))} {shlex.quote(str(turn))}", "exit $code", ""]
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    return program


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a descriptor cannot be opened again with a position of its own")
def test_what_is_read_is_what_was_accepted(own: Machine) -> None:
    """While any child runs each name leads to somebody's private video; none of that is in what is delivered."""
    inbox = own.folder("in", preset="tight")
    private, bin_ = own.home / "private", own.home / "bin"
    private.mkdir()
    bin_.mkdir()
    copier = shutil.which("cp")
    assert copier is not None
    program = _swapping(bin_ / "ffmpeg", str(ffmpeg()), inbox, private)
    _swapping(bin_ / "cp", copier, inbox, private)
    own.configure(own.config.read_text().replace("[nemod]", f'[nemod]\nffmpeg = "{program}"'))
    own.more_env["PATH"] = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    own.start()
    for name in FILES:
        _clip(private / name, PRIVATE)
        _clip(own.home / name, OURS)
        (own.home / name).rename(inbox / name)
        assert _shown(own.delivered(name)) == OURS, name
    assert {job.attempts[-1].how for name in FILES for job in own.jobs(name)} == set(How)
    assert own.stop() == 0
