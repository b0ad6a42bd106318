"""One file through all that the product does to it, and what is then seen and heard in a file."""

from array import array
from dataclasses import dataclass
from pathlib import Path

import av

from nemod.config.model import Preset
from nemod.daemon.single import compress_file
from nemod.engines.local.engine import LocalEngine
from nemod.job import Job, JobState
from tests.support.clips import ffmpeg

#: Halfway between black and white, and a beep that is louder than what a codec makes of silence.
BRIGHT, LOUD = 128, 6000


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a decoder gets out of a file, in seconds: when its frames come, the first white one and the first loud sample."""

    frames: tuple[float, ...]
    flash_s: float | None
    beep_s: float | None

    @property
    def apart_s(self) -> float:
        """How much later the beep is than the flash."""
        assert self.flash_s is not None
        assert self.beep_s is not None
        return self.beep_s - self.flash_s


async def press(source: Path, preset: Preset) -> Job:
    """Compress a file beside itself; the job as it ended."""
    return await compress_file(
        source,
        preset,
        engine=LocalEngine(ffmpeg()),
        ffmpeg=ffmpeg(),
        outbox=source.parent,
        output_name="out",
        show=lambda _: None,
    )


async def pressed(source: Path, limit_bytes: int | None) -> Path:
    """The output for a limit, at most which it has."""
    job = await press(source, Preset(name="pressed", limit_bytes=limit_bytes))
    assert job.state is JobState.DONE, job.failure
    assert job.target is not None
    assert limit_bytes is None or job.target.stat().st_size <= limit_bytes
    return job.target


def play(path: Path) -> Played:
    """Decode all of a file, each frame and sample at the time at which a player shows or sounds it."""
    with av.open(str(path)) as file:
        pictures = [(_at(frame), _white(frame)) for frame in file.decode(video=0)]
    with av.open(str(path)) as file:
        sounds = ((_at(frame), _silence_s(frame)) for frame in (file.decode(audio=0) if file.streams.audio else ()))
        beep = next((at + silence for at, silence in sounds if silence is not None), None)
    return Played(
        frames=tuple(at for at, _ in pictures), flash_s=next((at for at, white in pictures if white), None), beep_s=beep
    )


def _at(frame: av.VideoFrame | av.AudioFrame) -> float:
    assert frame.time is not None
    return frame.time


def _white(frame: av.VideoFrame) -> bool:
    grey = bytes(frame.reformat(format="gray").planes[0])
    return sum(grey) > BRIGHT * len(grey)


def _silence_s(frame: av.AudioFrame) -> float | None:
    """How long it takes until a sample is loud; None when all are quiet."""
    for heard in av.AudioResampler(format="s16", layout="mono").resample(frame):
        for number, sample in enumerate(array("h", bytes(heard.planes[0])[: heard.samples * 2])):
            if abs(sample) > LOUD:
                return number / heard.sample_rate
    return None
