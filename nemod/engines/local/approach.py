"""One picture size, encoded until the file lies just under its limit: each encode teaches what to ask the next one for."""

from collections.abc import Callable
from dataclasses import dataclass

from nemod.engines.base import Output
from nemod.engines.local import landing, plan
from nemod.engines.local.codecs import Rate
from nemod.engines.local.progress import Span
from nemod.engines.local.steps import PICTURE_TO, Sounds, Steps, size_text
from nemod.media.look import Picture

#: So often a picture is encoded at one size,
TRIES = 3
#: and where the answer is less sure (a rate that is asked for as a constant quality, hardware) or costs nothing (few frames).
MORE_TRIES, FEW_FRAMES = 5, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A picture size did not do; the smallest file that came out of it."""

    smallest_bytes: int | None = None


async def approach(
    steps: Steps,
    picture: Picture,
    rate: int,
    ask: Callable[[int], Rate],
    sounds: Sounds,
    *,
    begin: float,
    stage: str,
    how: str,
    tries: int,
    stop_early: bool,
) -> Output | Missed:
    """Encode; let the sound take up the difference to the limit; again with a corrected rate while that is not enough.

    Args:
        steps: how it is done.
        picture: what is made.
        rate: bits a second of the picture, for the first try.
        ask: how a rate is asked for.
        sounds: the sound beside it.
        begin: how far the whole work is by now.
        stage: what it is called while it runs.
        how: what it is called afterwards.
        tries: how often at most.
        stop_early: the limit is beyond what is useful, so whatever fits will do.
    """
    limit, speed = steps.task.limit_bytes, steps.task.preset.speed
    best = 0
    smallest: int | None = None
    before: tuple[int, int] | None = None
    if plan.frame_count(steps.task.media, picture) < FEW_FRAMES:
        tries = max(tries, MORE_TRIES)
    for number in range(1, tries + 1):
        again = f", try {number}" if number > 1 else ""
        # Each further try takes half of what is left of the way, so that nobody is shown a way back.
        start, end = (PICTURE_TO - (PICTURE_TO - begin) / 2 ** (number - n) for n in (1, 0))
        span = Span(stage=f"{stage}, {size_text(picture)}{again}", start=start, end=end)
        landed = await steps.land(picture, ask(rate), sounds, span, better_than=best)
        smallest = min(landed.size_bytes, smallest or landed.size_bytes)
        if landed.size_bytes <= limit:
            best = max(best, landed.size_bytes)
        if best and (stop_early or best >= landing.FULL * limit):
            break
        best = max(best, await steps.refitted(landed, sounds, better_than=best))
        if best and (landing.full_enough(best, limit, speed) or (number > 1 and best >= landing.LEAST * limit)):
            break
        payload, aim = landed.payload_bytes, landing.aim_bytes(limit, number)
        after = landing.corrected(rate, got_bytes=landed.size_bytes, payload_bytes=payload, aim_bytes=aim, before=before)
        before, rate = (rate, payload), after
    if best:
        again = f", the last one {number} times" if number > 1 else ""
        return Output(path=steps.out, note=f"{size_text(picture)}, {how} at {rate / 1000:,.0f} kbit/s{again}")
    return Missed(smallest_bytes=smallest)
