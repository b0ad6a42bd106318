"""How a file comes to lie just under its limit: what is asked for first, what next, and when it is full enough. Pure.

x264's second pass lands within some 1.5 % of what it was asked for, worse the fewer frames there are; the sound is made again
in a moment, at a rate that takes up the difference; a further second pass is the last resort. Never over, little under.
"""

import math

from nemod.config.model import Speed

#: What is asked for first, as a share of the limit: short videos land less exactly.
SHORT_FRAMES, SHORT_SHARE, LONG_SHARE = 600, 0.996, 0.998
#: After a second pass this is accepted: a third one costs much for little, and below it a viewer loses something.
LEAST = 0.97
#: A further pass asks for this, and each one after it for a little less.
AIM, STEP_DOWN = 0.995, 0.003
#: The sound is chosen so that the file has this share of the limit: its rate is answered within some 2 %.
SOUND_AIM = 0.9975
#: So full that not even the sound is made again, which takes a second.
FULL = 0.995
#: Below this share of the limit there is room for the source's own sound.
ROOMY = 0.9
#: Full enough: below it a further second pass is worth its time.
ENOUGH = {Speed.FAST: 0.97, Speed.BALANCED: 0.98, Speed.BEST: 0.99}


def first_share(frames: int) -> float:
    """Which share of the limit to ask a first second pass for."""
    return SHORT_SHARE if frames < SHORT_FRAMES else LONG_SHARE


def aim_bytes(limit_bytes: int, tries: int) -> int:
    """What to ask for after so many second passes."""
    return int(limit_bytes * (AIM - STEP_DOWN * (tries - 1)))


def full_enough(size_bytes: int, limit_bytes: int, speed: Speed) -> bool:
    """Whether a file that fits needs no further pass."""
    return ENOUGH[speed] * limit_bytes <= size_bytes <= limit_bytes


def sound_slack(size_bytes: int, limit_bytes: int) -> int:
    """How many bytes more the sound may have, or fewer when negative, so that the file is full and fits."""
    return int(limit_bytes * SOUND_AIM) - size_bytes


def corrected(
    rate_bps: int, *, got_bytes: int, payload_bytes: int, aim_bytes: int, before: tuple[int, int] | None = None
) -> int:
    """The rate to ask for after a pass 2 that made a file of `got_bytes`, of them `payload_bytes` of picture.

    `before` is the rate and the payload of the pass before. Clips of few frames answer to a rate less than in proportion,
    constant qualities in place of rates more than that; two passes tell how much.
    """
    wanted = max(1, aim_bytes - (got_bytes - payload_bytes)) / max(1, payload_bytes)
    if before is None or before[0] == rate_bps or before[1] in (0, payload_bytes) or payload_bytes <= 0:
        return max(1000, int(rate_bps * wanted))
    answer = math.log(payload_bytes / before[1]) / math.log(rate_bps / before[0])
    return max(1000, int(rate_bps * max(0.2, min(5.0, wanted ** (1 / min(2.5, max(0.1, answer)))))))
