"""One pass of a video encoder over the picture, as it is said to ffmpeg. Pure."""

from pathlib import Path

from nemod.config.model import Codec, Speed
from nemod.engines.local.codecs import RAW, Rate, encoder_args
from nemod.media.info import MediaInfo
from nemod.media.inputs import head, timed_input, within
from nemod.media.look import Picture, filters, untagged

#: A picture that stands longer than this is coded without reordered frames.
GAP_WITHOUT_B_S = 0.4


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
    codec: Codec = Codec.H264,
    speed: Speed = Speed.BALANCED,
) -> list[str]:
    """One pass of an encoder over the picture track, in a file of its own (None: only to learn from it).

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
    argv += encoder_args(
        codec,
        speed,
        rate,
        stats=stats,
        size=(picture.width, picture.height),
        # In an MP4 a long still between reordered frames would lengthen the whole.
        reorder=video.longest_step_s <= GAP_WITHOUT_B_S,
        tagged=not untagged(video, picture),
    )
    if out is None:
        return [*argv, "-f", RAW[codec], "file:/dev/null"]  # its bytes are counted by the progress, and take no room
    return [*argv, "-fs", str(most_bytes), "-f", "mp4", f"file:{out}"]
