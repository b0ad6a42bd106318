"""How each codec is asked for, word for word, and what ffmpeg makes of it."""

from pathlib import Path

import pytest

from nemod.config.model import Codec, Speed
from nemod.engines.local.codecs import CODERS, Rate, encoder_args, second_pass
from nemod.engines.local.ffmpeg import mux_argv
from nemod.engines.local.picture import picture_argv
from nemod.media.child import run
from nemod.media.look import Picture
from nemod.media.probe import probe
from nemod.media.verdict import inline_faults
from tests.support.clips import ffmpeg, make_clip

STATS, HD = Path("/w/stats"), (1280, 720)
BT709 = ["-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]


def test_h264() -> None:
    """High, with many reordered pictures where they may be."""
    args = encoder_args(Codec.H264, Speed.BALANCED, Rate(passing=2, bitrate_bps=700_000), stats=STATS, size=HD)
    begin = ["-c:v", "libx264", "-preset", "slow", "-g", "600", *BT709, "-profile:v", "high"]
    assert args == [*begin, "-bf", "8", "-refs", "8", "-b:v", "700000", "-pass", "2", "-passlogfile", "/w/stats"]
    still = encoder_args(Codec.H264, Speed.FAST, Rate(passing=0, crf=20), stats=STATS, size=HD, reorder=False, tagged=False)
    assert still == ["-c:v", "libx264", "-preset", "medium", "-g", "600", "-color_range", "tv", *["-profile:v", "high"],
                     "-bf", "0", "-refs", "3", "-crf", "20"]  # fmt: skip


@pytest.mark.parametrize(
    ("speed", "size", "references"),
    [
        (Speed.FAST, (768, 576), 3),
        (Speed.BALANCED, (768, 576), 8),
        (Speed.BEST, (768, 576), 16),
        (Speed.BALANCED, (1280, 720), 8),
        (Speed.BEST, (1280, 720), 9),
        (Speed.BALANCED, (1920, 1080), 4),
        (Speed.BEST, (1920, 1080), 4),
        (Speed.BEST, (3840, 2160), 4),
        (Speed.BEST, (15360, 8640), 1),
    ],
)
def test_h264_looks_back_at_what_common_decoders_keep(speed: Speed, size: tuple[int, int], references: int) -> None:
    """A level that only new hardware decodes would be bought for very little."""
    args = encoder_args(Codec.H264, speed, Rate(passing=0, crf=20), stats=STATS, size=size)
    assert args[args.index("-refs") + 1] == str(references)


def test_key_frames_are_further_apart_in_small_pictures() -> None:
    """Who seeks waits about as long."""
    rate = Rate(passing=0, crf=20)
    found = [encoder_args(Codec.H264, Speed.BALANCED, rate, stats=STATS, size=size) for size in (HD, (768, 576), (64, 64))]
    assert [args[args.index("-g") + 1] for args in found] == ["600", "1000", "1000"]


def test_hevc() -> None:
    """Marked for Apple's players, in the main tier, with statistics under a name of any characters."""
    odd = Path("/w/it's a:b")
    first = encoder_args(Codec.HEVC, Speed.BALANCED, Rate(passing=1, crf=23), stats=odd, size=HD)
    params = "log-level=none:open-gop=0:high-tier=0:info=0:pass=1:stats=/w/it\\'s a\\:b.x265:slow-firstpass=0"
    begin = ["-c:v", "libx265", "-preset", "medium", "-g", "600", *BT709, "-profile:v", "main", "-tag:v", "hvc1"]
    assert first == [*begin, "-crf", "23", "-x265-params", params]
    still = encoder_args(Codec.HEVC, Speed.BALANCED, Rate(passing=0, crf=23), stats=odd, size=HD, reorder=False)
    assert still[still.index("-bf") + 1] == "0"
    assert "pass=" not in still[-1]


def test_av1() -> None:
    """A quality in quarters; the pass that only predicts is a quick one."""
    args = encoder_args(Codec.AV1, Speed.BEST, Rate(passing=0, crf=23.1), stats=STATS, size=HD)
    assert args == ["-c:v", "libsvtav1", "-preset", "5", "-g", "600", *BT709, "-crf", "36", "-svtav1-params", "crf=36.25"]
    first = encoder_args(Codec.AV1, Speed.BEST, Rate(passing=1, crf=20), stats=STATS, size=(1920, 1080))
    assert first[first.index("-preset") + 1] == "8"
    assert first[-1] == "lp=2:crf=31"


@pytest.mark.parametrize("codec", Codec)
def test_qualities_keep_their_order_and_their_bounds(codec: Codec) -> None:
    """A coarser one on x264's scale is no finer on any other, and none leaves its encoder's scale."""
    own = [CODERS[codec].crf(crf / 4) for crf in range(-40, 400)]
    assert own == sorted(own)
    assert own[0] >= 1
    assert own[-1] == CODERS[codec].crf_most


def test_a_rate_is_asked_for_as_each_codec_can() -> None:
    """As a rate where a second pass knows what came before; else as the quality that half the bits speak for."""
    for codec in (Codec.H264, Codec.HEVC):
        assert second_pass(codec, 500_000.7, first_crf=20, first_bps=1e6) == Rate(passing=2, bitrate_bps=500_000)
    assert second_pass(Codec.AV1, 500_000, first_crf=20, first_bps=1e6) == Rate(passing=0, crf=26)
    assert second_pass(Codec.AV1, 1e6, first_crf=20, first_bps=1e6) == Rate(passing=0, crf=20)


@pytest.mark.parametrize("codec", Codec)
async def test_what_is_made_plays_where_its_codec_does(tmp_path: Path, codec: Codec) -> None:
    """Two passes and a mux: codec, profile, tags, colours and every frame are right, and half the rate has fewer bytes."""
    source = make_clip(tmp_path / "clip.mp4", seconds=1.0, extra_args=("-colorspace", "bt709"))
    media = await probe(source, timeout_s=60)
    picture, sizes = Picture(width=320, height=180), []
    work = tmp_path / "wo'r:k"
    work.mkdir()

    async def made(rate: Rate, out: Path | None) -> None:
        argv = picture_argv(
            ffmpeg(), source, media, picture, rate, stats=work / "s", out=out, most_bytes=10**7, codec=codec, speed=Speed.FAST
        )
        finished = await run(argv, timeout_s=60, file_bytes=10**8)
        assert finished.returncode == 0, finished.stderr_tail

    await made(Rate(passing=1, crf=20), None)
    track, output = work / "picture.mp4", tmp_path / "out.mp4"
    for bitrate in (400_000, 200_000):
        await made(second_pass(codec, bitrate, first_crf=20, first_bps=400_000), track)
        sizes.append(track.stat().st_size)
    muxed = await run(mux_argv(ffmpeg(), track, None, output, media=media, keep_location=False), timeout_s=60, file_bytes=10**8)
    assert muxed.returncode == 0, muxed.stderr_tail
    made_of = await probe(output, timeout_s=60)
    assert inline_faults(made_of, codec) == ()
    video = made_of.video
    assert video is not None
    assert media.video is not None
    assert (video.codec, video.tag) == {
        Codec.H264: ("h264", "avc1"), Codec.HEVC: ("hevc", "hvc1"), Codec.AV1: ("av1", "av01")
    }[codec]  # fmt: skip
    assert (video.matrix, video.primaries, video.transfer, video.color_range) == ("bt709", "bt709", "bt709", "tv")
    assert video.frames == media.video.frames
    assert abs(made_of.duration_s - media.video.end_s) < 0.05
    assert sizes[1] < 0.8 * sizes[0]
