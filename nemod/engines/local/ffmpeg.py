"""What is said to ffmpeg and what it answers: argument vectors, filter chains, progress. Pure; nothing is run here.

Rules kept here:
- inputs and outputs are named with `file:` and absolute paths, so no name can be read as an option or a protocol;
- inputs are opened with allow-lists of protocols and containers, so a playlist in a video's clothes opens nothing else;
- every stream is mapped by its index: nothing rides along unasked.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemod.media.formats import source_input
from nemod.media.info import AudioStream, MediaInfo, VideoStream

#: A distance of picture to sound start that nobody notices.
GAP_IGNORED_S = 0.05
#: A picture that stands longer than this is coded without reordered frames.
GAP_WITHOUT_B_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the encoded picture is to be: pixels, both even, and frames per second (None: as they come)."""

    width: int
    height: int
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What becomes of the sound track: copied, or AAC-LC of that rate (bits per second) and channels."""

    stream: AudioStream
    copy: bool
    bitrate_bps: int
    channels: int


def first_s(media: MediaInfo) -> float:
    """When the source begins: its earlier track's first time stamp, but not the few samples that prime an AAC decoder."""
    assert media.video is not None  # noqa: S101 - Examine lets nothing without a picture through
    starts = [media.video.start_s, *((media.main_audio.start_s,) if media.main_audio is not None else ())]
    first = min(starts)
    return 0.0 if -0.1 < first < 0 <= media.video.start_s else first


def _timed_input(path: Path, media: MediaInfo) -> list[str]:
    """An input whose time begins at zero for picture and sound alike.

    Picture and sound are read by two runs. Left to itself ffmpeg moves the tracks that are *mapped* to zero, so for MPEG
    streams each would begin at once, however late it was.
    """
    return ["-copyts", "-itsoffset", f"{0 - first_s(media):.6f}", *source_input(path)]


def _head(ffmpeg: Path) -> list[str]:
    return [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", "-y", "-progress", "pipe:1"]


def filters(video: VideoStream, picture: Picture, *, start_gap_s: float) -> str:
    """The chain from a decoded (and by ffmpeg already rotated) frame to limited-range BT.709 4:2:0 in square pixels."""
    width, height = picture.width, picture.height
    chain: list[str] = []
    if video.interlaced:
        chain.append("bwdif=mode=send_frame:deint=all")
    if video.hdr:
        # Linear light with diffuse white at 203 nits (ITU-R BT.2408), then a curve that is straight up to the highlights.
        source = f"tin={video.transfer}:pin={_or(video.primaries, 'bt2020')}:min={_or(video.matrix, 'bt2020nc')}"
        chain += [
            f"zscale=w={width}:h={height}:f=spline36:rin={'full' if video.color_range == 'pc' else 'limited'}",
            f"zscale={source}:t=linear:npl=203",
            "format=gbrpf32le",
            "zscale=p=bt709",
            "tonemap=mobius:desat=0",
            "zscale=t=bt709:m=bt709:r=limited",
        ]
    else:
        convert = "" if untagged(video, picture) else f":in_color_matrix={_matrix(video)}:out_color_matrix=bt709"
        chain.append(f"scale={width}:{height}:flags=lanczos+accurate_rnd+full_chroma_int:out_range=tv{convert}")
    if picture.fps is not None:
        chain.append(f"fps={picture.fps:.6g}:start_time=0")
    elif start_gap_s > GAP_IGNORED_S and not video.variable:
        chain.append(f"fps={video.fps:.6g}:start_time=0")  # the first picture stands until the second comes
    chain += ["setsar=1", "format=yuv420p"]
    if not untagged(video, picture):
        chain.append("setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709")
    return ",".join(chain)


def untagged(video: VideoStream, picture: Picture) -> bool:
    """Whether the output says as little about its colours as its source did.

    Of a picture without tags a player guesses the matrix by its size. Where it will guess the same for the output, the values
    stay as they are: any tag could only be wrong. Otherwise the output is BT.709 and says so.
    """
    yuv = video.pixel_format.startswith(("yuv", "nv", "p0"))
    return (
        yuv
        and video.matrix is None
        and not video.hdr
        and _is_hd(video.short_side) == _is_hd(min(picture.width, picture.height))
    )


def _is_hd(short_side: int) -> bool:
    return short_side >= 720


def _or(name: str | None, default: str) -> str:
    return default if name is None or name == "reserved" else name


def _matrix(video: VideoStream) -> str:
    """The matrix that made the source's YUV; untagged material follows the custom: BT.601 for SD, BT.709 for HD."""
    known = {"bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470", "fcc": "fcc", "smpte240m": "smpte240m"}
    if video.matrix in known:
        return known[video.matrix]
    if video.matrix in ("bt2020nc", "bt2020c"):
        return "bt2020"
    return "bt709" if _is_hd(video.short_side) else "smpte170m"


def copy_argv(source: Path, out: Path) -> list[str]:
    """A copy that shares blocks with the source where the file system can (Btrfs, XFS, APFS), else plain bytes.

    Never a hard link: an archived original must not share an inode with the file that was delivered. A child, because a
    copy of gigabytes must end when we are told to end.
    """
    clone = "-c" if sys.platform == "darwin" else "--reflink=auto"
    return ["env", "LC_ALL=C", "cp", clone, "--", str(source), str(out)]


def sound_argv(ffmpeg: Path, source: Path, media: MediaInfo, sound: Sound, out: Path) -> list[str]:
    """The sound track alone, so that its real bytes are known before the picture's budget is made."""
    argv = [*_head(ffmpeg), *_timed_input(source, media), "-map", f"0:{sound.stream.index}", "-map_metadata", "-1"]
    if sound.copy:
        argv += ["-c:a", "copy"]
    else:
        # first_pts=0 fills a late start with silence: both tracks then begin at zero whatever the container did.
        argv += ["-af", "aresample=async=1:first_pts=0", *_aac(sound)]
    return [*argv, "-map_chapters", "-1", "-f", "mp4", f"file:{out}"]


def _aac(sound: Sound) -> list[str]:
    hertz = "44100" if sound.stream.sample_rate_hz == 44100 else "48000"
    return ["-c:a", "aac", "-b:a", str(sound.bitrate_bps), "-ac", str(sound.channels), "-ar", hertz]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How x264 spends bits: a constant quality (`crf`) or an average (`bitrate_bps`), in pass 1, pass 2 or alone (0)."""

    passing: int
    crf: float | None = None
    bitrate_bps: int | None = None


def picture_argv(
    ffmpeg: Path,
    source: Path,
    media: MediaInfo,
    picture: Picture,
    rate: Rate,
    *,
    stats: Path,
    out: Path | None,
    most_bytes: int = 0,
) -> list[str]:
    """One x264 pass over the picture track, in a file of its own (None: only to learn from it).

    It is ended once the file has `most_bytes`: far over its limit it is lost anyway, and should not fill the disk.
    """
    video = media.video
    assert video is not None  # noqa: S101 - Examine lets nothing without a picture through
    argv = [
        *_head(ffmpeg),
        *_timed_input(source, media),
        "-map",
        f"0:{video.index}",
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
    ]
    argv += ["-vf", filters(video, picture, start_gap_s=video.start_s - first_s(media)), "-fps_mode", "vfr"]
    if picture.fps is None:
        argv += ["-enc_time_base", "1:90000"]  # a fine clock: one guessed from the frame rate would merge frames
    argv += ["-c:v", "libx264", "-preset", "slow", "-profile:v", "high", "-g", "250"]
    if video.longest_step_s > GAP_WITHOUT_B_S:
        argv += ["-bf", "0"]  # in an MP4 a long still between reordered frames would lengthen the whole
    argv += ["-color_range", "tv"]
    if not untagged(video, picture):
        argv += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    argv += ["-crf", f"{rate.crf:g}"] if rate.crf is not None else ["-b:v", str(rate.bitrate_bps)]
    if rate.passing:
        argv += ["-pass", str(rate.passing), "-passlogfile", str(stats)]
    if out is None:
        return [*argv, "-f", "h264", "file:/dev/null"]  # its bytes are counted by the progress, and take no room
    return [*argv, "-fs", str(most_bytes), "-f", "mp4", f"file:{out}"]


def mux_argv(ffmpeg: Path, picture: Path, sound: Path | None, out: Path, *, media: MediaInfo, keep_location: bool) -> list[str]:
    """Picture and sound into the final file, the index in front.

    The inputs' own time stamps are kept (`-copyts`): ffmpeg would otherwise move each to zero and shift sound against picture.
    """
    argv = [*_head(ffmpeg), "-copyts", "-i", f"file:{picture}"]
    if sound is not None:
        argv += ["-i", f"file:{sound}"]
    argv += ["-map", "0:v:0", *(["-map", "1:a:0"] if sound is not None else []), "-c", "copy"]
    return [*argv, *_metadata(media, keep_location=keep_location), "-movflags", "+faststart", "-f", "mp4", f"file:{out}"]


def remux_argv(
    ffmpeg: Path, source: Path, sound: Sound | None, out: Path, *, media: MediaInfo, keep_location: bool
) -> list[str]:
    """The picture as it is into a clean MP4; the sound copied or, where players would not take it, encoded."""
    assert media.video is not None  # noqa: S101 - as above
    argv = [*_head(ffmpeg), *source_input(source), "-map", f"0:{media.video.index}", "-c:v", "copy"]
    if sound is not None:
        argv += ["-map", f"0:{sound.stream.index}"]
        argv += ["-c:a", "copy"] if sound.copy else _aac(sound)
    return [*argv, *_metadata(media, keep_location=keep_location), "-movflags", "+faststart", "-f", "mp4", f"file:{out}"]


def _metadata(media: MediaInfo, *, keep_location: bool) -> list[str]:
    """Only what is wanted: when it was made, the sound's language, and the place if the preset says so."""
    argv = ["-map_metadata", "-1", "-map_chapters", "-1"]
    if media.creation_time:
        argv += ["-metadata", f"creation_time={media.creation_time}"]
    if keep_location and media.location:
        argv += ["-metadata", f"location={media.location}"]
    audio = media.main_audio
    if audio is not None and audio.language and audio.language != "und":
        argv += ["-metadata:s:a:0", f"language={audio.language}"]
    return argv


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One report of `-progress`: seconds and bytes of output made, and seconds of video per second."""

    done_s: float
    size_bytes: int
    speed: float | None


def read_tick(fields: dict[str, str]) -> Tick | None:
    """A report from the `key=value` lines up to `progress=`; None while ffmpeg has nothing to tell ("N/A")."""
    try:
        done = int(fields["out_time_us"]) / 1_000_000
    except (KeyError, ValueError):
        return None
    try:
        speed = float(fields.get("speed", "").strip().rstrip("x")) or None  # a stream copy has none
    except ValueError:
        speed = None
    size = fields.get("total_size", "")
    return Tick(done_s=max(0.0, done), size_bytes=int(size) if size.isdigit() else 0, speed=speed)


def names_in(listing: str) -> frozenset[str]:
    """The names in the output of `ffmpeg -encoders` or `-filters`: the second word of each line behind the flags."""
    return frozenset(words[1] for line in listing.splitlines() if len(words := line.split()) >= 2)


def missing(encoders: frozenset[str], filters_there: frozenset[str], needed: Sequence[str]) -> tuple[str, ...]:
    """Which of the needed encoders and filters this ffmpeg lacks."""
    return tuple(n for n in needed if n not in encoders and n not in filters_there)
