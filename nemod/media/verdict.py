"""The judge: does an output keep the promise, does a source need any work at all? Pure.

Source: the inline-safe profile that every chat and platform accepts (MP4, H.264 up to High, yuv420p, limited range, square
pixels, rotation applied, one AAC-LC track, moov first). Sizes are bytes, durations seconds.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an output is refused."""

    OVER_LIMIT = "over_limit"
    UNREADABLE = "unreadable"
    DURATION = "duration"
    PICTURE = "picture"
    SOUND = "sound"
    NOT_INLINE = "not_inline"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The output may be delivered."""

    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The output must not be delivered; `detail` is a sentence with the figures."""

    reason: Reason
    detail: str
    size_bytes: int = 0


Verdict = Accept | Refuse
