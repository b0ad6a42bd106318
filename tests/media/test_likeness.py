"""Whether an output shows and sounds like its source, on real files."""

from pathlib import Path

import pytest

from nemod.media.likeness import HEIGHT, WIDTH, alike, differing, unlikeness
from nemod.media.probe import probe
from tests.support.clips import clip, ffmpeg, make_clip, run_ffmpeg

RAMP = bytes(range(256)) * 3
PICTURE = RAMP[: WIDTH * HEIGHT]


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
        (("-vf", "drawbox=t=fill:color=black"), "something else"),
        (("-vf", "negate"), "something else"),
        (("-af", "volume=0"), "silent"),
    ],
)
async def test_a_black_another_or_a_silent_output_is_told(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    """Of the right length, size and codec, all of them."""
    source = make_clip(tmp_path / "source.mp4", seconds=3)
    assert words in (await said(source, made(tmp_path, source, *args)) or "")


async def test_another_video_of_the_same_length_is_told(tmp_path: Path) -> None:
    """As a session that holds several might give."""
    source, other = clip("stream-of-water.mp4"), tmp_path / "other.mp4"
    length = (await probe(source, timeout_s=60)).duration_s
    make_clip(other, seconds=length)
    assert "something else" in (await said(source, other) or "")


def test_nothing_is_like_anything() -> None:
    """A black or white source says nothing of its output; an output that is flat where the source is not says much."""
    flat = bytes([16]) * len(PICTURE)
    assert alike(flat, PICTURE)
    assert not alike(PICTURE, flat)
    assert alike(PICTURE, PICTURE)
    assert not alike(PICTURE, bytes(255 - value for value in PICTURE))


def test_a_cut_beside_a_moment_is_no_other_video() -> None:
    """Two of nine may differ, three may not; of two, one may."""
    same, other = (PICTURE, PICTURE), (PICTURE, bytes(255 - value for value in PICTURE))
    assert differing([same] * 7 + [other] * 2) is None
    assert differing([same] * 6 + [other] * 3) is not None
    assert differing([same, other]) is None
    assert differing([]) is None
