"""What is said to ffmpeg, word for word, and how its answers are read."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.engines.local import ffmpeg, picture, sound
from nemod.engines.local.codecs import Rate
from nemod.engines.local.ffmpeg import Tick
from nemod.engines.local.sound import Sound
from nemod.media import look
from nemod.media.formats import DEMUXERS
from nemod.media.info import VideoStream
from nemod.media.look import Picture
from tests.ledger.values import AUDIO, MEDIA, VIDEO

TOOL = Path("/opt/ffmpeg")
SOURCE = Path("/in/clip.mov")
HD = Picture(width=1280, height=720)
SCALE = "flags=lanczos+accurate_rnd+full_chroma_int:out_range=tv"
TAIL = "setsar=1,format=yuv420p"
TAGS = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
TONE = "pin=bt2020:min=bt2020nc:t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0"
BACK = "zscale=t=bt709:m=bt709:r=limited:d=ordered"
HEAD = [str(TOOL), "-hide_banner", "-nostdin", "-v", "error", "-y", "-progress", "pipe:1"]
INPUT = ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS), "-i"]
TIMED = ["-copyts", "-itsoffset", "0.000000", *INPUT]
COPY = Sound(stream=AUDIO, copy=True, bitrate_bps=128_000, channels=2)
BARE = replace(VIDEO, matrix=None, transfer=None, primaries=None)
HLG = replace(VIDEO, pixel_format="yuv420p10le", bit_depth=10, matrix="bt2020nc", transfer="arib-std-b67", primaries="bt2020")


def chain(video: VideoStream, picture: Picture = HD, *, start_gap_s: float = 0.0) -> str:
    return look.filters(video, picture, start_gap_s=start_gap_s)


@pytest.mark.parametrize(
    ("video", "wanted"),
    [
        (VIDEO, f"scale=1280:720:{SCALE}:in_color_matrix=bt709:out_color_matrix=bt709,{TAIL},{TAGS}"),
        # Untagged, and guessed alike before and after: not a value is changed, nothing is claimed.
        (BARE, f"scale=1280:720:{SCALE},{TAIL}"),
        # Untagged SD made HD, and a rest of RGB: converted from what custom says, and tagged.
        (
            replace(BARE, width=640, height=480),
            f"scale=1280:720:{SCALE}:in_color_matrix=smpte170m:out_color_matrix=bt709,{TAIL},{TAGS}",
        ),
        (
            replace(BARE, pixel_format="bgra", codec="gif"),
            f"scale=1280:720:{SCALE}:in_color_matrix=bt709:out_color_matrix=bt709,{TAIL},{TAGS}",
        ),
        (
            replace(VIDEO, matrix="bt470bg", interlaced=True),
            f"bwdif=mode=send_frame:deint=interlaced,scale=1280:720:{SCALE}:in_color_matrix=bt470:out_color_matrix=bt709,{TAIL},{TAGS}",
        ),
        (
            HLG,
            f"zscale=w=1280:h=720:f=spline36:rin=limited,zscale=tin=arib-std-b67:{TONE}:peak=4.93,{BACK},{TAIL},{TAGS}",
        ),
        (
            replace(HLG, transfer="smpte2084", primaries=None, matrix="reserved", color_range="pc"),
            f"zscale=w=1280:h=720:f=spline36:rin=full,zscale=tin=smpte2084:{TONE}:peak=10.00,{BACK},{TAIL},{TAGS}",
        ),
    ],
)  # fmt: skip
def test_the_filters_for_each_kind_of_picture(video: VideoStream, wanted: str) -> None:
    """HDR is tone-mapped, interlaced pictures are made whole, colours are told only where they are known."""
    assert chain(video) == wanted


def test_a_turned_picture_is_scaled_as_it_is_seen() -> None:
    """The decoder turns it; the filters get upright frames."""
    assert chain(replace(VIDEO, rotation_deg=90), Picture(width=720, height=1280)).startswith("scale=720:1280:")


def test_frame_rates_are_touched_only_when_they_must_be() -> None:
    """A lower rate, or a gap at the start that the first picture fills; variable rates keep their own times."""
    assert "fps=" not in chain(VIDEO, start_gap_s=0.04)
    assert ",fps=30:start_time=0," in chain(VIDEO, start_gap_s=0.5)
    assert ",fps=29.97:start_time=0," in chain(VIDEO, replace(HD, fps=29.97))
    assert "fps=" not in chain(replace(VIDEO, variable=True), start_gap_s=0.5)
    assert ",fps=15:start_time=0," in chain(replace(VIDEO, variable=True), replace(HD, fps=15.0))


def test_the_passes_over_the_picture() -> None:
    """Pass 1 at a quality, pass 2 at a rate with the same statistics, one alone without any."""

    def argv(rate: Rate) -> list[str]:
        out = None if rate.passing == 1 else Path("/work/picture.mp4")
        return picture.picture_argv(TOOL, SOURCE, MEDIA, HD, rate, stats=Path("/work/stats"), out=out, most_bytes=9_000_000)

    common = [*HEAD, *TIMED, "file:/in/clip.mov", "-map", "0:0", "-map_metadata", "-1", "-map_chapters", "-1"]
    common += ["-vf", chain(VIDEO), "-fps_mode", "vfr", "-enc_time_base", "1:90000"]
    common += ["-c:v", "libx264", "-preset", "slow", "-g", "600", "-color_range", "tv"]
    common += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-profile:v", "high", "-bf", "8"]
    common += ["-refs", "8"]
    out = ["-fs", "9000000", "-f", "mp4", "file:/work/picture.mp4"]
    stats = ["-passlogfile", "/work/stats"]
    nowhere = ["-f", "h264", "file:/dev/null"]
    assert argv(Rate(passing=1, crf=20.0)) == [*common, "-crf", "20", "-pass", "1", *stats, *nowhere]
    assert argv(Rate(passing=2, bitrate_bps=700_000)) == [*common, "-b:v", "700000", "-pass", "2", *stats, *out]
    assert argv(Rate(passing=0, crf=18.0)) == [*common, "-crf", "18", *out]


def test_a_picture_that_starts_after_its_sound_is_filled() -> None:
    """The gap is that to whatever starts first."""
    late = replace(MEDIA, video=replace(VIDEO, start_s=1.0), audio=(replace(AUDIO, start_s=0.25),))
    argv = picture.picture_argv(TOOL, SOURCE, late, HD, Rate(passing=0, crf=20), stats=Path("/s"), out=Path("/o"))
    assert argv[argv.index("-vf") + 1] == chain(VIDEO, start_gap_s=0.75)
    assert "fps=30" in argv[argv.index("-vf") + 1]


def test_a_variable_rate_gets_a_fine_clock() -> None:
    """And an untagged picture gets no tags."""
    odd = replace(MEDIA, video=replace(BARE, variable=True))
    argv = picture.picture_argv(TOOL, SOURCE, odd, HD, Rate(passing=0, crf=20), stats=Path("/s"), out=Path("/o"))
    assert argv[argv.index("-enc_time_base") + 1] == "1:90000"
    assert "-colorspace" not in argv
    slower = picture.picture_argv(
        TOOL, SOURCE, odd, replace(HD, fps=15.0), Rate(passing=0, crf=20), stats=Path("/s"), out=Path("/o")
    )
    assert "-enc_time_base" not in slower


def test_the_sound_is_copied_or_made_anew() -> None:
    """By its index; a late start is filled with silence."""
    out = ["-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4", "file:/work/sound.mp4"]
    common = [*HEAD, *TIMED, "file:/in/clip.mov", "-map", "0:1"]
    assert sound.sound_argv(TOOL, SOURCE, MEDIA, COPY, Path("/work/sound.mp4")) == [*common, "-c:a", "copy", *out]
    made = Sound(stream=replace(AUDIO, sample_rate_hz=44_100), copy=False, bitrate_bps=96_000, channels=2)
    coded = ["-af", "aresample=44100:async=1:first_pts=0", "-c:a", "aac", "-b:a", "96000", "-ac", "2", "-ar", "44100"]
    assert sound.sound_argv(TOOL, SOURCE, MEDIA, made, Path("/work/sound.mp4")) == [*common, *coded, *out]


def test_the_parts_are_put_together_with_what_is_wanted() -> None:
    """The index in front, title, time of making and language kept, the place only when the preset says so."""
    media = replace(MEDIA, title="A day", creation_time="2026-08-01T10:00:00Z", location="+52.5+013.4/", has_location=True)
    picture, sound, out = Path("/w/picture.mp4"), Path("/w/sound.mp4"), Path("/w/muxed.mp4")
    start = [*HEAD, "-copyts", "-i", "file:/w/picture.mp4"]
    dates = ["-map_metadata", "-1", "-map_chapters", "-1", "-metadata", "title=A day"]
    dates += ["-metadata", "creation_time=2026-08-01T10:00:00Z"]
    end = ["-metadata:s:a:0", "language=eng", "-movflags", "+faststart", "-f", "mp4", "file:/w/muxed.mp4"]
    both = [*start, "-i", "file:/w/sound.mp4", "-map", "0:v:0", "-map", "1:a:0", "-c", "copy", *dates]
    assert ffmpeg.mux_argv(TOOL, picture, sound, out, media=media, keep_location=False) == [*both, *end]
    placed = [*both, "-metadata", "location=+52.5+013.4/", *end]
    assert ffmpeg.mux_argv(TOOL, picture, sound, out, media=media, keep_location=True) == placed
    silent = ffmpeg.mux_argv(TOOL, picture, None, out, media=replace(MEDIA, audio=()), keep_location=True)
    assert silent == [*start, "-map", "0:v:0", "-c", "copy", "-map_metadata", "-1", "-map_chapters", "-1", *end[2:]]


def test_a_remux_leaves_the_picture_alone() -> None:
    """Each stream by its index, the sound coded only where players would not take it."""
    common = [*HEAD, *INPUT, "file:/in/clip.mov", "-map", "0:0", "-c:v", "copy"]
    end = ["-map_metadata", "-1", "-map_chapters", "-1", "-metadata:s:a:0", "language=eng"]
    end += ["-movflags", "+faststart", "-f", "mp4", "file:/w/out.mp4"]
    made = ffmpeg.remux_argv(TOOL, SOURCE, COPY, Path("/w/out.mp4"), media=MEDIA, keep_location=False)
    assert made == [*common, "-map", "0:1", "-c:a", "copy", *end]
    coded = ffmpeg.remux_argv(TOOL, SOURCE, replace(COPY, copy=False), Path("/w/out.mp4"), media=MEDIA, keep_location=False)
    resampled = ["-af", "aresample=48000:async=1:first_pts=0"]
    assert coded == [*common, "-map", "0:1", *resampled, "-c:a", "aac", "-b:a", "128000", "-ac", "2", "-ar", "48000", *end]


@pytest.mark.parametrize("name", [b"-y.mov", b"a\nb.mov", b"%03d.mov", b"http:x.mov", b"caf\xe9.mov", b"a|b.mov", b"pipe:0"])
def test_no_name_is_read_as_anything_else(name: bytes) -> None:
    """Every input and output is one argument that says `file:` first; sources are held to the allow-lists."""
    source = Path("/in") / os.fsdecode(name)
    out = Path("/out") / os.fsdecode(name)
    argvs = {
        "sound": sound.sound_argv(TOOL, source, MEDIA, COPY, out),
        "picture": picture.picture_argv(TOOL, source, MEDIA, HD, Rate(passing=0, crf=20), stats=Path("/s"), out=out),
        "remux": ffmpeg.remux_argv(TOOL, source, COPY, out, media=MEDIA, keep_location=False),
        "mux": ffmpeg.mux_argv(TOOL, source, source, out, media=MEDIA, keep_location=False),
    }
    for what, argv in argvs.items():
        inputs = [argv[at + 1] for at, word in enumerate(argv) if word == "-i"]
        assert set(inputs) == {f"file:{source}"}
        assert argv[-1] == f"file:{out}"
        assert os.fsencode(argv[-1]).endswith(name)
        if what != "mux":  # its inputs are our own files
            before = argv[: argv.index("-i")]
            assert before[-4:] == ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS)]


def test_the_formats_that_open_other_files_are_not_allowed() -> None:
    """A playlist in a video's clothes stays one."""
    assert not {"hls", "concat", "dash", "image2", "imf", "sdp", "rtsp", "lavfi", "tee", "subviewer"} & set(DEMUXERS)


#: As ffmpeg 7 writes them to `-progress`, one report each.
BEFORE_THE_FIRST_FRAME = """frame=0
fps=0.00
stream_0_0_q=0.0
bitrate=N/A
total_size=48
out_time_us=N/A
out_time_ms=N/A
out_time=N/A
dup_frames=0
drop_frames=0
speed=N/A
progress=continue
"""
IN_THE_MIDDLE = """frame=178
fps=88.41
stream_0_0_q=28.0
bitrate= 312.5kbits/s
total_size=262192
out_time_us=6712345
out_time_ms=6712345
out_time=00:00:06.712345
dup_frames=0
drop_frames=0
speed=3.34x
progress=continue
"""


def fields(report: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in report.splitlines())}


@pytest.mark.parametrize(
    ("said", "tick"),
    [
        (fields(BEFORE_THE_FIRST_FRAME), None),
        (fields(IN_THE_MIDDLE), Tick(done_s=6.712345, size_bytes=262_192, speed=3.34)),
        (fields(IN_THE_MIDDLE) | {"speed": "N/A"}, Tick(done_s=6.712345, size_bytes=262_192, speed=None)),
        (fields(IN_THE_MIDDLE) | {"speed": " 1e+03x"}, Tick(done_s=6.712345, size_bytes=262_192, speed=1000.0)),
        ({"out_time_us": "-23220", "speed": "0x"}, Tick(done_s=0.0, size_bytes=0, speed=None)),
        ({}, None),
    ],
)
def test_progress_is_read_as_ffmpeg_tells_it(said: dict[str, str], tick: Tick | None) -> None:
    """Nothing yet, in the middle, and times before zero at the very start."""
    assert ffmpeg.read_tick(said) == tick


ENCODERS = """Encoders:
 V..... = Video
 A..... = Audio
 ------
 V....D libx264              libx264 H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10 (codec h264)
 A....D aac                  AAC (Advanced Audio Coding)
"""
FILTERS = """Filters:
  T.. = Timeline support
 TSC scale             V->V       Scale the input video size and/or convert the image format.
 ... fps               V->V       Force constant framerate.
"""


def test_what_an_ffmpeg_can_do_is_read_from_its_lists() -> None:
    """The second word of each line; what is asked for and in neither list is missing."""
    encoders, filters = ffmpeg.names_in(ENCODERS), ffmpeg.names_in(FILTERS)
    assert {"libx264", "aac"} <= encoders
    assert {"scale", "fps"} <= filters
    assert ffmpeg.missing(encoders, filters, ("libx264", "fps", "zscale", "aac", "libfdk_aac")) == ("zscale", "libfdk_aac")
