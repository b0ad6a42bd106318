"""How to hit a size: what a limit leaves for the picture, how large a picture that feeds, what to ask for next. Pure.

Sizes are bytes, rates bits per second, durations seconds. The figures come from measurements on real clips (x264, two passes,
presets medium and slow); where one is a judgement it says so.
"""

import math
from dataclasses import dataclass

from nemod.config.model import Preset
from nemod.engines.local.ffmpeg import Picture, Sound
from nemod.failure import Failure, Kind
from nemod.media.info import AudioStream, MediaInfo, VideoStream

#: The shorter side of the pictures that are tried, after the source's own.
RUNGS = (1440, 1080, 900, 720, 540, 432, 360, 288, 240, 180, 144)
#: What an MP4 costs beside its payload, measured: per video frame, per sound frame, and once.
PER_VIDEO_FRAME, PER_AUDIO_FRAME, ONCE = 13, 16, 1500
AAC_FRAME_SAMPLES = 1024
#: Below these nothing is worth looking at or listening to; a limit that asks for less is impossible.
LEAST_VIDEO_BPS, LEAST_SOUND_BPS, LEAST_FILE = 30_000, 24_000, 4_000
#: The constant qualities of x264 that are hard to tell from the source, and one that is told from it side by side only.
FINE_CRF, GOOD_CRF, FAIR_CRF = 18.0, 20.0, 23.0
#: Pass 1 predicts the size at its quality within some 11 %; this is asked as a margin.
PREDICTION = 1.15
#: x264 halves its rate for six steps of quality; past this quality a smaller picture looks better than a coarser one, unless
#: it still gets so many bits per pixel and frame (calm pictures with noise in them: measured on a surveillance camera).
STEPS_PER_HALF, COARSEST_CRF, WELL_FED_BPP = 6.0, 34.0, 0.022
#: At the same quality the rate grows with the number of pixels to this power (a judgement, between 0.65 and 0.85 as measured).
RATE_BY_PIXELS = 0.75
#: A limit beyond this many times the source's own picture buys nothing that is not there (a judgement); newer codecs say more
#: in a byte. Small files are not worth the thought.
USEFUL = {"h264": 1.5, "vp8": 1.5, "hevc": 2.5, "vp9": 2.5, "av1": 3.0}
USEFUL_AT_LEAST = 1_500_000


def fixed_bytes(media: MediaInfo, picture: Picture, sound_bytes: int) -> int:
    """What the file costs before the first picture: sound and container."""
    sounds = 0
    if sound_bytes and (audio := media.main_audio) is not None:
        sounds = math.ceil(media.duration_s * audio.sample_rate_hz / AAC_FRAME_SAMPLES)
    return sound_bytes + ONCE + PER_VIDEO_FRAME * frame_count(media, picture) + PER_AUDIO_FRAME * sounds


def frame_count(media: MediaInfo, picture: Picture) -> int:
    """How many frames the picture will have, about."""
    assert media.video is not None  # noqa: S101 - Examine lets nothing without a picture through
    fps = picture.fps if picture.fps is not None else media.video.fps
    return math.ceil(fps * media.duration_s) + 1


def length_s(media: MediaInfo) -> float:
    """The length for rates: a still of one frame has one too."""
    return max(media.duration_s, 0.04)


def patience_s(media: MediaInfo) -> float:
    """How long one pass may take before it counts as stuck: far longer than the slowest machine needs for a huge picture."""
    return 900 + 600 * length_s(media)


def choose_sound(media: MediaInfo, preset: Preset, limit_bytes: int) -> Sound | None:
    """The sound's share: more where there is plenty, never above the source, never over a quarter unless the preset says so."""
    audio = media.main_audio
    if audio is None:
        return None
    total = limit_bytes * 8 / length_s(media)
    tiers = ((2_500_000, 128_000), (900_000, 96_000), (300_000, 64_000), (160_000, 48_000), (0, 32_000))
    rate = next(bps for least, bps in tiers if total >= least)
    rate = preset.audio_bitrate_bps or min(rate, max(24_000, int(total / 4)))
    channels = 1 if audio.channels == 1 or rate < 40_000 else 2
    copy = playable(audio) and audio.bitrate_bps <= rate * 1.1 and not media.damaged
    if not copy and audio.bitrate_bps:
        rate = max(24_000, min(rate, _generous(audio)))
    return Sound(stream=audio, copy=copy, bitrate_bps=rate, channels=channels)


def remux_sound(media: MediaInfo) -> Sound | None:
    """The sound for a picture that is only re-wrapped: copied where players take it, else AAC at a good rate."""
    audio = media.main_audio
    if audio is None:
        return None
    return Sound(stream=audio, copy=playable(audio), bitrate_bps=128_000, channels=min(2, audio.channels))


def playable(audio: AudioStream) -> bool:
    """Whether every player takes the track as it is: AAC-LC, mono or stereo, at most 48 kHz."""
    return audio.codec == "aac" and audio.profile == "LC" and audio.channels <= 2 and audio.sample_rate_hz <= 48_000


def _generous(audio: AudioStream) -> int:
    """The source's rate rounded up to a thousand; more would be padding."""
    return math.ceil(audio.bitrate_bps / 1000) * 1000


def choose_fps(video: VideoStream, preset: Preset) -> float | None:
    """The frame rate if it must come down: a whole fraction of the source's, so that motion stays even. None: leave it."""
    most = min(60.0, preset.max_fps) if preset.max_fps is not None else 60.0
    if video.fps <= most * 1.01:
        return None
    sane = video.nominal_fps is not None and abs(video.nominal_fps / video.fps - 1) < 0.2
    base = video.nominal_fps if sane and video.nominal_fps is not None else video.fps
    return base / math.ceil(base / most - 0.01)


def pictures(video: VideoStream, preset: Preset, *, fps: float | None) -> tuple[Picture, ...]:
    """The pictures that may be tried, largest first: the source's own size or the preset's bound, then the rungs below."""
    width, height = video.display_size
    short = min(width, height)
    top = min(short, preset.max_height) if preset.max_height is not None else short
    top = min(top, _tallest(width / short, height / short, fps or video.fps))
    top -= top % 2  # rounded up, an odd bound would be broken by a pixel
    sides = [top, *(rung for rung in RUNGS if rung < top * 0.95)]
    return tuple(
        Picture(width=_even(width * s / short, width), height=_even(height * s / short, height), fps=fps) for s in sides
    )


def _tallest(wide: float, high: float, fps: float) -> int:
    """The longest shorter side that H.264 level 5.2 allows (ITU-T H.264, A.3.1: macroblocks, a second's, a side's)."""
    blocks = min(36_864, 2_073_600 / max(1.0, min(fps, 60.0)))
    along = math.isqrt(8 * 36_864)
    return int(16 * min(math.sqrt(blocks / (wide * high)), along / max(wide, high)) * 0.99)


def _even(pixels: float, most: int) -> int:
    return max(2, min(round(pixels / 2), most // 2) * 2)


def least_bytes(media: MediaInfo, sound_bytes: int) -> int:
    """The smallest file that is worth making of a source, with a sound track of so many bytes."""
    smallest = Picture(width=256, height=144)
    picture = LEAST_VIDEO_BPS * length_s(media) / 8
    return math.ceil((fixed_bytes(media, smallest, sound_bytes) + picture) / 0.97)


def possible(media: MediaInfo, limit_bytes: int) -> Failure | None:
    """Why a limit cannot be met with anything worth looking at, with the limit and the length that would do."""
    sound = math.ceil(LEAST_SOUND_BPS * length_s(media) / 8) if media.main_audio is not None else 0
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


def faithful_crf(predicted_bytes: int, limit_bytes: int) -> float | None:
    """The best constant quality at which a source comes out smaller and looks the same; None: it is small already.

    `predicted_bytes` is what pass 1 has made at `GOOD_CRF`; some saving must be left for the prediction to be wrong.
    """
    for crf in (FINE_CRF, GOOD_CRF, FAIR_CRF):
        if predicted_bytes * 2 ** ((GOOD_CRF - crf) / STEPS_PER_HALF) * PREDICTION <= 0.9 * limit_bytes:
            return crf
    return FAIR_CRF if predicted_bytes * 2 ** ((GOOD_CRF - FAIR_CRF) / STEPS_PER_HALF) <= limit_bytes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What pass 1 teaches: go on here with a constant quality (`crf`), or with a rate, or try a smaller picture."""

    bitrate_bps: int
    crf: float | None = None
    smaller: Picture | None = None


def budget_bytes(limit_bytes: int, media: MediaInfo, picture: Picture, sound_bytes: int) -> int:
    """Bytes for the picture's payload; short clips land less exactly, so they are asked for less at first."""
    share = 0.97 if media.duration_s < 30 else 0.985
    return int(limit_bytes * share) - fixed_bytes(media, picture, sound_bytes)


def useful_bytes(media: MediaInfo, picture: Picture) -> int:
    """How many bytes of picture are worth spending on what the source holds."""
    video = media.video
    assert video is not None  # noqa: S101 - as above
    width, height = video.display_size
    shrink = min(1.0, picture.width * picture.height / max(1, width * height)) ** RATE_BY_PIXELS
    return max(USEFUL_AT_LEAST, int(video.size_bytes * USEFUL.get(video.codec, 1.0) * shrink))


def spend(
    predicted_bytes: int, budget: int, useful: int, *, here: Picture, below: tuple[Picture, ...], frames: float, length_s: float
) -> Spend:
    """Decide from pass 1, which has made `predicted_bytes` at `GOOD_CRF`.

    Plenty of room: a constant quality, and the rest of the limit stays unused. Else a rate; and where even that would be too
    coarse, the largest picture below for which it would not be.
    """
    room = min(budget, useful)
    rate = max(1000, int(room * 8 / length_s))
    finer = 2 ** ((GOOD_CRF - FINE_CRF) / STEPS_PER_HALF)
    for crf, predicted in ((FINE_CRF, predicted_bytes * finer), (GOOD_CRF, float(predicted_bytes))):
        if predicted * PREDICTION <= room:
            return Spend(bitrate_bps=rate, crf=crf)

    def fed(picture: Picture) -> bool:
        bits_per_pixel = budget * 8 / max(1.0, frames) / (picture.width * picture.height)
        return bits_per_pixel >= WELL_FED_BPP or needed_crf(predicted_bytes, budget, here, picture) <= COARSEST_CRF

    if fed(here) or not below:
        return Spend(bitrate_bps=rate)
    return Spend(bitrate_bps=rate, smaller=next((p for p in below if fed(p)), below[-1]))


def needed_crf(predicted_bytes: int, budget: int, measured: Picture, picture: Picture) -> float:
    """The quality that a budget would buy at a picture size, from what pass 1 made of another size at `GOOD_CRF`."""
    shrink = (picture.width * picture.height / (measured.width * measured.height)) ** RATE_BY_PIXELS
    return GOOD_CRF + STEPS_PER_HALF * math.log2(max(1.0, predicted_bytes * shrink) / max(1, budget))


def corrected(
    rate_bps: int, *, got_bytes: int, payload_bytes: int, aim_bytes: int, before: tuple[int, int] | None = None
) -> int:
    """The rate to ask for after a pass 2 that made a file of `got_bytes`, of them `payload_bytes` of picture.

    `before` is the rate and the payload of the pass before. Clips of few frames answer to a rate less than in proportion; two
    passes tell how much less.
    """
    wanted = max(1, aim_bytes - (got_bytes - payload_bytes)) / max(1, payload_bytes)
    if before is None or before[0] == rate_bps or before[1] in (0, payload_bytes) or payload_bytes <= 0:
        return max(1000, int(rate_bps * wanted))
    answer = math.log(payload_bytes / before[1]) / math.log(rate_bps / before[0])
    return max(1000, int(rate_bps * max(0.2, min(5.0, wanted ** (1 / min(1.0, max(0.1, answer)))))))
