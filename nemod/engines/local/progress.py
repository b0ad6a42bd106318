"""How far a piece of work is: a part of it, and what a child's report about that part means for the whole. Pure."""

from dataclasses import dataclass

from nemod.engines.base import Progress
from nemod.engines.local.ffmpeg import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of the whole work, for progress: what it is called, and from which fraction to which it goes."""

    stage: str
    start: float
    end: float


def progress(tick: Tick, span: Span, length_s: float) -> Progress:
    """A report of the whole from a report of one part; the time left supposes that the rest goes as fast as this part."""
    done = min(1.0, tick.done_s / length_s)
    fraction = span.start + (span.end - span.start) * done
    left = None
    if tick.speed and span.end > span.start:
        left = length_s / tick.speed * (1 - fraction) / (span.end - span.start)
    return Progress(stage=span.stage, fraction=fraction, speed=tick.speed, left_s=left)
