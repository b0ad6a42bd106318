"""The part of the probe that touches hostile bytes: a process of its own, limited, with one answer on its stdout.

Rules kept here:
- the file comes as an inherited descriptor, so its name plays no part and nothing else can be opened;
- every packet is counted but only a few frames are decoded, in constant memory however long the file is;
- nothing is judged here: what the figures mean is decided in `nemod.media.probe`;
- imports stay few: this process is started for every file.
"""

import json
import os
import sys
from bisect import bisect
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from statistics import median
from typing import Any

import av
from av.codec import CodecContext
from av.container import InputContainer
from av.stream import Stream

from nemod.media.formats import DEMUXERS

ATTACHED_PIC, DEFAULT = 1024, 1
#: What a cover is coded as, when nothing else marks it as one.
STILLS = frozenset({"mjpeg", "png", "bmp", "webp"})
FRAMES_WANTED = 8
#: After so many packets without a picture there is none to come.
PACKETS_TRIED = 300
#: So many distances between frames tell whether they vary; more would only take memory.
DISTANCES_MOST = 100_000
#: A coded packet that begins with so many zeros was never written: some copies reserve the whole file and fill it later.
HOLLOW = 64
#: Streams in which zeros are silence or black.
UNCODED = ("pcm", "rawvideo", "v210", "r210")
#: More chapters, and longer titles, than an MP4 can hold are not told.
CHAPTERS_MOST, TITLE_MOST = 255, 255


class Track:
    """What is counted of one stream while its packets pass by; times in ticks of its time base."""

    __slots__ = ("coded", "corrupt", "end", "first", "last", "packets", "size", "times")

    def __init__(self, codec: str | None) -> None:
        self.coded = codec is not None and not codec.startswith(UNCODED)
        self.packets = self.size = 0
        self.corrupt = False
        self.first: int | None = None
        self.last: int | None = None
        self.end: int | None = None
        self.times: list[int] = []

    def add(self, packet: "av.Packet[Any]") -> None:
        self.corrupt |= packet.is_corrupt
        if packet.size == 0 or packet.is_discard:  # empty ones repeat a frame, discarded ones lie before an edit's start
            return
        if self.coded and packet.size >= HOLLOW and not any(memoryview(packet)[:HOLLOW]):
            self.corrupt = True
            return
        self.packets += 1
        self.size += packet.size
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return
        self.first = time if self.first is None else min(self.first, time)
        # The end is that of the frame that is *shown* last: in an MP4 a packet's duration is its step in decoding order.
        if self.last is None or time >= self.last:
            self.last, self.end = time, time + (packet.duration or 0)
        if len(self.times) < DISTANCES_MOST:
            self.times.append(time)


def distances(times: list[int]) -> list[int]:
    """The steps from each shown frame to the next."""
    ordered = sorted(set(times))
    return [later - earlier for earlier, later in pairwise(ordered)]


def varies(steps: list[int]) -> bool:
    """Whether frames come at uneven distances: more than 5 % are off the median by more than half; ends do not count."""
    inner = sorted(steps[1:-1])
    if not inner:
        return False
    typical = median(inner)
    off = bisect(inner, 0.5 * typical) + len(inner) - bisect(inner, 1.5 * typical)
    return off > 0.05 * len(inner)


def main_video(streams: list[dict[str, Any]]) -> int | None:
    """The index of the first stream that holds moving pictures, not a cover."""
    playable = [s for s in streams if s["type"] in {"video", "audio"} and s["packets"]]
    for stream in playable:
        cover = stream["disposition"] & ATTACHED_PIC or (
            stream["codec"] in STILLS and stream["packets"] == 1 and len(playable) > 1
        )
        if stream["type"] == "video" and not cover:
            return int(stream["index"])
    return None


def packets_of(container: InputContainer, *streams: Stream) -> "Iterator[av.Packet[Any]]":
    """The packets of the streams that were there when the file was opened.

    In an MPEG stream others may come up later; PyAV does not know them, drops such a packet and raises.
    """
    while True:
        try:
            yield from container.demux(*streams)
        except IndexError:
            continue
        return


def measure(fd: int) -> dict[str, Any]:
    """Open, count every packet, decode a few frames."""
    with _open(fd) as container:
        tracks = {stream.index: Track(_codec(stream)) for stream in container.streams}
        damaged = False
        try:
            for packet in packets_of(container):
                tracks[packet.stream.index].add(packet)
        except av.error.FFmpegError:
            damaged = True  # what came before it counts
        streams = [_stream(stream, tracks[stream.index]) for stream in container.streams]
        raw: dict[str, Any] = {
            "format": container.format.name,
            "duration_s": container.duration / av.time_base if container.duration else None,
            "metadata": dict(container.metadata),
            "chapters": len(marks := container.chapters()),
            "chapter_marks": [_mark(mark) for mark in marks[:CHAPTERS_MOST]],
            "damaged": damaged or any(track.corrupt for track in tracks.values()),
            "streams": streams,
            "video": main_video(streams),
            "frame": None,
        }
    if raw["video"] is not None:
        raw["frame"] = _look(fd, raw["video"])
    return raw


def _open(fd: int) -> InputContainer:
    os.lseek(fd, 0, os.SEEK_SET)
    options = {"fd": str(fd), "protocol_whitelist": "fd", "format_whitelist": ",".join(DEMUXERS)}
    return av.open("fd:", options=options, metadata_errors="replace")


def _mark(mark: Any) -> dict[str, Any]:
    tick = float(mark["time_base"] or 0)
    title = next((text for key, text in mark["metadata"].items() if key.lower() == "title"), "")
    return {"start_s": mark["start"] * tick, "end_s": mark["end"] * tick, "title": title[:TITLE_MOST]}


def _codec(stream: Stream) -> str | None:
    """The format that it is coded in, not the decoder's name; None for a data track and where no decoder is known."""
    context: CodecContext | None = stream.codec_context  # PyAV's stubs do not admit the None
    return context.codec.canonical_name if context else None


def _stream(stream: Stream, track: Track) -> dict[str, Any]:
    tick = float(stream.time_base) if stream.time_base else 0.0
    steps = distances(track.times)
    start, end = track.first, track.end
    if start is not None and end is not None and end == track.last and steps:
        end += round(median(steps))  # the last packet does not say how long it is shown
    raw: dict[str, Any] = {
        "index": stream.index,
        "type": stream.type,
        "disposition": int(stream.disposition),
        "metadata": dict(stream.metadata),
        "packets": track.packets,
        "bytes": track.size,
        "start_s": None if start is None else start * tick,
        "end_s": None if end is None else end * tick,
        "header_s": stream.duration * tick if stream.duration else None,
        "codec": _codec(stream),
    }
    if raw["codec"] is None:
        return raw
    raw["profile"] = stream.codec_context.profile
    if isinstance(stream, av.VideoStream):
        aspect = stream.sample_aspect_ratio
        raw |= {
            "level": stream.codec_context.level,
            "tag": stream.codec_context.codec_tag,
            "width": stream.codec_context.width,
            "height": stream.codec_context.height,
            "pixel_aspect": float(aspect) if aspect else None,
            "average_fps": float(stream.average_rate) if stream.average_rate else None,
            "guessed_fps": float(stream.guessed_rate) if stream.guessed_rate else None,
            "color": _color(stream.codec_context),
            "variable": varies(steps),
            "longest_step_s": max(steps, default=0) * tick,
        }
    elif isinstance(stream, av.AudioStream):
        raw |= {
            "channels": stream.codec_context.channels,
            "layout": [channel.name for channel in stream.codec_context.layout.channels],
            "sample_rate_hz": stream.codec_context.sample_rate,
        }
    return raw


def _look(fd: int, index: int) -> dict[str, Any] | None:
    """Decode a few frames: only they tell the true pixel format, turn and colours. None: nothing could be decoded."""
    frames: list[av.VideoFrame] = []
    with _open(fd) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.VideoStream)  # noqa: S101 - it was chosen as one
        if _codec(stream) is None:
            return None
        stream.codec_context.thread_count = 1  # threads would multiply the memory
        with suppress(av.error.FFmpegError, StopIteration):
            packets = packets_of(container, stream)
            for _ in range(PACKETS_TRIED):
                packet = next(packets)
                with suppress(av.error.InvalidDataError):
                    frames += stream.decode(packet)
                if len(frames) >= FRAMES_WANTED:
                    break
    if not frames:
        return None
    first = frames[0]
    return {
        "width": first.width,
        "height": first.height,
        "pixel_format": first.format.name,
        "bit_depth": max(component.bits for component in first.format.components),
        "rotation": first.rotation,
        "interlaced": 2 * sum(frame.interlaced_frame for frame in frames) > len(frames),
        "color": _color(first),
    }


def _color(source: Any) -> dict[str, int | None]:
    """The numbers of ISO/IEC 23091-2 from a frame or a codec context, which spell them alike."""
    return {
        "range": source.color_range,
        "matrix": source.colorspace,
        "transfer": source.color_trc,
        "primaries": source.color_primaries,
    }


def main(argv: list[str]) -> int:
    """Measure the file behind a descriptor: `probe_child FD`; one JSON object on stdout, always exit 0."""
    fd = int(argv[1])
    try:
        answer = measure(fd)
    except MemoryError:
        answer = {"error": "memory"}
    except av.error.DecoderNotFoundError as error:
        answer = {"error": "decoder", "text": error.strerror}
    except (av.error.FFmpegError, OSError) as error:
        answer = {"error": "open", "errno": error.errno, "text": error.strerror}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
