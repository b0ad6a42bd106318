"""How each codec is asked for in ffmpeg's words: encoder, preset, rate, colours, statistics. Pure.

Rules kept here:
- a constant quality is always told on x264's scale, and a rate halves for six steps of it: whoever decides need not know which
  codec it is for. The straight lines that lead to the others' own scales were measured (VMAF on three clips at 480x270 to
  960x540, against x264);
- what comes out is what ordinary decoders take: 8 bit 4:2:0, H.264 High up to level 5.2, HEVC Main in its main tier, AV1 Main;
- SVT-AV1 has no second pass in ffmpeg, and by rate alone it misses by 15 % and starves single pictures (measured: a 5th
  percentile of 78 where a constant quality of the same bytes has 92). So its first pass only predicts, quickly, and a rate is
  asked for as the constant quality that should have it; quarters of a step land within 2 %.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nemod.config.model import Codec, Speed

#: Frames between key frames at most, in pictures of so many pixels and above; in smaller ones more, up to the last. Measured at
#: one size in bytes: 250 cost 0.3 to 0.6 VMAF against 600, and 600 cost 0.3 against 1,000 on a camera that stands still.
KEYINT, KEYINT_PIXELS, KEYINT_MOST = 600, 1280 * 720, 1000
#: Pictures that x264 may put between two that stand in order; it takes as many as pay.
REORDERED = 8
#: What a decoder of level 5.2 keeps, in macroblocks of 16x16; x264 itself would rather raise the level.
KEPT_BLOCKS = 184_320
#: How many pictures x264 looks back at: eight cost a tenth of the time and bring 0.3 VMAF.
REFERENCES = {Speed.FAST: 3, Speed.BALANCED: 8, Speed.BEST: 16}
#: What a decoder of level 4.2 keeps, as most phones and televisions have it; four pictures they keep of any size.
COMMON_BLOCKS, COMMON_LEAST = 34_816, 4
#: From more pixels on SVT-AV1 is held to two processors' worth of work at once: with two it takes 0.8 to 0.94 GB for 1080p, and
#: the more the wider it works.
LARGE_PIXELS = 1280 * 720
#: x264's steps of quality for half of the rate.
STEPS_PER_HALF = 6.0
#: What a codec's file is called when nothing is kept of it.
RAW = {Codec.H264: "h264", Codec.HEVC: "hevc", Codec.AV1: "obu"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How bits are spent: a constant quality on x264's scale (`crf`) or an average, in pass 1, pass 2 or alone (0)."""

    passing: int
    crf: float | None = None
    bitrate_bps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coder:
    """An encoder as it is used: its presets by speed, and where x264's constant qualities lie on its own scale.

    `first` are the presets of a first pass, where they differ. `two_pass` says whether a second pass learns from the first.
    """

    encoder: str
    presets: Mapping[Speed, str]
    first: Mapping[Speed, str] | None = None
    two_pass: bool = True
    crf_at_20: float = 20.0
    crf_per_step: float = 1.0
    crf_most: float = 51.0
    worth: float = 1.0  # bytes of x264 that one of its bytes is worth (measured at one VMAF, rounded down)

    def crf(self, of_x264: float) -> float:
        """The constant quality on this encoder's own scale that looks as x264's does, in quarters."""
        own = self.crf_at_20 + self.crf_per_step * (of_x264 - 20.0)
        return min(self.crf_most, max(1.0, round(own * 4) / 4))


CODERS: Mapping[Codec, Coder] = {
    Codec.H264: Coder(
        encoder="libx264",
        presets={Speed.FAST: "medium", Speed.BALANCED: "slow", Speed.BEST: "slower"},
    ),
    Codec.HEVC: Coder(
        encoder="libx265",
        presets={Speed.FAST: "fast", Speed.BALANCED: "medium", Speed.BEST: "slow"},
        worth=1.2,
    ),
    Codec.AV1: Coder(
        encoder="libsvtav1",
        presets={Speed.FAST: "8", Speed.BALANCED: "6", Speed.BEST: "5"},
        first={Speed.FAST: "10", Speed.BALANCED: "9", Speed.BEST: "8"},
        two_pass=False,
        crf_at_20=31.0,
        crf_per_step=1.7,
        crf_most=63.0,
        worth=2.0,
    ),
}


def second_pass(codec: Codec, rate_bps: float, *, first_crf: float, first_bps: float) -> Rate:
    """How a rate is asked for after a first pass that has made `first_bps` at the constant quality `first_crf`.

    Where no second pass learns from it, this is the constant quality that should come out at that rate. A rate that was
    corrected by what it has led to leads to a corrected quality, so whoever lands need not know.
    """
    if CODERS[codec].two_pass:
        return Rate(passing=2, bitrate_bps=max(1000, int(rate_bps)))
    return Rate(passing=0, crf=crf_for(rate_bps, made=first_bps, at_crf=first_crf))


def crf_for(wanted: float, *, made: float, at_crf: float) -> float:
    """The constant quality that should come out at so many bytes (or bits, or bits a second), where `at_crf` made so many."""
    return at_crf + STEPS_PER_HALF * math.log2(max(1.0, made) / max(1.0, wanted))


def made_at(crf: float, *, made: float, at_crf: float) -> float:
    """What a constant quality should make, where `at_crf` made so much: the inverse of `crf_for`."""
    return made * 2 ** ((at_crf - crf) / STEPS_PER_HALF)


def encoder_args(
    codec: Codec,
    speed: Speed,
    rate: Rate,
    *,
    stats: Path,
    size: tuple[int, int],
    reorder: bool = True,
    tagged: bool = True,
) -> list[str]:
    """What ffmpeg is told of an encoder.

    Args:
        codec: what comes out.
        speed: how much work it is worth.
        rate: how it spends bits.
        stats: the name that the files with a first pass's findings begin with.
        size: width and height of the picture.
        reorder: whether pictures may be stored in another order than they are shown.
        tagged: whether the colours are BT.709 and are to be told so.
    """
    coder = CODERS[codec]
    presets = coder.first if rate.passing == 1 and coder.first is not None else coder.presets
    argv = ["-c:v", coder.encoder, "-preset", presets[speed], *common_args(size, tagged=tagged)]
    own: dict[str, str] = {}
    match codec:
        case Codec.H264:
            argv += ["-profile:v", "high", "-bf", str(REORDERED if reorder else 0)]
            argv += ["-refs", str(_references(speed, size))]
            argv += _rate(rate, rate.crf)
            if rate.passing:
                argv += ["-pass", str(rate.passing), "-passlogfile", str(stats)]
        case Codec.HEVC:
            # Apple's players take closed groups of pictures only, and the tag `hvc1`.
            own = {"log-level": "none", "open-gop": "0", "high-tier": "0", "info": "0"}
            argv += ["-profile:v", "main", "-tag:v", "hvc1", *([] if reorder else ["-bf", "0"])]
            argv += _rate(rate, None if rate.crf is None else coder.crf(rate.crf))
            if rate.passing:
                own |= {"pass": str(rate.passing), "stats": f"{stats}.x265", "slow-firstpass": "0"}
        case Codec.AV1:
            if size[0] * size[1] > LARGE_PIXELS:
                own = {"lp": "2"}
            if rate.crf is not None:
                # ffmpeg's own option knows whole numbers only; older encoders know no others, and pass over the finer one.
                argv += ["-crf", f"{coder.crf(rate.crf):.0f}"]
                own |= {"crf": f"{coder.crf(rate.crf):g}"}
            else:
                argv += _rate(rate, None)
    if own:
        name = "-x265-params" if codec is Codec.HEVC else "-svtav1-params"
        argv += [name, ":".join(f"{key}={_escaped(value)}" for key, value in own.items())]
    return argv


def common_args(size: tuple[int, int], *, tagged: bool) -> list[str]:
    """What every encoder is told: how far key frames may lie apart, and the colours; see `encoder_args`."""
    colours = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"] if tagged else []
    return ["-g", str(_keyint(size)), "-color_range", "tv", *colours]


def _rate(rate: Rate, crf: float | None) -> list[str]:
    return ["-b:v", str(rate.bitrate_bps)] if crf is None else ["-crf", f"{crf:g}"]


def _references(speed: Speed, size: tuple[int, int]) -> int:
    """How many pictures x264 looks back at: as many as pay and as the decoders of most phones and televisions keep."""
    blocks = -(-size[0] // 16) * -(-size[1] // 16)
    return max(1, min(REFERENCES[speed], max(COMMON_LEAST, COMMON_BLOCKS // blocks), KEPT_BLOCKS // blocks))


def _keyint(size: tuple[int, int]) -> int:
    """Frames from one key frame to the next at most: whoever seeks waits for them, which takes less long in a small picture."""
    return min(KEYINT_MOST, max(KEYINT, KEYINT * KEYINT_PIXELS // (size[0] * size[1])))


def _escaped(value: str) -> str:
    """A value in a list of key=value:…, as ffmpeg reads them."""
    return "".join(f"\\{c}" if c in "\\':" else c for c in value)
