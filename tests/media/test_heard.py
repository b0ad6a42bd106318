"""What is heard in the end: tones go in, levels come out, in dB below full scale."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Preset, Tracks
from nemod.engines.local.ffmpeg import remux_argv
from nemod.engines.local.sound import Sound, choose_sound, remux_sound, sound_argv
from nemod.media.info import MediaInfo
from nemod.media.probe import probe
from tests.support.clips import ffmpeg, run_ffmpeg

MIX = Preset(name="mix", audio=Tracks.MIX)
#: A sine of amplitude 0.25.
TONE_DB = -15.05
SILENT_DB = -45.0


def run(argv: Sequence[object]) -> str:
    """Run a tool that must succeed; what it said."""
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True).stderr


def levels(path: Path, *, tone_hz: int | None = None, start_s: float = 0.4, length_s: float = 0.5) -> list[float]:
    """The level of each channel, or of one tone in each."""
    chain = f"bandpass=f={tone_hz}:width_type=h:w=40,atrim=start=0.1," if tone_hz else ""
    chain += "astats=measure_perchannel=RMS_level:measure_overall=none"
    argv = [ffmpeg(), "-hide_banner", "-ss", str(start_s), "-t", str(length_s), "-i", path, "-af", chain, "-f", "null", "-"]
    return [float(level) for level in re.findall(r"RMS level dB: (\S+)", run(argv))]


def peak(path: Path) -> float:
    """The highest sample."""
    chain = "astats=measure_perchannel=none:measure_overall=Peak_level"
    argv = [ffmpeg(), "-hide_banner", "-i", path, "-af", chain, "-f", "null", "-"]
    return max(float(level) for level in re.findall(r"Peak level dB: (\S+)", run(argv)))


async def source(path: Path, channels: Sequence[str], layout: str, codec: str = "flac") -> MediaInfo:
    """A clip of a second whose channels are given as formulas."""
    sound = f"aevalsrc={'|'.join(channels)}:s=48000:d=1:c={layout}"
    picture = ["-f", "lavfi", "-i", "color=s=32x32:r=10:d=1"]
    run_ffmpeg(*picture, "-f", "lavfi", "-i", sound, "-c:v", "libx264", "-c:a", codec, path)
    return await probe(path, timeout_s=60)


def made(path: Path, media: MediaInfo, *, channels: int, bitrate_bps: int = 128_000) -> Path:
    """Its sound as we code it."""
    audio = media.main_audio
    assert audio is not None
    out = path.with_suffix(f".{channels}.mp4")
    sound = Sound(stream=audio, copy=False, bitrate_bps=bitrate_bps, channels=channels)
    run(sound_argv(ffmpeg(), path, media, sound, out))
    return out


@pytest.mark.parametrize(("layout", "codec"), [("5.1", "flac"), ("5.1(side)", "flac"), ("7.1", "flac"), ("5.1", "pcm_s16le")])
async def test_speech_stays_as_loud_as_it_was(tmp_path: Path, layout: str, codec: str) -> None:
    """Of surround sound the centre goes to both sides at -3 dB, the fronts as they are, the rest below; nothing gets lost.

    PCM in Matroska does not say which channel is which: then their number tells.
    """
    count = 8 if layout == "7.1" else 6
    path = tmp_path / "clip.mkv"
    media = await source(path, [f"0.25*sin(2*PI*{400 * (n + 1)}*t)" for n in range(count)], layout, codec)
    stereo, mono = made(path, media, channels=2), made(path, media, channels=1)
    left, right = levels(stereo, tone_hz=400), levels(stereo, tone_hz=800)
    assert left[0] == pytest.approx(TONE_DB, abs=1) == right[1]
    assert max(left[1], right[0]) < left[0] - 20
    assert levels(stereo, tone_hz=1200) == pytest.approx([TONE_DB - 3] * 2, abs=1)
    assert levels(mono, tone_hz=1200) == pytest.approx([TONE_DB], abs=1)
    for number in range(3, count):
        assert TONE_DB - 15 < max(levels(stereo, tone_hz=400 * (number + 1))) < TONE_DB - 4


@pytest.mark.parametrize("right", ["+", "-"])
async def test_one_channel_cancels_nothing(tmp_path: Path, right: str) -> None:
    """Sides that are alike and sides of opposite phase, as of a badly soldered plug, come out as loud as they were."""
    path = tmp_path / "clip.mkv"
    tone = "0.25*sin(2*PI*500*t)"
    media = await source(path, [tone, f"{right}{tone}"], "stereo")
    assert levels(made(path, media, channels=1)) == pytest.approx([TONE_DB], abs=0.5)


@pytest.mark.parametrize(("channels", "bitrate_bps"), [(2, 96_000), (1, 32_000)])
async def test_the_loudest_sum_does_not_clip(tmp_path: Path, channels: int, bitrate_bps: int) -> None:
    """Six channels at full scale at once."""
    path = tmp_path / "clip.mkv"
    media = await source(path, [f"sin(2*PI*{300 + 170 * n}*t)" for n in range(6)], "5.1")
    assert -6 < peak(made(path, media, channels=channels, bitrate_bps=bitrate_bps)) <= 0


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game in stereo for two seconds, and a microphone of another rate that begins at one and goes on to three."""
    path = tmp_path_factory.mktemp("clips") / "game.mkv"
    picture = ["-f", "lavfi", "-i", "color=s=32x32:r=10:d=2"]
    tone = "0.25*sin(2*PI*500*t)"
    game = ["-f", "lavfi", "-i", f"aevalsrc={tone}|{tone}:s=48000:d=2:c=stereo"]
    voice = ["-itsoffset", "1", "-f", "lavfi", "-i", "aevalsrc=0.25*sin(2*PI*2000*t):s=44100:d=2:c=mono"]
    run_ffmpeg(*picture, *game, *voice, "-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-c:a", "flac", path)
    return path


def timeline(path: Path, starts: Sequence[float]) -> list[tuple[bool, bool]]:
    """Whether game and voice are heard at certain times."""
    game, voice = ([max(levels(path, tone_hz=hz, start_s=at, length_s=0.3)) for at in starts] for hz in (500, 2000))
    heard = [(g > SILENT_DB, v > SILENT_DB) for g, v in zip(game, voice, strict=True)]
    assert all(level == pytest.approx(TONE_DB - 3, abs=1) for level in (*game, *voice) if level > SILENT_DB)
    return heard


async def test_tracks_are_mixed_where_they_were(tracks: Path, tmp_path: Path) -> None:
    """As loud together as one was; late ones late, the whole as long as the longest; in an encode and in a remux."""
    media = await probe(tracks, timeout_s=60)
    encoded, wrapped = tmp_path / "sound.mp4", tmp_path / "out.mp4"
    chosen, kept = choose_sound(media, MIX, 10**7), remux_sound(media, MIX)
    assert chosen is not None
    run(sound_argv(ffmpeg(), tracks, media, chosen, encoded))
    argv = remux_argv(ffmpeg(), tracks, kept, wrapped, media=media, keep_location=False)
    run(argv)
    for out in (encoded, wrapped):
        assert timeline(out, [0.4, 1.4, 2.4]) == [(True, False), (True, True), (False, True)]
    result = await probe(wrapped, timeout_s=60)
    assert len(result.audio) == 1
    assert result.duration_s == pytest.approx(media.mixed.duration_s, abs=0.1)


async def test_a_part_of_a_mix_is_that_part(tracks: Path, tmp_path: Path) -> None:
    """Every track is cut at the same moments."""
    whole = await probe(tracks, timeout_s=60)
    part = replace(whole.mixed.cut(0.6, 2.6), audio=whole.audio)
    chosen = choose_sound(part, MIX, 10**7)
    assert chosen is not None
    out = tmp_path / "sound.mp4"
    run(sound_argv(ffmpeg(), tracks, part, chosen, out))
    assert timeline(out, [0.0, 0.8, 1.6]) == [(True, False), (True, True), (False, True)]
