"""The sound track: what becomes of it, and how that is said to ffmpeg. Pure.

Rules kept here:
- speech stays as loud as it was: the centre goes to both sides as in ITU-R BS.775, and what then adds up too high is limited,
  not turned down as a whole;
- one channel is made from two in quadrature, so sides of opposite phase do not cancel and equal ones do not grow;
- a track that starts late stays late, in a mix too; a track that is left out is told of.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from nemod.config.model import Preset, Tracks
from nemod.media.info import AudioStream, MediaInfo
from nemod.media.inputs import head, timed_input, within

#: From how many bits per second of the whole file the sound gets how many.
TIERS = ((2_500_000, 128_000), (900_000, 96_000), (300_000, 64_000), (160_000, 48_000), (0, 32_000))
LEAST_BPS = 24_000
#: One channel is as good at this rate as two at twice as much.
MONO_MOST_BPS = 64_000
#: Below it two channels sound worse than one.
STEREO_LEAST_BPS = 40_000
#: Up to this rate per channel ffmpeg's AAC is 0.5 to 8 dB closer to its source with 32,000 samples per second (measured on
#: music, speech and a street at 24 to 48 kbit/s), and still reaches 16 kHz.
SPARSE_BPS, SPARSE_HZ = 32_000, 32_000
#: How far a rate may be moved to land a file: less is not heard.
REFIT_LEAST, REFIT_MOST, REFIT_WORTH = 0.85, 1.30, 0.01
#: What adds up is held 3 dB below the top, for coding adds up to 2.3 dB to a peak (measured).
LIMITER = "alimiter=limit=0.71:attack=5:release=50:level=false:latency=true"

_HALF = math.sqrt(0.5)
#: Where each channel goes in stereo: left and right. Surrounds at -6 dB (BS.775 allows it; speech stays clear). The bass
#: channel, which most mixes leave out, is kept low, for some recordings have nothing else there.
_SIDES = {
    **dict.fromkeys(("FL", "DL", "WL"), (1.0, 0.0)),
    **dict.fromkeys(("FR", "DR", "WR"), (0.0, 1.0)),
    "FC": (_HALF, _HALF),
    "FLC": (0.92, 0.38),
    "FRC": (0.38, 0.92),
    **dict.fromkeys(("SL", "BL", "SDL", "TFL", "TBL", "TSL", "BFL", "SSL", "TTL"), (0.5, 0.0)),
    **dict.fromkeys(("SR", "BR", "SDR", "TFR", "TBR", "TSR", "BFR", "SSR", "TTR"), (0.0, 0.5)),
    **dict.fromkeys(("BC", "TC", "TFC", "TBC", "BFC"), (0.35, 0.35)),
    "LFE": (0.25, 0.25),
    "LFE2": (0.25, 0.25),
}
#: What a number of channels without names usually is: ffmpeg's own guess.
_USUAL = {
    2: ("FL", "FR"),
    3: ("FL", "FR", "LFE"),
    4: ("FL", "FR", "FC", "BC"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What becomes of the sound: one track copied, or AAC-LC of that rate (bits per second) and channels from one or more."""

    stream: AudioStream
    copy: bool
    bitrate_bps: int
    channels: int
    others: tuple[AudioStream, ...] = ()  # mixed into it
    fixed: bool = False  # the rate is the preset's word


def choose_sound(media: MediaInfo, preset: Preset, limit_bytes: int) -> Sound | None:
    """The sound's share: more where there is plenty, never above the source, never over a quarter unless the preset says so."""
    audio = media.main_audio
    if audio is None:
        return None
    others = mixed_in(media, preset)
    total = limit_bytes * 8 / media.length_s
    rate = preset.audio_bitrate_bps or min(_tier(total), max(LEAST_BPS, int(total / 4)))
    channels = 1 if _one_channel((audio, *others)) or rate < STEREO_LEAST_BPS else 2
    copy = _copyable(media, audio, others) and audio.bitrate_bps <= rate * 1.1
    if not copy:
        rate = _worth(rate, (audio, *others), channels, told=preset.audio_bitrate_bps is not None)
    fixed = preset.audio_bitrate_bps is not None
    return Sound(stream=audio, copy=copy, bitrate_bps=rate, channels=channels, others=others, fixed=fixed)


def remux_sound(media: MediaInfo, preset: Preset) -> Sound | None:
    """The sound for a picture that is only re-wrapped: copied where players take it, else AAC at a good rate."""
    audio = media.main_audio
    if audio is None:
        return None
    others = mixed_in(media, preset)
    channels = 1 if _one_channel((audio, *others)) else 2
    rate = preset.audio_bitrate_bps or 128_000
    return Sound(
        stream=audio,
        copy=_copyable(media, audio, others),
        bitrate_bps=_worth(rate, (audio, *others), channels, told=preset.audio_bitrate_bps is not None),
        channels=channels,
        others=others,
    )


def refit(sound: Sound, slack_bytes: int, length_s: float) -> Sound | None:
    """The same sound at a rate that takes `slack_bytes` more (fewer when negative), as far as that goes unheard.

    None when it is copied, its rate is the preset's word, or the change would be under one per cent.
    """
    if sound.copy or sound.fixed or length_s <= 0:
        return None
    most = max(sound.bitrate_bps, _own(sound) or math.inf)
    wanted = sound.bitrate_bps + slack_bytes * 8 / length_s
    rate = int(max(sound.bitrate_bps * REFIT_LEAST, min(wanted, sound.bitrate_bps * REFIT_MOST, most)))
    return replace(sound, bitrate_bps=rate) if abs(rate - sound.bitrate_bps) >= REFIT_WORTH * sound.bitrate_bps else None


def mixed_in(media: MediaInfo, preset: Preset) -> tuple[AudioStream, ...]:
    """The tracks beside the main one that the preset wants to be heard with it."""
    if preset.audio is Tracks.FIRST:
        return ()
    return tuple(track for track in media.audio if track is not media.main_audio)


def left_out(media: MediaInfo, preset: Preset) -> str:
    """What is not heard in the output, for its note; empty when all is."""
    count = len(media.audio) - 1 - len(mixed_in(media, preset))
    if count <= 0:
        return ""
    tracks = "1 further sound track was" if count == 1 else f"{count} further sound tracks were"
    return f'{tracks} left out; audio = "mix" keeps all'


def _copyable(media: MediaInfo, audio: AudioStream, others: tuple[AudioStream, ...]) -> bool:
    """Whether the track can stay as it is: whole, alone, and played everywhere."""
    return not others and playable(audio) and not media.damaged and media.window is None


def playable(audio: AudioStream) -> bool:
    """Whether every player takes the track as it is: AAC-LC, mono or stereo, at most 48 kHz."""
    return audio.codec == "aac" and audio.profile == "LC" and audio.channels <= 2 and audio.sample_rate_hz <= 48_000


def sound_argv(ffmpeg: Path, source: Path, media: MediaInfo, sound: Sound, out: Path) -> list[str]:
    """The sound track alone, so that its real bytes are known before the picture's budget is made."""
    argv = [*head(ffmpeg), *timed_input(source, media), *coded(media, sound)]
    return [*argv, "-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4", f"file:{out}"]


def coded(media: MediaInfo, sound: Sound) -> list[str]:
    """The sound as an output of input 0: which tracks, through which filters, as what."""
    if sound.copy:
        return ["-map", f"0:{sound.stream.index}", "-c:a", "copy"]
    hertz = rate_hz(sound)
    tracks = (sound.stream, *sound.others)
    chains = [_chain(media, track, sound.channels, hertz, part=str(number)) for number, track in enumerate(tracks)]
    if len(tracks) == 1:
        limiter = [LIMITER] if tracks[0].channels > sound.channels else []
        argv = ["-map", f"0:{sound.stream.index}", "-af", ",".join([chains[0], *limiter])]
    else:
        # Tracks that have nothing in common add up by their power: so many parts of 1/sqrt(n) are as loud as one was.
        weight = f"{1 / math.sqrt(len(tracks)):.3f}"
        names = [f"[track{number}]" for number in range(len(tracks))]
        parts = [f"[0:{track.index}]{chain}{name}" for track, chain, name in zip(tracks, chains, names, strict=True)]
        mix = f"amix=inputs={len(tracks)}:duration=longest:normalize=0:weights={' '.join([weight] * len(tracks))}"
        graph = ";".join([*parts, f"{''.join(names)}{mix},{LIMITER}[mix]"])
        argv = ["-filter_complex", graph, "-map", "[mix]"]
    return [*argv, "-c:a", "aac", "-b:a", str(sound.bitrate_bps), "-ac", str(sound.channels), "-ar", str(hertz)]


def rate_hz(sound: Sound) -> int:
    """Samples per second of what is coded anew."""
    if sound.bitrate_bps <= SPARSE_BPS * sound.channels:
        return SPARSE_HZ
    return 44_100 if all(track.sample_rate_hz == 44_100 for track in (sound.stream, *sound.others)) else 48_000


def _chain(media: MediaInfo, track: AudioStream, channels: int, hertz: int, *, part: str) -> str:
    """From a decoded track to samples that begin at zero, in the channels that are wanted."""
    # first_pts=0 fills a late start with silence: both tracks then begin at zero whatever the container did.
    chain = [*within(media, sound=True), f"aresample={hertz}:async=1:first_pts=0"]
    if track.channels == channels:
        return ",".join(chain)
    named = len(track.layout) == track.channels and all(name in _SIDES for name in track.layout)
    if named:
        chain.append(f"aformat=channel_layouts={'+'.join(track.layout)}")  # broadcasts change theirs on the way
    names = track.layout if named else _USUAL.get(track.channels, ())
    # Without any clue, sides take turns.
    sides = [_SIDES[name] for name in names] or [((0.7, 0.0), (0.0, 0.7))[n % 2] for n in range(track.channels)]
    if track.channels == 1:
        chain.append("pan=stereo|c0=c0|c1=c0")
    elif channels == 2:
        chain.append(f"pan=stereo|c0={_sum([left for left, _ in sides])}|c1={_sum([right for _, right in sides])}")
    else:
        chain.append(_fold(sides, part))
    return ",".join(chain)


def _fold(sides: list[tuple[float, float]], part: str) -> str:
    """One channel from many: left and right a quarter turn apart, what is in the middle at its full power in one of them."""
    left = [left / _HALF if left == right else left * _HALF for left, right in sides]
    right = [0.0 if left == right else right * _HALF for left, right in sides]
    one, two, three, four = (f"[{name}{part}]" for name in ("in", "also", "left", "right"))
    return (
        f"asplit{one}{two};"
        f"{one}pan=mono|c0={_sum(left)},aphaseshift=shift=0:order=16{three};"
        f"{two}pan=mono|c0={_sum(right)},aphaseshift=shift=0.5:order=16{four};"
        f"{three}{four}amix=inputs=2:normalize=0"
    )


def _sum(gains: list[float]) -> str:
    return "+".join(f"{gain:.3f}*c{number}" for number, gain in enumerate(gains) if gain) or "0*c0"


def _tier(total_bps: float) -> int:
    return next(rate for least, rate in TIERS if total_bps >= least)


def _one_channel(tracks: tuple[AudioStream, ...]) -> bool:
    return all(track.channels == 1 for track in tracks)


def _worth(rate: int, tracks: tuple[AudioStream, ...], channels: int, *, told: bool) -> int:
    """A rate without what would be padding: more than the source has, or than one channel needs."""
    own = sum(math.ceil(track.bitrate_bps / 1000) * 1000 for track in tracks)
    if all(track.bitrate_bps for track in tracks):
        rate = max(LEAST_BPS, min(rate, own))
    return rate if told or channels > 1 else min(rate, MONO_MOST_BPS)


def _own(sound: Sound) -> int:
    return sum(track.bitrate_bps for track in (sound.stream, *sound.others))
