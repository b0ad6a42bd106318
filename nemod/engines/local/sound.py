"""The sound track: what becomes of it, and how that is said to ffmpeg. Pure."""

import math
from dataclasses import dataclass
from pathlib import Path

from nemod.config.model import Preset
from nemod.media.info import AudioStream, MediaInfo
from nemod.media.inputs import head, timed_input, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What becomes of the sound track: copied, or AAC-LC of that rate (bits per second) and channels."""

    stream: AudioStream
    copy: bool
    bitrate_bps: int
    channels: int


def choose_sound(media: MediaInfo, preset: Preset, limit_bytes: int) -> Sound | None:
    """The sound's share: more where there is plenty, never above the source, never over a quarter unless the preset says so."""
    audio = media.main_audio
    if audio is None:
        return None
    total = limit_bytes * 8 / media.length_s
    tiers = ((2_500_000, 128_000), (900_000, 96_000), (300_000, 64_000), (160_000, 48_000), (0, 32_000))
    rate = next(bps for least, bps in tiers if total >= least)
    rate = preset.audio_bitrate_bps or min(rate, max(24_000, int(total / 4)))
    channels = 1 if audio.channels == 1 or rate < 40_000 else 2
    copy = playable(audio) and audio.bitrate_bps <= rate * 1.1 and not media.damaged and media.window is None
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


def sound_argv(ffmpeg: Path, source: Path, media: MediaInfo, sound: Sound, out: Path) -> list[str]:
    """The sound track alone, so that its real bytes are known before the picture's budget is made."""
    argv = [*head(ffmpeg), *timed_input(source, media), "-map", f"0:{sound.stream.index}", "-map_metadata", "-1"]
    if sound.copy:
        argv += ["-c:a", "copy"]
    else:
        # first_pts=0 fills a late start with silence: both tracks then begin at zero whatever the container did.
        chain = (*within(media, sound=True), "aresample=async=1:first_pts=0")
        argv += ["-af", ",".join(chain), *aac(sound)]
    return [*argv, "-map_chapters", "-1", "-f", "mp4", f"file:{out}"]


def aac(sound: Sound) -> list[str]:
    """AAC-LC by its rate and channels."""
    hertz = "44100" if sound.stream.sample_rate_hz == 44100 else "48000"
    return ["-c:a", "aac", "-b:a", str(sound.bitrate_bps), "-ac", str(sound.channels), "-ar", hertz]
