"""What became of a job that is delivered: its files, which part of the source each one shows, and how good they are. Pure."""

from dataclasses import dataclass

from nemod.job import Job
from nemod.media.info import Window
from nemod.media.quality import Quality
from nemod.media.verdict import Accept


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputView:
    """A delivered file, and which part of the source it shows, in seconds; None where that is not known."""

    path: str
    bytes: int
    start_s: float | None
    end_s: float | None


def output_views(job: Job) -> tuple[OutputView, ...]:
    """The delivered files; none before that."""
    if job.delivered_bytes is None or job.target is None:
        return ()
    parts = () if job.made is None else job.made.parts
    if not parts:
        windows: tuple[Window | None, ...] = (_shown(job),)
        sizes: tuple[int, ...] = (job.delivered_bytes,)
    else:
        windows, sizes = tuple(part.window for part in parts), tuple(part.size_bytes for part in parts)
    return tuple(
        OutputView(
            path=str(path),
            bytes=size,
            start_s=None if window is None else round(window.start_s, 3),
            end_s=None if window is None else round(window.end_s, 3),
        )
        for path, size, window in zip(job.targets or (job.target,), sizes, windows, strict=True)
    )


def _shown(job: Job) -> Window | None:
    """What one file shows of its source: all, or what was wanted of it; with a person's own words nobody knows."""
    if job.media is None or job.own_words:
        return None
    return job.media.window or Window(start_s=0.0, end_s=job.media.duration_s)


def quality_of(job: Job) -> Quality | None:
    """How good the accepted output is, where that was measured."""
    made = job.made
    return made.verdict.quality if made is not None and isinstance(made.verdict, Accept) else None
