"""The steps of an encode, each a child or two: sound, picture, both in one file. What to ask for is decided elsewhere.

Rules kept here:
- the limit is asked of the file as it lies on disk; a file over it never becomes the output;
- a step that fails says what it failed of; what is in the way of the next one is replaced.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nemod.engines.base import EngineError, Progress, Task
from nemod.engines.local import landing, plan
from nemod.engines.local.codecs import Rate
from nemod.engines.local.faults import of_child
from nemod.engines.local.ffmpeg import mux_argv, read_tick
from nemod.engines.local.hardware import Driver
from nemod.engines.local.picture import picture_argv
from nemod.engines.local.progress import Span, progress
from nemod.engines.local.sound import Sound, refit, remux_sound, sound_argv
from nemod.engines.local.tools import Tools
from nemod.media import chapters, polite
from nemod.media.boxes import payload_bytes
from nemod.media.child import Finished, run
from nemod.media.decode import decode_errors
from nemod.media.look import Picture

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
class Steps:
    """What can be done for one task, in a folder of its own; `driver` is the hardware that encodes, None the processor."""

    tools: Tools
    task: Task
    folder: Path
    report: Callable[[Progress], None]
    driver: Driver | None = None

    @property
    def out(self) -> Path:
        """Where the output lies once there is one."""
        return self.folder / "out.mp4"

    @property
    def track(self) -> Path:
        """Where the picture of the last encode lies."""
        return self.folder / "picture.mp4"

    async def sound(self, sound: Sound | None, name: str = "sound.mp4", at: float = 0.0) -> Sounds:
        """The sound track in a file of its own, made `at` so far into the work."""
        if sound is None:
            return Sounds()
        file = self.folder / name
        argv = sound_argv(self.tools.ffmpeg, self.task.source, self.task.media, sound, file)
        await self.run(argv, Span(stage="sound", start=at, end=max(at, SOUND_TO)))
        patience = plan.patience_s(self.task.media)
        if sound.copy and await decode_errors(self.tools.ffmpeg, file, timeout_s=patience):
            return await self.sound(replace(sound, copy=False), name, at)  # coded anew, what is broken in it is bridged
        return Sounds(sound=sound, file=file, size_bytes=await asyncio.to_thread(payload_bytes, file))

    async def first_pass(self, picture: Picture, rate: Rate, span: Span) -> int:
        """Learn from the picture at a rate; returns how many bytes it would have."""
        return await self.run(self._argv(picture, rate, out=None), span)

    async def land(self, picture: Picture, rate: Rate, sounds: Sounds, span: Span, *, better_than: int = 0) -> Landed:
        """One encode and its mux; the file becomes the output if it fits and is fuller than what is there."""
        await self.run(self._argv(picture, rate, out=self.track), span)
        size = await self.mux(sounds, better_than=better_than)
        return Landed(size_bytes=size, payload_bytes=await asyncio.to_thread(payload_bytes, self.track))

    async def mux(self, sounds: Sounds, *, better_than: int) -> int:
        """Picture and sound in one file; it becomes the output if it fits and has more bytes than that."""
        muxed = self.folder / "muxed.mp4"
        location = self.task.preset.keep_location
        argv = mux_argv(self.tools.ffmpeg, self.track, sounds.file, muxed, media=self.task.media, keep_location=location)
        await self.run(argv, Span(stage="wrapping", start=PICTURE_TO, end=PICTURE_TO))
        await asyncio.to_thread(chapters.write, muxed, self.task.media.chapter_marks)
        size = muxed.stat().st_size
        if better_than < size <= self.task.limit_bytes:
            muxed.replace(self.out)
        return size

    async def refitted(self, landed: Landed, sounds: Sounds, *, better_than: int) -> int:
        """The same picture beside a sound that takes up what is left, or gives way a little; the bytes of what fits, or 0."""
        if sounds.sound is None:
            return 0
        slack = landing.sound_slack(landed.size_bytes, self.task.limit_bytes)
        sound = refit(sounds.sound, slack, self.task.media.length_s)
        if sound is None:
            return 0
        again = await self.sound(sound, name="refitted.mp4", at=PICTURE_TO)
        size = await self.mux(again, better_than=better_than)
        return size if size <= self.task.limit_bytes else 0

    async def roomy(self, sounds: Sounds, landed: Landed) -> None:
        """Where the picture leaves room, the sound is what it would be if nothing had to be saved."""
        sound = remux_sound(self.task.media, self.task.preset)
        if (
            sound is None
            or sounds.sound is None
            or sounds.sound.copy
            or landed.size_bytes >= landing.ROOMY * self.task.limit_bytes
        ):
            return
        better = await self.sound(sound, name="roomy.mp4", at=PICTURE_TO)
        if better.size_bytes > sounds.size_bytes:
            await self.mux(better, better_than=landed.size_bytes)

    async def run(self, argv: Sequence[str], span: Span) -> int:
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
        finished = await self.child(argv, on_line)
        if finished.returncode:
            raise EngineError(of_child(finished, span.stage))
        self.report(Progress(stage=span.stage, fraction=span.start + share))
        return written

    async def child(self, argv: Sequence[str], on_line: Callable[[str], None]) -> Finished:
        """Run a child to its end, with the time and the room that a video of this length may need."""
        patience, room = plan.patience_s(self.task.media), plan.room_bytes(self.task.media, self.task.limit_bytes)
        if argv[0] == str(self.tools.ffmpeg):
            argv = [*argv[:-1], *polite.threads_argv(), argv[-1]]  # an option of what is written, which stands last
        return await run(argv, timeout_s=patience, on_line=on_line, file_bytes=room)

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
            driver=self.driver,
        )


def size_text(picture: Picture) -> str:
    """A picture size for people: 1280x720."""
    return f"{picture.width}x{picture.height}"
