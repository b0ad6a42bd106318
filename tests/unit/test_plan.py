"""How a size is hit: properties over all clips that there could be, and decisions on clips that were measured."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nemod.config.model import Preset
from nemod.engines.local import fitting, landing, plan, rungs, sound
from nemod.media.info import AudioStream, MediaInfo, VideoStream
from nemod.media.look import Picture
from tests.ledger.values import AUDIO, MEDIA, VIDEO

FREE = Preset(name="free")
LIMITS = st.integers(50_000, 2_000_000_000)
RATES = st.sampled_from(
    [1.0, 10.0, 15.0, 23.976, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 90.0, 119.88, 120.0, 240.0, 1000.0]
)
PRESETS = st.builds(
    Preset,
    name=st.just("made"),
    max_height=st.none() | st.integers(100, 2200),
    max_fps=st.none() | st.sampled_from([10.0, 24.0, 25.0, 30.0, 60.0]),
    audio_bitrate_bps=st.none() | st.sampled_from([32_000, 96_000, 192_000]),
)


@st.composite
def videos(draw: st.DrawFn) -> VideoStream:
    return replace(
        VIDEO,
        width=draw(st.integers(16, 7680)),
        height=draw(st.integers(16, 4320)),
        pixel_aspect=draw(st.sampled_from([1.0, 8 / 9, 16 / 15, 64 / 45])),
        rotation_deg=draw(st.sampled_from([0, 90, 180, 270])),
        fps=draw(RATES),
        nominal_fps=draw(st.none() | RATES),
        size_bytes=draw(st.integers(100, 10**10)),
    )


@st.composite
def sounds(draw: st.DrawFn) -> AudioStream:
    return replace(
        AUDIO,
        codec=draw(st.sampled_from(["aac", "opus", "pcm_s16le"])),
        channels=draw(st.integers(1, 8)),
        sample_rate_hz=draw(st.sampled_from([8000, 22_050, 44_100, 48_000, 96_000])),
        bitrate_bps=draw(st.integers(0, 5_000_000)),
    )


@st.composite
def clips(draw: st.DrawFn) -> MediaInfo:
    audio = draw(st.none() | sounds())
    return replace(
        MEDIA,
        video=draw(videos()),
        audio=() if audio is None else (audio,),
        duration_s=draw(st.floats(0.0, 20_000.0)),
        damaged=draw(st.booleans()),
    )


@given(media=clips(), limit=LIMITS, sound_bytes=st.integers(0, 10_000_000))
def test_the_budget_and_what_is_fixed_never_exceed_the_limit(media: MediaInfo, limit: int, sound_bytes: int) -> None:
    """A picture that keeps its budget gives a file that keeps its limit."""
    picture = Picture(width=1280, height=720)
    budget = plan.budget_bytes(limit, media, picture, sound_bytes)
    fixed = plan.fixed_bytes(media, picture, sound_bytes)
    assert fixed >= sound_bytes
    assert budget + fixed <= limit


@given(video=videos(), preset=PRESETS)
def test_pictures_are_even_and_never_larger_than_source_or_bound(video: VideoStream, preset: Preset) -> None:
    """Largest first, each smaller than the one before."""
    assume(min(video.display_size) >= 16)
    made = rungs.pictures(video, preset, fps=None)
    wide, high = video.display_size
    assert made
    for picture in made:
        assert picture.width % 2 == picture.height % 2 == 0
        assert 2 <= picture.width <= wide
        assert 2 <= picture.height <= high
        if preset.max_height is not None:
            assert min(picture.width, picture.height) <= preset.max_height
        # The same shape: what is off is less than the two pixels of rounding to even ones.
        scale = min(picture.width, picture.height) / min(wide, high)
        assert abs(picture.width - wide * scale) <= 2 * max(1.0, max(wide, high) / min(wide, high))
        assert abs(picture.height - high * scale) <= 2 * max(1.0, max(wide, high) / min(wide, high))
    areas = [picture.width * picture.height for picture in made]
    assert areas == sorted(set(areas), reverse=True)


def test_the_first_picture_is_the_largest_that_is_allowed() -> None:
    """The source's own size, or the preset's bound; turned ones are turned."""
    assert rungs.pictures(VIDEO, FREE, fps=None)[0] == Picture(width=1920, height=1080)
    assert rungs.pictures(VIDEO, Preset(name="p", max_height=720), fps=15.0)[0] == Picture(width=1280, height=720, fps=15.0)
    upright = replace(VIDEO, rotation_deg=90)
    assert rungs.pictures(upright, Preset(name="p", max_height=720), fps=None)[0] == Picture(width=720, height=1280)
    odd = Preset(name="p", max_height=721)
    assert rungs.pictures(VIDEO, odd, fps=None)[0] == Picture(width=1280, height=720)
    dvd = replace(VIDEO, width=720, height=576, pixel_aspect=16 / 15)
    assert rungs.pictures(dvd, FREE, fps=None)[0] == Picture(width=768, height=576)


def test_a_rate_that_is_hardly_answered_is_changed_more() -> None:
    """Five frames: a tenth less rate made a hundredth less file, so the next step is larger than in proportion."""
    first = landing.corrected(40_000, got_bytes=143_000, payload_bytes=142_000, aim_bytes=138_000)
    second = landing.corrected(first, got_bytes=142_000, payload_bytes=141_000, aim_bytes=138_000, before=(40_000, 142_000))
    assert second < first * (137_000 / 141_000) < first < 40_000


@given(
    rate=st.integers(10_000, 50_000_000),
    fixed=st.integers(0, 1_000_000),
    payload=st.integers(10_000, 10**9),
    aim=st.integers(20_000, 10**9),
)
def test_a_corrected_rate_goes_where_the_size_has_to_go(rate: int, fixed: int, payload: int, aim: int) -> None:
    """Down after a file that was too large, up after one that was too small, the same after one that was right."""
    got = fixed + payload
    asked = landing.corrected(rate, got_bytes=got, payload_bytes=payload, aim_bytes=aim)
    assert asked >= 1000
    if got > aim:
        assert asked <= rate
    elif got < aim:
        assert asked >= rate - 1
    else:
        assert abs(asked - rate) <= 1
    # Were size in proportion to rate, the next file would land on the aim.
    if asked > 1000 and aim > fixed:
        assert abs(fixed + payload * asked / rate - aim) <= 1 + payload / rate


@given(media=clips(), limit=LIMITS)
def test_sound_takes_no_more_than_its_share(media: MediaInfo, limit: int) -> None:
    """Never over the source's own rate nor a quarter of the whole, where that is more than the least worth hearing."""
    chosen = sound.choose_sound(media, FREE, limit)
    audio = media.main_audio
    assert (chosen is None) is (audio is None)
    if chosen is None or audio is None:
        return
    quarter = limit * 8 / media.length_s / 4
    assert 24_000 <= chosen.bitrate_bps <= max(24_000, quarter)
    assert 1 <= chosen.channels <= min(2, audio.channels)
    if chosen.copy:
        assert sound.playable(audio)
        assert audio.bitrate_bps <= chosen.bitrate_bps * 1.1
        assert not media.damaged
    elif audio.bitrate_bps:
        assert chosen.bitrate_bps <= max(24_000, audio.bitrate_bps + 1000)


def test_a_preset_may_say_what_the_sound_gets() -> None:
    """Its word counts more than the share, and less than the source's own rate."""
    loud = Preset(name="p", audio_bitrate_bps=192_000)
    rich = replace(MEDIA, audio=(replace(AUDIO, codec="pcm_s16le", bitrate_bps=1_536_000),))
    assert [s.bitrate_bps for s in [sound.choose_sound(rich, loud, 1_000_000)] if s] == [192_000]
    poor = replace(MEDIA, audio=(replace(AUDIO, codec="opus", bitrate_bps=63_500),))
    assert [s.bitrate_bps for s in [sound.choose_sound(poor, loud, 1_000_000)] if s] == [64_000]


@pytest.mark.parametrize(
    ("change", "plays"),
    [({}, True), ({"codec": "mp3"}, False), ({"profile": "HE-AAC"}, False), ({"channels": 6}, False)],
)
def test_only_sound_that_plays_everywhere_is_copied(change: dict[str, object], plays: bool) -> None:  # noqa: FBT001
    """In an encode and in a remux alike."""
    media = replace(MEDIA, audio=(replace(AUDIO, **change),))  # type: ignore[arg-type]
    encoded, wrapped = sound.choose_sound(media, FREE, 100_000_000), sound.remux_sound(media, FREE)
    assert encoded is not None
    assert wrapped is not None
    assert encoded.copy is wrapped.copy is plays


@given(video=videos(), preset=PRESETS)
def test_a_lower_frame_rate_is_a_whole_fraction(video: VideoStream, preset: Preset) -> None:
    """So that each frame stays for the same time; and it keeps the bound."""
    most = min(60.0, preset.max_fps or 60.0)
    chosen = rungs.choose_fps(video, preset)
    if chosen is None:
        assert video.fps <= most * 1.01
        return
    assert chosen <= most * 1.02
    wholes = [base / chosen for base in (video.fps, video.nominal_fps) if base is not None]
    assert any(abs(whole - round(whole)) < 1e-6 and round(whole) >= 1 for whole in wholes)


@pytest.mark.parametrize(
    ("fps", "nominal", "most", "chosen"),
    [
        (60.0, 60.0, 30.0, 30.0),
        (59.94, 60000 / 1001, 30.0, 30000 / 1001),
        (240.0, 240.0, None, 60.0),
        (50.0, 50.0, 30.0, 25.0),
        (30.0, 30.0, 30.0, None),
        (119.0, 1000.0, None, 59.5),  # a header's fantasy does not count
    ],
)
def test_frame_rates_as_cameras_have_them(fps: float, nominal: float, most: float | None, chosen: float | None) -> None:
    """The header's exact figure is taken where the measured one agrees."""
    found = rungs.choose_fps(replace(VIDEO, fps=fps, nominal_fps=nominal), Preset(name="p", max_fps=most))
    assert found == (None if chosen is None else pytest.approx(chosen))


@given(media=clips(), predicted=st.integers(1000, 10**9), limit=st.integers(2_000, 50_000_000))
def test_what_is_called_impossible_comes_with_a_limit_that_is_not(media: MediaInfo, predicted: int, limit: int) -> None:
    """Whoever does as the hint says gets a file: with the limit, or with the length."""

    def need(part: MediaInfo, at_limit: int) -> int:
        track = sound.choose_sound(part, FREE, at_limit)
        heard = 0 if track is None else math.ceil(track.bitrate_bps * part.length_s / 8)
        made = math.ceil(predicted * part.length_s / media.length_s)
        return fitting.need_bytes(part, FREE, sound_bytes=heard, predicted_bytes=made)

    needed = need(media, limit)
    if needed <= limit:
        return
    failure = fitting.Impossible(limit_bytes=limit, need_bytes=needed, duration_s=media.duration_s)
    figures = [int(f.replace(",", "")) for f in re.findall(r"about ([\d,]+) ", failure.failure.hint)]
    least, longest_s = (*figures, 0)[:2]  # no length is told where none is worth it
    assert least > limit
    assert need(media, least) <= least
    if longest_s >= 1:
        shorter = longest_s - 0.5  # it is told in whole seconds
        assert need(media.cut(0.0, shorter), limit) <= limit


def test_a_blink_is_always_tried() -> None:
    """Under a second no rate means anything."""
    assert fitting.surely(replace(MEDIA, duration_s=0.9), 10_000, 0)
    assert not fitting.surely(replace(MEDIA, duration_s=90.0), 10_000, 0)


def test_calm_pictures_need_little() -> None:
    """A still that is shown for two minutes fits where a table of rates would say that it cannot."""
    still = replace(MEDIA, duration_s=120.0, audio=(), video=replace(VIDEO, start_s=0.0, end_s=120.0))
    assert not fitting.surely(still, 200_000, 0)
    assert fitting.need_bytes(still, FREE, sound_bytes=0, predicted_bytes=100_000) <= 200_000
    assert fitting.need_bytes(still, FREE, sound_bytes=0, predicted_bytes=40_000_000) > 200_000


UNBOUNDED = 10**12


@pytest.mark.parametrize(
    ("clip", "size", "frames", "length_s", "predicted", "budget", "then"),
    [
        ("surveillance camera", (768, 576), 795, 79.5, 9_661_922, 973_152, None),
        ("animation", (1920, 1080), 720, 30.0, 24_002_512, 2_681_615, (1280, 720)),
        ("phone camera", (1920, 1080), 372, 12.4, 11_689_626, 1_776_291, (1600, 900)),
        ("screen text", (1920, 1080), 900, 30.0, 400_000, 900_000, None),
    ],
)
def test_a_picture_is_made_smaller_where_measurements_say_so(
    clip: str,
    size: tuple[int, int],
    frames: int,
    length_s: float,
    predicted: int,
    budget: int,
    then: tuple[int, int] | None,
) -> None:
    """Real clips: what pass 1 made at its quality, what there was room for, and what looked best."""
    video = replace(VIDEO, width=size[0], height=size[1])
    here, *below = rungs.pictures(video, FREE, fps=None)
    spend = plan.spend(predicted, budget, UNBOUNDED, here=here, below=tuple(below), frames=frames, length_s=length_s)
    smaller = None if spend.smaller is None else (spend.smaller.width, spend.smaller.height)
    assert smaller == then, clip
    assert spend.bitrate_bps * length_s / 8 <= budget


@given(
    predicted=st.integers(1, 10**9),
    budget=st.integers(1, 10**9),
    useful=st.integers(1, 10**9),
    frames=st.integers(1, 10**6),
    length_s=st.floats(0.04, 10_000),
)
def test_what_is_spent_is_there(predicted: int, budget: int, useful: int, frames: int, length_s: float) -> None:
    """A constant quality only where its predicted size fits with a margin; a smaller picture only from those below."""
    here, *below = rungs.pictures(VIDEO, FREE, fps=None)
    spend = plan.spend(predicted, budget, useful, here=here, below=tuple(below), frames=frames, length_s=length_s)
    assert spend.bitrate_bps == 1000 or spend.bitrate_bps * length_s / 8 <= min(budget, useful) * 1.000001
    if spend.crf is not None:
        assert predicted < min(budget, useful)
        assert spend.crf in (plan.FINE_CRF, plan.GOOD_CRF)
        assert spend.smaller is None
    assert spend.smaller is None or spend.smaller in below
    last = plan.spend(predicted, budget, useful, here=here, below=(), frames=frames, length_s=length_s)
    assert last.smaller is None


def test_more_room_never_asks_for_a_smaller_picture() -> None:
    """From nothing to plenty: the picture only grows, then comes the good quality, then the fine one."""
    here, *below = rungs.pictures(VIDEO, FREE, fps=None)
    made = [
        plan.spend(20_000_000, budget, UNBOUNDED, here=here, below=tuple(below), frames=900, length_s=30.0)
        for budget in range(100_000, 40_000_000, 100_000)
    ]
    widths = [(spend.smaller or here).width for spend in made]
    assert widths == sorted(widths)
    qualities = [0 if s.crf is None else 1 if s.crf == plan.GOOD_CRF else 2 for s in made]
    assert qualities == sorted(qualities)
    assert set(qualities) == {0, 1, 2}


def test_bytes_beyond_use_are_not_spent() -> None:
    """A small source is not blown up to a large limit, a newer codec says more in a byte, a smaller picture needs fewer."""
    same, half = Picture(width=1920, height=1080), Picture(width=1280, height=720)
    h264 = plan.useful_bytes(MEDIA, same)
    hevc = plan.useful_bytes(replace(MEDIA, video=replace(VIDEO, codec="hevc")), same)
    assert VIDEO.size_bytes < h264 < hevc
    assert plan.useful_bytes(MEDIA, half) < h264
    tiny = replace(MEDIA, video=replace(VIDEO, size_bytes=10))
    assert plan.useful_bytes(tiny, same) == plan.USEFUL_AT_LEAST


@pytest.mark.parametrize("fps", [24.0, 30.0, 59.94, 60.0, 120.0])
@pytest.mark.parametrize(
    "size",
    [
        (3840, 2160),
        (4096, 2304),
        (5120, 2880),
        (2880, 5120),
        (7680, 4320),
        (8192, 8192),
        (7680, 1080),
        (12_000, 500),
        (480, 9000),
    ],
)
def test_no_picture_is_too_large_for_players(size: tuple[int, int], fps: float) -> None:
    """Level 5.2 of H.264 (ITU-T H.264, table A-1): macroblocks in a frame, in a second, and along a side."""
    video = replace(VIDEO, width=size[0], height=size[1], pixel_aspect=1.0, rotation_deg=0, fps=fps, nominal_fps=fps)
    chosen = rungs.choose_fps(video, FREE)
    for picture in rungs.pictures(video, FREE, fps=chosen):
        wide, high = math.ceil(picture.width / 16), math.ceil(picture.height / 16)
        assert wide * high <= 36_864
        assert wide * high * (chosen or fps) <= 2_073_600
        assert max(wide, high) <= math.isqrt(8 * 36_864)


def test_a_picture_that_players_take_keeps_its_size() -> None:
    """4K at 60 frames a second is the largest that people have, and needs no shrinking."""
    video = replace(VIDEO, width=3840, height=2160, pixel_aspect=1.0, rotation_deg=0, fps=60.0, nominal_fps=60.0)
    assert rungs.pictures(video, FREE, fps=None)[0] == Picture(width=3840, height=2160)
