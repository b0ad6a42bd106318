"""Plain values for tests: a folder, what a clip holds, a route, and a file as an inbox shows it."""

from pathlib import Path

from nemod.config.model import Folder, Preset
from nemod.engines.base import EngineName
from nemod.failure import Failure, Kind
from nemod.job import Fingerprint, Route, Sighting
from nemod.media.info import AudioStream, MediaInfo, VideoStream
from nemod.media.verdict import Accept, How, Reason, Refuse

NOW = 1_790_000_000.0
WHY = Failure(kind=Kind.TRANSIENT, detail="It broke.", hint="Mend it.")
ROUTE = Route(how=How.ENCODE, engines=(EngineName.LOCAL,), limit_bytes=10_000_000)
ACCEPT = Accept(size_bytes=9_000_000)
REFUSE = Refuse(reason=Reason.OVER_LIMIT, detail="It has too many bytes.", size_bytes=10_000_001)

VIDEO = VideoStream(
    index=0,
    codec="h264",
    profile="High",
    level=40,
    width=1920,
    height=1080,
    pixel_format="yuv420p",
    bit_depth=8,
    pixel_aspect=1.0,
    rotation_deg=0,
    frames=900,
    size_bytes=29_000_000,
    start_s=0.0,
    end_s=30.0,
    fps=30.0,
    nominal_fps=30.0,
    variable=False,
    longest_step_s=1 / 30,
    color_range="tv",
    matrix="bt709",
    transfer="bt709",
    primaries="bt709",
    interlaced=False,
)
AUDIO = AudioStream(
    index=1,
    codec="aac",
    profile="LC",
    channels=2,
    sample_rate_hz=48_000,
    bitrate_bps=128_000,
    size_bytes=480_000,
    start_s=0.0,
    end_s=30.0,
    language="eng",
    title=None,
    default=True,
)
MEDIA = MediaInfo(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    size_bytes=30_000_000,
    duration_s=30.0,
    header_duration_s=30.0,
    video=VIDEO,
    audio=(AUDIO,),
    mp4=True,
    faststart=True,
)


def folder(root: Path, name: str = "clips") -> Folder:
    """A folder whose inbox is `root / name`; nothing of it need exist."""
    inbox = root / name
    return Folder(
        name=name,
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=inbox / "failed",
        preset=Preset(name="discord-10mb", limit_bytes=10_000_000, max_height=720),
    )


def sighting(relpath: str = "clip.mov", *, size: int = 30_000_000, mtime_ns: int = 5, inode: int = 7) -> Sighting:
    """A file as a look at an inbox shows it."""
    return Sighting(relpath=relpath, fingerprint=Fingerprint(size_bytes=size, mtime_ns=mtime_ns, inode=inode))
