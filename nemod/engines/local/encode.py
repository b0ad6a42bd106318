"""From a source to one finished MP4 within the limit: sound first, then the picture in what is left.

Rules kept here:
- the limit is asked of the file as it lies on disk; a file over it is never handed out;
- decisions are in `plan`, `rungs` and `landing`, words to ffmpeg in `picture`, `sound` and `ffmpeg`, and `steps` says them;
  here one follows from the other.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nemod.config.model import Encoder, Speed
from nemod.engines.base import EngineError, Output, Progress, Task
from nemod.engines.local import fitting, plan, rungs, sampling
from nemod.engines.local.accelerate import by_hardware
from nemod.engines.local.approach import MORE_TRIES, TRIES, Missed, approach
from nemod.engines.local.codecs import CODERS, Coder, Rate, second_pass
from nemod.engines.local.faults import no_encoder, no_tone_map
from nemod.engines.local.ffmpeg import copy_argv, remux_argv
from nemod.engines.local.hardware import WORTH
from nemod.engines.local.progress import Span
from nemod.engines.local.sound import choose_sound, left_out, remux_sound
from nemod.engines.local.steps import CHOICE_TO, FIRST_TO, PICTURE_TO, SOUND_TO, Sounds, Steps, size_text
from nemod.engines.local.tools import Tools
from nemod.engines.local.trial import Trial, Tried
from nemod.failure import Kind
from nemod.media import chapters
from nemod.media.look import Picture
from nemod.media.verdict import How

#: So many picture sizes are tried.
SIZES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A picture size, and the bytes that its first pass has made, if it was run already; or that it is short of them anyway."""

    picture: Picture
    predicted_bytes: int | None = None
    starving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run over one task, in a folder of its own."""

    steps: Steps

    async def output(self) -> Output:
        """Do it.

        Raises:
            EngineError: what ffmpeg failed of, or IMPOSSIBLE.
            OSError: the work folder cannot be used.
        """
        made = await self._made()
        left = left_out(self._task.media, self._task.preset) if self._task.how is not How.PASS else ""
        return replace(made, note=f"{made.note}; {left}") if left else made

    async def _made(self) -> Output:
        match self._task.how:
            case How.PASS:
                await self.steps.run(copy_argv(self._task.source, self.steps.out), Span(stage="copying", start=0.0, end=1.0))
                return Output(path=self.steps.out, note="passed through unchanged")
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
        media = self._task.media
        sound = remux_sound(media, self._task.preset)
        location = self._task.preset.keep_location
        argv = remux_argv(self._tools.ffmpeg, self._task.source, sound, self.steps.out, media=media, keep_location=location)
        await self.steps.run(argv, Span(stage="wrapping", start=0.0, end=1.0))
        await asyncio.to_thread(chapters.write, self.steps.out, media.chapter_marks)
        return Output(path=self.steps.out, note="re-wrapped, the picture untouched")

    async def _encode(self) -> Output:
        media, preset, limit = self._task.media, self._task.preset, self._task.limit_bytes
        video = media.video
        assert video is not None  # noqa: S101 - Examine lets nothing without a picture through
        if video.hdr and not self._tools.tone_maps:
            raise EngineError(no_tone_map(self._tools.ffmpeg))
        if not self._tools.codes(preset.codec):
            raise EngineError(no_encoder(self._tools.ffmpeg, self._coder.encoder))
        sounds = await self.steps.sound(choose_sound(media, preset, limit))
        ladder = rungs.pictures(video, preset, fps=rungs.choose_fps(video, preset))
        if preset.limit_bytes is None:
            made = await self._faithful(ladder[0], sounds)
            why = "a constant quality is made in software" if preset.encoder is not Encoder.SOFTWARE else ""
            return replace(made, note=f"{made.note}; {why}") if why else made
        await self._fits_at_all(ladder[-1], sounds)
        if preset.encoder is Encoder.SOFTWARE:
            return await self._by_software(ladder, sounds)
        found = await by_hardware(self.steps, await self._guess(ladder, sounds), sounds)
        if isinstance(found, Output):
            return found
        made = await self._by_software(ladder, sounds)
        return replace(made, note=f"{made.note}; made in software, since {found}")

    async def _by_software(self, ladder: Sequence[Picture], sounds: Sounds) -> Output:
        media, limit = self._task.media, self._task.limit_bytes
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
        media, limit = self._task.media, self._task.limit_bytes
        if fitting.surely(media, limit, sounds.size_bytes):
            return
        predicted = await self._first_pass(smallest, start=SOUND_TO, end=CHOICE_TO)
        need = fitting.need_bytes(media, self._task.preset, sound_bytes=sounds.size_bytes, predicted_bytes=predicted)
        if need > limit:
            raise fitting.Impossible(limit_bytes=limit, need_bytes=need, duration_s=media.duration_s)

    # -- which picture ----------------------------------------------------------------------------------------------------

    async def _choose(self, ladder: Sequence[Picture], sounds: Sounds) -> Chosen:
        """The picture to make: the source's size while that is comfortable, else the one that trials speak for.

        Where nothing was tried, the quality that a first pass predicts decides.
        """
        media, top, speed = self._task.media, ladder[0], self._task.preset.speed
        budget, useful = self._budget(top, sounds), plan.useful_bytes(media, top)
        predicted = None
        tries = speed is not Speed.FAST and self._tools.scores and budget > 0
        if not (tries and plan.starved(int(budget * self._coder.worth), useful)):
            predicted = await self._first_pass(top, start=SOUND_TO, end=CHOICE_TO)
            if plan.needed_crf(predicted, budget, top, top) <= plan.COMFORTABLE_CRF:
                return Chosen(picture=top, predicted_bytes=predicted)
        if tries and (best := await self._tried(ladder, sounds, worth=self._coder.worth)) is not None:
            starving = best.vmaf < plan.LOSSLESS_VMAF
            return Chosen(picture=best.picture, starving=starving, predicted_bytes=predicted if best.picture == top else None)
        if predicted is None:
            predicted = await self._first_pass(top, start=SOUND_TO, end=CHOICE_TO)
        length, frames = media.length_s, plan.frame_count(media, top)
        spend = plan.spend(predicted, budget, useful, here=top, below=tuple(ladder[1:]), frames=frames, length_s=length)
        if spend.smaller is not None:
            return Chosen(picture=spend.smaller, starving=True)
        return Chosen(picture=top, predicted_bytes=predicted)

    async def _guess(self, ladder: Sequence[Picture], sounds: Sounds) -> Picture:
        """The picture to make in hardware, which is to be quick: without a first pass, which only x264 has use for."""
        media, top = self._task.media, ladder[0]
        budget = int(self._budget(top, sounds) * WORTH)
        if budget <= 0 or not plan.starved(budget, plan.useful_bytes(media, top)):
            return top
        if self._task.preset.speed is not Speed.FAST and self._tools.scores:
            tried = await self._tried(ladder, sounds, worth=WORTH)
            if tried is not None:
                return tried.picture
        return ladder[rungs.begin_at(ladder, budget_bytes=budget, frames=plan.frame_count(media, top))]

    async def _tried(self, ladder: Sequence[Picture], sounds: Sounds, *, worth: float) -> Tried | None:
        media = self._task.media
        self.steps.report(Progress(stage="trying picture sizes", fraction=SOUND_TO))
        trial = Trial(
            tools=self._tools,
            source=self._task.source,
            media=media,
            windows=sampling.windows(media, more=2.0 if self._task.preset.speed is Speed.BEST else 1.0),
            folder=self.steps.folder,
            run=lambda argv: self.steps.child(argv, lambda _: None),
        )
        frames = plan.frame_count(media, ladder[0])

        def budget_of(picture: Picture) -> int:
            return int(self._budget(picture, sounds) * worth)  # samples are made by x264, which is quick

        begin = rungs.begin_at(ladder, budget_bytes=budget_of(ladder[0]), frames=frames)
        return await trial.best(ladder, begin, budget_of)

    def _budget(self, picture: Picture, sounds: Sounds) -> int:
        return plan.budget_bytes(self._task.limit_bytes, self._task.media, picture, sounds.size_bytes)

    async def _first_pass(self, picture: Picture, *, start: float, end: float, rate_bps: int | None = None) -> int:
        """Pass 1 at a constant quality does two things: it tells what that quality would cost, and it feeds pass 2.

        Where the cost is known to be too much it is run at the rate instead: pass 2 lands within 1.6 % of what it asks for
        from there, and 7 % below it or 3 % above from a quality that is ten steps away (measured).
        """
        span = Span(stage=f"pass 1, {size_text(picture)}", start=start, end=end)
        rate = Rate(passing=1, crf=plan.GOOD_CRF if rate_bps is None else None, bitrate_bps=rate_bps)
        return await self.steps.first_pass(picture, rate, span)

    # -- the picture, and its landing -------------------------------------------------------------------------------------

    async def _at_size(self, chosen: Chosen, sounds: Sounds) -> Output | Missed:
        """The passes at one picture size, until a file has landed or there is no way at this size."""
        media, limit, picture = self._task.media, self._task.limit_bytes, chosen.picture
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
            encoding = Span(stage=f"encoding, {size_text(picture)}", start=FIRST_TO, end=PICTURE_TO)
            landed = await self.steps.land(picture, Rate(passing=0, crf=spend.crf), sounds, encoding)
            if landed.size_bytes <= limit:
                await self.steps.roomy(sounds, landed)
                note = f"{size_text(picture)}, constant quality {spend.crf:g}; more bytes would show nothing more"
                return Output(path=self.steps.out, note=note)
        return await self._two_pass(picture, spend.bitrate_bps, predicted, sounds, stop_early=useful < budget)

    async def _faithful(self, picture: Picture, sounds: Sounds) -> Output:
        """Smaller than the source and looking the same: a constant quality or nothing, never a rate."""
        if self._budget(picture, sounds) <= 0:
            raise EngineError(fitting.small_already())
        predicted = await self._first_pass(picture, start=SOUND_TO, end=FIRST_TO)
        crf = plan.faithful_crf(predicted, self._task.limit_bytes)
        while crf is not None:
            span = Span(stage=f"encoding, {size_text(picture)}", start=FIRST_TO, end=PICTURE_TO)
            landed = await self.steps.land(picture, Rate(passing=0, crf=crf), sounds, span)
            if landed.size_bytes <= self._task.limit_bytes:
                return Output(path=self.steps.out, note=f"{size_text(picture)}, constant quality {crf:g}")
            crf = plan.FAIR_CRF if crf < plan.FAIR_CRF else None
        raise EngineError(fitting.small_already())

    async def _two_pass(
        self, picture: Picture, rate: int, predicted: int, sounds: Sounds, *, stop_early: bool
    ) -> Output | Missed:
        """Pass 2, again and again until it has landed; from what a first pass has made at `GOOD_CRF`."""
        codec, first_bps = self._task.preset.codec, predicted * 8 / self._task.media.picture_s
        return await approach(
            self.steps,
            picture,
            rate,
            lambda bps: second_pass(codec, bps, first_crf=plan.GOOD_CRF, first_bps=first_bps),
            sounds,
            begin=FIRST_TO,
            stage="pass 2",
            how="two passes",
            tries=TRIES if self._coder.two_pass else MORE_TRIES,
            stop_early=stop_early,
        )

    @property
    def _coder(self) -> Coder:
        return CODERS[self._task.preset.codec]

    @property
    def _task(self) -> Task:
        return self.steps.task

    @property
    def _tools(self) -> Tools:
        return self.steps.tools
