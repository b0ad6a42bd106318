"""Whether a limit can be met with anything worth looking at, and what would do if not. Pure."""

import math

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


def possible(media: MediaInfo, limit_bytes: int) -> Failure | None:
    """Why a limit cannot be met with anything worth looking at, with the limit and the length that would do."""
    sound = math.ceil(LEAST_SOUND_BPS * media.length_s / 8) if media.main_audio is not None else 0
    need = max(LEAST_FILE, least_bytes(media, sound))
    if need <= limit_bytes or (media.duration_s < 1.0 and limit_bytes >= LEAST_FILE):  # of a blink only trying tells
        return None
    return impossible(limit_bytes, need, media.duration_s)


def impossible(limit_bytes: int, need_bytes: int, duration_s: float) -> Failure:
    """The failure that says which limit or which length would do; both with some room, so that they hold when tried."""
    step = 1000 if need_bytes < 1_000_000 else 100_000
    least = math.ceil(need_bytes * 1.02 / step) * step
    longest = max(0.0, 0.9 * duration_s * (limit_bytes - LEAST_FILE) / need_bytes)
    length = f"; at this limit about {longest:,.0f} s would fit" if longest >= 1 else ""
    return Failure(
        kind=Kind.IMPOSSIBLE,
        detail=f"{duration_s:,.1f} s of video do not fit into {limit_bytes:,} bytes at a quality worth looking at.",
        hint=f"The smallest limit that would do is about {least:,} bytes{length}."
        " Choose a preset with a higher limit, or cut the clip.",
    )


def small_already() -> Failure:
    """The failure of a preset whose only limit is that nothing is seen to be lost."""
    return Failure(
        kind=Kind.IMPOSSIBLE,
        detail="It is already about as small as it can be without looking worse.",
        hint="Keep it as it is, or choose a preset with a limit in bytes.",
    )
