"""Videos for the tests: small real ones with their licence (`clips/`), and made ones of any length and kind."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

_CLIPS = Path(__file__).with_name("clips")


def clip(name: str) -> Path:
    """A real clip; copy it before anything may move it."""
    path = _CLIPS / name
    assert path.is_file(), f"no clip {name}"
    return path


def ffmpeg() -> Path:
    """The ffmpeg that comes with the dependencies."""
    return Path(imageio_ffmpeg.get_ffmpeg_exe())


def run_ffmpeg(*args: str | Path) -> None:
    """Run it and show what it said if it fails."""
    done = subprocess.run([ffmpeg(), "-v", "error", "-nostdin", "-y", *args], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")


def make_clip(
    path: Path,
    *,
    seconds: float = 2.0,
    size: tuple[int, int] = (320, 180),
    fps: float = 30.0,
    audio: bool = True,
    extra_args: Sequence[str] = (),
) -> Path:
    """Draw a moving test picture with a tone into a file whose name says the format.

    MP4, MOV and MKV hold H.264 and AAC, coded fast; `extra_args` go before the name and have the last word.
    """
    picture = ["-f", "lavfi", "-i", f"testsrc2=size={size[0]}x{size[1]}:rate={fps}:duration={seconds}"]
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"] if audio else []
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    coding = coded if path.suffix.lower() in {".mp4", ".mov", ".mkv"} else []
    run_ffmpeg(*picture, *tone, *coding, *extra_args, f"file:{path}")
    return path
