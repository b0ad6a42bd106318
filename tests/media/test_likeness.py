"""Whether an output shows and sounds like its source, on real files."""

from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.media.likeness import HEIGHT, WIDTH, LikenessError, Look, alike, differing, look, unlikeness
from nemod.media.probe import probe
from tests.support.clips import clip, ffmpeg, make_clip, run_ffmpeg

RAMP = bytes(range(256)) * 8
PICTURE = look(RAMP[: 3 * WIDTH * HEIGHT])
NEGATIVE = look(bytes(255 - value for value in RAMP[: 3 * WIDTH * HEIGHT]))


def flat(*colour: int) -> Look:
    """A picture of one colour."""
    return look(bytes(colour) * WIDTH * HEIGHT)


async def said(source: Path, output: Path) -> str | None:
    """What is told of two files."""
    return await unlikeness(ffmpeg(), (source, await probe(source, timeout_s=60)), (output, await probe(output, timeout_s=60)))


def made(root: Path, source: Path, *args: str) -> Path:
    """The source through ffmpeg."""
    output = root / "made.mp4"
    run_ffmpeg("-i", source, "-map", "0:v:0", "-map", "0:a:0?", *args, "-pix_fmt", "yuv420p", "-c:a", "aac", output)
    return output


@pytest.mark.parametrize(
    "name", ["bear_odd.webm", "iphone_hlg_rot.MOV", "interlaced.mpg", "stream-of-water.mp4", "subs_ssa.mkv", "flower.gif"]
)
async def test_a_small_and_poor_encode_is_like_its_source(tmp_path: Path, name: str) -> None:
    """Another size, rate and quality, HDR made ordinary, fields made frames: it shows the same."""
    output = made(tmp_path, clip(name), "-vf", "scale=160:-2,fps=12", "-crf", "40", "-ac", "1")
    assert await said(clip(name), output) is None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-vf", "drawbox=t=fill:color=black"), "shows nothing"),
        (("-vf", "loop=loop=-1:size=1:start=0,trim=duration=3"), "stands still"),
        (("-vf", "negate"), "something else"),
        (("-af", "volume=0"), "silent"),
    ],
)
async def test_a_black_another_or_a_silent_output_is_told(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    """Of the right length, size and codec, all of them."""
    source = make_clip(tmp_path / "source.mp4", seconds=3)
    assert words in (await said(source, made(tmp_path, source, *args)) or "")


async def test_a_person_may_have_anything_changed_but_into_nothing(tmp_path: Path) -> None:
    """With their own words another picture is what they wanted; a black one is not."""
    source = make_clip(tmp_path / "source.mp4", seconds=2)
    media = await probe(source, timeout_s=60)
    for args, told in ((("-vf", "negate"), False), (("-vf", "drawbox=t=fill:color=black"), True)):
        output = made(tmp_path, source, *args)
        found = await unlikeness(ffmpeg(), (source, media), (output, await probe(output, timeout_s=60)), edited=True)
        assert (found is not None) is told


async def test_another_video_of_the_same_length_is_told(tmp_path: Path) -> None:
    """As a session that holds several might give."""
    source, other = clip("stream-of-water.mp4"), tmp_path / "other.mp4"
    length = (await probe(source, timeout_s=60)).duration_s
    make_clip(other, seconds=length)
    assert "something else" in (await said(source, other) or "")


def test_a_flat_source_is_like_what_is_flat_in_its_colour() -> None:
    """A white page is not a black one, nor a red one blue; a picture is not a flat one, nor its own negative."""
    red, blue = flat(200, 10, 10), flat(10, 10, 200)
    assert alike(flat(235, 235, 235), flat(230, 228, 235))
    assert not alike(flat(235, 235, 235), flat(16, 16, 16))
    assert not alike(red, blue)
    assert not alike(PICTURE, red)
    assert not alike(red, PICTURE)
    assert alike(PICTURE, PICTURE)
    assert not alike(PICTURE, NEGATIVE)


def test_a_cut_beside_a_moment_is_no_other_video() -> None:
    """Two of nine may differ, three may not; of two, one may."""
    same, other = (PICTURE, PICTURE), (PICTURE, NEGATIVE)
    assert differing([same] * 7 + [other] * 2) is None
    assert differing([same] * 6 + [other] * 3) is not None
    assert differing([same, other]) is None
    assert differing([]) is None


async def test_a_look_that_somebody_ended_says_nothing(tmp_path: Path) -> None:
    """Whoever kills the ffmpeg that looks does not get another video through; it is looked at again later."""
    killed = tmp_path / "ffmpeg"
    killed.write_text("#!/bin/sh\nkill -9 $$\n", encoding="ascii")
    killed.chmod(0o755)
    source = clip("one_frame.mp4")
    media = await probe(source, timeout_s=60)
    with pytest.raises(LikenessError) as caught:
        await unlikeness(killed, (source, media), (source, media))
    assert caught.value.failure.kind is Kind.TRANSIENT
