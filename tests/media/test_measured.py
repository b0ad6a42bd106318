"""What the figures of the reader mean: recorded ones, each with one thing changed."""

from copy import deepcopy
from typing import Any

import pytest

from nemod.media.boxes import Boxes
from nemod.media.info import Chapter, MediaInfo, VideoStream
from nemod.media.measured import info_from
from nemod.media.probe_child import distances, main_video, varies

COLOR: dict[str, int] = {"range": 1, "matrix": 1, "transfer": 1, "primaries": 1}
VIDEO: dict[str, Any] = {
    "index": 0,
    "type": "video",
    "disposition": 1,
    "metadata": {},
    "packets": 300,
    "bytes": 1_000_000,
    "start_s": 0.0,
    "end_s": 10.0,
    "header_s": None,
    "codec": "h264",
    "profile": "High",
    "tag": "avc1",
    "level": 31,
    "width": 1280,
    "height": 720,
    "pixel_aspect": 1.0,
    "average_fps": 30.0,
    "guessed_fps": 30.0,
    "color": COLOR,
    "variable": False,
    "longest_step_s": 1 / 30,
}
AUDIO: dict[str, Any] = {
    "index": 1,
    "type": "audio",
    "disposition": 1,
    "metadata": {"LANGUAGE": "und", "title": "Stereo"},
    "packets": 470,
    "bytes": 160_000,
    "start_s": 0.0,
    "end_s": 10.0,
    "header_s": None,
    "codec": "aac",
    "profile": "LC",
    "channels": 2,
    "layout": ["FL", "FR"],
    "sample_rate_hz": 48000,
}
SUBTITLE: dict[str, Any] = {
    "index": 2,
    "type": "subtitle",
    "disposition": 0,
    "metadata": {},
    "packets": 2,
    "bytes": 28,
    "start_s": 1.0,
    "end_s": 25.0,
    "header_s": None,
    "codec": "subrip",
    "profile": None,
}
RAW: dict[str, Any] = {
    "format": "matroska,webm",
    "duration_s": 10.0,
    "metadata": {},
    "chapters": 0,
    "chapter_marks": [],
    "damaged": False,
    "streams": [VIDEO, AUDIO],
    "video": 0,
    "frame": {
        "width": 1280,
        "height": 720,
        "pixel_format": "yuv420p",
        "bit_depth": 8,
        "rotation": 0,
        "interlaced": False,
        "color": COLOR,
    },
}


def info(*streams: dict[str, Any], frame: dict[str, Any] | None = None, **changes: Any) -> MediaInfo:
    """The recorded figures with some streams, frame values or facts changed."""
    raw = deepcopy(RAW) | changes
    raw["streams"] = list(streams) or raw["streams"]
    raw["frame"] |= frame or {}
    return info_from(raw, size_bytes=1_200_000, boxes=Boxes())


def picture(frame: dict[str, Any] | None = None, **changes: Any) -> VideoStream:
    """The picture of the recorded figures, changed."""
    video = info(VIDEO | changes, frame=frame).video
    assert video is not None
    return video


def test_an_ordinary_recording() -> None:
    """Rates and length come from the packets."""
    media = info()
    assert media.duration_s == 10.0
    assert media.audio[0].bitrate_bps == 128_000
    assert media.audio[0].language is None
    assert media.audio[0].title == "Stereo"
    assert picture().fps == 30


@pytest.mark.parametrize(("told", "clockwise"), [(0, 0), (-90, 90), (90, 270), (180, 180), (-180, 180)])
def test_turns_are_told_clockwise(told: int, clockwise: int) -> None:
    """The reader tells them the other way round."""
    assert picture({"rotation": told}).rotation_deg == clockwise


def test_colours_come_from_the_frame_first() -> None:
    """What neither the frame nor the container tells is None, as is what no one has defined."""
    silent = {"range": 0, "matrix": 2, "transfer": 2, "primaries": 2}
    video = picture({"color": silent})
    assert (video.color_range, video.matrix, video.transfer, video.primaries) == ("tv", "bt709", "bt709", "bt709")
    video = picture({"color": {"range": 2, "matrix": 9, "transfer": 16, "primaries": 9}})
    assert (video.color_range, video.matrix, video.transfer, video.primaries) == ("pc", "bt2020nc", "smpte2084", "bt2020")
    assert video.hdr
    video = picture({"color": silent}, color=silent | {"transfer": 3, "primaries": 200})
    assert (video.color_range, video.matrix, video.transfer, video.primaries) == (None, None, None, None)
    assert picture({"pixel_format": "yuvj420p"}).color_range == "pc"


def test_pixels_are_square_when_no_one_could_tell() -> None:
    """A stretch below one per cent is a rounding of the maker, one beyond reason is garbage, none is none."""
    assert picture(pixel_aspect=0.9983).pixel_aspect == 1.0
    assert picture(pixel_aspect=None).pixel_aspect == 1.0
    assert picture(pixel_aspect=1e-6).pixel_aspect == 1.0
    assert picture(pixel_aspect=16 / 15).pixel_aspect == pytest.approx(1.0667, abs=1e-4)


def test_absurd_rates_are_not_believed() -> None:
    """A millisecond time base is no frame rate, and a level below zero no level."""
    assert picture(average_fps=1000.0, guessed_fps=60.0).nominal_fps == 60
    assert picture(average_fps=None, guessed_fps=90000.0).nominal_fps is None
    assert picture(level=-99).level is None


def test_without_time_stamps_the_rate_tells_the_length() -> None:
    """A raw stream is as long as its frames take."""
    video = picture(start_s=None, end_s=None)
    assert (video.start_s, video.end_s, video.fps) == (0.0, 10.0, 30.0)


def test_a_promise_is_about_picture_and_sound() -> None:
    """A header whose length is that of longer subtitles promises nothing; one that is not kept is noticed."""
    assert info(duration_s=20.0).cut_off_s == pytest.approx(10.0)
    assert info(VIDEO, AUDIO, SUBTITLE, duration_s=25.0).cut_off_s == 0
    assert info(VIDEO, AUDIO, SUBTITLE | {"end_s": 8.0}, duration_s=20.0).cut_off_s == pytest.approx(10.0)
    assert info(duration_s=20.0, format="mpegts").header_duration_s is None
    assert info(duration_s=None).header_duration_s is None


def test_tracks_without_content_are_no_sound() -> None:
    """A sound track that holds nothing is told among the others."""
    media = info(VIDEO, AUDIO | {"packets": 0}, SUBTITLE)
    assert media.audio == ()
    assert media.others == ("empty", "subtitle")


@pytest.mark.parametrize(
    ("tags", "time"),
    [
        ({"creation_time": "2018-04-19T22:46:00.000000Z"}, "2018-04-19T22:46:00Z"),
        ({"CREATION_TIME": "2016-05-31 17:01:35"}, "2016-05-31T17:01:35Z"),
        ({"com.apple.quicktime.creationdate": "2023-05-09T13:48:30+0200"}, "2023-05-09T11:48:30Z"),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, None),
        ({"creation_time": "1970-01-01T00:00:00Z"}, None),
        ({"creation_time": "0001-01-01T00:00:00+14:00"}, None),
        ({"creation_time": "yesterday"}, None),
        ({}, None),
    ],
)
def test_creation_times(tags: dict[str, str], time: str | None) -> None:
    """They are told in UTC, the zeros of clocks not at all."""
    assert info(metadata=tags).creation_time == time


def test_places_in_tags() -> None:
    """Any tag that may hold a place counts, in the file or in a stream; the place itself only when it can be read."""
    assert info(metadata={"location-eng": "+51.5932-0.2431/"}).location == "+51.5932-0.2431/"
    assert info(metadata={"LOCATION": "at home"}).has_location
    assert info(metadata={"LOCATION": "at home"}).location is None
    assert info(VIDEO | {"metadata": {"gpsLatitude": "1"}}, AUDIO).has_location
    assert not info(metadata={"title": "location"}).has_location


def mark(start_s: float, title: str = "") -> dict[str, Any]:
    """A chapter as the reader tells it."""
    return {"start_s": start_s, "end_s": start_s, "title": title}


def test_chapters_are_counted_from_the_first_picture() -> None:
    """In their order, each to the next one; those behind the end hold nothing."""
    late = [VIDEO | {"start_s": 2.0, "end_s": 12.0}, AUDIO | {"start_s": 2.0, "end_s": 12.0}]
    media = info(*late, chapter_marks=[mark(7.0, "b"), mark(0.0, "a"), mark(30.0, "c")])
    assert media.chapter_marks == (Chapter(start_s=0.0, end_s=5.0, title="a"), Chapter(start_s=5.0, end_s=10.0, title="b"))
    assert info(chapter_marks=[]).chapter_marks == ()


def test_a_part_keeps_the_chapters_in_it() -> None:
    """Counted from its own start; one that began before it begins with it."""
    media = info(chapter_marks=[mark(0.0, "a"), mark(4.0, "b"), mark(8.0, "c")])
    assert media.cut(5.0, 9.0).chapter_marks == (
        Chapter(start_s=0.0, end_s=3.0, title="b"),
        Chapter(start_s=3.0, end_s=4.0, title="c"),
    )


@pytest.mark.parametrize(
    ("written", "kept"),
    [("One\n two\x00\u202e", "One two"), ("x" * 300, "x" * 200), ("ISO6709", ""), ("\ufdd0  ", "")],
)
def test_titles_are_one_plain_line(written: str, kept: str) -> None:
    """Of a bounded length, and never what would be taken for a place in the output."""
    assert (info(metadata={"TITLE": written}).title or "") == kept
    assert [chapter.title for chapter in info(chapter_marks=[mark(0.0, written)]).chapter_marks] == [kept]


def test_tracks_that_are_mixed_last_as_long_as_the_longest() -> None:
    """Whichever of them is the main one."""
    media = info(VIDEO, AUDIO, AUDIO | {"index": 2, "disposition": 0, "end_s": 12.0}).mixed
    assert media.duration_s == 12.0
    assert media.main_audio is not None
    assert (media.main_audio.index, media.main_audio.end_s) == (1, 12.0)
    assert info().mixed == info()


def test_covers_are_passed_over() -> None:
    """A marked cover, or a lone picture beside other tracks, is not the video; a lone picture alone is."""
    cover = VIDEO | {"disposition": 1024, "codec": "png", "packets": 1}
    still = VIDEO | {"codec": "mjpeg", "packets": 1}
    real = VIDEO | {"index": 3}
    assert main_video([cover, AUDIO]) is None
    assert main_video([still, AUDIO]) is None
    assert main_video([still, AUDIO, real]) == 3
    assert main_video([VIDEO | {"packets": 0}, real]) == 3
    assert main_video([still]) == 0
    assert main_video([VIDEO | {"codec": "mjpeg"}, AUDIO]) == 0


def test_uneven_distances() -> None:
    """Milliseconds of rounding and odd ends do not make a rate variable, dropped frames do; the order does not matter."""
    even = [round(n * 1000 / 30) for n in range(100)]
    assert not varies(distances(even))
    assert not varies(distances([*even, 9000]))
    assert not varies(distances(list(reversed(even))))
    assert varies(distances([time for n, time in enumerate(even) if n % 10]))
    assert not varies(distances([0, 5]))
