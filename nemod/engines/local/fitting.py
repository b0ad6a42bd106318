"""Whether a limit can be met with anything worth looking at, and what would do if not. Pure."""

import math

from nemod.engines.base import EngineError
from nemod.engines.local.plan import fixed_bytes
from nemod.failure import Failure, Kind
from nemod.media.info import MediaInfo
from nemod.media.look import Picture

#: Below these nothing is worth looking at or listening to; a limit that asks for less is impossible.
LEAST_VIDEO_BPS, LEAST_SOUND_BPS, LEAST_FILE = 30_000, 24_000, 4_000


def least_bytes(media: MediaInfo, sound_bytes: int) -> int:
    """The smallest file that is worth making of a source, with a sound track of so many bytes."""
    smallest = Picture(width=256, height=144)
    picture = LEAST_VIDEO_BPS * media.length_s / 8
    return math.ceil((fixed_bytes(media, smallest, sound_bytes) + picture) / 0.97)


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


def refusal(media: MediaInfo, limit_bytes: int) -> Impossible | None:
    """Why a limit cannot be met with anything worth looking at; None: it may be met."""
    sound = math.ceil(LEAST_SOUND_BPS * media.length_s / 8) if media.main_audio is not None else 0
    need = max(LEAST_FILE, least_bytes(media, sound))
    if need <= limit_bytes or (media.duration_s < 1.0 and limit_bytes >= LEAST_FILE):  # of a blink only trying tells
        return None
    return Impossible(limit_bytes=limit_bytes, need_bytes=need, duration_s=media.duration_s)


def possible(media: MediaInfo, limit_bytes: int) -> Failure | None:
    """The failure of a `refusal`."""
    found = refusal(media, limit_bytes)
    return None if found is None else found.failure


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
