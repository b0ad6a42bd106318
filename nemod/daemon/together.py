"""One verdict on an output that comes in several parts. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from nemod.media.quality import Quality
from nemod.media.verdict import Accept, Refuse, Verdict


def together(verdicts: Sequence[Verdict], count: int) -> Verdict:
    """What is said of all parts, from what was said of the first ones up to a refusal; `count` is how many there are.

    A refusal says which part it is about. The worst moments are those of the worst part.
    """
    accepted: list[Accept] = []
    for number, verdict in enumerate(verdicts, 1):
        match verdict:
            case Refuse():
                return verdict if count == 1 else replace(verdict, detail=f"Part {number} of {count}: {verdict.detail}")
            case Accept():
                accepted.append(verdict)
    figures = [one.quality for one in accepted if one.quality is not None]
    known = len(figures) == len(accepted)
    heights = [one.height for one in accepted if one.height is not None]
    return Accept(
        size_bytes=sum(one.size_bytes for one in accepted),
        quality=_quality(figures) if known else None,
        height=max(heights, default=None),
    )


def _quality(parts: Sequence[Quality]) -> Quality:
    frames = sum(part.frames for part in parts)
    return Quality(
        vmaf_mean=round(sum(part.vmaf_mean * part.frames for part in parts) / max(1, frames), 3),
        vmaf_p5=min(part.vmaf_p5 for part in parts),
        ssim=round(sum(part.ssim * part.frames for part in parts) / max(1, frames), 5),
        frames=frames,
    )
