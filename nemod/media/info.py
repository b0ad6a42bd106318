"""What is known of a media file: measured from its packets where headers lie. Pure values.

Durations and times are seconds, rates bits per second, sizes bytes, rotations degrees clockwise as shown to a viewer.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a file, from its beginning as a viewer counts: 0 is the first picture or sound.

    `picture_s` is when the picture that stands at the start came; None: nobody has looked, and the first one behind it counts.
    `last_s` is when the last picture came, if it stands for long.
    """

    start_s: float
    end_s: float
    picture_s: float | None = None
    last_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """The first real picture track; colour names are ffmpeg's (bt709, smpte170m, smpte2084 …), None when untagged."""

    index: int
    codec: str
    profile: str | None
    level: int | None  # as coded: 31 is level 3.1
    width: int  # coded pixels, before pixel aspect and rotation
    height: int
    pixel_format: str
    bit_depth: int
    pixel_aspect: float  # 1.0 is square
    rotation_deg: int  # 0, 90, 180, 270: how far the decoder turns the coded picture clockwise
    frames: int  # packets that hold data
    size_bytes: int  # of the packets
    start_s: float
    end_s: float
    fps: float  # frames / length, measured
    nominal_fps: float | None  # what the header says
    variable: bool  # frame distances differ by more than half
    longest_step_s: float  # the longest time between two frames
    color_range: str | None  # tv | pc
    matrix: str | None
    transfer: str | None
    primaries: str | None
    interlaced: bool
    tag: str | None = None  # what its container calls the codec: avc1, hvc1, hev1

    @property
    def hdr(self) -> bool:
        """Whether it needs a tone map to look right on an ordinary screen."""
        return self.transfer in HDR_TRANSFERS

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height in square pixels as a viewer sees them, after pixel aspect and rotation."""
        width, height = round(self.width * self.pixel_aspect), self.height
        return (height, width) if self.rotation_deg % 180 == 90 else (width, height)

    @property
    def short_side(self) -> int:
        """The shorter side as seen, in pixels: what people call 720p."""
        return min(self.display_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream:
    """A sound track."""

    index: int
    codec: str
    profile: str | None
    channels: int
    sample_rate_hz: int
    bitrate_bps: int  # measured: bytes over length
    size_bytes: int
    start_s: float
    end_s: float
    language: str | None
    title: str | None
    default: bool
    layout: tuple[str, ...] = ()  # the channels' names in their order (FL, FR, FC, LFE …); empty when unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter: seconds from the first picture or sound, and its title, which may be empty."""

    start_s: float
    end_s: float
    title: str


Track = TypeVar("Track", VideoStream, AudioStream)


def _part(track: Track, start_s: float, end_s: float) -> tuple[Track, float] | None:
    """A track from one time stamp to another, and which share of it that is; None when it has nothing there."""
    first, last = max(track.start_s, start_s), min(track.end_s, end_s)
    if last <= first:
        return None
    share = (last - first) / max(track.end_s - track.start_s, 0.001)
    return replace(track, start_s=first, end_s=last, size_bytes=round(track.size_bytes * share)), share


def _pictures(video: VideoStream, start_s: float, end_s: float) -> VideoStream | None:
    found = _part(video, start_s, end_s)
    return None if found is None else replace(found[0], frames=max(1, round(video.frames * found[1])))


def _chapters(marks: tuple[Chapter, ...], start_s: float, end_s: float) -> tuple[Chapter, ...]:
    """Those that reach into a window, counted from its start."""
    return tuple(
        replace(mark, start_s=max(mark.start_s - start_s, 0.0), end_s=min(mark.end_s, end_s) - start_s)
        for mark in marks
        if mark.start_s < end_s and mark.end_s > start_s
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """A media file. `duration_s` is the real one (last packet's end minus the first one's start)."""

    container: str  # ffmpeg's demuxer name, e.g. "mov,mp4,m4a,3gp,3g2,mj2"
    size_bytes: int
    duration_s: float
    header_duration_s: float | None
    video: VideoStream | None
    audio: tuple[AudioStream, ...] = ()
    others: tuple[str, ...] = ()  # subtitle, data, attachment, cover: tracks that are neither picture nor sound
    chapters: int = 0
    chapter_marks: tuple[Chapter, ...] = ()  # those that can be kept
    title: str | None = None
    creation_time: str | None = None
    has_location: bool = False  # anything that tells where it was taken, or may
    location: str | None = None  # that place in ISO 6709, where it stands in a tag
    mp4: bool = False  # ISO base media by its boxes, not QuickTime
    faststart: bool = False  # moov before mdat
    fragmented: bool = False
    elsewhere: bool = False  # MP4 whose tracks name another file or an address for their data
    odd: bool = False  # MP4 with parts that players may take for something else
    damaged: bool = False  # packets broken or cut off
    truncated: bool = False  # by its own boxes the file should be longer
    window: Window | None = None  # only this part of the file is meant; all figures are then the part's
    origin_s: float | None = None  # of a part: when the whole begins

    @property
    def main_audio(self) -> AudioStream | None:
        """The track a player would choose: the first default one, else the first."""
        return next((a for a in self.audio if a.default), self.audio[0] if self.audio else None)

    @property
    def mixed(self) -> "MediaInfo":
        """The same with its sound tracks taken as one that is as long as all of them together."""
        main = self.main_audio
        if main is None or len(self.audio) == 1:
            return self
        end = max(track.end_s for track in self.audio)
        whole = replace(main, start_s=min(track.start_s for track in self.audio), end_s=end, default=True)
        length = max(self.duration_s, end - self.first_s) if self.window is None else self.duration_s
        others = tuple(replace(track, default=False) for track in self.audio if track is not main)
        return replace(self, audio=(whole, *others), duration_s=length)

    @property
    def length_s(self) -> float:
        """The length for rates: a still of one frame has one too."""
        return max(self.duration_s, 0.04)

    @property
    def picture_s(self) -> float:
        """The length of the picture track alone, for its rate: the sound may go on for longer."""
        return self.length_s if self.video is None else max(self.video.end_s - self.video.start_s, 0.04)

    @property
    def first_s(self) -> float:
        """When the file begins: its earlier track's first time stamp, but not the few samples that prime an AAC decoder."""
        if self.origin_s is not None:
            return self.origin_s
        starts = [track.start_s for track in (self.video, self.main_audio) if track is not None]
        first = min(starts, default=0.0)
        return 0.0 if self.video is not None and -0.1 < first < 0 <= self.video.start_s else first

    def cut(self, start_s: float, end_s: float) -> "MediaInfo":
        """What is known of a part of it, without having looked: sizes in proportion, tracks that do not reach into it gone.

        Args:
            start_s: from the beginning of this file, or of this part, in seconds.
            end_s: the same; what lies behind the end is left out.
        """
        before = self.window.start_s if self.window is not None else 0.0
        length = min(end_s, self.duration_s) - start_s
        standing = self.window.picture_s if self.window is not None and start_s == 0 else None
        window = Window(start_s=before + start_s, end_s=before + start_s + length, picture_s=standing)
        span = (self.first_s + window.start_s, self.first_s + window.end_s)
        share = length / self.length_s
        return replace(
            self,
            size_bytes=round(self.size_bytes * share),
            duration_s=length,
            header_duration_s=None,
            video=None if self.video is None else _pictures(self.video, *span),
            audio=tuple(found[0] for track in self.audio if (found := _part(track, *span)) is not None),
            chapter_marks=_chapters(self.chapter_marks, start_s, start_s + length),
            truncated=False,
            window=window,
            origin_s=self.first_s,
        )

    @property
    def cut_off_s(self) -> float:
        """Seconds that the header promises and the file does not hold; 0 when it keeps its word."""
        if self.header_duration_s is None:
            return 0.0
        missing = self.header_duration_s - self.duration_s
        return missing if missing > max(2.0, 0.05 * self.header_duration_s) else 0.0
