"""A referee that knows nothing of nemod: how large, how long and how good an output is, measured on its source's terms.

Rules kept here:
- nothing of the package is imported, so a fault of the code under test cannot hide itself in its own score;
- both sides are shown at the source's size (longer side at most 1920) and frame rate (at most 60), paired by time stamps that
  start at nought: libvmaf pairs by time stamp, and another container's time base would otherwise shift one side by a frame;
- it needs what pip brings: PyAV, and the ffmpeg of imageio-ffmpeg with its libvmaf.
"""

import json
import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import imageio_ffmpeg
from av.video.reformatter import ColorTrc

LONGEST = 1920
FASTEST = 60.0
HDR = {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}
#: As encoding.md's measurements were taken: HDR is only compared with its own tone map.
TONE_MAP = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,"
)


class UnreadableError(Exception):
    """A file that holds no video which can be scored; its text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file is, by decoding it: `width` and `height` as seen, with rotation and square pixels."""

    size_bytes: int
    width: int
    height: int
    fps: float
    seconds: float
    interlaced: bool
    hdr: bool
    sound: bool

    @property
    def pixels(self) -> int:
        """Of one picture."""
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good an output is: VMAF's mean and 5th percentile, and SSIM's mean, over `frames` pictures."""

    vmaf: float
    vmaf_p5: float
    ssim: float
    frames: int


def ffmpeg() -> Path:
    """The ffmpeg that pip brought."""
    return Path(imageio_ffmpeg.get_ffmpeg_exe())


def facts(path: Path) -> Facts:
    """Look at a file; the length is that of the video packets, whatever its header says. Raises UnreadableError."""
    try:
        with av.open(f"file:{path}") as container:
            videos = [one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic]
            if not videos:
                raise UnreadableError("no video in it")
            stream = videos[0]
            first = next(container.decode(stream))
            rate, aspect = stream.average_rate, stream.sample_aspect_ratio
            sound = bool(container.streams.audio)
            told = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    except (av.FFmpegError, StopIteration, ValueError) as error:
        raise UnreadableError(f"cannot be decoded ({error})") from error
    count, copied = _length(path)
    # A copy ends with the last packet's decoding time, a few pictures early; a header is believed when it says about the same.
    seconds = told if copied <= told <= copied * 1.02 + 0.2 else copied
    width, height = first.width * float(aspect or 1), float(first.height)
    if first.rotation % 180:
        width, height = height, width
    headed = float(rate) if rate else 0.0
    counted = count / seconds if seconds else 30.0
    # A header may claim 1000 frames a second of a Matroska file, or nothing at all.
    fps = headed if 1 <= headed <= FASTEST and abs(headed / counted - 1) < 0.1 else min(FASTEST, max(1.0, counted))
    return Facts(
        size_bytes=path.stat().st_size,
        width=round(width),
        height=round(height),
        fps=fps,
        seconds=seconds,
        interlaced=first.interlaced_frame,
        hdr=first.color_trc in HDR,
        sound=sound,
    )


def _length(path: Path) -> tuple[int, float]:
    argv = [ffmpeg(), "-v", "error", "-nostdin", "-i", f"file:{path}", "-map", "0:V:0", "-c", "copy"]
    done = subprocess.run([*argv, "-progress", "pipe:1", "-f", "null", "-"], capture_output=True, text=True, check=False)
    times, frames = re.findall(r"out_time_us=(\d+)", done.stdout), re.findall(r"frame=\s*(\d+)", done.stdout)
    if not times or not frames:
        raise UnreadableError("no time stamps in it")
    return int(frames[-1]), int(times[-1]) / 1e6


def score(source: Path, output: Path, *, frames_most: int = 400) -> Score:
    """Compare them on at most `frames_most` pictures, evenly spaced. Raises UnreadableError."""
    was, now = facts(source), facts(output)
    share = min(1.0, LONGEST / max(was.width, was.height))
    size = f"{_even(was.width * share)}:{_even(was.height * share)}"
    clock = f"setpts=PTS-STARTPTS,fps={was.fps:.6f}:start_time=0"
    # An output that is still HDR is scored as it is, against the source as it is.
    before = ("bwdif=deint=interlaced," if was.interlaced else "") + (TONE_MAP if was.hdr and not now.hdr else "")
    shown = f"scale={size}:flags=bicubic:out_range=tv,setsar=1,format=yuv420p"
    every = max(1, math.ceil(was.seconds * was.fps / frames_most))
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "vmaf.json"
        meter = f"libvmaf=n_threads={os.cpu_count() or 2}:n_subsample={every}:feature=name=float_ssim"
        graph = (
            f"[0:V:0]{clock},{shown}[out];[1:V:0]{before}{clock},{shown}[ref];[out][ref]{meter}:log_fmt=json:log_path=vmaf.json"
        )
        inputs = ["-i", f"file:{output.absolute()}", "-i", f"file:{source.absolute()}"]
        argv = [ffmpeg(), "-v", "error", "-nostdin", *inputs, "-lavfi", graph, "-f", "null", "-"]
        done = subprocess.run(argv, cwd=place, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0 or not log.is_file():
            raise UnreadableError(f"cannot be scored ({done.stderr.strip()[-200:]})")
        told = [frame["metrics"] for frame in json.loads(log.read_text())["frames"]]
    vmaf = sorted(one["vmaf"] for one in told)
    return Score(
        vmaf=sum(vmaf) / len(vmaf),
        vmaf_p5=vmaf[int(len(vmaf) * 0.05)],
        ssim=sum(one["float_ssim"] for one in told) / len(told),
        frames=len(told),
    )


def _even(length: float) -> int:
    return max(16, round(length / 2) * 2)
