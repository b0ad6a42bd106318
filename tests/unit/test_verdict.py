"""The judge: every fault refused, and nothing that is none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nemod.config.model import Codec, Preset
from nemod.media.info import MediaInfo
from nemod.media.verdict import Accept, How, Reason, Refuse, Verdict, check, how, inline_faults, judge
from tests.ledger import values

LIMIT = 10_000_000
PRESET = Preset(name="test", limit_bytes=LIMIT, max_height=720, max_fps=60)
VIDEO = replace(values.VIDEO, level=31, width=1280, height=720, frames=1800, size_bytes=8_000_000, end_s=60.0)
AUDIO = replace(values.AUDIO, size_bytes=960_000, end_s=60.0, language=None)
GOOD = replace(values.MEDIA, size_bytes=9_000_000, duration_s=60.0, header_duration_s=60.0, video=VIDEO, audio=(AUDIO,))


def seen(**changes: Any) -> MediaInfo:
    """The good file with a change of its picture."""
    return replace(GOOD, video=replace(VIDEO, **changes))


def heard(**changes: Any) -> MediaInfo:
    """The good file with a change of its sound."""
    return replace(GOOD, audio=(replace(AUDIO, **changes),))


def wrapped(**changes: Any) -> MediaInfo:
    """The good file with a change of its container."""
    return replace(GOOD, **changes)


PICTURE_FAULTS = [
    seen(codec="hevc", profile="Main"),
    seen(profile="High 10"),
    seen(profile=None),
    seen(level=60),
    seen(pixel_format="yuv444p"),
    seen(pixel_format="yuvj420p", color_range="pc"),
    seen(color_range="pc"),
    seen(transfer="smpte2084"),
    seen(transfer="arib-std-b67"),
    seen(pixel_aspect=16 / 15),
    seen(rotation_deg=90),
    seen(width=1279),
    seen(height=719),
    seen(interlaced=True),
    seen(fps=120.0),
]
WRAPPING_FAULTS = [
    wrapped(mp4=False),
    wrapped(mp4=False, container="matroska,webm"),
    wrapped(mp4=False, container="mpegts"),
    wrapped(faststart=False),
    wrapped(fragmented=True),
    wrapped(elsewhere=True),
    wrapped(odd=True),
    wrapped(others=("subtitle",)),
    wrapped(others=("data", "data")),
    wrapped(audio=(AUDIO, replace(AUDIO, index=2, default=False))),
    heard(codec="ac3", profile=None),
    heard(profile="HE-AAC"),
    heard(channels=6),
    heard(sample_rate_hz=96_000),
]
GOOD_ENOUGH = [
    GOOD,
    seen(profile="Constrained Baseline", level=None),
    seen(color_range=None, matrix=None, transfer=None, primaries=None),
    seen(fps=59.94),
    seen(fps=60.4),
    seen(variable=True),
    heard(channels=1, sample_rate_hz=44_100, bitrate_bps=500_000),
    wrapped(audio=()),
    wrapped(chapters=3),
]


@pytest.mark.parametrize("media", GOOD_ENOUGH)
def test_what_plays_everywhere_is_left_alone(media: MediaInfo) -> None:
    """A file without a fault is passed through, as it is."""
    assert inline_faults(media) == ()
    assert check(media, PRESET, LIMIT) == ()
    assert how(media, PRESET, LIMIT) is How.PASS


@pytest.mark.parametrize("media", PICTURE_FAULTS)
def test_a_fault_of_the_picture_takes_an_encode(media: MediaInfo) -> None:
    """Nothing less can mend the picture itself."""
    assert all(fault.endswith(".") for fault in inline_faults(media))
    assert len(inline_faults(media)) == 1
    assert how(media, PRESET, LIMIT) is How.ENCODE


@pytest.mark.parametrize("media", WRAPPING_FAULTS)
def test_a_fault_of_the_wrapping_or_the_sound_takes_a_remux(media: MediaInfo) -> None:
    """The picture stays as it is where only what is around it is at fault."""
    assert len(inline_faults(media)) == 1
    assert how(media, PRESET, LIMIT) is How.REMUX


@pytest.mark.parametrize(
    "media",
    [
        wrapped(size_bytes=LIMIT + 1),
        seen(width=1920, height=1080),
        wrapped(mp4=False, container="avi"),
        wrapped(mp4=False, container="h264"),
        wrapped(damaged=True),
        wrapped(duration_s=30.0),
        wrapped(faststart=False, damaged=True),
        wrapped(video=None),
    ],
)
def test_what_else_takes_an_encode(media: MediaInfo) -> None:
    """Too big, out of bounds, without time stamps, broken or cut: it is made anew."""
    assert check(media, PRESET, LIMIT)
    assert how(media, PRESET, LIMIT) is How.ENCODE


NEWER = [
    (Codec.HEVC, seen(codec="hevc", profile="Main", level=123, tag="hvc1")),
    (Codec.AV1, seen(codec="av1", profile="Main", level=8, tag="av01")),
]


@pytest.mark.parametrize(("codec", "media"), NEWER)
def test_a_newer_codec_is_right_where_a_preset_asks_for_it(codec: Codec, media: MediaInfo) -> None:
    """And H.264 there as well, but no third one; nowhere else does it play everywhere."""
    preset = replace(PRESET, codec=codec)
    assert how(media, preset, LIMIT) is How.PASS
    assert how(GOOD, preset, LIMIT) is How.PASS
    assert how(media, PRESET, LIMIT) is How.ENCODE
    assert len(inline_faults(media)) == 1
    assert how(seen(codec="vp9", profile=None), preset, LIMIT) is How.ENCODE
    verdict = judge(GOOD, media, preset=preset, limit_bytes=LIMIT, decode_error=None, how=How.ENCODE)
    assert verdict == Accept(size_bytes=media.size_bytes)
    refused = judge(GOOD, media, preset=PRESET, limit_bytes=LIMIT, decode_error=None, how=How.ENCODE)
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.NOT_INLINE


@pytest.mark.parametrize(("codec", "media"), NEWER)
@pytest.mark.parametrize("change", [{"profile": "Main 10"}, {"level": 186}, {"pixel_format": "yuv420p10le"}, {"width": 1279}])
def test_what_a_newer_codec_must_be(codec: Codec, media: MediaInfo, change: dict[str, Any]) -> None:
    """Eight bits, its ordinary profile, a level that is decoded in hardware, and all that holds for H.264."""
    assert media.video is not None
    other = replace(media, video=replace(media.video, **change))
    assert len(inline_faults(other, codec)) == 1
    assert how(other, replace(PRESET, codec=codec), LIMIT) is How.ENCODE


def test_hevc_with_the_wrong_mark_is_wrapped_anew() -> None:
    """Apple's players open hvc1 only; the picture is right."""
    other = seen(codec="hevc", profile="Main", level=123, tag="hev1")
    assert how(other, replace(PRESET, codec=Codec.HEVC), LIMIT) is How.REMUX


def test_a_part_is_encoded() -> None:
    """It fits and would play, but it does not begin where a picture stands alone."""
    assert how(GOOD.cut(1.0, 5.0), PRESET, LIMIT) is How.ENCODE


def test_the_presets_bounds() -> None:
    """The shorter side counts, as seen, and a frame too many in a short clip does not."""
    assert how(seen(width=720, height=1280), PRESET, LIMIT) is How.PASS
    assert how(seen(width=1920, height=1080), Preset(name="free"), LIMIT) is How.PASS
    slow = replace(PRESET, max_fps=30)
    assert how(seen(fps=30.4), slow, LIMIT) is How.PASS
    assert how(seen(fps=50.0), slow, LIMIT) is How.ENCODE


def test_the_limit_itself_fits() -> None:
    """At most the limit is at most the limit."""
    assert how(wrapped(size_bytes=LIMIT), PRESET, LIMIT) is How.PASS
    assert "1 over the limit" in check(wrapped(size_bytes=LIMIT + 1), PRESET, LIMIT)[0]


def test_a_place_is_taken_out_unless_it_may_stay() -> None:
    """Where it was filmed is no one's business unless the preset says so."""
    media = wrapped(has_location=True)
    assert how(media, PRESET, LIMIT) is How.REMUX
    assert how(media, replace(PRESET, keep_location=True), LIMIT) is How.PASS


def test_check_tells_everything_at_once() -> None:
    """A person who asks why gets all reasons."""
    media = replace(seen(codec="vp9", width=1920, height=1080), size_bytes=LIMIT * 2, mp4=False, others=("subtitle",))
    assert len(check(media, PRESET, LIMIT)) == 5


def verdict(output: MediaInfo, source: MediaInfo = GOOD, **changes: Any) -> Verdict:
    """The judge's word on an output."""
    given: dict[str, Any] = {"preset": PRESET, "limit_bytes": LIMIT, "decode_error": None, "how": How.ENCODE}
    return judge(source, output, **(given | changes))


def test_a_good_output_is_accepted() -> None:
    """It may be smaller in bytes, in pixels and in frames."""
    output = replace(seen(width=854, height=480, frames=900, fps=15.0), size_bytes=LIMIT)
    assert verdict(output) == Accept(size_bytes=LIMIT)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (wrapped(size_bytes=LIMIT + 1), Reason.OVER_LIMIT),
        (wrapped(duration_s=59.3), Reason.DURATION),
        (wrapped(duration_s=60.7), Reason.DURATION),
        (wrapped(video=None), Reason.NOT_INLINE),
        (seen(width=1440, height=810), Reason.PICTURE),  # above the bound
        (seen(width=960, height=720), Reason.PICTURE),  # squeezed
        (seen(width=720, height=1280), Reason.PICTURE),  # lying
        (seen(end_s=30.0), Reason.PICTURE),  # the sound goes on alone
        (wrapped(audio=()), Reason.SOUND),
        (heard(end_s=58.0), Reason.SOUND),
        (wrapped(has_location=True), Reason.NOT_INLINE),
    ],
)
def test_every_broken_promise_is_refused(output: MediaInfo, reason: Reason) -> None:
    """Each has its reason, a sentence, and the size for the next try."""
    refused = verdict(output)
    assert isinstance(refused, Refuse)
    assert refused.reason is reason
    assert refused.detail.endswith(".")
    assert refused.size_bytes == output.size_bytes


@pytest.mark.parametrize("output", [*PICTURE_FAULTS, *WRAPPING_FAULTS])
def test_an_output_that_would_not_play_inline_is_refused(output: MediaInfo) -> None:
    """What makes a source need work makes an output unfit."""
    refused = verdict(output, output)
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.NOT_INLINE


def test_the_size_comes_first() -> None:
    """An output with many faults is refused for the one that the next try needs to know."""
    refused = verdict(wrapped(size_bytes=LIMIT + 5, duration_s=1.0, audio=()), decode_error="h264: broken")
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.OVER_LIMIT
    assert "10,000,005" in refused.detail
    assert "10,000,000" in refused.detail


def test_a_decode_error_is_the_last_reason() -> None:
    """What does not decode is refused in the decoder's words."""
    refused = verdict(GOOD, decode_error="h264: broken")
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.DECODE
    assert "h264: broken" in refused.detail


def test_lengths_may_differ_as_much_as_containers_round() -> None:
    """Half a second, or one per cent of a long file, is no loss."""
    assert isinstance(verdict(wrapped(duration_s=60.59)), Accept)
    assert isinstance(verdict(heard(end_s=59.0)), Accept)
    long = replace(GOOD, duration_s=6000.0, header_duration_s=6000.0)
    assert isinstance(verdict(replace(long, duration_s=5941.0), long), Accept)
    assert isinstance(verdict(replace(long, duration_s=5939.0), long), Refuse)


@pytest.mark.parametrize(
    "output",
    [
        wrapped(duration_s=30.0),
        heard(end_s=20.0),
        wrapped(audio=()),
        seen(width=720, height=720),
        seen(end_s=20.0),
        seen(frames=700),
    ],
)
def test_what_a_person_asked_for_need_not_be_like_the_source(output: MediaInfo) -> None:
    """Length, sound, shape and number of frames may be what their words were about; without such words each is refused."""
    assert isinstance(verdict(output, edited=True), Accept)
    assert isinstance(verdict(output, edited=True, source=wrapped(audio=())), Accept)
    assert isinstance(verdict(output, how=How.REMUX), Refuse)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (wrapped(size_bytes=LIMIT + 1), Reason.OVER_LIMIT),
        (seen(width=1920, height=1080), Reason.PICTURE),
        (seen(codec="hevc", profile="Main"), Reason.NOT_INLINE),
        (wrapped(has_location=True), Reason.NOT_INLINE),
        (wrapped(video=None), Reason.NOT_INLINE),
    ],
)
def test_what_is_promised_of_every_output_holds_for_edited_ones(output: MediaInfo, reason: Reason) -> None:
    """Size, bounds, place and that it plays; and it decodes."""
    found = verdict(output, edited=True)
    assert isinstance(found, Refuse)
    assert found.reason is reason
    broken = verdict(GOOD, edited=True, decode_error="damaged")
    assert isinstance(broken, Refuse)
    assert broken.reason is Reason.DECODE


def test_sound_out_of_nowhere_is_refused() -> None:
    """A silent source stays silent."""
    refused = verdict(GOOD, wrapped(audio=()))
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.SOUND


def test_no_picture_grows() -> None:
    """Small sources are not blown up; two pixels of rounding are allowed."""
    small = seen(width=161, height=121)
    assert isinstance(verdict(seen(width=160, height=120), small), Accept)
    assert isinstance(verdict(seen(width=162, height=122), small), Accept)
    assert isinstance(verdict(seen(width=322, height=242), small), Refuse)


@pytest.mark.parametrize("work", [How.PASS, How.REMUX])
def test_no_frame_is_lost_without_an_encode(work: How) -> None:
    """A copy holds as many frames as its source; an encode may drop some."""
    output = seen(frames=1700)
    assert isinstance(verdict(output, how=work), Refuse)
    assert isinstance(verdict(output, how=How.ENCODE), Accept)
    assert isinstance(verdict(GOOD, how=work), Accept)


@pytest.mark.parametrize("decide", [how, check])
def test_the_pure_functions_take_any_limit(decide: Callable[[MediaInfo, Preset, int], object]) -> None:
    """A preset without a number of its own is judged by the caller's."""
    free = Preset(name="free")
    assert decide(GOOD, free, GOOD.size_bytes) in (How.PASS, ())
    assert decide(GOOD, free, GOOD.size_bytes - 1) not in (How.PASS, ())


def test_a_last_picture_that_stays_longer_is_no_shift() -> None:
    """Where a source does not say how long its last picture stays, it may stay as long as another one; further is a shift."""
    ends_early = seen(end_s=59.0, longest_step_s=0.9)
    output = seen(end_s=59.8)
    assert isinstance(verdict(output, source=ends_early), Accept)
    assert isinstance(verdict(output, source=seen(end_s=59.0, longest_step_s=0.1)), Refuse)


def test_a_strip_that_became_a_square_is_refused() -> None:
    """A tiny picture may be rounded to even sides, not to another shape."""
    assert isinstance(verdict(seen(width=2, height=2), source=seen(width=1, height=1)), Accept)
    assert isinstance(verdict(seen(width=2, height=2), source=seen(width=16384, height=2)), Refuse)
