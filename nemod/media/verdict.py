"""The judge: does an output keep the promise, does a source need any work at all? Pure.

Source: the inline-safe profile that every chat and platform accepts (MP4, H.264 up to High, yuv420p, limited range, square
pixels, rotation applied, one AAC-LC track, moov first). A preset may take one newer codec besides: HEVC Main or AV1 Main.
Sizes are bytes, durations seconds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

from nemod.config.model import Codec, Preset, Tracks
from nemod.media.info import MediaInfo, VideoStream
from nemod.media.quality import Quality

PROFILES = frozenset({"Baseline", "Constrained Baseline", "Main", "High", "Constrained High"})
LEVEL_MOST = 52  # 5.2: what phones decode in hardware
#: The same of the newer codecs, as they code it: HEVC 5.1 is 153, AV1 5.1 is 13.
NEWER_MOST = {Codec.HEVC: 153, Codec.AV1: 13}
#: How codecs are called by people.
NAMES = {Codec.H264: "H.264", Codec.HEVC: "HEVC", Codec.AV1: "AV1"}
FPS_MOST = 60.0
RATE_MOST_HZ = 48_000
#: Frames per second that a measured rate may be above a bound: one frame too many in a short clip is no fault.
FPS_SLACK = 0.5
#: However small a picture is, its sides keep their proportion so far: a strip of two lines is no square.
SHAPE_MOST = 0.5
#: Of an output that others made: seconds by which its length, and its sound against its picture, may differ from the source's,
#: and the least share of the source's frames. Our own encoder keeps every frame; containers round more the longer they are.
FOREIGN_LENGTH_S, FOREIGN_SHIFT_S, FOREIGN_FRAMES = 2.0, 0.3, 0.45
#: Containers whose time stamps can be copied; AVI and raw streams have none for the order in which pictures are shown.
TIMED = ("mov", "matroska", "flv", "mpegts")


class How(StrEnum):
    """How a source becomes its output: as it is, re-wrapped without touching the picture, or encoded."""

    PASS = "pass"  # noqa: S105 - not a secret
    REMUX = "remux"
    ENCODE = "encode"


class Reason(StrEnum):
    """Why an output is refused."""

    OVER_LIMIT = "over_limit"
    UNREADABLE = "unreadable"
    DURATION = "duration"
    PICTURE = "picture"
    SOUND = "sound"
    NOT_INLINE = "not_inline"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The output may be delivered; `quality` is what was measured, if it was asked for."""

    size_bytes: int
    quality: Quality | None = None
    height: int | None = field(default=None, compare=False)  # the shorter side of the picture, for names


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The output must not be delivered; `detail` is a sentence with the figures."""

    reason: Reason
    detail: str
    size_bytes: int = 0


Verdict = Accept | Refuse


def how(media: MediaInfo, preset: Preset, limit_bytes: int) -> How:
    """The least work that makes a source what its preset asks for, as far as the source itself tells.

    A part of a file is encoded: it can begin anywhere, and a copy only where a picture stands alone.
    """
    if media.window is not None:
        return How.ENCODE
    if not check(media, preset, limit_bytes):
        return How.PASS
    video = media.video
    if (
        video is None
        or media.size_bytes > limit_bytes
        or any(_picture_faults(video, preset.codec))
        or any(_out_of_bounds(video, preset))
        or any(_damage(media))
        or not media.container.startswith(TIMED)
    ):
        return How.ENCODE
    return How.REMUX


def check(media: MediaInfo, preset: Preset, limit_bytes: int) -> tuple[str, ...]:
    """Every reason why a file would not do as it is, as sentences; none: it fits and plays inline."""
    return (
        *_too_big(media, limit_bytes),
        *inline_faults(media, preset.codec),
        *(_out_of_bounds(media.video, preset) if media.video else ()),
        *_place(media, preset),
        *_damage(media),
    )


def inline_faults(media: MediaInfo, codec: Codec = Codec.H264) -> tuple[str, ...]:
    """Why a file may not play inside a chat or a page, as sentences; none: it plays everywhere.

    With another codec than H.264: everywhere where that one is played.
    """
    if media.video is None:
        return ("It has no picture.",)
    return (*_picture_faults(media.video, codec), *_wrapping_faults(media, codec), *_sound_faults(media))


def judge(
    source: MediaInfo,
    output: MediaInfo,
    *,
    preset: Preset,
    limit_bytes: int,
    decode_error: str | None,
    how: How,
    edited: bool = False,
    unlike: str | None = None,
    foreign: bool = False,
) -> Verdict:
    """Whether an output keeps the promise.

    Args:
        source: the original, measured.
        output: the result, measured.
        preset: what it must be.
        limit_bytes: bytes that it may have at most.
        decode_error: the first error of a full decode, if there was one.
        how: how it was made; without an encode no frame may be missing.
        unlike: in what the output is not what the source shows and sounds like, if somebody has looked.
        foreign: others made it, with tools that we do not know, so less is excused.
        edited: a person said what should become of picture, sound and length; they need not be like the source's.
    """
    if preset.audio is Tracks.MIX and not foreign:
        source = source.mixed
    bounds = _out_of_bounds(output.video, preset) if output.video is not None else iter(())
    findings: tuple[tuple[Reason, Iterator[str]], ...] = (
        (Reason.OVER_LIMIT, _too_big(output, limit_bytes)),
        (Reason.DURATION, iter(()) if edited else _other_length(source, output, foreign=foreign)),
        (Reason.NOT_INLINE, iter(inline_faults(output, preset.codec))),
        (Reason.PICTURE, bounds if edited else chain(bounds, _other_picture(source, output, how, foreign=foreign))),
        (Reason.SOUND, iter(()) if edited else _other_sound(source, output, foreign=foreign)),
        (Reason.PICTURE, iter((unlike,) if unlike else ())),
        (Reason.NOT_INLINE, _place(output, preset)),
        (Reason.DECODE, iter((f"It does not decode: {decode_error.rstrip('.')}.",) if decode_error else ())),
    )
    for reason, faults in findings:
        if detail := " ".join(faults):
            return Refuse(reason=reason, detail=detail, size_bytes=output.size_bytes)
    return Accept(size_bytes=output.size_bytes, height=None if output.video is None else min(output.video.display_size))


def _too_big(media: MediaInfo, limit_bytes: int) -> Iterator[str]:
    if media.size_bytes > limit_bytes:
        yield f"It has {media.size_bytes:,} bytes, {media.size_bytes - limit_bytes:,} over the limit of {limit_bytes:,}."


def _picture_faults(video: VideoStream, codec: Codec) -> Iterator[str]:
    """What only an encode can mend."""
    match codec:
        case Codec.HEVC | Codec.AV1 if video.codec == codec:
            yield from _newer_faults(video, codec)
        case _ if video.codec != Codec.H264:
            wanted = NAMES[Codec.H264] if codec is Codec.H264 else f"{NAMES[codec]} or {NAMES[Codec.H264]}"
            yield f"Its picture is coded as {video.codec}, not {wanted}."
        case _:
            if video.profile not in PROFILES:
                yield f"Its H.264 profile is {video.profile or 'unknown'}, which many players cannot decode."
            if video.level is not None and video.level > LEVEL_MOST:
                yield f"Its H.264 level is {video.level / 10:.1f}, above 5.2."
    if video.pixel_format not in {"yuv420p", "yuvj420p"}:
        yield f"Its pixels are {video.pixel_format}, not 8 bit 4:2:0."
    if video.color_range == "pc":
        yield "Its colours use the full range, which players show too dark or too pale."
    if video.hdr:
        yield "It is HDR, which looks washed out on ordinary screens."
    if video.pixel_aspect != 1:
        yield "Its pixels are not square."
    if video.rotation_deg:
        yield f"It is stored lying on its side or head, to be turned by {video.rotation_deg} degrees."
    if video.width % 2 or video.height % 2:
        yield f"Its size of {video.width}x{video.height} is odd."
    if video.interlaced:
        yield "It is interlaced."
    if video.fps > FPS_MOST + FPS_SLACK:
        yield f"It has {video.fps:.0f} frames per second, above {FPS_MOST:.0f}."


def _newer_faults(video: VideoStream, codec: Codec) -> Iterator[str]:
    if video.profile != "Main":
        yield f"Its {NAMES[codec]} profile is {video.profile or 'unknown'}, not Main."
    if video.level is not None and video.level > NEWER_MOST[codec]:
        yield f"Its {NAMES[codec]} level is above 5.1."


def _wrapping_faults(media: MediaInfo, codec: Codec) -> Iterator[str]:
    """What writing the same streams into a new file mends."""
    if not media.mp4:
        yield "It is not an MP4."
    elif media.fragmented:
        yield "It is a fragmented MP4, as streams are."
    elif media.elsewhere:
        yield "It names other files or addresses for its picture or sound."
    elif media.odd:
        yield "It holds more than an MP4 needs, which not every player reads alike."
    elif not media.faststart:
        yield "Its index lies at the end, so it plays only after all has arrived."
    elif media.video is not None and media.video.codec == Codec.HEVC == codec and media.video.tag != "hvc1":
        yield "Its HEVC is not marked as hvc1, without which Apple's players do not open it."
    if media.others:
        yield f"It carries more than picture and sound: {', '.join(sorted(set(media.others)))}."
    if len(media.audio) > 1:
        yield f"It has {len(media.audio)} sound tracks."


def _sound_faults(media: MediaInfo) -> Iterator[str]:
    """What coding the sound anew mends, with the picture untouched."""
    audio = media.main_audio
    if audio is None:
        return
    if audio.codec != "aac" or audio.profile != "LC":
        yield f"Its sound is coded as {audio.codec}{f' {audio.profile}' if audio.profile else ''}, not AAC-LC."
    if audio.channels > 2:
        yield f"Its sound has {audio.channels} channels."
    if audio.sample_rate_hz > RATE_MOST_HZ:
        yield f"Its sound has {audio.sample_rate_hz:,} samples per second, above {RATE_MOST_HZ:,}."


def _out_of_bounds(video: VideoStream, preset: Preset) -> Iterator[str]:
    if preset.max_height is not None and video.short_side > preset.max_height:
        yield f"Its shorter side is {video.short_side} pixels, above {preset.max_height}."
    if preset.max_fps is not None and video.fps > preset.max_fps + FPS_SLACK:
        yield f"It has {video.fps:.4g} frames per second, above {preset.max_fps:g}."


def _place(media: MediaInfo, preset: Preset) -> Iterator[str]:
    if media.has_location and not preset.keep_location:
        yield "It may tell where it was filmed."


def _damage(media: MediaInfo) -> Iterator[str]:
    if media.cut_off_s:
        yield f"It ends {media.cut_off_s:.1f} s before the length that it announces."
    elif media.damaged:
        yield "Parts of it are broken."


def _other_length(source: MediaInfo, output: MediaInfo, *, foreign: bool) -> Iterator[str]:
    excused = min(0.01 * source.duration_s, FOREIGN_LENGTH_S if foreign else math.inf)
    if abs(output.duration_s - source.duration_s) > max(0.5, excused):
        yield f"It lasts {output.duration_s:.2f} s, its source {source.duration_s:.2f} s."


def _other_picture(source: MediaInfo, output: MediaInfo, how: How, *, foreign: bool) -> Iterator[str]:
    was, now = source.video, output.video
    if was is None or now is None:
        return  # no picture is no inline video, and said there
    (was_wide, was_high), (wide, high) = was.display_size, now.display_size
    # Others render everything at one size; a larger picture costs bytes, which are counted, and is no fault by itself.
    if not foreign and (wide > was_wide + 2 or high > was_high + 2):
        yield f"Its picture of {wide}x{high} is larger than the source's of {was_wide}x{was_high}."
    # Even sizes cost up to two pixels on each side, much in a small picture.
    if abs(wide * was_high / (high * was_wide) - 1) > min(0.02 + 2 / wide + 2 / high, SHAPE_MOST):
        yield f"Its picture of {wide}x{high} has another shape than the source's of {was_wide}x{was_high}."
    # The whole may be as long as it should by the sound alone. How long the last frame stays is lost in many a container.
    was_s, now_s = was.end_s - was.start_s, now.end_s - now.start_s
    if was_s - now_s > max(2.0, 0.05 * was_s):
        yield f"Its picture lasts {now_s:.2f} s, the source's {was_s:.2f} s."
    if foreign and now.frames < FOREIGN_FRAMES * min(was.frames, FPS_MOST * now_s):
        yield f"It holds {now.frames} frames, its source {was.frames}."
    if how is not How.ENCODE and abs(was.frames - now.frames) > 2 + 0.01 * was.frames:
        yield f"It holds {now.frames} frames, its source {was.frames}."


def _other_sound(source: MediaInfo, output: MediaInfo, *, foreign: bool) -> Iterator[str]:
    was, now = source.main_audio, output.main_audio
    if was is None and now is not None:
        yield "It has sound and its source has none."
    elif was is not None and now is None:
        yield "Its sound is missing."
    elif was is not None and now is not None:
        was_s, now_s = was.end_s - was.start_s, now.end_s - now.start_s
        if was_s - now_s > max(1.0, 0.02 * was_s):
            yield f"Its sound lasts {now_s:.2f} s, the source's {was_s:.2f} s."
        yield from _shift(source, output, foreign=foreign)


def _shift(source: MediaInfo, output: MediaInfo, *, foreign: bool) -> Iterator[str]:
    """Whether the sound has been moved against the picture as a whole.

    Told by its end, since a late start may be filled with silence; a sound that ends early has become shorter as well. How long
    the last picture stays, a container may not say; then it is taken to stay as long as another one of the same video.
    """
    ends = []
    for media in (source, output):
        if media.video is None or media.main_audio is None:
            return
        ends.append((media.video.end_s - media.main_audio.end_s, media.main_audio.end_s - media.main_audio.start_s))
    (was_apart, was_s), (now_apart, now_s) = ends
    moved = abs(was_apart - now_apart)
    excused = FOREIGN_SHIFT_S if foreign else max(0.5, 0.01 * source.duration_s)
    longer = (
        output.picture_s - source.picture_s > moved / 2 and source.video is not None and moved <= source.video.longest_step_s
    )
    stays = longer and now_apart > was_apart and not foreign
    if not source.damaged and not stays and moved > excused and abs(was_s - now_s) < moved / 2:
        yield f"Sound and picture are {moved:.2f} s apart from where they were."
