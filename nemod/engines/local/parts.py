"""What is done with a video that cannot fit: nothing, its beginning, or all of it in parts that each fit.

Rules kept here:
- how many parts, how long and where they are cut is decided by pure functions; `Fitting` carries it out;
- parts are equal but for the few milliseconds to a picture's beginning: no picture and no sound is lost or in two parts;
- what an encode has learned counts more than what was reckoned: more parts, or less of the beginning, but not for ever.
"""

import asyncio
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import assert_never

from nemod.config.model import OnImpossible
from nemod.config.units import format_duration
from nemod.engines.base import Output, Part, Progress, Task
from nemod.engines.local.encode import Work
from nemod.engines.local.fitting import Impossible
from nemod.engines.local.steps import Steps
from nemod.engines.local.tools import Tools
from nemod.media.info import MediaInfo, Window
from nemod.media.moments import shown_at, standing

#: So many parts are still a set that somebody sends; and so often another number, or another length, is tried.
PARTS_MOST, TRIES = 99, 5
#: Nothing shorter is worth a file.
SHORTEST_S = 1.0
#: A cut moves to the beginning of the picture that stands there, unless that came so long before.
STILL_S = 1.0
#: What is kept of a length that has just proved too long.
SHORTER = 0.9


def first_count(duration_s: float, cause: Impossible) -> int | None:
    """Into how many parts a video is cut at first: as few as may do. None: no number would do."""
    if cause.longest_s < SHORTEST_S:
        return None
    count = max(2, math.ceil(duration_s / cause.likely_s))
    return count if count <= PARTS_MOST else None


def next_count(count: int, part_s: float, cause: Impossible) -> int | None:
    """Into how many parts after one of so many, which was so long, has proved impossible; None: no number would do."""
    if cause.longest_s < SHORTEST_S:
        return None
    more = max(count + 1, min(2 * count, math.ceil(count * part_s / cause.longest_s)))
    return more if more <= PARTS_MOST else None


def cuts(duration_s: float, count: int) -> tuple[float, ...]:
    """Where so many equal parts meet, in seconds from the beginning."""
    return tuple(duration_s * number / count for number in range(1, count))


def first_length(duration_s: float, cause: Impossible) -> float | None:
    """How much of the beginning is tried first: as much as may do; None: nothing would do."""
    if cause.longest_s < SHORTEST_S:
        return None
    return min(cause.likely_s, duration_s * 0.99)


def next_length(length_s: float, cause: Impossible) -> float | None:
    """How much of the beginning after so much has proved impossible."""
    shorter = min(SHORTER * length_s, cause.longest_s)
    return shorter if shorter >= SHORTEST_S else None


def share(progress: Progress, number: int, count: int) -> Progress:
    """How far the whole is, from how far the part of this number is (from 0); the others are supposed to take as long."""
    fraction, left = progress.fraction, progress.left_s
    if left is not None and fraction is not None and fraction < 1:
        left += (count - number - 1) * left / (1 - fraction)
    return replace(
        progress,
        stage=f"part {number + 1} of {count}: {progress.stage}",
        fraction=None if fraction is None else (number + fraction) / count,
        left_s=left,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A task whose preset says what to do where the whole does not fit; it works in a folder of its own."""

    tools: Tools
    task: Task
    folder: Path
    report: Callable[[Progress], None]

    async def output(self) -> Output:
        """Do it; raises as `Work.output` does."""
        try:
            return await self._work(self.task.media, "whole", self.report)
        except Impossible as cause:
            match self.task.preset.on_impossible:
                case OnImpossible.FAIL:
                    raise
                case OnImpossible.SPLIT:
                    return await self._split(cause)
                case OnImpossible.TRIM:
                    return await self._trim(cause)
                case _ as never:
                    assert_never(never)

    async def _split(self, cause: Impossible) -> Output:
        duration = self.task.media.duration_s
        count = first_count(duration, cause)
        for _ in range(TRIES):
            if count is None:
                break
            windows = await self._windows(count)
            try:
                return await self._parts(windows)
            except Impossible as harder:
                count = next_count(count, duration / count, harder)
        raise cause

    async def _windows(self, count: int) -> tuple[Window, ...]:
        """Equal parts, cut where pictures begin; one that stands for long is cut as well, and both parts show it."""
        media = self.task.media
        begin = 0.0 if media.window is None else media.window.start_s
        borders = [begin]
        for cut in cuts(min(media.duration_s, media.picture_s), count):  # sound that goes on alone goes with the last part
            came = await shown_at(self.tools.ffmpeg, self.task.source, media, begin + cut)
            borders.append(came if came is not None and begin + cut - came <= STILL_S else begin + cut)
        borders.append(begin + media.duration_s)
        return tuple([await self._window(start, end) for start, end in pairwise(borders)])

    async def _window(self, start_s: float, end_s: float) -> Window:
        """A window of the file, with the pictures that stand at its borders."""
        bare = Part(path=self.folder, window=Window(start_s=start_s, end_s=end_s), size_bytes=0)
        found = await standing(self.tools.ffmpeg, self.task.source, bare.of(self.task.media))
        return bare.window if found.window is None else found.window

    async def _parts(self, windows: tuple[Window, ...]) -> Output:
        count, made, notes = len(windows), [], []
        for number, window in enumerate(windows):

            def report(progress: Progress, number: int = number) -> None:
                self.report(share(progress, number, count))

            done, part = await self._part(window, f"{number + 1:0{len(str(count))}}-of-{count}", report)
            made.append(part)
            notes.append(done.note)
        words = f"in {count} parts, since it does not fit into one; the first: {notes[0]}"
        return Output(path=made[0].path, note=words, parts=tuple(made))

    async def _trim(self, cause: Impossible) -> Output:
        media = self.task.media
        begin = 0.0 if media.window is None else media.window.start_s
        length, whole = first_length(media.duration_s, cause), media.duration_s
        for number in range(TRIES):
            if length is None:
                break
            window = await self._window(begin, begin + length)
            try:
                done, part = await self._part(window, f"beginning-{number}", self.report)
            except Impossible as harder:
                length = next_length(length, harder)
                continue
            words = f"cut off after {format_duration(length)} of {format_duration(whole)}, since more does not fit; {done.note}"
            return Output(path=part.path, note=words, parts=(part,))
        raise cause

    async def _part(self, window: Window, name: str, report: Callable[[Progress], None]) -> tuple[Output, Part]:
        part = Part(path=self.folder / f"{name}.mp4", window=window, size_bytes=0)
        done = await self._work(part.of(self.task.media), name, report)
        size = await asyncio.to_thread(_keep, done.path, part.path)
        return done, replace(part, size_bytes=size)

    async def _work(self, media: MediaInfo, name: str, report: Callable[[Progress], None]) -> Output:
        if media.video is None:  # only sound reaches as far as this
            raise Impossible(limit_bytes=self.task.limit_bytes, need_bytes=self.task.limit_bytes, duration_s=0)
        folder = self.folder / name
        await asyncio.to_thread(folder.mkdir)
        task = replace(self.task, media=media, folder=folder)
        try:
            steps = Steps(tools=self.tools, task=task, folder=folder, report=report)
            return await Work(steps=steps).output()
        except Impossible:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise


def _keep(made: Path, path: Path) -> int:
    """Keep a finished part, and nothing else of its work."""
    made.replace(path)
    shutil.rmtree(made.parent, ignore_errors=True)
    return path.stat().st_size
