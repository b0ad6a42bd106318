"""One pass of a video encoder over the picture, as it is said to ffmpeg. Pure."""

from pathlib import Path

from nemod.config.model import Codec, Speed
from nemod.engines.local.codecs import RAW, Rate, encoder_args
from nemod.engines.local.hardware import Driver, driver_args, opening, uploading
from nemod.media.info import MediaInfo
from nemod.media.inputs import head, timed_input, within
from nemod.media.look import Picture, filters, untagged

#: A picture that stands longer than this is coded without reordered frames.
GAP_WITHOUT_B_S = 0.4


def picture_argv(  # noqa: PLR0913 - each is one thing that ffmpeg is told
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
    driver: Driver | None = None,
) -> list[str]:
    """One pass of an encoder over the picture track, in a file of its own (None: only to learn from it).

    `driver` is the hardware that encodes, at a rate and in one pass; None: the processor.

    It is ended once the file has `most_bytes`: far over its limit it is lost anyway, and should not fill the disk.
    """
    video = media.video
    assert video is not None  # noqa: S101 - Examine lets nothing without a picture through
    argv = [
        *head(ffmpeg),
        *([] if driver is None else opening(driver)),
        *timed_input(source, media),
        "-map",
        f"0:{video.index}",
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
    ]
    gap = 0.0 if media.window is not None else video.start_s - media.first_s
    look = (*within(media), filters(video, picture, start_gap_s=gap), *(() if driver is None else uploading(driver)))
    argv += ["-vf", ",".join(look), "-fps_mode", "vfr"]
    if picture.fps is None:
        argv += ["-enc_time_base", "1:90000"]  # a fine clock: one guessed from the frame rate would merge frames
    size, tagged = (picture.width, picture.height), not untagged(video, picture)
    reorder = (
        video.longest_step_s <= GAP_WITHOUT_B_S
    )  # in an MP4 a long still between reordered frames would lengthen the whole
    if driver is None:
        argv += encoder_args(codec, speed, rate, stats=stats, size=size, reorder=reorder, tagged=tagged)
    else:
        argv += driver_args(driver, speed, rate.bitrate_bps or 0, size=size, reorder=reorder, tagged=tagged)
    if out is None:
        return [*argv, "-f", RAW[codec], "file:/dev/null"]  # its bytes are counted by the progress, and take no room
    return [*argv, "-fs", str(most_bytes), "-f", "mp4", f"file:{out}"]
