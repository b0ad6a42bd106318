"""What is known of a media file: measured from its packets where headers lie. Pure values.

Durations and times are seconds, rates bits per second, sizes bytes, rotations degrees clockwise as shown to a viewer.
"""

from dataclasses import dataclass

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})


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
    creation_time: str | None = None
    has_location: bool = False  # anything that tells where it was taken, or may
    location: str | None = None  # that place in ISO 6709, where it stands in a tag
    mp4: bool = False  # ISO base media by its boxes, not QuickTime
    faststart: bool = False  # moov before mdat
    fragmented: bool = False
    damaged: bool = False  # packets broken or cut off
    truncated: bool = False  # by its own boxes the file should be longer

    @property
    def main_audio(self) -> AudioStream | None:
        """The track a player would choose: the first default one, else the first."""
        return next((a for a in self.audio if a.default), self.audio[0] if self.audio else None)

    @property
    def cut_off_s(self) -> float:
        """Seconds that the header promises and the file does not hold; 0 when it keeps its word."""
        if self.header_duration_s is None:
            return 0.0
        missing = self.header_duration_s - self.duration_s
        return missing if missing > max(2.0, 0.05 * self.header_duration_s) else 0.0
