"""How to hit a size: what a limit leaves for the picture, how large a picture that feeds, what to ask for next. Pure.

Sizes are bytes, rates bits per second, durations seconds. The figures come from measurements on real clips (x264, two passes,
presets medium and slow); where one is a judgement it says so.
"""

import math
from dataclasses import dataclass

from nemod.engines.local import landing, tags
from nemod.engines.local.codecs import crf_for, made_at
from nemod.engines.local.rungs import bits_per_pixel
from nemod.media.info import MediaInfo
from nemod.media.look import Picture

#: What an MP4 costs beside its payload, measured: per video frame, per sound frame, and once.
PER_VIDEO_FRAME, PER_AUDIO_FRAME, ONCE = 13, 16, 1500
AAC_FRAME_SAMPLES = 1024
#: The constant qualities of x264 that are hard to tell from the source, and one that is told from it side by side only.
FINE_CRF, GOOD_CRF, FAIR_CRF = 18.0, 20.0, 23.0
#: Pass 1 predicts the size at its quality within some 11 %; this is asked as a margin.
PREDICTION = 1.15
#: Past this quality a smaller picture looks better than a coarser one, unless it still gets so many bits per pixel and frame
#: (calm pictures with noise in them: measured on a surveillance camera).
COARSEST_CRF, WELL_FED_BPP = 34.0, 0.022
#: At the same quality the rate grows with the number of pixels to this power (a judgement, between 0.65 and 0.85 as measured).
RATE_BY_PIXELS = 0.75
#: A limit beyond this many times the source's own picture buys nothing that is not there (a judgement); newer codecs say more
#: in a byte. Small files are not worth the thought.
USEFUL = {"h264": 1.5, "vp8": 1.5, "hevc": 2.5, "vp9": 2.5, "av1": 3.0}
USEFUL_AT_LEAST = 1_500_000
#: Below this share of what is useful no picture of the source's size looks good (a judgement: an eighth of a camera's rate).
STARVED = 0.25
#: Up to this quality a picture of the source's size is better than any smaller one, and trials are spared.
COMFORTABLE_CRF = 25.0
#: Below it a sample shows that there is less than enough, so a rate is asked for (VMAF of 95 is where few see a difference).
LOSSLESS_VMAF = 95.0


def fixed_bytes(media: MediaInfo, picture: Picture, sound_bytes: int) -> int:
    """What the file costs before the first picture: sound and container."""
    sounds = 0
    if sound_bytes and (audio := media.main_audio) is not None:
        sounds = math.ceil(media.duration_s * audio.sample_rate_hz / AAC_FRAME_SAMPLES)
    return sound_bytes + ONCE + tags.bytes_of(media) + PER_VIDEO_FRAME * frame_count(media, picture) + PER_AUDIO_FRAME * sounds


def frame_count(media: MediaInfo, picture: Picture) -> int:
    """How many frames the picture will have, about."""
    assert media.video is not None  # noqa: S101 - Examine lets nothing without a picture through
    fps = picture.fps if picture.fps is not None else media.video.fps
    return math.ceil(fps * media.duration_s) + 1


PATIENCE_MOST_S = 7 * 86_400.0


def patience_s(media: MediaInfo) -> float:
    """How long one pass may take before it counts as stuck: far longer than the slowest machine needs for a huge picture.

    Never more than a week, whatever length a file claims to have.
    """
    return min(900 + 600 * media.length_s, PATIENCE_MOST_S)


def room_bytes(media: MediaInfo, limit_bytes: int) -> int:
    """How large one file of the work may become: output, copy of the source, sound, or the findings of a first pass.

    Those take two bytes for each block of 16x16 in each picture (x264's and x265's trees), of which there may be twice as many
    as in the source where fields become pictures.
    """
    found = 0 if media.video is None else 2 * media.video.frames * (media.video.width * media.video.height // 128 + 4096)
    return min(3 * limit_bytes + 2 * media.size_bytes + int(64_000 * media.length_s) + found + 64_000_000, 2**62)


def faithful_crf(predicted_bytes: int, limit_bytes: int) -> float | None:
    """The best constant quality at which a source comes out smaller and looks the same; None: it is small already.

    `predicted_bytes` is what pass 1 has made at `GOOD_CRF`; some saving must be left for the prediction to be wrong.
    """
    for crf in (FINE_CRF, GOOD_CRF, FAIR_CRF):
        if made_at(crf, made=predicted_bytes, at_crf=GOOD_CRF) * PREDICTION <= 0.9 * limit_bytes:
            return crf
    return FAIR_CRF if made_at(FAIR_CRF, made=predicted_bytes, at_crf=GOOD_CRF) <= limit_bytes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What pass 1 teaches: go on here with a constant quality (`crf`), or with a rate, or try a smaller picture."""

    bitrate_bps: int
    crf: float | None = None
    smaller: Picture | None = None


def budget_bytes(limit_bytes: int, media: MediaInfo, picture: Picture, sound_bytes: int) -> int:
    """Bytes for the picture's payload, as they are asked for at first."""
    share = landing.first_share(frame_count(media, picture))
    return int(limit_bytes * share) - fixed_bytes(media, picture, sound_bytes)


def useful_bytes(media: MediaInfo, picture: Picture) -> int:
    """How many bytes of picture are worth spending on what the source holds."""
    video = media.video
    assert video is not None  # noqa: S101 - as above
    width, height = video.display_size
    shrink = min(1.0, picture.width * picture.height / max(1, width * height)) ** RATE_BY_PIXELS
    return max(USEFUL_AT_LEAST, int(video.size_bytes * USEFUL.get(video.codec, 1.0) * shrink))


def rate_bps(budget: int, length_s: float) -> int:
    """The rate that spends a budget."""
    return max(1000, int(budget * 8 / length_s))


def starved(budget: int, useful: int) -> bool:
    """Whether a budget is so far below what the source holds that a first pass at its size would only tell the obvious."""
    return useful > USEFUL_AT_LEAST and budget < STARVED * useful


def spend(
    predicted_bytes: int, budget: int, useful: int, *, here: Picture, below: tuple[Picture, ...], frames: int, length_s: float
) -> Spend:
    """Decide from pass 1, which has made `predicted_bytes` at `GOOD_CRF`.

    Plenty of room: a constant quality, and the rest of the limit stays unused. Else a rate; and where even that would be too
    coarse, the largest picture below for which it would not be.
    """
    room = min(budget, useful)
    rate = rate_bps(room, length_s)
    for crf in (FINE_CRF, GOOD_CRF):
        if made_at(crf, made=predicted_bytes, at_crf=GOOD_CRF) * PREDICTION <= room:
            return Spend(bitrate_bps=rate, crf=crf)

    def fed(picture: Picture) -> bool:
        bpp = bits_per_pixel(picture, budget_bytes=budget, frames=frames)
        return bpp >= WELL_FED_BPP or needed_crf(predicted_bytes, budget, here, picture) <= COARSEST_CRF

    if fed(here) or not below:
        return Spend(bitrate_bps=rate)
    return Spend(bitrate_bps=rate, smaller=next((p for p in below if fed(p)), below[-1]))


def needed_crf(predicted_bytes: int, budget: int, measured: Picture, picture: Picture) -> float:
    """The quality that a budget would buy at a picture size, from what pass 1 made of another size at `GOOD_CRF`."""
    shrink = (picture.width * picture.height / (measured.width * measured.height)) ** RATE_BY_PIXELS
    return crf_for(budget, made=predicted_bytes * shrink, at_crf=GOOD_CRF)
