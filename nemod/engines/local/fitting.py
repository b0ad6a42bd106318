"""Whether a limit can be met with anything worth looking at, and what would do if not. Pure."""

import math

from nemod.config.model import Preset
from nemod.engines.base import EngineError
from nemod.engines.local.codecs import made_at
from nemod.engines.local.plan import GOOD_CRF, fixed_bytes
from nemod.engines.local.sound import choose_sound
from nemod.failure import Failure, Kind
from nemod.media.info import MediaInfo
from nemod.media.look import Picture

#: The smallest picture that is ever made, for what its container takes.
SMALLEST = Picture(width=256, height=144)

#: Whatever a picture shows, at this rate the smallest is worth looking at; below it, only a first pass tells.
SURE_VIDEO_BPS, LEAST_FILE = 30_000, 2_000
#: The coarsest constant quality that is still worth looking at, in the smallest picture (a judgement: words cannot be read, who
#: is who and what goes on can be seen).
WORST_CRF = 38.0


def surely(media: MediaInfo, limit_bytes: int, sound_bytes: int) -> bool:
    """Whether a limit can be met, whatever is seen; of less than a second only trying tells."""
    picture = SURE_VIDEO_BPS * media.picture_s / 8
    return media.duration_s < 1.0 or limit_bytes * 0.97 >= fixed_bytes(media, SMALLEST, sound_bytes) + picture


def need_bytes(media: MediaInfo, preset: Preset, *, sound_bytes: int, predicted_bytes: int) -> int:
    """The smallest file that is worth making, from what a first pass over the smallest picture has made at `GOOD_CRF`.

    A higher limit gives the sound more, too, so that it is asked for what it would have there.
    """
    picture = made_at(WORST_CRF, made=predicted_bytes, at_crf=GOOD_CRF)
    need = 0
    for _ in range(8):
        sound = choose_sound(media, preset, max(need, 1))
        heard = 0.0 if sound is None else 1.05 * sound.bitrate_bps * media.length_s / 8
        need = math.ceil((fixed_bytes(media, SMALLEST, max(sound_bytes, math.ceil(heard))) + picture) / 0.97)
    return max(need, LEAST_FILE)


class Impossible(EngineError):  # noqa: N818 - a state, not an error
    """A limit cannot be met with anything worth looking at; what would do is said, and counted.

    `need_bytes` is the smallest file that would do, `longest_s` how much of the video the limit holds (0: not even a second).
    Both leave some room, so that they hold when tried; `likely_s` is the length without that room.
    """

    def __init__(self, *, limit_bytes: int, need_bytes: int, duration_s: float) -> None:
        """From what is too much: so many bytes, which so much video needs, for that limit."""
        self.need_bytes, self.likely_s = need_bytes, likely_s(limit_bytes, need_bytes, duration_s)
        self.longest_s = 0.9 * self.likely_s if 0.9 * self.likely_s >= 1 else 0.0
        super().__init__(_failure(limit_bytes, need_bytes, duration_s, self.longest_s))


def likely_s(limit_bytes: int, need_bytes: int, duration_s: float) -> float:
    """How much of a video a limit holds, if every second of it needs the same; `need_bytes` are needed for all of it."""
    return max(0.0, duration_s * (limit_bytes - LEAST_FILE) / need_bytes)


def _failure(limit_bytes: int, need_bytes: int, duration_s: float, longest_s: float) -> Failure:
    step = 1000 if need_bytes < 1_000_000 else 100_000
    least = math.ceil(need_bytes * 1.02 / step) * step
    length = f"; at this limit about {longest_s:,.0f} s would fit" if longest_s else ""
    return Failure(
        kind=Kind.IMPOSSIBLE,
        detail=f"{duration_s:,.1f} s of video do not fit into {limit_bytes:,} bytes at a quality worth looking at.",
        hint=f"The smallest limit that would do is about {least:,} bytes{length}."
        ' Choose a preset with a higher limit or with on_impossible = "split" or "trim", or cut the clip.',
    )


def small_already() -> Failure:
    """The failure of a preset whose only limit is that nothing is seen to be lost."""
    return Failure(
        kind=Kind.IMPOSSIBLE,
        detail="It is already about as small as it can be without looking worse.",
        hint="Keep it as it is, or choose a preset with a limit in bytes.",
    )
