"""Copies and the last wrapping as they are said to ffmpeg, and what it answers: progress, lists of what it can do. Pure.

Every stream is mapped by its index: nothing rides along unasked.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemod.engines.local.sound import Sound, coded
from nemod.engines.local.tags import metadata
from nemod.media.formats import source_input
from nemod.media.info import MediaInfo
from nemod.media.inputs import head


def copy_argv(source: Path, out: Path) -> list[str]:
    """A copy that shares blocks with the source where the file system can (Btrfs, XFS, APFS), else plain bytes.

    Never a hard link: an archived original must not share an inode with the file that was delivered. A child, because a
    copy of gigabytes must end when we are told to end.
    """
    clone = "-c" if sys.platform == "darwin" else "--reflink=auto"
    return ["env", "LC_ALL=C", "cp", clone, "--", str(source), str(out)]


def mux_argv(ffmpeg: Path, picture: Path, sound: Path | None, out: Path, *, media: MediaInfo, keep_location: bool) -> list[str]:
    """Picture and sound into the final file, the index in front. `chapters.write` then makes room into chapters.

    The inputs' own time stamps are kept (`-copyts`): ffmpeg would otherwise move each to zero and shift sound against picture.
    """
    argv = [*head(ffmpeg), "-copyts", "-i", f"file:{picture}"]
    if sound is not None:
        argv += ["-i", f"file:{sound}"]
    argv += ["-map", "0:v:0", *(["-map", "1:a:0"] if sound is not None else []), "-c", "copy"]
    return [*argv, *metadata(media, keep_location=keep_location), "-movflags", "+faststart", "-f", "mp4", f"file:{out}"]


def remux_argv(
    ffmpeg: Path, source: Path, sound: Sound | None, out: Path, *, media: MediaInfo, keep_location: bool
) -> list[str]:
    """The picture as it is into a clean MP4; the sound copied or, where players would not take it, encoded; then as above."""
    assert media.video is not None  # noqa: S101 - as above
    argv = [*head(ffmpeg), *source_input(source), "-map", f"0:{media.video.index}", "-c:v", "copy"]
    argv += ["-tag:v", "hvc1"] if media.video.codec == "hevc" else []  # Apple's players open no other
    if sound is not None:
        argv += coded(media, sound)
    return [*argv, *metadata(media, keep_location=keep_location), "-movflags", "+faststart", "-f", "mp4", f"file:{out}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One report of `-progress`: seconds and bytes of output made, and seconds of video per second."""

    done_s: float
    size_bytes: int
    speed: float | None


def read_tick(fields: dict[str, str]) -> Tick | None:
    """A report from the `key=value` lines up to `progress=`; None while ffmpeg has nothing to tell ("N/A")."""
    try:
        done = int(fields["out_time_us"]) / 1_000_000
    except (KeyError, ValueError):
        return None
    try:
        speed = float(fields.get("speed", "").strip().rstrip("x")) or None  # a stream copy has none
    except ValueError:
        speed = None
    size = fields.get("total_size", "")
    return Tick(done_s=max(0.0, done), size_bytes=int(size) if size.isdigit() else 0, speed=speed)


def names_in(listing: str) -> frozenset[str]:
    """The names in the output of `ffmpeg -encoders` or `-filters`: the second word of each line behind the flags."""
    return frozenset(words[1] for line in listing.splitlines() if len(words := line.split()) >= 2)


def missing(encoders: frozenset[str], filters_there: frozenset[str], needed: Sequence[str]) -> tuple[str, ...]:
    """Which of the needed encoders and filters this ffmpeg lacks."""
    return tuple(n for n in needed if n not in encoders and n not in filters_there)
