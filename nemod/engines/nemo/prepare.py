"""What is sent to the cloud: the file as it is where the cloud takes it, else one made of it here that looks the same.

Source: the formats and the size limit in the documents of the NemoVideo API (codes 4001 and 4002).
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from nemod.config.model import Preset, Speed
from nemod.engines.base import Engine, EngineError, Output, Progress, Task
from nemod.engines.nemo.translate import without_export
from nemod.failure import Failure, Kind
from nemod.media.info import MediaInfo
from nemod.media.verdict import How
from nemod.text import safe

#: Suffixes that the cloud takes, by libav's name of the container; the first one where the file's own is another.
SUFFIXES: dict[str, tuple[str, ...]] = {"mov": ("mp4", "mov"), "matroska": ("mkv", "webm"), "avi": ("avi",)}
#: Containers whose streams can be written into an MP4 as they are, and picture codecs that an MP4 holds.
_TIMED = ("flv", "mpegts")
_MP4_CODECS = frozenset({"h264", "hevc"})
#: A file made for sending stays this much below the limit.
_MARGIN = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A file to send, under which name, and a few words on what was done to it ("" for nothing)."""

    file: Path
    name: str
    made: str = ""


def suffix_for(media: MediaInfo, name: str) -> str | None:
    """The suffix under which the cloud takes a file of this kind; None when it does not."""
    for container, suffixes in SUFFIXES.items():
        if media.container.startswith(container):
            own = Path(name).suffix.lower().lstrip(".")
            return own if own in suffixes else suffixes[0]
    return None


def ways(media: MediaInfo, name: str, *, limit_bytes: int, refused: bool) -> tuple[How, ...]:
    """How a source may become something that the cloud takes, the least work first.

    Args:
        media: the source.
        name: its file name.
        limit_bytes: what the cloud takes at most.
        refused: the cloud has refused the kind of the file as it is.
    """
    small = media.size_bytes <= limit_bytes
    if small and not refused and suffix_for(media, name) is not None:
        return (How.PASS,)
    if (
        small
        and media.container.startswith(_TIMED)
        and media.video is not None
        and media.video.codec in _MP4_CODECS
        and not refused
    ):
        return (How.REMUX, How.ENCODE)
    return (How.ENCODE,)


async def parcel(task: Task, local: Engine, *, limit_bytes: int, refused: bool) -> AsyncGenerator[Progress | Parcel, None]:
    """Make what is sent, in the task's folder; the last thing yielded is the parcel.

    Raises:
        EngineError: it cannot be made.
    """
    # The name is told to the agent, which must never read the word for exporting.
    named, stem = task.called.name, safe(without_export(task.called.stem))
    choices = ways(task.media, named, limit_bytes=limit_bytes, refused=refused)
    if choices == (How.PASS,):
        yield Parcel(file=task.source, name=f"{stem}.{suffix_for(task.media, named)}")
        return
    folder = task.folder / "upload"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Never larger than what the preset asks for in the end: pixels that the result may not have need not travel.
    most = int(min(limit_bytes, 100 * task.media.size_bytes) * _MARGIN)
    preset = Preset(
        name="upload",
        limit_bytes=most,
        max_height=task.preset.max_height,
        max_fps=task.preset.max_fps,
        audio=task.preset.audio,
        speed=Speed.FAST,  # there is room enough, and the cloud makes the picture that counts
    )
    for number, how in enumerate(choices, 1):
        work = replace(
            task,
            how=how,
            preset=preset,
            limit_bytes=most,
            folder=folder,
            refusals=(),
        )
        try:
            async with aclosing(local.run(work, None)) as events:
                async for event in events:
                    if isinstance(event, Progress):
                        yield replace(event, stage=f"preparing for the cloud: {event.stage}")
                    elif isinstance(event, Output):
                        made = "re-wrapped" if how is How.REMUX else "made smaller without visible loss"
                        yield Parcel(file=event.path, name=f"{stem}.mp4", made=f"{made} for the cloud")
                        return
        except EngineError as error:
            if error.failure.kind is Kind.IMPOSSIBLE:
                detail = f"The video cannot be made small enough for the cloud: {error.failure.detail}"
                raise EngineError(Failure(kind=Kind.TOO_LARGE, detail=detail)) from error
            if number == len(choices):
                raise
