"""From the probe child's figures to `MediaInfo`: what each of them means, and which of them to believe. Pure.

Rules kept here:
- packets are believed before headers, decoded frames before the container's colour and shape;
- an unknown figure becomes None, never a guess that looks like knowledge.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from nemod.media.boxes import Boxes
from nemod.media.info import AudioStream, Chapter, MediaInfo, VideoStream

#: Containers whose header states a duration; elsewhere ffmpeg reckons it from the bit rate or the last packets.
_PROMISING = ("mov", "matroska", "avi", "asf", "flv", "mxf")
_PLACE_WORDS = ("location", "iso6709", "gps", "geo", "xyz")
#: ISO 6709 as cameras write it: +51.5334-000.1255+026.756/
_ISO_6709 = re.compile(r"[+-]\d+(?:\.\d+)?[+-]\d+(?:\.\d+)?(?:[+-]\d+(?:\.\d+)?)?(?:CRS[\w-]+)?/?")
#: Dates outside are the zero of some clock (1904, 1970) or a battery that was out.
_YEARS = range(1972, 2100)
#: Less stretch than anyone sees; scaling for it would only soften the picture.
_SQUARE_ENOUGH = 0.01
#: Anamorphic film doubles the width; beyond ten times it is garbage that would leave no picture.
_STRETCH_MOST = 10.0
#: Averages from this on come from millisecond time bases, not from cameras.
_FPS_ABSURD = 1000.0
#: Longer titles are cut; those that hold what `media.boxes` takes for a place are dropped, or the output would be refused.
_TITLE_MOST = 200
_LIKE_A_PLACE = re.compile("©xyz|XMP_|GPMF|ISO6709")


def _numbered(names: str) -> dict[int, str]:
    return {number: name for number, name in enumerate(names.split()) if name != "-"}


# The numbers of ISO/IEC 23091-2 under ffmpeg's names; unspecified (2) and reserved ones are left out and so become None.
_RANGES = _numbered("- tv pc")
_MATRICES = _numbered("gbr bt709 - - fcc bt470bg smpte170m smpte240m ycgco bt2020nc bt2020c smpte2085 - - ictcp")
_TRANSFERS = _numbered(
    "- bt709 - - bt470m bt470bg smpte170m smpte240m linear log100 log316 iec61966-2-4 bt1361e iec61966-2-1"
    " bt2020-10 bt2020-12 smpte2084 smpte428 arib-std-b67"
)
_PRIMARIES = {
    **_numbered("- bt709 - - bt470m bt470bg smpte170m smpte240m film bt2020 smpte428 smpte431 smpte432"),
    22: "ebu3213",
}

_Raw = Mapping[str, Any]


def info_from(raw: _Raw, *, size_bytes: int, boxes: Boxes) -> MediaInfo:
    """What the child counted, as a `MediaInfo`; it must have found a picture track and decoded a frame of it."""
    streams: list[_Raw] = raw["streams"]
    pictures = next(s for s in streams if s["index"] == raw["video"])
    sounds = [s for s in streams if s["type"] == "audio" and s["packets"] and s["codec"]]
    video, audio = _video(pictures, raw["frame"]), tuple(_audio(s) for s in sounds)
    iso = raw["format"].startswith("mov")
    heard = next((a for a in audio if a.default), audio[0] if audio else None)
    played = (video, heard) if heard else (video,)
    first = min(track.start_s for track in played)
    last = max(track.end_s for track in played)
    media = MediaInfo(
        container=raw["format"],
        size_bytes=size_bytes,
        duration_s=last - first,
        header_duration_s=_promised(raw, [track.index for track in played]),
        video=video,
        audio=audio,
        others=tuple(_other(s) for s in streams if s is not pictures and s not in sounds),
        chapters=raw["chapters"],
        title=_plain(_tag(raw["metadata"], "title") or "") or None,
        creation_time=_creation_time(raw["metadata"]),
        has_location=(iso and boxes.place) or any(_tells_place(s["metadata"]) for s in (raw, *streams)),
        location=_location(raw["metadata"]),
        mp4=iso and boxes.mp4,
        faststart=iso and boxes.faststart,
        fragmented=iso and boxes.fragmented,
        elsewhere=iso and boxes.elsewhere,
        odd=iso and boxes.odd,
        damaged=raw["damaged"] or _absurd(pictures),
        truncated=boxes.truncated,
    )
    return replace(media, chapter_marks=_chapters(raw["chapter_marks"], media.first_s, last))


def _video(stream: _Raw, frame: _Raw) -> VideoStream:
    nominal = next((f for f in (stream["average_fps"], stream["guessed_fps"]) if f and f < _FPS_ABSURD), None)
    start, end = _span(stream, nominal)
    aspect = stream["pixel_aspect"] or 1.0
    if abs(aspect - 1) <= _SQUARE_ENOUGH or _absurd(stream):
        aspect = 1.0
    # The decoder's word first; where it is silent, the container's.
    color = {
        key: shown if shown != silent else stream["color"][key]
        for key, silent in (("range", 0), ("matrix", 2), ("transfer", 2), ("primaries", 2))
        for shown in (frame["color"][key],)
    }
    return VideoStream(
        index=stream["index"],
        codec=stream["codec"],
        profile=stream["profile"],
        level=stream["level"] if stream["level"] > 0 else None,
        width=frame["width"],
        height=frame["height"],
        pixel_format=frame["pixel_format"],
        bit_depth=frame["bit_depth"],
        pixel_aspect=aspect,
        # PyAV tells it counter-clockwise.
        rotation_deg=-frame["rotation"] % 360,
        frames=stream["packets"],
        size_bytes=stream["bytes"],
        start_s=start,
        end_s=end,
        fps=stream["packets"] / (end - start) if end > start else nominal or 0.0,
        nominal_fps=nominal,
        variable=stream["variable"],
        longest_step_s=stream["longest_step_s"],
        color_range="pc" if frame["pixel_format"].startswith("yuvj") else _RANGES.get(color["range"]),
        matrix=_MATRICES.get(color["matrix"]),
        transfer=_TRANSFERS.get(color["transfer"]),
        primaries=_PRIMARIES.get(color["primaries"]),
        interlaced=frame["interlaced"],
        tag=stream["tag"] if stream["tag"].isalnum() else None,
    )


def _absurd(stream: _Raw) -> bool:
    """Whether its pixels are said to be of a shape that no picture has; players that believe it show a line."""
    aspect = stream["pixel_aspect"] or 1.0
    return not 1 / _STRETCH_MOST <= aspect <= _STRETCH_MOST


def _audio(stream: _Raw) -> AudioStream:
    start, end = _span(stream, None)
    language = _tag(stream["metadata"], "language")
    return AudioStream(
        index=stream["index"],
        codec=stream["codec"],
        profile=stream["profile"],
        channels=stream["channels"],
        layout=tuple(stream["layout"]),
        sample_rate_hz=stream["sample_rate_hz"],
        bitrate_bps=round(8 * stream["bytes"] / (end - start)) if end > start else 0,
        size_bytes=stream["bytes"],
        start_s=start,
        end_s=end,
        language=language if language != "und" else None,
        title=_tag(stream["metadata"], "title"),
        default=bool(stream["disposition"] & 1),
    )


def _chapters(marks: Iterable[_Raw], first_s: float, last_s: float) -> tuple[Chapter, ...]:
    """The chapters in their order, as far as there is something to play in them; each ends where the next begins."""
    starts = {max(0.0, mark["start_s"] - first_s): mark for mark in marks if mark["start_s"] < last_s}
    ends = pairwise([*sorted(starts), last_s - first_s])
    return tuple(Chapter(start_s=start, end_s=end, title=_plain(starts[start]["title"])) for start, end in ends)


def _plain(text: str) -> str:
    """A title on one line, without what is no character."""
    line = "".join(c for c in " ".join(text.split()) if c.isprintable())[:_TITLE_MOST].strip()
    return "" if _LIKE_A_PLACE.search(line) else line


def _other(stream: _Raw) -> str:
    if stream["type"] == "video":
        return "cover" if stream["packets"] <= 1 else "video"
    return "empty" if stream["type"] == "audio" else str(stream["type"])


def _span(stream: _Raw, fps: float | None) -> tuple[float, float]:
    """Start and end in seconds; a stream without any time stamps is as long as its frames take."""
    start, end = stream["start_s"], stream["end_s"]
    if start is None or end is None:
        return 0.0, stream["packets"] / fps if fps else 0.0
    return start, end


def _promised(raw: _Raw, played: list[int]) -> float | None:
    """How long the header says that picture and sound are; None when it says nothing of that."""
    if not raw["format"].startswith(_PROMISING):
        return None
    mains = [s for s in raw["streams"] if s["index"] in played]
    if raw["format"].startswith("mov") and all(s["header_s"] for s in mains):
        return float(max(s["header_s"] for s in mains))
    promised: float | None = raw["duration_s"]
    if promised is None:
        return None
    # Subtitles or a second sound that outlast the picture make the header speak of them.
    ends = {s["index"]: s["end_s"] for s in raw["streams"] if s["end_s"] is not None}
    last = max(ends, key=lambda index: ends[index], default=None)
    return promised if last in played or last is None or ends[last] < promised - 1 else None


def _tag(metadata: Mapping[str, str], *names: str) -> str | None:
    """The first tag of these names that holds something, whatever its case; Matroska writes them in capitals."""
    tags = {key.lower(): value for key, value in metadata.items()}
    return next((tags[name] for name in names if tags.get(name)), None)


def _tells_place(metadata: Iterable[str]) -> bool:
    return any(word in key.lower() for key in metadata for word in _PLACE_WORDS)


def _location(metadata: Mapping[str, str]) -> str | None:
    return next((text for key, text in metadata.items() if _tells_place([key]) and _ISO_6709.fullmatch(text)), None)


def _creation_time(metadata: Mapping[str, str]) -> str | None:
    text = _tag(metadata, "creation_time", "com.apple.quicktime.creationdate")
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if when.year not in _YEARS:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
