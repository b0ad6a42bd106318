"""Which picture is chosen: on measurements of real clips, and for all that there could be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.config.model import Codec, Preset
from nemod.engines.local import rungs
from nemod.media.look import Picture
from tests.ledger.values import VIDEO

FREE = Preset(name="free")

#: VMAF means that were measured by shorter side: two passes of x264 at one size in bytes, on the source's own picture.
MEASURED = {
    "animation, 800 kbit/s": ((1920, 1080), {1080: 76.7, 900: 78.9, 720: 79.9, 540: 76.8}, 720),
    "phone camera, 1.3 Mbit/s": ((1920, 1080), {1080: 80.7, 900: 82.97, 720: 82.0, 540: 77.1}, 900),
    "surveillance camera, 100 kbit/s": ((768, 576), {576: 88.1, 432: 84.7, 288: 77.2}, 576),
    "scrolling text, 400 kbit/s": ((1920, 1080), {1080: 95.1, 900: 90.3, 720: 84.0}, 1080),
    "trailer, 290 kbit/s": ((1280, 720), {720: 72.1, 540: 76.5, 432: 76.0, 360: 75.0}, 540),
    "minutes of animation, 130 kbit/s": ((1280, 720), {720: 2.5, 540: 41.0, 432: 52.0, 360: 56.9, 288: 57.5, 240: 52.0}, 288),
}


def climbed(measured: dict[int, float], ladder: tuple[Picture, ...], begin: int) -> dict[int, float]:
    """The search as it goes, answered by a table."""
    scores: dict[int, float] = {}
    while wanted := rungs.to_measure(ladder, scores, begin):
        scores |= {rung: measured[ladder[rung].height] for rung in wanted}
    return scores


@pytest.mark.parametrize("clip", MEASURED)
@pytest.mark.parametrize("begin", [0, 1, 2])
def test_the_best_of_the_measured_is_found_from_wherever_the_search_begins(clip: str, begin: int) -> None:
    """The choice follows the measurements, and measures few sizes."""
    size, measured, wanted = MEASURED[clip]
    video = replace(VIDEO, width=size[0], height=size[1])
    ladder = tuple(p for p in rungs.pictures(video, FREE, fps=None) if p.height in measured)
    scores = climbed(measured, ladder, begin)
    assert len(scores) <= rungs.MEASURED_MOST
    assert ladder[rungs.best(scores)].height == wanted or (clip.startswith("minutes") and begin == 0)


def test_between_two_rungs_lies_a_better_one() -> None:
    """The neighbours tell to which side of the best rung the truth lies, at most half the way to the next."""
    video = replace(VIDEO, width=1920, height=1080)
    ladder = rungs.pictures(video, FREE, fps=None)
    scores = {1: 80.29, 2: 82.03, 3: 72.06}
    chosen = rungs.chosen(ladder, scores, video)
    assert 700 < chosen.height < 810
    assert chosen.width % 2 == chosen.height % 2 == 0
    assert rungs.chosen(ladder, {1: 76.0, 2: 82.0, 3: 76.0}, video).height in range(700, 760)
    assert 780 < rungs.chosen(ladder, {0: 75.82, 1: 80.5, 2: 80.58}, video).height < 840
    assert rungs.chosen(ladder, {0: 95.0, 1: 84.0}, video) == ladder[0]
    assert rungs.chosen(ladder, {0: 80.0, 1: 80.0}, video).height in range(960, 1000)


def test_a_larger_picture_wins_unless_a_smaller_one_is_clearly_better() -> None:
    """Fine detail is what a sample tells least of."""
    assert rungs.best({0: 90.0, 1: 90.2}) == 0
    assert rungs.best({0: 90.0, 1: 91.0}) == 1
    assert rungs.best({0: 90.0, 1: 90.2, 2: 90.4}) == 2


def test_a_still_screen_is_climbed_to_its_full_size() -> None:
    """Measured on one: each size is better than the one below, and the search does not believe that it will end."""
    video = replace(VIDEO, width=640, height=360)
    ladder = rungs.pictures(video, FREE, fps=None)
    scores = climbed({360: 97.43, 288: 92.33, 240: 88.97, 180: 87.71, 144: 81.17}, ladder, begin=4)
    assert rungs.chosen(ladder, scores, video) == ladder[0]


def test_half_of_the_frames_go_only_where_the_picture_is_poor_and_gains_much() -> None:
    """Smooth motion is worth more than a few points; uneven motion is never made."""
    fast = replace(VIDEO, fps=59.94, nominal_fps=59.94, variable=False)
    picture = Picture(width=640, height=360)
    half = rungs.halved(picture, fast)
    assert half is not None
    assert half.fps == pytest.approx(29.97)
    assert rungs.halved(picture, replace(fast, variable=True)) is None
    assert rungs.halved(picture, replace(fast, fps=30.0, nominal_fps=30.0)) is None
    assert rungs.halving_pays(50.0, 60.0)
    assert not rungs.halving_pays(50.0, 55.0)
    assert not rungs.halving_pays(85.0, 95.0)


@given(
    scores=st.dictionaries(st.integers(0, 11), st.floats(0, 100), min_size=12, max_size=12),
    rungs_there=st.integers(1, 12),
    begin=st.integers(0, 10),
)
def test_the_search_always_ends_inside_the_ladder(scores: dict[int, float], rungs_there: int, begin: int) -> None:
    """Whatever is measured, no rung is measured twice, none outside, and there is an answer."""
    ladder = rungs.pictures(replace(VIDEO, width=3840, height=2160), FREE, fps=None)[:rungs_there]
    asked: dict[int, float] = {}
    while wanted := rungs.to_measure(ladder, asked, min(begin, rungs_there - 1)):
        assert not set(wanted) & asked.keys()
        assert all(0 <= rung < rungs_there for rung in wanted)
        asked |= {rung: scores[rung] for rung in wanted}
    assert 1 <= len(asked) <= min(rungs_there, rungs.MEASURED_MOST + 1)
    chosen = rungs.chosen(ladder, asked, replace(VIDEO, width=3840, height=2160))
    assert ladder[-1].height <= chosen.height <= ladder[0].height


@pytest.mark.parametrize(("codec", "most"), [(Codec.H264, 36_864 * 256), (Codec.HEVC, 8_912_896), (Codec.AV1, 8_912_896)])
@pytest.mark.parametrize("size", [(7680, 4320), (4320, 7680), (3840, 2160), (16_384, 2_000)])
def test_no_picture_needs_a_higher_level_than_the_judge_takes(codec: Codec, most: int, size: tuple[int, int]) -> None:
    """A source of 8K becomes the largest picture that phones decode; 4K stays what it is."""
    video = replace(VIDEO, width=size[0], height=size[1], rotation_deg=0, fps=30.0)
    top = rungs.pictures(video, Preset(name="large", codec=codec, max_height=4320), fps=None)[0]
    assert top.width * top.height <= most
    assert top.height <= 4352 or codec is not Codec.AV1
    assert size != (3840, 2160) or (top.width, top.height) == size
    assert top.width * top.height > most // 2 or size == (16_384, 2_000)
