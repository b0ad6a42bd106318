"""From a source to one finished MP4 within the limit: sound first, then the picture in what is left.

Rules kept here:
- the limit is asked of the file as it lies on disk; a file over it is never handed out;
- decisions are in `plan`, `rungs` and `landing`, words to ffmpeg in `picture`, `sound` and `ffmpeg`; here they are carried out.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nemod.config.model import Speed
from nemod.engines.base import EngineError, Output, Progress, Task
from nemod.engines.local import fitting, landing, plan, rungs, sampling
from nemod.engines.local.codecs import CODERS, Coder, Rate, second_pass
from nemod.engines.local.faults import no_encoder, no_tone_map, of_child
from nemod.engines.local.ffmpeg import copy_argv, mux_argv, read_tick, remux_argv
from nemod.engines.local.picture import picture_argv
from nemod.engines.local.progress import Span, progress
from nemod.engines.local.sound import Sound, choose_sound, left_out, refit, remux_sound, sound_argv
from nemod.engines.local.tools import Tools
from nemod.engines.local.trial import Trial, Tried
from nemod.failure import Kind
from nemod.media import chapters
from nemod.media.boxes import payload_bytes
from nemod.media.child import Finished, run
from nemod.media.decode import decode_errors
from nemod.media.look import Picture
from nemod.media.verdict import How

#: Pass 2 is run again this often at one picture size, and so many sizes are tried.
TRIES, SIZES = 3, 4
#: The same where the answer is less sure (a rate that is asked for as a constant quality) or costs nothing (very few frames).
MORE_TRIES, FEW_FRAMES = 5, 100
NICENESS = 5
#: Where in the whole work its parts lie, for progress.
SOUND_TO, CHOICE_TO, FIRST_TO, PICTURE_TO = 0.03, 0.2, 0.4, 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """The finished sound track, if there is one, what was asked for, and its payload."""

    sound: Sound | None = None
    file: Path | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What one encode made: the whole file's bytes, and those of the picture in it."""

    size_bytes: int
    payload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A picture size did not do; the smallest file that came out of it."""

    smallest_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A picture size, and the bytes that its first pass has made, if it was run already; or that it is short of them anyway."""

    picture: Picture
    predicted_bytes: int | None = None
    starving: bool = False


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
        made = await self._made()
        left = left_out(self.task.media, self.task.preset) if self.task.how is not How.PASS else ""
        return replace(made, note=f"{made.note}; {left}") if left else made

    async def _made(self) -> Output:
        match self.task.how:
            case How.PASS:
                await self._run(copy_argv(self.task.source, self._out), Span(stage="copying", start=0.0, end=1.0))
                return Output(path=self._out, note="passed through unchanged")
            case How.REMUX:
                try:
                    return await self._remux()
                except EngineError as error:
                    if error.failure.kind is not Kind.UNSUPPORTED:
                        raise
                return await self._encode()  # what cannot be wrapped as it is can often be decoded
            case How.ENCODE:
                return await self._encode()

    async def _remux(self) -> Output:
        media = self.task.media
        sound = remux_sound(media, self.task.preset)
        location = self.task.preset.keep_location
        argv = remux_argv(self.tools.ffmpeg, self.task.source, sound, self._out, media=media, keep_location=location)
        await self._run(argv, Span(stage="wrapping", start=0.0, end=1.0))
        await asyncio.to_thread(chapters.write, self._out, media.chapter_marks)
        return Output(path=self._out, note="re-wrapped, the picture untouched")

    async def _encode(self) -> Output:
        media, preset, limit = self.task.media, self.task.preset, self.task.limit_bytes
        video = media.video
        assert video is not None  # noqa: S101 - Examine lets nothing without a picture through
        if video.hdr and not self.tools.tone_maps:
            raise EngineError(no_tone_map(self.tools.ffmpeg))
        if not self.tools.codes(preset.codec):
            raise EngineError(no_encoder(self.tools.ffmpeg, self._coder.encoder))
        sounds = await self._sound(choose_sound(media, preset, limit))
        ladder = rungs.pictures(video, preset, fps=rungs.choose_fps(video, preset))
        if preset.limit_bytes is None:
            return await self._faithful(ladder[0], sounds)
        await self._fits_at_all(ladder[-1], sounds)
        chosen = await self._choose(ladder, sounds)
        smallest: int | None = None
        for picture in (chosen.picture, *(p for p in ladder if p.width < chosen.picture.width * 0.95))[:SIZES]:
            here = chosen if picture == chosen.picture else Chosen(picture=picture, starving=True)
            result = await self._at_size(here, sounds)
            if isinstance(result, Output):
                return result
            smallest = min((b for b in (smallest, result.smallest_bytes) if b is not None), default=None)
        raise fitting.Impossible(limit_bytes=limit, need_bytes=max(smallest or 0, limit + 1), duration_s=media.duration_s)

    async def _fits_at_all(self, smallest: Picture, sounds: Sounds) -> None:
        """Raise where not even the smallest picture would be worth looking at: a first pass over it tells, not a table."""
        media, limit = self.task.media, self.task.limit_bytes
        if fitting.surely(media, limit, sounds.size_bytes):
            return
        predicted = await self._first_pass(smallest, start=SOUND_TO, end=CHOICE_TO)
        need = fitting.need_bytes(media, self.task.preset, sound_bytes=sounds.size_bytes, predicted_bytes=predicted)
        if need > limit:
            raise fitting.Impossible(limit_bytes=limit, need_bytes=need, duration_s=media.duration_s)

    # -- which picture ----------------------------------------------------------------------------------------------------

    async def _choose(self, ladder: Sequence[Picture], sounds: Sounds) -> Chosen:
        """The picture to make: the source's size while that is comfortable, else the one that trials speak for.

        Where nothing was tried, the quality that a first pass predicts decides.
        """
        media, top, speed = self.task.media, ladder[0], self.task.preset.speed
        budget, useful = self._budget(top, sounds), plan.useful_bytes(media, top)
        predicted = None
        tries = speed is not Speed.FAST and self.tools.scores and budget > 0
        if not (tries and plan.starved(int(budget * self._coder.worth), useful)):
            predicted = await self._first_pass(top, start=SOUND_TO, end=CHOICE_TO)
            if plan.needed_crf(predicted, budget, top, top) <= plan.COMFORTABLE_CRF:
                return Chosen(picture=top, predicted_bytes=predicted)
        if tries and (best := await self._tried(ladder, sounds)) is not None:
            starving = best.vmaf < plan.LOSSLESS_VMAF
            return Chosen(picture=best.picture, starving=starving, predicted_bytes=predicted if best.picture == top else None)
        if predicted is None:
            predicted = await self._first_pass(top, start=SOUND_TO, end=CHOICE_TO)
        length, frames = media.length_s, plan.frame_count(media, top)
        spend = plan.spend(predicted, budget, useful, here=top, below=tuple(ladder[1:]), frames=frames, length_s=length)
        if spend.smaller is not None:
            return Chosen(picture=spend.smaller, starving=True)
        return Chosen(picture=top, predicted_bytes=predicted)

    async def _tried(self, ladder: Sequence[Picture], sounds: Sounds) -> Tried | None:
        media = self.task.media
        self.report(Progress(stage="trying picture sizes", fraction=SOUND_TO))
        trial = Trial(
            tools=self.tools,
            source=self.task.source,
            media=media,
            windows=sampling.windows(media, more=2.0 if self.task.preset.speed is Speed.BEST else 1.0),
            folder=self.folder,
            run=lambda argv: self._child(argv, lambda _: None),
        )
        frames = plan.frame_count(media, ladder[0])

        def budget_of(picture: Picture) -> int:
            return int(self._budget(picture, sounds) * self._coder.worth)  # samples are made by x264, which is quick

        begin = rungs.begin_at(ladder, budget_bytes=budget_of(ladder[0]), frames=frames)
        return await trial.best(ladder, begin, budget_of)

    def _budget(self, picture: Picture, sounds: Sounds) -> int:
        return plan.budget_bytes(self.task.limit_bytes, self.task.media, picture, sounds.size_bytes)

    async def _first_pass(self, picture: Picture, *, start: float, end: float, rate_bps: int | None = None) -> int:
        """Pass 1 at a constant quality does two things: it tells what that quality would cost, and it feeds pass 2.

        Where the cost is known to be too much it is run at the rate instead: pass 2 lands within 1.6 % of what it asks for
        from there, and 7 % below it or 3 % above from a quality that is ten steps away (measured).
        """
        span = Span(stage=f"pass 1, {_size(picture)}", start=start, end=end)
        rate = Rate(passing=1, crf=plan.GOOD_CRF if rate_bps is None else None, bitrate_bps=rate_bps)
        return await self._run(self._argv(picture, rate, out=None), span)

    # -- the picture, and its landing -------------------------------------------------------------------------------------

    async def _at_size(self, chosen: Chosen, sounds: Sounds) -> Output | Missed:
        """The passes at one picture size, until a file has landed or there is no way at this size."""
        media, limit, picture = self.task.media, self.task.limit_bytes, chosen.picture
        budget, useful = self._budget(picture, sounds), plan.useful_bytes(media, picture)
        if budget <= 0:
            return Missed()
        length, frames = media.picture_s, plan.frame_count(media, picture)
        if chosen.starving and self._coder.two_pass:
            rate = plan.rate_bps(budget, length)
            made = await self._first_pass(picture, start=CHOICE_TO, end=FIRST_TO, rate_bps=rate)
            return await self._two_pass(picture, rate, made, sounds, stop_early=False)
        predicted = chosen.predicted_bytes
        if predicted is None:
            predicted = await self._first_pass(picture, start=CHOICE_TO, end=FIRST_TO)
        spend = plan.spend(predicted, budget, useful, here=picture, below=(), frames=frames, length_s=length)
        if spend.crf is not None:
            encoding = Span(stage=f"encoding, {_size(picture)}", start=FIRST_TO, end=PICTURE_TO)
            landed = await self._land(picture, Rate(passing=0, crf=spend.crf), sounds, encoding)
            if landed.size_bytes <= limit:
                await self._roomy(sounds, landed)
                note = f"{_size(picture)}, constant quality {spend.crf:g}; more bytes would show nothing more"
                return Output(path=self._out, note=note)
        return await self._two_pass(picture, spend.bitrate_bps, predicted, sounds, stop_early=useful < budget)

    async def _faithful(self, picture: Picture, sounds: Sounds) -> Output:
        """Smaller than the source and looking the same: a constant quality or nothing, never a rate."""
        if self._budget(picture, sounds) <= 0:
            raise EngineError(fitting.small_already())
        predicted = await self._first_pass(picture, start=SOUND_TO, end=FIRST_TO)
        crf = plan.faithful_crf(predicted, self.task.limit_bytes)
        while crf is not None:
            span = Span(stage=f"encoding, {_size(picture)}", start=FIRST_TO, end=PICTURE_TO)
            landed = await self._land(picture, Rate(passing=0, crf=crf), sounds, span)
            if landed.size_bytes <= self.task.limit_bytes:
                return Output(path=self._out, note=f"{_size(picture)}, constant quality {crf:g}")
            crf = plan.FAIR_CRF if crf < plan.FAIR_CRF else None
        raise EngineError(fitting.small_already())

    async def _two_pass(
        self, picture: Picture, rate: int, predicted: int, sounds: Sounds, *, stop_early: bool
    ) -> Output | Missed:
        """Pass 2, its difference to the limit taken up by the sound; again with a corrected rate while that is not enough."""
        limit, speed = self.task.limit_bytes, self.task.preset.speed
        first_bps = predicted * 8 / self.task.media.picture_s
        best = 0
        smallest: int | None = None
        before: tuple[int, int] | None = None
        few = plan.frame_count(self.task.media, picture) < FEW_FRAMES
        tries = TRIES if self._coder.two_pass and not few else MORE_TRIES
        for number in range(1, tries + 1):
            again = f", try {number}" if number > 1 else ""
            # Each further try takes half of what is left of the way, so that nobody is shown a way back.
            begin, end = (PICTURE_TO - (PICTURE_TO - FIRST_TO) / 2 ** (number - n) for n in (1, 0))
            span = Span(stage=f"pass 2, {_size(picture)}{again}", start=begin, end=end)
            asked = second_pass(self.task.preset.codec, rate, first_crf=plan.GOOD_CRF, first_bps=first_bps)
            landed = await self._land(picture, asked, sounds, span, better_than=best)
            smallest = min(landed.size_bytes, smallest or landed.size_bytes)
            if landed.size_bytes <= limit:
                best = max(best, landed.size_bytes)
            if best and (stop_early or best >= landing.FULL * limit):
                break
            best = max(best, await self._refitted(landed, sounds, better_than=best))
            if best and (landing.full_enough(best, limit, speed) or (number > 1 and best >= landing.LEAST * limit)):
                break
            payload, aim = landed.payload_bytes, landing.aim_bytes(limit, number)
            after = landing.corrected(rate, got_bytes=landed.size_bytes, payload_bytes=payload, aim_bytes=aim, before=before)
            before, rate = (rate, payload), after
        if best:
            again = f", the second one {number} times" if number > 1 else ""
            return Output(path=self._out, note=f"{_size(picture)}, two passes at {rate / 1000:,.0f} kbit/s{again}")
        return Missed(smallest_bytes=smallest)

    async def _refitted(self, landed: Landed, sounds: Sounds, *, better_than: int) -> int:
        """The same picture beside a sound that takes up what is left, or gives way a little; the bytes of what fits, or 0."""
        if sounds.sound is None:
            return 0
        slack = landing.sound_slack(landed.size_bytes, self.task.limit_bytes)
        sound = refit(sounds.sound, slack, self.task.media.length_s)
        if sound is None:
            return 0
        again = await self._sound(sound, name="refitted.mp4", at=PICTURE_TO)
        size = await self._mux(again, better_than=better_than)
        return size if size <= self.task.limit_bytes else 0

    async def _roomy(self, sounds: Sounds, landed: Landed) -> None:
        """Where the picture leaves room, the sound is what it would be if nothing had to be saved."""
        sound = remux_sound(self.task.media, self.task.preset)
        if (
            sound is None
            or sounds.sound is None
            or sounds.sound.copy
            or landed.size_bytes >= landing.ROOMY * self.task.limit_bytes
        ):
            return
        better = await self._sound(sound, name="roomy.mp4", at=PICTURE_TO)
        if better.size_bytes > sounds.size_bytes:
            await self._mux(better, better_than=landed.size_bytes)

    async def _land(self, picture: Picture, rate: Rate, sounds: Sounds, span: Span, *, better_than: int = 0) -> Landed:
        """One encode and its mux; the file becomes the output if it fits and is fuller than what is there."""
        await self._run(self._argv(picture, rate, out=self._track), span)
        size = await self._mux(sounds, better_than=better_than)
        return Landed(size_bytes=size, payload_bytes=await asyncio.to_thread(payload_bytes, self._track))

    async def _mux(self, sounds: Sounds, *, better_than: int) -> int:
        muxed = self.folder / "muxed.mp4"
        location = self.task.preset.keep_location
        argv = mux_argv(self.tools.ffmpeg, self._track, sounds.file, muxed, media=self.task.media, keep_location=location)
        await self._run(argv, Span(stage="wrapping", start=PICTURE_TO, end=PICTURE_TO))
        await asyncio.to_thread(chapters.write, muxed, self.task.media.chapter_marks)
        size = muxed.stat().st_size
        if better_than < size <= self.task.limit_bytes:
            muxed.replace(self._out)
        return size

    async def _sound(self, sound: Sound | None, name: str = "sound.mp4", at: float = 0.0) -> Sounds:
        if sound is None:
            return Sounds()
        file = self.folder / name
        argv = sound_argv(self.tools.ffmpeg, self.task.source, self.task.media, sound, file)
        await self._run(argv, Span(stage="sound", start=at, end=max(at, SOUND_TO)))
        patience = plan.patience_s(self.task.media)
        if sound.copy and await decode_errors(self.tools.ffmpeg, file, timeout_s=patience):
            return await self._sound(replace(sound, copy=False), name, at)  # coded anew, what is broken in it is bridged
        return Sounds(sound=sound, file=file, size_bytes=await asyncio.to_thread(payload_bytes, file))

    # -- children ---------------------------------------------------------------------------------------------------------

    def _argv(self, picture: Picture, rate: Rate, *, out: Path | None) -> list[str]:
        return picture_argv(
            self.tools.ffmpeg,
            self.task.source,
            self.task.media,
            picture,
            rate,
            stats=self.folder / f"stats-{picture.width}-{picture.fps or 0:g}",
            out=out,
            most_bytes=self.task.limit_bytes * 3 // 2 + 1_000_000,
            codec=self.task.preset.codec,
            speed=self.task.preset.speed,
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
                self.report(progress(tick, span, length))

        self.report(Progress(stage=span.stage, fraction=span.start))
        finished = await self._child(argv, on_line)
        if finished.returncode:
            raise EngineError(of_child(finished, span.stage))
        self.report(Progress(stage=span.stage, fraction=span.start + share))
        return written

    async def _child(self, argv: Sequence[str], on_line: Callable[[str], None]) -> Finished:
        patience, room = plan.patience_s(self.task.media), plan.room_bytes(self.task.media, self.task.limit_bytes)
        return await run(argv, timeout_s=patience, on_line=on_line, niceness=NICENESS, file_bytes=room)

    @property
    def _coder(self) -> Coder:
        return CODERS[self.task.preset.codec]

    @property
    def _out(self) -> Path:
        return self.folder / "out.mp4"

    @property
    def _track(self) -> Path:
        return self.folder / "picture.mp4"


def _size(picture: Picture) -> str:
    return f"{picture.width}x{picture.height}"
