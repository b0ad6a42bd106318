"""How good an output is beside its source, measured on real files."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.failure import Kind
from nemod.media.info import MediaInfo
from nemod.media.inputs import timed_input
from nemod.media.probe import probe
from nemod.media.quality import Quality, QualityError, Shown, compare, compare_argv, escaped, grid_fps, piece, read_log
from tests.ledger.values import MEDIA, VIDEO
from tests.support.clips import clip, ffmpeg, make_clip, run_ffmpeg

WATER = clip("stream-of-water.mp4")
FINE = ("-preset", "ultrafast", "-crf", "8")


async def shown(path: Path) -> Shown:
    """All of a file."""
    return Shown(path=path, parts=(await probe(path, timeout_s=60),))


async def scored(source: Path, output: Path, *, frames_most: int = 400) -> Quality:
    """What is measured of two whole files."""
    return await compare(ffmpeg(), await shown(source), await shown(output), frames_most=frames_most, timeout_s=60)


def made(root: Path, source: Path, *args: str, name: str = "made.mp4") -> Path:
    """The source's picture through ffmpeg."""
    run_ffmpeg("-i", source, "-map", "0:v:0", *args, "-pix_fmt", "yuv420p", root / name)
    return root / name


async def test_a_poor_picture_has_a_poor_score(tmp_path: Path) -> None:
    """And the same again has all that there is to have; smaller and slower cost what they show."""
    same = await scored(WATER, WATER)
    fine = await scored(WATER, made(tmp_path, WATER, *FINE, name="fine.mkv"))
    small = await scored(WATER, made(tmp_path, WATER, *FINE, "-vf", "scale=120:-2", name="small.mp4"))
    halting = await scored(WATER, made(tmp_path, WATER, *FINE, "-r", "5", name="halting.mp4"))
    assert same.ssim == 1
    assert same.vmaf_mean > 97
    assert same.frames == (await shown(WATER)).parts[0].video.frames  # type: ignore[union-attr]
    assert same.vmaf_mean - 3 < fine.vmaf_mean <= same.vmaf_mean
    assert small.vmaf_p5 < small.vmaf_mean < fine.vmaf_mean - 20
    assert halting.vmaf_p5 < fine.vmaf_p5 - 20


async def test_fewer_frames_are_scored_as_all_of_them_would_be(tmp_path: Path) -> None:
    """Each keeps its neighbours, from which VMAF takes the motion."""
    poor = made(tmp_path, WATER, "-preset", "ultrafast", "-crf", "40")
    whole, some = await scored(WATER, poor), await scored(WATER, poor, frames_most=12)
    assert 10 <= some.frames <= 12
    assert abs(whole.vmaf_mean - some.vmaf_mean) < 1.5


async def test_an_early_end_is_held_against_the_output(tmp_path: Path) -> None:
    """Its last picture stands for what is missing."""
    cut = made(tmp_path, WATER, *FINE, "-t", "2")
    short = await scored(WATER, cut, frames_most=30)
    assert short.frames > 18
    assert short.vmaf_p5 < short.vmaf_mean - 20


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("lying.mp4", ()),
        ("interlaced.mpg", ("-vf", "bwdif=mode=send_frame,scale=iw*sar:ih,setsar=1")),
        (
            "iphone_hlg_rot.MOV",
            (
                "-vf",
                "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv",
            ),
        ),
    ],
)
async def test_both_are_brought_to_one_look(tmp_path: Path, name: str, args: tuple[str, ...]) -> None:
    """Turned, interlaced and HDR sources are held against what an ordinary picture makes of them."""
    assert (await scored(clip(name), made(tmp_path, clip(name), *FINE, *args))).vmaf_mean > 90


async def test_windows_that_were_made_one_video_are_compared_one_by_one(tmp_path: Path) -> None:
    """Each begins and ends with its frame; one that came a frame later would be scored as a ruin."""
    media = await probe(WATER, timeout_s=60)
    parts = tuple(media.cut(start, start + 0.617) for start in (0.213, 1.09, 2.31))
    assert media.video is not None
    fps = grid_fps(media.video)
    inputs = [word for part in parts for word in timed_input(WATER, part)]
    pieces = ";".join(f"[{n}:v:0]{','.join(piece(part, fps))}[p{n}]" for n, part in enumerate(parts))
    out = tmp_path / "parts.mp4"
    run_ffmpeg(*inputs, "-filter_complex", f"{pieces};[p0][p1][p2]concat=n=3[v]", "-map", "[v]", *FINE, out)
    fine = await compare(ffmpeg(), Shown(path=WATER, parts=parts), await shown(out), timeout_s=60)
    assert fine.frames == sum(round(0.617 * fps) for _ in parts)
    assert fine.vmaf_p5 > 90


async def test_a_name_of_any_characters(tmp_path: Path) -> None:
    """Names are not read as filters or options."""
    odd = make_clip(tmp_path / "-a:b',[c];d%d.mp4", seconds=0.5, audio=False)
    assert (await scored(odd, odd)).vmaf_mean > 90


async def test_what_cannot_be_measured_is_told(tmp_path: Path) -> None:
    """An ffmpeg without the filter or none at all, a file that is gone, a measurement that takes too long."""
    water = await shown(WATER)
    lean = tmp_path / "ffmpeg"
    lean.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(\"[AVFilterGraph] No such filter: 'libvmaf'\")\n")
    lean.chmod(0o755)
    for tool, other, timeout, kind, says in (
        (lean, water, 60, Kind.TOOL_MISSING, "without libvmaf"),
        (tmp_path / "none", water, 60, Kind.TOOL_MISSING, "cannot be started"),
        (ffmpeg(), replace(water, path=tmp_path / "gone.mp4"), 60, Kind.UNSUPPORTED, "cannot be measured"),
        (ffmpeg(), replace(water, parts=(replace(MEDIA, video=None),)), 60, Kind.UNSUPPORTED, "no picture"),
        (ffmpeg(), water, 0.001, Kind.TRANSIENT, "not done"),
    ):
        with pytest.raises(QualityError) as raised:
            await compare(tool, water, other, timeout_s=timeout)
        assert raised.value.failure.kind is kind
        assert says in raised.value.failure.detail


@pytest.mark.parametrize("text", ["", "{}", '{"frames": []}', '{"frames": [{"metrics": {"vmaf": 90}}]}'])
def test_a_log_without_scores_is_none(text: str) -> None:
    """It is told as what it is, whatever is missing in it."""
    with pytest.raises(QualityError, match="no frame was scored"):
        read_log(text)


def test_the_size_and_the_rate_at_which_two_are_compared() -> None:
    """The source's, within bounds; what headers tell of a rate is believed where it is near what was measured."""

    def graph(media: MediaInfo) -> str:
        part = Shown(path=Path("/a.mp4"), parts=(media,))
        argv = compare_argv(Path("ffmpeg"), part, part, Path("/log"), frames_most=100)
        return argv[argv.index("-filter_complex") + 1]

    large = replace(MEDIA, video=replace(VIDEO, width=3840, height=2160, fps=120.0, nominal_fps=120.0))
    assert "scale=1920:1080:flags=bicubic" in graph(large)
    assert "fps=60.000000:start_time=0" in graph(large)
    assert "scale=1080:1920" in graph(replace(MEDIA, video=replace(VIDEO, rotation_deg=90)))
    assert grid_fps(replace(VIDEO, fps=29.95, nominal_fps=30000 / 1001)) == 30000 / 1001
    assert grid_fps(replace(VIDEO, fps=15.0, nominal_fps=30.0)) == 15.0


def test_values_are_quoted_against_both_readers() -> None:
    """The option's and the graph's."""
    assert escaped("/a:b'c,d[e]") == "/a\\\\:b\\\\\\'c\\,d\\[e\\]"
