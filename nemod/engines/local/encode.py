"""From a source to one finished MP4 within the limit: sound first, then the picture in what is left.

Rules kept here:
- the limit is asked of the file as it lies on disk; a file over it is never handed out;
- decisions are in `plan`, words to ffmpeg in `ffmpeg`; here they are only carried out.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nemod.engines.base import EngineError, Output, Progress, Task
from nemod.engines.local import fitting, plan, rungs
from nemod.engines.local.faults import no_tone_map, of_child
from nemod.engines.local.ffmpeg import Tick, copy_argv, mux_argv, read_tick, remux_argv
from nemod.engines.local.picture import Rate, picture_argv
from nemod.engines.local.sound import choose_sound, remux_sound, sound_argv
from nemod.engines.local.tools import Tools
from nemod.media.boxes import payload_bytes
from nemod.media.child import run
from nemod.media.look import Picture
from nemod.media.verdict import How

#: Pass 2 is run again this often at one picture size, and so many sizes are tried.
TRIES, SIZES = 3, 4
#: A first landing below this share of the limit is worth a second one; every further one asks for a little less.
FULL_ENOUGH, AIM, STEP_DOWN = 0.95, 0.99, 0.004
NICENESS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of the whole work, for progress: what it is called, and from which fraction to which it goes."""

    stage: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """The finished sound track, if there is one, and its payload."""

    file: Path | None
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What one encode made: the whole file's bytes, and those of the picture in it."""

    size_bytes: int
    payload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A picture size did not do: which one to try next (None: there is none), and the smallest file that came out."""

    smaller: Picture | None
    smallest_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run over one task, in a folder of its own."""

    tools: Tools
    task: Task
    folder: Path
    report: Callable[[Progress], None]

    async def output(self) -> Output:
        """Do it.

        Raises:
            EngineError: what ffmpeg failed of, or IMPOSSIBLE.
            OSError: the work folder cannot be used.
        """
        match self.task.how:
            case How.PASS:
                await self._run(copy_argv(self.task.source, self._out), Span(stage="copying", start=0.0, end=1.0))
                return Output(path=self._out, note="passed through unchanged")
            case How.REMUX:
                return await self._remux()
            case How.ENCODE:
                return await self._encode()

    async def _remux(self) -> Output:
        media = self.task.media
        sound = remux_sound(media)
        location = self.task.preset.keep_location
        argv = remux_argv(self.tools.ffmpeg, self.task.source, sound, self._out, media=media, keep_location=location)
        await self._run(argv, Span(stage="wrapping", start=0.0, end=1.0))
        return Output(path=self._out, note="re-wrapped, the picture untouched")

    async def _encode(self) -> Output:
        media, preset, limit = self.task.media, self.task.preset, self.task.limit_bytes
        video = media.video
        assert video is not None  # noqa: S101 - Examine lets nothing without a picture through
        if video.hdr and not self.tools.tone_maps:
            raise EngineError(no_tone_map(self.tools.ffmpeg))
        if failure := fitting.possible(media, limit):
            raise EngineError(failure if preset.limit_bytes is not None else fitting.small_already())
        sounds = await self._sound()
        pictures = rungs.pictures(video, preset, fps=rungs.choose_fps(video, preset))
        smallest: int | None = None
        for number in range(SIZES):
            result = await self._at_size(pictures[0], pictures[1:], sounds, begin=0.03 + 0.1 * number)
            if isinstance(result, Output):
                return result
            smallest = min((b for b in (smallest, result.smallest_bytes) if b is not None), default=None)
            pictures = tuple(p for p in pictures if result.smaller is not None and p.width <= result.smaller.width)
            if not pictures:
                break
        need = max(smallest or fitting.least_bytes(media, sounds.size_bytes), limit + 1)
        raise EngineError(fitting.impossible(limit, need, media.duration_s))

    async def _sound(self) -> Sounds:
        sound = choose_sound(self.task.media, self.task.preset, self.task.limit_bytes)
        if sound is None:
            return Sounds(file=None, size_bytes=0)
        file = self.folder / "sound.mp4"
        argv = sound_argv(self.tools.ffmpeg, self.task.source, self.task.media, sound, file)
        await self._run(argv, Span(stage="sound", start=0.0, end=0.03))
        return Sounds(file=file, size_bytes=await asyncio.to_thread(payload_bytes, file))

    async def _at_size(self, picture: Picture, below: tuple[Picture, ...], sounds: Sounds, *, begin: float) -> Output | Missed:
        """The passes at one picture size, until a file has landed or a smaller picture is needed."""
        media, limit = self.task.media, self.task.limit_bytes
        next_below = below[0] if below else None
        budget = plan.budget_bytes(limit, media, picture, sounds.size_bytes)
        if budget <= 0:
            return Missed(smaller=next_below)
        size, middle = f"{picture.width}x{picture.height}", begin + (1 - begin) * 0.3
        # Pass 1 at a constant quality does two things: it tells what that quality would cost, and it feeds pass 2.
        probing = Span(stage=f"pass 1, {size}", start=begin, end=middle)
        predicted = await self._run(self._argv(picture, Rate(passing=1, crf=plan.GOOD_CRF), out=None), probing)
        if self.task.preset.limit_bytes is None:
            return await self._faithful(picture, predicted, sounds, start=middle)
        useful = plan.useful_bytes(media, picture)
        length, frames = media.length_s, plan.frame_count(media, picture)
        spend = plan.spend(predicted, budget, useful, here=picture, below=below, frames=frames, length_s=length)
        if spend.smaller is not None:
            return Missed(smaller=spend.smaller)
        if spend.crf is not None:
            encoding = Span(stage=f"encoding, {size}", start=middle, end=0.97)
            landed = await self._land(picture, Rate(passing=0, crf=spend.crf), sounds, encoding)
            if landed.size_bytes <= limit:
                return Output(
                    path=self._out, note=f"{size}, constant quality {spend.crf:g}; more bytes would show nothing more"
                )
        return await self._two_pass(
            picture, spend.bitrate_bps, sounds, start=middle, stop_early=useful < budget, below=next_below
        )

    async def _faithful(self, picture: Picture, predicted_bytes: int, sounds: Sounds, *, start: float) -> Output:
        """Smaller than the source and looking the same: a constant quality or nothing, never a rate."""
        crf = plan.faithful_crf(predicted_bytes, self.task.limit_bytes)
        while crf is not None:
            span = Span(stage=f"encoding, {picture.width}x{picture.height}", start=start, end=0.97)
            landed = await self._land(picture, Rate(passing=0, crf=crf), sounds, span)
            if landed.size_bytes <= self.task.limit_bytes:
                return Output(path=self._out, note=f"{picture.width}x{picture.height}, constant quality {crf:g}")
            crf = plan.FAIR_CRF if crf < plan.FAIR_CRF else None
        raise EngineError(fitting.small_already())

    async def _two_pass(
        self, picture: Picture, rate: int, sounds: Sounds, *, start: float, stop_early: bool, below: Picture | None
    ) -> Output | Missed:
        """Pass 2, and again with a corrected rate while it is over the limit, or once when it is far under."""
        limit, size = self.task.limit_bytes, f"{picture.width}x{picture.height}"
        best = 0
        smallest: int | None = None
        before: tuple[int, int] | None = None
        for number in range(TRIES):
            span = Span(stage=f"pass 2, {size}" + (f", try {number + 1}" if number else ""), start=start, end=0.97)
            landed = await self._land(picture, Rate(passing=2, bitrate_bps=rate), sounds, span, better_than=best)
            smallest = min(landed.size_bytes, smallest or landed.size_bytes)
            if landed.size_bytes <= limit:
                best = max(best, landed.size_bytes)
            if best and (stop_early or best >= FULL_ENOUGH * limit or number > 0):
                break
            aim = int(limit * (AIM - STEP_DOWN * number))
            payload = landed.payload_bytes
            after = plan.corrected(rate, got_bytes=landed.size_bytes, payload_bytes=payload, aim_bytes=aim, before=before)
            before, rate = (rate, payload), after
        if best:
            return Output(path=self._out, note=f"{size}, two passes at {rate / 1000:,.0f} kbit/s")
        return Missed(smaller=below, smallest_bytes=smallest)

    async def _land(self, picture: Picture, rate: Rate, sounds: Sounds, span: Span, *, better_than: int = 0) -> Landed:
        """One encode and its mux; the file becomes the output if it fits and is fuller than what is there."""
        await self._run(self._argv(picture, rate, out=self._track), span)
        muxed = self.folder / "muxed.mp4"
        location = self.task.preset.keep_location
        argv = mux_argv(self.tools.ffmpeg, self._track, sounds.file, muxed, media=self.task.media, keep_location=location)
        await self._run(argv, Span(stage="wrapping", start=span.end, end=1.0))
        size = muxed.stat().st_size
        if better_than < size <= self.task.limit_bytes:
            muxed.replace(self._out)
        return Landed(size_bytes=size, payload_bytes=await asyncio.to_thread(payload_bytes, self._track))

    def _argv(self, picture: Picture, rate: Rate, *, out: Path | None) -> list[str]:
        return picture_argv(
            self.tools.ffmpeg,
            self.task.source,
            self.task.media,
            picture,
            rate,
            stats=self.folder / f"stats-{picture.width}",
            out=out,
            most_bytes=self.task.limit_bytes * 3 // 2 + 1_000_000,
        )

    async def _run(self, argv: Sequence[str], span: Span) -> int:
        """Run a child, report how far it is, raise what it failed of; returns how many bytes it says it has written."""
        length, share = self.task.media.length_s, span.end - span.start
        fields: dict[str, str] = {}
        written = 0

        def on_line(line: str) -> None:
            nonlocal written
            key, _, value = line.partition("=")
            fields[key.strip()] = value.strip()
            if key == "progress" and (tick := read_tick(fields)) is not None:
                written = tick.size_bytes
                self.report(_progress(tick, span, length))

        self.report(Progress(stage=span.stage, fraction=span.start))
        finished = await run(argv, timeout_s=plan.patience_s(self.task.media), on_line=on_line, niceness=NICENESS)
        if finished.returncode:
            raise EngineError(of_child(finished, span.stage))
        self.report(Progress(stage=span.stage, fraction=span.start + share))
        return written

    @property
    def _out(self) -> Path:
        return self.folder / "out.mp4"

    @property
    def _track(self) -> Path:
        return self.folder / "picture.mp4"


def _progress(tick: Tick, span: Span, length_s: float) -> Progress:
    """A report of the whole from a report of one part; the time left supposes that the rest goes as fast as this part."""
    done = min(1.0, tick.done_s / length_s)
    fraction = span.start + (span.end - span.start) * done
    left = None
    if tick.speed and span.end > span.start:
        left = length_s / tick.speed * (1 - fraction) / (span.end - span.start)
    return Progress(stage=span.stage, fraction=fraction, speed=tick.speed, left_s=left)
