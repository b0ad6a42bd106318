"""Into how many parts a video is cut, and how much of its beginning is kept: pure decisions over all figures."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.daemon.together import together
from nemod.engines.base import Part, Progress
from nemod.engines.local import parts
from nemod.engines.local.fitting import LEAST_FILE, Impossible
from nemod.media.quality import Quality
from nemod.media.verdict import Accept, Reason, Refuse
from tests.ledger.values import MEDIA

MEDIA_PATH = Path("/work/part.mp4")
CAUSES = st.builds(
    lambda limit, times, duration: (
        Impossible(limit_bytes=limit, need_bytes=int(limit * times) + 1, duration_s=duration),
        duration,
    ),
    st.integers(1000, 10**9),
    st.floats(1.0, 1000.0),
    st.floats(0.1, 100_000.0),
)


@given(CAUSES)
def test_what_is_told_leaves_room_and_what_is_tried_first_does_not(case: tuple[Impossible, float]) -> None:
    """The longest length is told only where a second fits; less than all of the video, and with some room."""
    cause, duration = case
    assert 0 <= cause.longest_s <= 0.9 * cause.likely_s <= duration
    assert cause.longest_s == 0 or cause.longest_s >= 1


@given(CAUSES)
def test_no_part_is_longer_than_what_fits_and_no_part_is_too_many(case: tuple[Impossible, float]) -> None:
    """As few equal parts as will do, at least two, or none at all where not even a second fits."""
    cause, duration = case
    count = parts.first_count(duration, cause)
    if count is None:
        assert cause.longest_s == 0 or duration / cause.likely_s > parts.PARTS_MOST
        return
    assert 2 <= count <= parts.PARTS_MOST
    assert duration / count <= cause.likely_s * 1.000001
    assert count == 2 or duration / (count - 1) > cause.likely_s
    borders = (0.0, *parts.cuts(duration, count), duration)
    lengths = [end - start for start, end in itertools.pairwise(borders)]
    assert lengths == pytest.approx([duration / count] * count)


@given(CAUSES, st.integers(2, parts.PARTS_MOST), st.floats(1.0, 1000.0))
def test_every_further_try_asks_for_less(case: tuple[Impossible, float], count: int, length: float) -> None:
    """More parts, but at most twice as many at once; less of the beginning; and both come to an end."""
    cause, _ = case
    more = parts.next_count(count, length, cause)
    assert more is None or count < more <= min(max(2 * count, count + 1), parts.PARTS_MOST)
    shorter = parts.next_length(length, cause)
    assert shorter is None or parts.SHORTEST_S <= shorter <= parts.SHORTER * length


def test_a_limit_that_holds_no_second_is_not_cut_at_all() -> None:
    """Neither into parts nor to a beginning."""
    cause = Impossible(limit_bytes=LEAST_FILE + 100, need_bytes=200_000, duration_s=60)
    assert cause.longest_s == 0
    assert (parts.first_count(60, cause), parts.next_count(2, 30, cause)) == (None, None)
    assert (parts.first_length(60, cause), parts.next_length(30, cause)) == (None, None)


def test_how_far_the_whole_is_follows_from_the_part() -> None:
    """Half of the second of four parts is three eighths; the other two will take as long as this one."""
    shown = parts.share(Progress(stage="pass 2", fraction=0.5, speed=2.0, left_s=10.0), 1, 4)
    assert shown == Progress(stage="part 2 of 4: pass 2", fraction=0.375, speed=2.0, left_s=50.0)
    assert parts.share(Progress(stage="pass 1"), 0, 2) == Progress(stage="part 1 of 2: pass 1")


def test_a_part_of_a_part_is_found_in_the_file() -> None:
    """Windows count from the beginning of the file, whatever was cut out of it before."""
    middle = MEDIA.cut(10.0, 25.0)
    second = middle.cut(5.0, 10.0)
    assert second.window is not None
    part = Part(path=MEDIA_PATH, window=second.window, size_bytes=1)
    assert part.of(middle) == part.of(MEDIA) == second
    assert (second.window.start_s, second.window.end_s) == (15.0, 20.0)


def test_several_verdicts_are_one() -> None:
    """Sizes add up, the mean is weighted by frames, the worst moments are the worst part's; a refusal names its part."""
    fine = Accept(size_bytes=100, quality=Quality(vmaf_mean=90.0, vmaf_p5=80.0, ssim=0.9, frames=100))
    poor = Accept(size_bytes=50, quality=Quality(vmaf_mean=60.0, vmaf_p5=40.0, ssim=0.6, frames=50))
    both = Quality(vmaf_mean=80.0, vmaf_p5=40.0, ssim=0.8, frames=150)
    assert together([fine, poor], 2) == Accept(size_bytes=150, quality=both)
    assert together([fine], 1) == fine
    assert together([fine, Accept(size_bytes=50)], 2) == Accept(size_bytes=150)
    refused = Refuse(reason=Reason.OVER_LIMIT, detail="It has too many bytes.", size_bytes=7)
    assert together([refused], 1) == refused
    found = together([fine, refused], 3)
    assert isinstance(found, Refuse)
    assert (found.detail, found.reason) == ("Part 2 of 3: It has too many bytes.", Reason.OVER_LIMIT)
