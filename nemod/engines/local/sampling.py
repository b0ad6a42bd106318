"""A few windows that stand for a whole video, and what a first x264 pass over them tells of it. Pure.

Source of the statistics: the lines of x264's `-pass 1` log, one per frame, in bits:
`in:7 out:3 type:P … tex:1040 mv:619 misc:277 …`.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nemod.engines.local.codecs import KEYINT, crf_for
from nemod.media.info import MediaInfo

_FRAME = re.compile(r"type:(?P<type>\w) .*?tex:(?P<tex>\d+) mv:(?P<mv>\d+) misc:(?P<misc>\d+)")
#: Seconds of a sample in all: a share of the video within bounds, in windows of some seconds each.
SHARE, LEAST_S, MOST_S, EACH_S = 0.12, 4.0, 12.0, 2.0
#: So many frames of a sample are scored at most.
SCORED_MOST = 32
#: The quality of a sample's first pass; past the second one nothing worth looking at comes out.
PROBE_CRF, HOPELESS_CRF = 28.0, 46.0


def windows(media: MediaInfo, *, more: float = 1.0) -> tuple[MediaInfo, ...]:
    """Parts of a video, evenly spread, that stand for all of it; a short one stands for itself."""
    length = min(MOST_S * more, max(LEAST_S * more, SHARE * media.duration_s))
    if length >= 0.8 * media.duration_s:
        return (media,)
    count = max(1, math.floor(length / EACH_S))
    each, step = length / count, media.duration_s / count
    starts = ((number + 0.5) * step - each / 2 for number in range(count))
    return tuple(part for start in starts if (part := media.cut(start, start + each)).video is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a first pass has spent, in bits: on pictures that stand alone (I), and on all others."""

    alone: int
    alone_count: int
    others: int
    frames: int

    @property
    def bits(self) -> int:
        """All of it."""
        return self.alone + self.others


def read(lines: Iterable[str]) -> Spent:
    """Add up the frames of a first pass; lines that are none are passed over."""
    alone = count = others = frames = 0
    for line in lines:
        if (found := _FRAME.search(line)) is None:
            continue
        bits = sum(int(found[name]) for name in ("tex", "mv", "misc"))
        frames += 1
        if found["type"] in "Ii":
            alone, count = alone + bits, count + 1
        else:
            others += bits
    return Spent(alone=alone, alone_count=count, others=others, frames=frames)


def whole_bits(sample: Spent, *, windows: int, frames: int) -> float:
    """What the whole of so many frames would cost at the quality of a sample's first pass.

    Each window begins with a picture that stands alone, whether the whole has one there or not. That is no small thing: on a
    still screen it is most of what a window costs, and it would make every large picture look too dear.
    """
    per_alone = sample.alone / max(1, sample.alone_count)
    scale = frames / max(1, sample.frames)
    cuts = max(0, sample.alone_count - windows) * scale
    return sample.others * scale + per_alone * max(cuts, 1 + frames / KEYINT)


def sample_share(sample: Spent, *, windows: int, frames: int) -> float:
    """Which share of the whole's bits a sample is to be given, so that it looks as the whole would."""
    return sample.bits / max(1.0, whole_bits(sample, windows=windows, frames=frames))


def needed_crf(sample: Spent, bits: float) -> float:
    """Which constant quality a sample would have with so many bits."""
    return crf_for(bits, made=sample.bits, at_crf=PROBE_CRF)
