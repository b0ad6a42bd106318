"""What the probe says of real clips, of broken ones and of things that are no videos."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemod.failure import Failure, Kind
from nemod.media.info import MediaInfo, VideoStream
from nemod.media.probe import ProbeError, probe
from tests.support.clips import clip, make_clip, run_ffmpeg
from tests.support.people import ordinary

TIMEOUT_S = 60.0


async def measure(path: Path) -> tuple[MediaInfo, VideoStream]:
    """Probe what must be a video."""
    media = await probe(path, timeout_s=TIMEOUT_S)
    assert media.video is not None
    return media, media.video


async def refusal(path: Path) -> Failure:
    """Probe what must not be one."""
    with pytest.raises(ProbeError) as caught:
        await probe(path, timeout_s=TIMEOUT_S)
    failure = caught.value.failure
    assert path.name not in failure.detail + failure.hint
    assert failure.detail.endswith(".")
    return failure


async def test_an_ordinary_phone_clip() -> None:
    """A plain MP4 is measured in full."""
    media, video = await measure(clip("stream-of-water.mp4"))
    assert media.mp4
    assert media.faststart
    assert (media.fragmented, media.damaged, media.cut_off_s) == (False, False, 0)
    assert (media.has_location, media.location, media.others) == (False, None, ())
    assert media.duration_s == pytest.approx(3.158, abs=0.001)
    assert media.creation_time == "2018-05-03T13:42:53Z"
    assert (video.codec, video.profile, video.level, video.pixel_format) == ("h264", "Constrained Baseline", 30, "yuv420p")
    assert (video.width, video.height, video.frames, video.rotation_deg) == (480, 360, 90, 0)
    assert (video.color_range, video.matrix, video.transfer, video.primaries) == ("tv", "smpte170m", "bt709", "bt709")
    assert video.fps == pytest.approx(29.98, abs=0.01)
    (audio,) = media.audio
    assert (audio.codec, audio.profile, audio.channels, audio.sample_rate_hz) == ("aac", "LC", 1, 44100)
    assert audio.bitrate_bps == pytest.approx(72_000, rel=0.01)


async def test_an_iphone_clip() -> None:
    """HDR, a turn, data tracks and a place are all seen."""
    media, video = await measure(clip("iphone_hlg_rot.MOV"))
    assert video.hdr
    assert (video.pixel_format, video.bit_depth) == ("yuv420p10le", 10)
    assert video.rotation_deg == 90
    assert video.display_size == (720, 1280)
    assert media.others == ("data", "data", "data")
    assert media.has_location
    assert media.location == "+51.5334-000.1255+026.756/"
    assert not media.mp4


async def test_an_android_clip_in_full_range() -> None:
    """Full range is told from the frames, and the picture is found behind a data track."""
    media, video = await measure(clip("hevc_rot_datatrack.mp4"))
    assert (video.index, video.color_range, video.rotation_deg) == (2, "pc", 90)
    assert media.location == "+51.5932-0.2431/"


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
async def test_turns_agree_with_ffmpeg(turn: int, tmp_path: Path) -> None:
    """Turning the coded picture clockwise by the angle that we tell gives what ffmpeg shows."""
    plain, turned = make_clip(tmp_path / "plain.mp4", seconds=0.2, audio=False), tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation", str(-turn), "-i", plain, "-c", "copy", turned)
    _, video = await measure(turned)
    assert video.rotation_deg == turn
    ours, theirs = tmp_path / "ours.gray", tmp_path / "theirs.gray"
    how = {0: "null", 90: "transpose=clock", 180: "hflip,vflip", 270: "transpose=cclock"}[video.rotation_deg]
    raw = ["-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo"]
    run_ffmpeg("-noautorotate", "-i", turned, "-vf", how, *raw, ours)
    run_ffmpeg("-i", turned, *raw, theirs)
    assert ours.read_bytes() == theirs.read_bytes()


async def test_a_header_that_lies_about_the_frame_rate() -> None:
    """Frames are counted, not believed; dates without a zone are UTC."""
    media, video = await measure(clip("subs_ssa.mkv"))
    assert video.fps == pytest.approx(31, abs=0.1)
    assert video.nominal_fps == 60
    assert media.others == ("subtitle",)
    assert media.creation_time == "2016-05-31T17:01:35Z"
    assert media.duration_s == pytest.approx(1.072, abs=0.001)


async def test_interlaced_with_oblong_pixels() -> None:
    """A program stream that starts late is as long as it plays, and shown wider than it is coded."""
    media, video = await measure(clip("interlaced.mpg"))
    assert video.interlaced
    assert video.display_size == (384, 288)
    assert media.duration_s == pytest.approx(1.0, abs=0.05)
    assert media.header_duration_s is None


async def test_an_animation_lasts_as_long_as_its_last_frame() -> None:
    """The time that a GIF's last frame stays counts."""
    media, video = await measure(clip("flower.gif"))
    assert media.duration_s == pytest.approx(1.0)
    assert (video.frames, video.width, video.height) == (12, 161, 91)


async def test_one_frame() -> None:
    """One frame has a rate, too."""
    _, video = await measure(clip("one_frame.mp4"))
    assert video.frames == 1
    assert video.fps == pytest.approx(29.97, abs=0.01)
    assert not video.variable


async def test_uneven_frames_are_variable(tmp_path: Path) -> None:
    """Dropping some frames makes the rate variable; an even one is not, in milliseconds either."""
    drop = ["-vf", "select='not(between(mod(n,10),3,6))'", "-fps_mode", "vfr"]
    _, uneven = await measure(make_clip(tmp_path / "a.mp4", extra_args=drop))
    _, even = await measure(make_clip(tmp_path / "b.mkv", fps=29.97))
    assert uneven.variable
    assert not even.variable


async def test_a_cover_is_no_picture_track(tmp_path: Path) -> None:
    """A cover in front of a video is passed over, and several sounds are all told, the default one as the main one."""
    path = tmp_path / "many.mkv"
    water, still = clip("stream-of-water.mp4"), tmp_path / "cover.png"
    run_ffmpeg("-i", water, "-frames:v", "1", still)
    two = ["-map", "0:v", "-map", "0:a", "-map", "0:a", "-c", "copy", "-disposition:a:0", "0", "-disposition:a:1", "default"]
    run_ffmpeg("-i", water, *two, "-attach", still, "-metadata:s:t", "mimetype=image/png", path)
    media, video = await measure(path)
    assert video.codec == "h264"
    assert media.others == ("cover",)
    assert [a.default for a in media.audio] == [False, True]
    assert media.main_audio == media.audio[1]


async def test_a_live_recording_has_no_length_in_its_header(tmp_path: Path) -> None:
    """Without any promise the packets tell how long it is."""
    path = make_clip(tmp_path / "live.webm", seconds=1, extra_args=["-c:v", "libvpx", "-live", "1"])
    media, _ = await measure(path)
    assert media.header_duration_s is None
    assert media.duration_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("suffix", ["ts", "flv", "avi", "wmv", "mts"])
async def test_other_containers(suffix: str, tmp_path: Path) -> None:
    """Every kind of container that people drop can be read."""
    args = ["-f", "mpegts", "-mpegts_m2ts_mode", "1"] if suffix == "mts" else []
    media, video = await measure(make_clip(tmp_path / f"a.{suffix}", seconds=1, extra_args=args))
    assert media.duration_s == pytest.approx(1.0, abs=0.15)
    assert (video.width, video.height) == (320, 180)
    assert len(media.audio) == 1
    assert not media.mp4


async def test_a_name_of_any_bytes(tmp_path: Path) -> None:
    """Newlines, dashes, emoji, broken UTF-8 and the longest name there is make no difference."""
    for name in ("a\nb.mp4", "-i x.mp4", "\N{PILE OF POO}.mp4", "\udcff\udcfe.mp4", "x" * 251 + ".mp4", "http:%d,.mp4"):
        path = tmp_path / name
        try:
            path.write_bytes(clip("one_frame.mp4").read_bytes())
        except OSError:
            continue  # macOS refuses names that are not UTF-8
        media, _ = await measure(path)
        assert media.size_bytes == path.stat().st_size


# What was cut off or is still being copied


async def test_a_cut_file_shows_what_is_missing(tmp_path: Path) -> None:
    """With the index in front a cut file still plays; the probe tells how much is gone."""
    whole = make_clip(tmp_path / "whole.mp4", seconds=10, extra_args=["-movflags", "+faststart"])
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    media, _ = await measure(path)
    assert media.header_duration_s == pytest.approx(10, abs=0.1)
    assert media.cut_off_s == pytest.approx(5, abs=2)
    assert media.damaged


async def test_reserved_but_unwritten_room_does_not_count(tmp_path: Path) -> None:
    """A copy that reserves the whole file and fills it later is not mistaken for a whole one."""
    data = make_clip(tmp_path / "whole.mp4", seconds=10, extra_args=["-movflags", "+faststart"]).read_bytes()
    path = tmp_path / "reserved.mp4"
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    media, _ = await measure(path)
    assert media.cut_off_s == pytest.approx(5, abs=2)
    assert media.damaged


@pytest.mark.parametrize("name", ["stream-of-water.mp4", "subs_ssa.mkv", "bear_odd.webm", "lying.mp4", "flower.gif"])
@pytest.mark.parametrize("size", [0, 16, 700])
async def test_a_beginning_is_incomplete(name: str, size: int, tmp_path: Path) -> None:
    """The first bytes of any video may become one."""
    path = tmp_path / name
    path.write_bytes(clip(name).read_bytes()[:size])
    assert (await refusal(path)).kind is Kind.INCOMPLETE


async def test_a_missing_index_is_named(tmp_path: Path) -> None:
    """An MP4 whose index comes last is incomplete until it has come."""
    path = tmp_path / "a.mp4"
    path.write_bytes(clip("lying.mp4").read_bytes()[:70_000])
    failure = await refusal(path)
    assert failure.kind is Kind.INCOMPLETE
    assert "moov" in failure.detail


async def test_zeros_are_incomplete(tmp_path: Path) -> None:
    """A head of zeros is room that has not been filled yet."""
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(100_000))
    assert (await refusal(path)).kind is Kind.INCOMPLETE


# What never will be a video


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"not a video at all\n", "text"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture"),
        (b"\x7fELF" + bytes(range(256)) * 20, "not a video"),
    ],
)
async def test_what_is_no_video_is_unsupported_at_once(data: bytes, word: str, tmp_path: Path) -> None:
    """The head of something else will not turn into a video by waiting."""
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    failure = await refusal(path)
    assert failure.kind is Kind.UNSUPPORTED
    assert word in failure.detail
    assert failure.hint


async def test_sound_with_a_cover_is_no_video(tmp_path: Path) -> None:
    """A song is told as a song."""
    song, still = tmp_path / "song.m4a", tmp_path / "cover.png"
    run_ffmpeg("-i", clip("stream-of-water.mp4"), "-frames:v", "1", still)
    cover = ["-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v:0", "attached_pic"]
    run_ffmpeg("-i", clip("stream-of-water.mp4"), "-i", still, *cover, song)
    failure = await refusal(song)
    assert failure.kind is Kind.UNSUPPORTED
    assert "sound but no moving picture" in failure.detail


async def test_a_still_gif_is_a_picture(tmp_path: Path) -> None:
    """One frame in a GIF is a picture, one in an MP4 a very short video."""
    path = tmp_path / "a.gif"
    run_ffmpeg("-i", clip("flower.gif"), "-frames:v", "1", path)
    assert (await refusal(path)).kind is Kind.UNSUPPORTED


async def test_a_picture_that_no_one_can_decode(tmp_path: Path) -> None:
    """An unknown coding is told as such, and is no fault of the reader."""
    path = tmp_path / "a.mp4"
    path.write_bytes(clip("stream-of-water.mp4").read_bytes().replace(b"avc1", b"zzz1"))
    failure = await refusal(path)
    assert failure.kind is Kind.UNSUPPORTED
    assert "coded in a way" in failure.detail


async def test_things_that_are_no_files(tmp_path: Path) -> None:
    """Folders, pipes and links are told apart without waiting for anyone."""
    (tmp_path / "dir.mp4").mkdir()
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere")
    for name in ("dir.mp4", "fifo.mp4", "link.mp4"):
        assert (await refusal(tmp_path / name)).kind is Kind.UNSUPPORTED


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """A file that went away is gone, not broken."""
    assert (await refusal(tmp_path / "none.mp4")).kind is Kind.SOURCE_GONE


async def test_no_permission() -> None:
    """Without permission it says how to give it."""
    data = clip("one_frame.mp4").read_bytes()
    with ordinary() as own:
        path = own / "a.mp4"
        path.write_bytes(data)
        path.chmod(0)
        failure = await refusal(path)
    assert failure.kind is Kind.UNREADABLE
    assert "chmod" in failure.hint


async def test_a_reader_that_got_nowhere_says_nothing_of_the_file() -> None:
    """When the time is up and the reader has hardly worked, its drive is to blame: the file is read again later."""
    with pytest.raises(ProbeError) as caught:
        await probe(clip("one_frame.mp4"), timeout_s=0.001)
    assert caught.value.failure.kind is Kind.TRANSIENT


def test_the_reader_stays_light() -> None:
    """The process that is started for every file loads nothing that it does not need."""
    code = "import sys, nemod.media.probe_child; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "typer", "structlog", "asyncio", "nemod.failure"} & set(done.stdout.split())


async def test_a_track_that_comes_up_late_is_no_fault(tmp_path: Path) -> None:
    """A broadcast that has sound in its middle only is read to its end; of the late track nobody has known before."""
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-muxrate", "2M")
    parts = []
    for number, (seconds, start) in enumerate(((30, 0), (2, 30), (30, 32))):
        options = (*coded, "-output_ts_offset", str(start))
        part = tmp_path / f"{number}.ts"
        parts.append(make_clip(part, seconds=seconds, size=(64, 64), fps=10, audio=number == 1, extra_args=options))
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    media, video = await measure(both)
    assert video.frames >= 610
    assert media.duration_s == pytest.approx(62, abs=0.5)
