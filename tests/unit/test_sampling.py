"""Windows that stand for a whole video, and what a first pass over them tells."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.engines.local import sampling
from nemod.engines.local.sampling import Spent
from tests.ledger.values import AUDIO, MEDIA, VIDEO

#: From the log of a real first pass.
LOG = """#options: 768x576 fps=10/1 timebase=1/10 bitdepth=8 cabac=1 ref=1 keyint=250
in:0 out:0 type:I dur:2 cpbdur:2 q:39.68 aq:31.82 tex:124785 mv:31977 misc:5902 imb:1728 pmb:0 smb:0 d:- ref:;
in:1 out:1 type:P dur:2 cpbdur:2 q:45.21 aq:42.11 tex:472 mv:368 misc:272 imb:6 pmb:40 smb:1682 d:- ref:0 ;
in:6 out:3 type:B dur:2 cpbdur:2 q:49.23 aq:44.06 tex:1040 mv:619 misc:277 imb:38 pmb:29 smb:1661 d:- ref:0 ;
""".splitlines()


@given(length=st.floats(0.04, 20_000), more=st.sampled_from([1.0, 2.0]))
def test_windows_lie_inside_and_apart(length: float, more: float) -> None:
    """Spread over the whole, none over another, never more than was meant; a short video stands for itself."""
    media = replace(
        MEDIA,
        duration_s=length,
        video=replace(VIDEO, start_s=0.0, end_s=length, frames=max(1, round(length * 25))),
        audio=(replace(AUDIO, start_s=0.0, end_s=length),),
    )
    parts = sampling.windows(media, more=more)
    total = sum(part.duration_s for part in parts)
    assert total <= max(length, 0.04) + 1e-6
    if parts == (media,):
        assert length <= sampling.LEAST_S * more / 0.8 + 0.1 or length * 0.8 <= sampling.MOST_S * more
        return
    assert total == pytest.approx(min(sampling.MOST_S * more, max(sampling.LEAST_S * more, sampling.SHARE * length)))
    spans = [(part.window.start_s, part.window.end_s) for part in parts if part.window is not None]
    assert all(0 <= start < end <= length + 1e-6 for start, end in spans)
    assert all(before[1] <= after[0] + 1e-6 for before, after in itertools.pairwise(spans))


def test_a_first_pass_is_read() -> None:
    """Pictures that stand alone are counted apart from the others."""
    assert sampling.read(LOG) == Spent(alone=162_664, alone_count=1, others=1112 + 1936, frames=3)


def test_a_still_screen_is_not_charged_for_its_windows_beginnings() -> None:
    """Almost all that a window of it costs is its first picture, which the whole has once in a while only."""
    still = Spent(alone=4 * 1_600_000, alone_count=4, others=20_000, frames=300)
    share = sampling.sample_share(still, windows=4, frames=3000)
    assert share > 0.6  # by its length alone it would be a tenth
    moving = Spent(alone=400_000, alone_count=4, others=40_000_000, frames=300)
    assert sampling.sample_share(moving, windows=4, frames=3000) == pytest.approx(0.1, rel=0.02)


def test_a_size_that_cannot_look_good_is_known_before_it_is_encoded() -> None:
    """Half the bits are six steps of quality."""
    spent = Spent(alone=100_000, alone_count=1, others=900_000, frames=100)
    assert sampling.needed_crf(spent, 1_000_000) == pytest.approx(sampling.PROBE_CRF)
    assert sampling.needed_crf(spent, 500_000) == pytest.approx(sampling.PROBE_CRF + 6)
    assert sampling.needed_crf(spent, 50_000) > sampling.HOPELESS_CRF
