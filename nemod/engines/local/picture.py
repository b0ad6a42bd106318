"""One pass of a video encoder over the picture, as it is said to ffmpeg. Pure."""

from dataclasses import dataclass
from pathlib import Path

from nemod.media.info import MediaInfo
from nemod.media.inputs import head, timed_input, within
from nemod.media.look import Picture, filters, untagged

#: A picture that stands longer than this is coded without reordered frames.
GAP_WITHOUT_B_S = 0.4


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
        *head(ffmpeg),
        *timed_input(source, media),
        "-map",
        f"0:{video.index}",
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
    ]
    gap = 0.0 if media.window is not None else video.start_s - media.first_s
    argv += ["-vf", ",".join((*within(media), filters(video, picture, start_gap_s=gap))), "-fps_mode", "vfr"]
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
