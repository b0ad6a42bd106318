"""What becomes of the sound: its rate, its channels, and which tracks are heard."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.config.model import Preset, Tracks
from nemod.engines.local.sound import Sound, choose_sound, left_out, rate_hz, refit, remux_sound
from nemod.media.verdict import Accept, How, Refuse, judge
from tests.ledger.values import AUDIO, MEDIA

ONE = Preset(name="one")
MIX = Preset(name="mix", audio=Tracks.MIX)
PCM = replace(AUDIO, codec="pcm_s16le", bitrate_bps=1_536_000)
MICROPHONE = replace(AUDIO, index=2, channels=1, bitrate_bps=64_000, default=False)
GAME = replace(MEDIA, audio=(AUDIO, MICROPHONE))
MADE = Sound(stream=PCM, copy=False, bitrate_bps=64_000, channels=2)


def test_a_mix_holds_every_track() -> None:
    """And is coded anew; the other policy takes the track that a player would, and says what it leaves out."""
    for mixed in (choose_sound(GAME, MIX, 10**9), remux_sound(GAME, MIX)):
        assert mixed is not None
        assert (mixed.stream, mixed.others, mixed.copy) == (AUDIO, (MICROPHONE,), False)
    for single in (choose_sound(GAME, ONE, 10**9), remux_sound(GAME, ONE)):
        assert single is not None
        assert (single.stream, single.others, single.copy) == (AUDIO, (), True)


@pytest.mark.parametrize(
    ("tracks", "preset", "told"),
    [
        (1, ONE, ""),
        (2, MIX, ""),
        (2, ONE, '1 further sound track was left out; audio = "mix" keeps all'),
        (3, ONE, '2 further sound tracks were left out; audio = "mix" keeps all'),
        (0, ONE, ""),
    ],
)
def test_what_is_left_out_is_told(tracks: int, preset: Preset, told: str) -> None:
    """With the way to keep it."""
    media = replace(MEDIA, audio=tuple(replace(AUDIO, index=number) for number in range(tracks)))
    assert left_out(media, preset) == told


def test_one_channel_takes_no_more_than_it_needs() -> None:
    """Unless the preset names a rate."""
    mono = replace(MEDIA, audio=(replace(PCM, channels=1),))
    rates = [choose_sound(mono, preset, 10**9) for preset in (ONE, replace(ONE, audio_bitrate_bps=128_000))]
    assert [sound.bitrate_bps for sound in rates if sound] == [64_000, 128_000]


@pytest.mark.parametrize(
    ("rate", "channels", "hertz", "becomes"),
    [(32_000, 1, 48_000, 32_000), (48_000, 1, 44_100, 44_100), (64_000, 2, 48_000, 32_000), (96_000, 2, 96_000, 48_000)],
)
def test_few_bits_are_spent_on_fewer_samples(rate: int, channels: int, hertz: int, becomes: int) -> None:
    """Up to 32 kbit/s per channel; above, what comes nearest to the source."""
    stream = replace(PCM, sample_rate_hz=hertz)
    assert rate_hz(replace(MADE, stream=stream, bitrate_bps=rate, channels=channels)) == becomes


@given(slack=st.integers(-(10**7), 10**7), length=st.floats(0.1, 10_000), rate=st.integers(24_000, 320_000))
def test_a_rate_is_moved_only_as_far_as_that_goes_unheard(slack: int, length: float, rate: int) -> None:
    """In the direction that is asked for, by no more than is there, and never above the source."""
    sound = replace(MADE, bitrate_bps=rate, stream=replace(PCM, bitrate_bps=200_000))
    moved = refit(sound, slack, length)
    if moved is None:
        return
    change = moved.bitrate_bps - rate
    assert change * slack > 0
    assert abs(change) * length <= abs(slack) * 8 + length
    assert -0.15 * rate - 1 <= change <= 0.30 * rate
    assert moved.bitrate_bps <= max(rate, 200_000)


def test_a_rate_that_is_settled_stays() -> None:
    """A copy has none, the preset's word is kept, and less than one per cent is not worth a run."""
    assert refit(replace(MADE, copy=True), 50_000, 10.0) is None
    assert refit(replace(MADE, fixed=True), 50_000, 10.0) is None
    assert refit(MADE, 700, 10.0) is None
    assert refit(MADE, 900, 10.0) == replace(MADE, bitrate_bps=64_720)


def test_a_mix_may_outlast_the_main_track() -> None:
    """By as much as the other one does; without a mix the same result would be of another length."""
    source = replace(MEDIA, audio=(AUDIO, replace(MICROPHONE, end_s=34.0)))
    output = replace(MEDIA, size_bytes=10**6, duration_s=34.0, audio=(replace(AUDIO, end_s=34.0),), faststart=True)
    verdicts = [
        judge(source, output, preset=preset, limit_bytes=10**7, decode_error=None, how=How.ENCODE) for preset in (MIX, ONE)
    ]
    assert [type(verdict) for verdict in verdicts] == [Accept, Refuse]
