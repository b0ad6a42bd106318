"""Picture sizes tried on samples: encoded with what the whole would leave them, and scored against the source.

Rules kept here:
- a trial that fails is no reason for a job to fail: without a score the decision is made by bits per pixel;
- decisions are in `rungs` and `sampling`; here they are only carried out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nemod.engines.local import rungs, sampling
from nemod.engines.local.codecs import KEYINT
from nemod.engines.local.tools import Tools
from nemod.failure import NemodError
from nemod.media.child import Finished
from nemod.media.info import MediaInfo, VideoStream
from nemod.media.inputs import head, timed_input
from nemod.media.look import Picture, filters, untagged
from nemod.media.quality import Shown, compare, grid_fps, piece

TIMEOUT_S = 600.0
SMALL_PIXELS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How a picture size did: its VMAF mean with what its budget buys."""

    picture: Picture
    vmaf: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Tries pictures on the same windows of a source, in a folder of its own."""

    tools: Tools
    source: Path
    media: MediaInfo
    windows: tuple[MediaInfo, ...]
    folder: Path
    run: Callable[[Sequence[str]], Awaitable[Finished]]
    #: Encoded side by side, scored one by one: a scoring keeps pictures of both sides in memory, and uses all processors.
    scoring: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def best(self, ladder: Sequence[Picture], begin: int, budget_of: Callable[[Picture], int]) -> Tried | None:
        """The picture that looks best with its budget; None when nothing could be measured."""
        tried: dict[int, Tried] = {}
        while wanted := rungs.to_measure(ladder, {rung: one.vmaf for rung, one in tried.items()}, begin):
            found = await asyncio.gather(*(self.of(ladder[n], budget_of(ladder[n])) for n in wanted))
            for rung, one in zip(wanted, found, strict=True):
                if one is None:
                    return None
                tried[rung] = one
        scores = {rung: one.vmaf for rung, one in tried.items()}
        best = tried[rungs.best(scores)]
        chosen = replace(best, picture=rungs.chosen(ladder, scores, self._video))
        half = rungs.halved(chosen.picture, self._video)
        if half is None or best.vmaf >= rungs.POOR:
            return chosen
        gained = await self.of(half, budget_of(half))
        return gained if gained is not None and rungs.halving_pays(best.vmaf, gained.vmaf) else chosen

    async def of(self, picture: Picture, budget_bytes: int) -> Tried | None:
        """How the windows look at a picture size with their share of a budget; None when that cannot be had.

        Half of the frames are scored against half of the source's: what is left out is not held against a picture here.
        """
        name = f"{picture.width}x{picture.height}-{picture.fps or 0:g}"
        stats, out = self.folder / f"trial-{name}", self.folder / f"trial-{name}.mp4"
        first = await self.run(self._argv(picture, ["-crf", f"{sampling.PROBE_CRF:g}"], 1, stats, None))
        if first.returncode:
            return None
        log = await asyncio.to_thread(Path(f"{stats}-0.log").read_text, encoding="ascii", errors="replace")
        spent = sampling.read(log.splitlines())
        frames = self._frames(picture)
        share = sampling.sample_share(spent, windows=len(self.windows), frames=frames)
        bits = budget_bytes * 8 * share
        if sampling.needed_crf(spent, bits) > sampling.HOPELESS_CRF:
            return Tried(picture=picture, vmaf=0.0)
        length_s = sum(part.length_s for part in self.windows)
        rate = max(1000, int(bits / sum(part.picture_s for part in self.windows)))
        second = await self.run(self._argv(picture, ["-b:v", str(rate)], 2, stats, out))
        if second.returncode:
            return None
        try:
            async with self.scoring:
                quality = await compare(
                    self.tools.ffmpeg,
                    Shown(path=self.source, parts=self.windows),
                    Shown(path=out, parts=(_made(self.media, picture, length_s),)),
                    fps=picture.fps,
                    frames_most=sampling.SCORED_MOST,
                    timeout_s=TIMEOUT_S,
                )
        except NemodError:
            return None
        return Tried(picture=picture, vmaf=quality.vmaf_mean)

    def _frames(self, picture: Picture) -> int:
        video = self._video
        kept = 1.0 if picture.fps is None else min(1.0, picture.fps / max(video.fps, 0.1))
        return max(1, round(video.frames * kept))

    @property
    def _video(self) -> VideoStream:
        assert self.media.video is not None  # noqa: S101 - Examine lets nothing without a picture through
        return self.media.video

    @property
    def _preset(self) -> str:
        """Quick where pictures are large; where they are small the quick ways would count against the larger of them."""
        return "veryfast" if self._video.width * self._video.height > SMALL_PIXELS else "medium"

    def _argv(self, picture: Picture, rate: list[str], passing: int, stats: Path, out: Path | None) -> list[str]:
        video = self._video
        argv, chains = head(self.tools.ffmpeg), []
        fps = picture.fps or grid_fps(video)
        look = filters(replace(video, interlaced=False), picture, start_gap_s=0.0)
        for number, part in enumerate(self.windows):
            argv += timed_input(self.source, part, near=True)
            chain = ",".join((*piece(part, fps), look))  # windows that drift apart by a frame would be scored as ruins
            chains.append(f"[{number}:{video.index}]{chain}[v{number}]")
        joined = "".join(f"[v{number}]" for number in range(len(self.windows)))
        chains.append(f"{joined}concat=n={len(self.windows)}[v]")
        argv += ["-filter_complex", ";".join(chains), "-map", "[v]", "-fps_mode", "vfr", "-enc_time_base", "1:90000"]
        argv += ["-c:v", "libx264", "-preset", self._preset, "-g", str(KEYINT), *rate]
        argv += ["-pass", str(passing), "-passlogfile", str(stats)]
        return [*argv, "-f", "h264", "file:/dev/null"] if out is None else [*argv, "-f", "mp4", f"file:{out}"]


def _made(media: MediaInfo, picture: Picture, length_s: float) -> MediaInfo:
    """What is known of an encoded sample without looking: all but its size and length is as the encoder was told."""
    video = media.video
    assert video is not None  # noqa: S101 - as above
    plain = replace(
        video,
        index=0,
        codec="h264",
        width=picture.width,
        height=picture.height,
        pixel_format="yuv420p",
        bit_depth=8,
        pixel_aspect=1.0,
        rotation_deg=0,
        start_s=0.0,
        end_s=length_s,
        fps=picture.fps or video.fps,
        color_range="tv",
        matrix=video.matrix if untagged(video, picture) else "bt709",
        transfer=None,
        interlaced=False,
    )
    return replace(
        media, container="mov", duration_s=length_s, video=plain, audio=(), window=None, origin_s=0.0, header_duration_s=None
    )
