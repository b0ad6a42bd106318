"""The two looks at a file: what a source is before the work, and whether an output keeps the promise after it.

What a person has written beside a source belongs to the first look, and is read at its end: whoever drops a video and then
its instruction has until then.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from nemod import logs
from nemod.config.model import EnginePolicy, Folder, Nemo, Preset
from nemod.config.units import format_duration
from nemod.daemon.route import route
from nemod.daemon.source import reading, verify
from nemod.engines.base import EngineName
from nemod.failure import LOOKS_CLOSED_S, LOOKS_UNKNOWN_S, Failure, Kind, NemodError
from nemod.intake.sidecar import Sidecar, instruction_for
from nemod.intake.writers import being_written
from nemod.job import Job, Route
from nemod.media.decode import decode_errors
from nemod.media.info import MediaInfo
from nemod.media.likeness import unlikeness
from nemod.media.moments import standing
from nemod.media.probe import PROBE_TIMEOUT_S, ProbeError, probe
from nemod.media.quality import Quality, Shown, compare
from nemod.media.verdict import Accept, How, Reason, Refuse, Verdict, judge

log = logs.get(__name__)

#: Decoding goes many times faster than real time; a check that needs longer than this per second of video is stuck.
DECODE_PER_S, DECODE_LEAST_S = 20.0, 120.0
#: The same of a measurement, which decodes two videos and scores some of their frames.
QUALITY_PER_S, QUALITY_LEAST_S = 60.0, 300.0
#: What an output that cannot be read says of the place where it lies, and not of itself: it is our own file.
_PLACE = frozenset({Kind.TRANSIENT, Kind.SOURCE_GONE, Kind.UNREADABLE})


class NotYet(NemodError):  # noqa: N818 - a state, not an error
    """The source is not whole, or not whole yet."""


class Outside(NemodError):  # noqa: N818 - a state, not an error
    """The part that is wanted of a source lies outside of it."""


class OutOfReach(NemodError):  # noqa: N818 - a state, not an error
    """An output cannot be looked at now: its disk went away, or who looked was stopped."""


class Unread(NemodError):  # noqa: N818 - a state, not an error
    """There is an instruction, and nobody knows what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a source is, how it will become its output, and what a person wants of it; None: what the preset says."""

    media: MediaInfo
    route: Route
    instruction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """Looks at files with the probe and an ffmpeg.

    `patient` says whether a file that looks unfinished is waited for: the daemon does, a person at a command line is told at
    once, and takes a file that was cut off as it is. What lies beside a file speaks to the daemon only, too.
    """

    ffmpeg: Path
    patient: bool = True

    async def examine(self, job: Job, engines: frozenset[EngineName], nemo: Nemo) -> Examined:
        """What the source is, and how it will become its output.

        A job that goes on in a session has no source to look at: what its parent's was stands in it.

        Raises:
            NemodError: it changed, is unfinished, is no video, or has an instruction that cannot be read.
        """
        if job.asked and job.media is not None:
            way = route(job.folder, job.media, engines=engines, nemo=nemo, instruction=job.instruction, asked=True)
            return Examined(media=job.media, route=way, instruction=job.instruction)
        async with reading(job, None) as source:
            media = await self._measured(job, source)
        # What was read must be what was accepted: a file may have changed while the probe read it.
        await asyncio.to_thread(verify, job)
        instruction = job.instruction
        if not job.asked:
            instruction = await asyncio.to_thread(instruction_of, job, media, engines) if self.patient else None
        if media.window is not None and job.folder.engine is not EnginePolicy.LOCAL and EngineName.NEMO in engines:
            why = "Only a part of the video is wanted, and the cloud does not cut; so this machine makes it."
            log.info("job.stays_here", job=job.id, folder=job.folder.name, file=job.relpath, why=why)
        way = route(job.folder, media, engines=engines, nemo=nemo, instruction=instruction, asked=job.asked)
        return Examined(media=media, route=way, instruction=instruction)

    async def _measured(self, job: Job, source: Path) -> MediaInfo:
        """What a source holds, or the part of it that is wanted.

        Raises:
            NemodError: it is unfinished, or no video.
        """
        if self.patient and await asyncio.to_thread(being_written, job.source) is True:
            raise NotYet(Failure(kind=Kind.BUSY, detail="Another program still has the file open for writing."))
        media = await probe(source, timeout_s=PROBE_TIMEOUT_S)
        if self.patient and (media.cut_off_s or media.truncated):
            whole = f" of the {media.header_duration_s:,.1f} s that it promises" if media.header_duration_s else ""
            raise NotYet(
                Failure(
                    kind=Kind.INCOMPLETE,
                    detail=f"The file is cut off: it holds {media.duration_s:,.1f} s{whole}.",
                    hint="Copy it again. If this is all there is, `nemod compress` takes it as it is.",
                )
            )
        return await self._window(job, source, media)

    async def _window(self, job: Job, source: Path, media: MediaInfo) -> MediaInfo:
        """The part of a source that its preset wants; all of it where that leaves nothing out.

        Raises:
            Outside: there is nothing in the source that could be shown.
        """
        preset = job.folder.preset
        start = preset.start_s or 0.0
        end = media.duration_s if preset.end_s is None else min(preset.end_s, media.duration_s)
        if start == 0 and end == media.duration_s:
            return media
        part = media.cut(start, end) if start < end else None
        if part is None or part.video is None:
            what = f"The part from {format_duration(start)} on" if part is None else "The part that is wanted"
            length = f"the video is {media.duration_s:,.1f} s long"
            detail = f"{what} holds no picture: {length}."
            raise Outside(Failure(kind=Kind.UNSUPPORTED, detail=detail, hint="Choose an earlier start, or none."))
        return await standing(self.ffmpeg, source, part)

    async def looks(self, source: Path) -> tuple[float, ...]:
        """How long to wait before each further look at a file that is not whole: long where nobody knows who writes."""
        if not self.patient:
            return ()
        known = await asyncio.to_thread(being_written, source) is not None
        return LOOKS_CLOSED_S if known else LOOKS_UNKNOWN_S

    async def judge(
        self,
        source: MediaInfo,
        output: Path,
        *,
        source_file: Path,
        preset: Preset,
        limit_bytes: int,
        how: How,
        edited: bool = False,
        foreign: bool = False,
    ) -> Verdict:
        """Probe and decode an output from end to end and hold it against its source, as far as it should be like it.

        An output that others made is looked at, too: whether it shows and sounds like its source.

        Raises:
            NemodError: TRANSIENT; it is out of reach, or somebody ended the child that looked, which says nothing of it.
        """
        try:
            size = (await asyncio.to_thread(output.stat)).st_size
        except OSError as error:
            raise OutOfReach(_out_of_reach(error.strerror or str(error))) from error
        if size > limit_bytes:
            detail = f"The output has {size:,} bytes, {size - limit_bytes:,} over the limit."
            return Refuse(reason=Reason.OVER_LIMIT, detail=detail, size_bytes=size)
        try:
            made = await probe(output, timeout_s=PROBE_TIMEOUT_S)
        except ProbeError as error:
            if error.failure.kind in _PLACE:
                raise OutOfReach(_out_of_reach(error.failure.detail)) from error
            return Refuse(reason=Reason.UNREADABLE, detail=f"The output cannot be read: {error}", size_bytes=size)
        patience = max(DECODE_LEAST_S, DECODE_PER_S * made.duration_s)
        broken = await decode_errors(self.ffmpeg, output, timeout_s=patience)
        if broken and not await asyncio.to_thread(output.is_file):
            raise OutOfReach(_out_of_reach(broken))
        unlike = None
        if foreign and not broken and await asyncio.to_thread(source_file.is_file):
            unlike = await unlikeness(self.ffmpeg, (source_file, source), (output, made), edited=edited)
        verdict = judge(
            source,
            made,
            preset=preset,
            limit_bytes=limit_bytes,
            decode_error=broken,
            how=how,
            edited=edited,
            unlike=unlike,
            foreign=foreign,
        )
        # A person's own words may change everything, and a copy is what it was.
        if isinstance(verdict, Accept) and preset.measure and not edited and how is not How.PASS:
            quality = await self._quality(Shown(path=source_file, parts=(source,)), Shown(path=output, parts=(made,)))
            return replace(verdict, quality=quality)
        return verdict

    async def _quality(self, source: Shown, output: Shown) -> Quality | None:
        """How good an output is; None when that cannot be told, which is no reason to keep it back."""
        patience = max(QUALITY_LEAST_S, QUALITY_PER_S * output.parts[0].duration_s)
        try:
            return await compare(self.ffmpeg, source, output, timeout_s=patience)
        except NemodError as error:
            log.warning("job.unmeasured", file=str(output.path), why=str(error))
        except OSError as error:
            log.warning("job.unmeasured", file=str(output.path), why=error.strerror or str(error))
        return None


def _out_of_reach(why: str) -> Failure:
    detail = f"The finished file cannot be looked at: {why}"
    hint = "Check that the outbox is there and mounted; the job then goes on by itself."
    return Failure(kind=Kind.TRANSIENT, detail=detail, hint=hint)


def instruction_of(job: Job, media: MediaInfo, engines: frozenset[EngineName]) -> str | None:
    """What a person wants of a file, if there is somebody who can do it.

    Raises:
        Unread: it cannot be read.
    """
    try:
        found = instruction_for(job.source, job.folder.inbox, relpath=job.relpath)
    except OSError as error:
        detail = f"The instruction beside the file cannot be read: {error.strerror or error}."
        raise Unread(Failure(kind=Kind.TRANSIENT, detail=detail, hint="Make it readable, or remove it.")) from error
    if found is None:
        return None
    if why := _ignored(job.folder, media, engines):
        _tell_ignored(job, found, why)
        return None
    return found.text


def _ignored(folder: Folder, media: MediaInfo, engines: frozenset[EngineName]) -> str:
    match folder.engine:
        case EnginePolicy.LOCAL:
            return "This folder is worked on by this machine alone, which follows its preset and understands no words."
        case EnginePolicy.AUTO if EngineName.NEMO not in engines:
            return "Only the cloud understands words, and there is no account for it."
        case _ if media.window is not None:
            return "The preset wants only a part of the video; the cloud does not cut, and nobody else understands words."
        case _:
            return ""


def _tell_ignored(job: Job, found: Sidecar, why: str) -> None:
    name = str(found.file)
    log.warning("job.instruction_ignored", job=job.id, folder=job.folder.name, file=job.relpath, instruction=name, why=why)
