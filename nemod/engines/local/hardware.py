"""Encoders in hardware: which of them works here, and how it is asked for. What they make is judged more strictly than x264's.

Rules kept here:
- a list of what ffmpeg was built with says nothing of the machine: each is tried on a few grey pictures before it is used;
- a rate is asked for, with peaks of half as much again; how near they come to it is their own affair, and corrected by others;
- what comes out is what ordinary decoders take, as for `codecs`: 8 bit 4:2:0, H.264 High, HEVC Main, AV1 Main.

Source: ffmpeg-codecs(1), and `ffmpeg -h encoder=NAME`.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from nemod.config.encoders import KINDS, name_of
from nemod.config.model import Codec, Encoder, Speed
from nemod.engines.local.codecs import common_args
from nemod.engines.local.faults import last_words
from nemod.media.child import Finished, run
from nemod.media.inputs import head

#: Where Linux has its graphics devices, one file each.
DEVICES = Path("/dev/dri")
#: What is tried first: large enough for every encoder, and soon done.
TRY_SIZE, TRY_FRAMES, TRY_TIMEOUT_S = (640, 360), 8, 60.0
#: Drivers keep caches of what they compile for a card; a child that may not write is killed when it does.
CACHE_BYTES = 256_000_000
#: The longest explanation that is handed on.
WORDS_MOST = 160
#: Bytes of x264 that one of theirs is worth: they look at fewer ways to say the same (a judgement, on the careful side).
WORTH = 0.7
#: How much above its average a rate may rise.
PEAK = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """An encoder in hardware; `device` is the file that leads to it, where one must be named."""

    kind: Encoder
    codec: Codec
    device: Path | None = None

    @property
    def name(self) -> str:
        """What ffmpeg calls it."""
        return name_of(self.kind, self.codec)


def candidates(
    wanted: Encoder, codec: Codec, *, known: Iterable[str], devices: Sequence[Path], platform: str
) -> tuple[Driver, ...]:
    """What may be tried for a wish, the likeliest first.

    Args:
        wanted: a kind of hardware, or any.
        codec: what must come out.
        known: the encoders that an ffmpeg was built with.
        devices: the graphics devices that there are.
        platform: as `sys.platform`; only macOS has VideoToolbox, and nothing else.
    """
    kinds = [kind for kind in KINDS if wanted in (Encoder.AUTO_HW, kind)]
    if wanted is Encoder.AUTO_HW:
        kinds = [kind for kind in kinds if (kind is Encoder.VIDEOTOOLBOX) == (platform == "darwin")]
    found: list[Driver] = []
    for kind in kinds:
        if name_of(kind, codec) not in frozenset(known):
            continue
        if kind is Encoder.VAAPI:
            found += [Driver(kind=kind, codec=codec, device=device) for device in devices]
        else:
            found.append(Driver(kind=kind, codec=codec))
    return tuple(found)


def opening(driver: Driver) -> list[str]:
    """What stands before the inputs."""
    return [] if driver.device is None else ["-vaapi_device", str(driver.device)]


def uploading(driver: Driver) -> tuple[str, ...]:
    """The filters behind all others: how the encoder takes its pictures."""
    match driver.kind:
        case Encoder.VAAPI:
            return ("format=nv12", "hwupload")
        case Encoder.QSV | Encoder.AMF:
            return ("format=nv12",)
        case _:
            return ()


def driver_args(
    driver: Driver, speed: Speed, bitrate_bps: int, *, size: tuple[int, int], reorder: bool = True, tagged: bool = True
) -> list[str]:
    """What ffmpeg is told of an encoder in hardware; arguments as for `codecs.encoder_args`."""
    argv = ["-c:v", driver.name, *common_args(size, tagged=tagged)]
    argv += ["-profile:v", "high" if driver.codec is Codec.H264 else "main"]
    argv += ["-tag:v", "hvc1"] if driver.codec is Codec.HEVC else []
    argv += ["-b:v", str(bitrate_bps)]
    peak = ["-maxrate", str(int(PEAK * bitrate_bps)), "-bufsize", str(2 * bitrate_bps)]
    argv += [] if reorder else ["-bf", "0"]
    match driver.kind:
        case Encoder.NVENC:
            preset = {Speed.FAST: "p4", Speed.BALANCED: "p6", Speed.BEST: "p7"}[speed]
            return [*argv, *peak, "-preset", preset, "-tune", "hq", "-rc", "vbr", "-multipass", "fullres"]
        case Encoder.QSV:
            preset = {Speed.FAST: "medium", Speed.BALANCED: "slow", Speed.BEST: "veryslow"}[speed]
            return [*argv, *peak, "-preset", preset]
        case Encoder.VAAPI:
            return [*argv, *peak]
        case Encoder.VIDEOTOOLBOX:
            return [*argv, "-allow_sw", "0", "-realtime", "0"]
        case Encoder.AMF:
            quality = {Speed.FAST: "balanced", Speed.BALANCED: "quality", Speed.BEST: "quality"}[speed]
            return [*argv, *peak, "-usage", "transcoding", "-quality", quality, "-rc", "vbr_peak"]
        case Encoder.SOFTWARE | Encoder.AUTO_HW:
            raise ValueError(driver.kind)
        case _ as never:
            assert_never(never)


async def find(ffmpeg: Path, known: Iterable[str], wanted: Encoder, codec: Codec) -> Driver | str:
    """An encoder that works here now, or in words why there is none."""
    devices = await asyncio.to_thread(lambda: sorted(DEVICES.glob("renderD*")))
    found = candidates(wanted, codec, known=known, devices=devices, platform=sys.platform)
    whose = f"any for {codec.value}" if wanted is Encoder.AUTO_HW else name_of(wanted, codec)
    if not found:
        if wanted is Encoder.VAAPI and name_of(wanted, codec) in frozenset(known):
            return f"there is no graphics device in {DEVICES}"
        return f"{ffmpeg.name} was built without {whose}"
    whys = []
    for driver in found:
        try:
            tried = await run(_trial(ffmpeg, driver), timeout_s=TRY_TIMEOUT_S, file_bytes=CACHE_BYTES)
        except OSError as error:
            return error.strerror or str(error)
        if not tried.returncode:
            return driver
        whys.append(f"{driver.name} does not work here: {_why(tried)}")
    return "; ".join(whys)


def _trial(ffmpeg: Path, driver: Driver) -> list[str]:
    width, height = TRY_SIZE
    grey = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", "25", "-i", "file:/dev/zero"]
    chain = ",".join(("format=yuv420p", *uploading(driver)))
    argv = [*head(ffmpeg), *opening(driver), *grey, "-frames:v", str(TRY_FRAMES), "-vf", chain]
    return [*argv, *driver_args(driver, Speed.FAST, 1_000_000, size=TRY_SIZE), "-f", "null", "-"]


def _why(tried: Finished) -> str:
    """The first of an ffmpeg's complaints, which is the cause of the others."""
    if tried.timed_out:
        return "it did not answer"
    lines = tried.stderr_tail.splitlines() or [f"code {tried.returncode}"]
    # ffmpeg's own lines say who speaks; what a library prints beside them is no complaint.
    return last_words(next((line for line in lines if " @ " in line), lines[0]))[:WORDS_MOST]
