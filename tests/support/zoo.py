"""Videos that no camera makes, by name: absurd counts, clocks, sizes and tags, and files that are several things at once.

Rules kept here:
- each is a few kilobytes to some megabytes, made by ffmpeg or by hand from a clip that ffmpeg has made;
- nothing in here needs more than a second or two to be made; what is larger stands in `GREAT`.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from tests.support.clips import make_clip, run_ffmpeg

#: What a terminal would obey, in a tag: clear the screen, set the title, and a link.
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://127.0.0.1/\x07here\x1b]8;;\x07\u202e\u2066\r\n\x9b31m"
#: What looks like a secret and is none.
LIKE_A_TOKEN = "nmv_usr_" + "Z" * 43
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def box(kind: bytes, *payload: bytes) -> bytes:
    """A box of an MP4."""
    inner = b"".join(payload)
    return struct.pack(">I", 8 + len(inner)) + kind + inner


def patched(data: bytes, kind: bytes, offset: int, value: bytes) -> bytes:
    """A clip with other bytes in the payload of the first box of a kind."""
    place = data.index(kind, data.index(b"moov")) + 4 + offset
    return data[:place] + value + data[place + len(value) :]


def grown(data: bytes, path: Sequence[bytes], more: bytes) -> bytes:
    """A clip with more at the end of a box that is found by its way from the top; its index must lie last."""
    made, start, end = bytearray(data), 0, len(data)
    for kind in path:
        while made[start + 4 : start + 8] != kind:
            start += struct.unpack_from(">I", made, start)[0]
            assert start < end, kind
        size = struct.unpack_from(">I", made, start)[0]
        struct.pack_into(">I", made, start, size + len(more))
        start, end = start + (16 if kind == b"dref" else 8), start + size
    made[end:end] = more
    return bytes(made)


def moov_last(data: bytes) -> bytes:
    """A clip with an index at its end, too, which is the one that counts: the first becomes room."""
    at = data.index(b"moov") - 4
    index = data[at : at + struct.unpack_from(">I", data, at)[0]]
    return data[: at + 4] + b"free" + data[at + 8 :] + index


def by_hand(clip: bytes) -> dict[str, bytes]:
    """What can be made of an MP4 whose index lies last, by writing into it."""
    many = struct.pack(">I", 0x7FFFFFFF)
    stuff = io.BytesIO()
    with zipfile.ZipFile(stuff, "w") as packed:
        packed.writestr("autorun.html", "<script>alert(1)</script>")
    page = b"<!DOCTYPE html><script>fetch('http://127.0.0.1/')</script>"
    trak = clip[(at := clip.index(b"trak") - 4) : at + struct.unpack_from(">I", clip, at)[0]]
    edits = box(b"edts", box(b"elst", struct.pack(">II", 0, 200_000), struct.pack(">IiI", 1, 0, 65536) * 200_000))
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    return {
        "stts-count.mp4": patched(clip, b"stts", 4, many),
        "stsz-count.mp4": patched(clip, b"stsz", 8, many),
        "ctts-sign.mp4": patched(clip, b"stts", 12, b"\xff\xff\xff\xff"),
        "stsc-count.mp4": patched(clip, b"stsc", 4, many),
        "stco-far.mp4": patched(clip, b"stco", 8, b"\xff\xff\xff\x00"),
        "clock-1.mp4": patched(clip, b"mdhd", 12, b"\0\0\0\1"),
        "clock-max.mp4": patched(clip, b"mdhd", 12, b"\xff\xff\xff\xff"),
        "matrix.mp4": patched(clip, b"tkhd", 40, b"\x7f\xff\xff\xff" * 9),
        "matrix-0.mp4": patched(clip, b"tkhd", 40, bytes(36)),
        "matrix-skew.mp4": patched(clip, b"tkhd", 40, struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)),
        "entry-size.mp4": patched(clip, b"avc1", -8, b"\xff\xff\xff\xff"),
        "wide.mp4": patched(clip, b"avc1", 24, b"\xff\xff\xff\xff"),
        "edits.mp4": grown(clip, (b"moov", b"trak"), edits),
        "edit-empty.mp4": grown(
            clip, (b"moov", b"trak"), box(b"edts", box(b"elst", struct.pack(">IIIiI", 0, 1, 2**31 - 1, -1, 65536)))
        ),
        "dref-url.mp4": clip.replace(b"url \0\0\0\1", b"url \0\0\0\0"),
        "dref-two.mp4": grown(
            clip, (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"), box(b"url ", bytes(4), b"file:///etc/passwd\0")
        ),
        "compressed.mp4": grown(clip, (b"moov",), box(b"cmov", bytes(64))),
        "zip.mp4": clip + stuff.getvalue(),
        "html.mp4": clip + page,
        "free-html.mp4": clip + box(b"free", page),
        "ftyp-playlist.mp4": box(b"ftyp", b"isom\0\0\2\0isom", playlist) + clip[struct.unpack_from(">I", clip)[0] :],
        "two-indexes.mp4": clip + clip[clip.index(b"moov") - 4 :],
        "traks.mp4": grown(clip, (b"moov",), trak * 3000),
        "traks-empty.mp4": grown(clip, (b"moov",), box(b"trak") * 20_000),
        "boxes.mp4": clip[: struct.unpack_from(">I", clip)[0]] + box(b"free") * 400_000 + clip,
        "boxes-inside.mp4": grown(clip, (b"moov",), box(b"free") * 400_000),
        "deep.mp4": grown(clip, (b"moov",), _nested(b"udta", 20_000)),
        "udta.mp4": grown(clip, (b"moov",), box(b"udta", bytes(5_000_000))),
        "uuid.mp4": clip + box(b"uuid", bytes(16), bytes(5_000_000)),
        "zero-size.mp4": clip + bytes(4) + b"mdat",
        "huge-size.mp4": clip + b"\0\0\0\1mdat" + b"\x7f" + b"\xff" * 7,
        "tiny-size.mp4": clip + b"\0\0\0\1free" + bytes(8),
    }


def _nested(kind: bytes, depth: int) -> bytes:
    sizes = (8 * (depth - n) for n in range(depth))
    return b"".join(struct.pack(">I", size) + kind for size in sizes)


def _lavfi(path: Path, graph: str, *args: str | Path, seconds: float = 1.0, tone: bool = True) -> None:
    sound = ["-f", "lavfi", "-i", f"sine=sample_rate=48000:duration={seconds}"] if tone else []
    run_ffmpeg("-f", "lavfi", "-i", graph, *sound, *args, path)


def _channels(path: Path) -> None:
    """Sixty-four channels, of which none is a left one."""
    raw = path.with_name("raw.pcm")
    raw.write_bytes(bytes(range(128)) * 48_000)
    sound: list[str | Path] = ["-f", "s16le", "-ar", "48000", "-ac", "64", "-i", raw]
    picture = ["-f", "lavfi", "-i", "testsrc2=size=160x120:duration=1"]
    run_ffmpeg(*picture, *sound, *_X264, "-c:a", "pcm_s16le", path)


def _sizes(path: Path) -> None:
    """Four pictures of different sizes, one behind the other, in one track."""
    parts = [path.with_name(f"part-{n}.h264") for n in range(4)]
    for part, size in zip(parts, ("160x120", "320x240", "64x64", "1280x720"), strict=True):
        run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30:duration=0.3", *_X264, part)
    raw = path.with_name("raw.h264")
    raw.write_bytes(b"".join(part.read_bytes() for part in parts))
    run_ffmpeg("-r", "30", "-i", raw, "-c", "copy", path)


def _notes(path: Path, title: str, chapters: int) -> None:
    clip = make_clip(path.with_name("plain.mkv"), seconds=1, size=(160, 120))
    said = "".join("\\" + c if c in "=;#\\\n" else c for c in title.replace("\x00", ""))
    starts = [n * 1_000_000 // chapters for n in range(chapters + 1)]
    spans = (f"[CHAPTER]\nTIMEBASE=1/1000000\nSTART={one}\nEND={two}\n" for one, two in pairwise(starts))
    marks = "".join(f"{span}title={said[:200]}\n" for span in spans)
    notes = path.with_name("notes.txt")
    notes.write_text(f";FFMETADATA1\ntitle={said}\nartist={said}\n{marks}", encoding="utf-8", newline="")
    args: list[str | Path] = ["-i", clip, "-i", notes, "-map_metadata", "1", "-map_chapters", "1", "-c", "copy"]
    args += ["-metadata:s:a", f"title={title[:3000]}", "-metadata:s:v", f"handler_name={title[:3000]}"]
    run_ffmpeg(*args, path)


def _attached(path: Path, size: int) -> None:
    font = path.with_name("font.ttf")
    font.write_bytes(bytes(range(256)) * (size // 256))
    clip = make_clip(path.with_name("plain.mkv"), seconds=1, size=(160, 120))
    run_ffmpeg("-i", clip, "-attach", font, "-metadata:s:t", "mimetype=application/x-truetype-font", "-c", "copy", path)


def _tracks(path: Path, count: int, *args: str) -> None:
    clip = make_clip(path.with_name("one.mkv"), seconds=0.2, size=(64, 64), extra_args=("-c:a", "libmp3lame"))
    run_ffmpeg("-i", clip, "-map", "0:v", *(["-map", "0:a"] * count), "-c", "copy", "-max_streams", "9999", *args, path)


def _ass(path: Path) -> None:
    text = "[Script Info]\nScriptType: v4.00+\n[Fonts]\nfontname: /etc/passwd\n[Graphics]\nfilename: /etc/passwd\n[Events]\n"
    text += "Format: Layer, Start, End, Style, Text\n" + "Dialogue: 0,0:00:00.00,0:00:01.00,Default,{\\fn/etc/passwd}x\n" * 2000
    subtitles = path.with_name("s.ass")
    subtitles.write_text(text, encoding="utf-8")
    clip = make_clip(path.with_name("plain.mkv"), seconds=1, size=(160, 120))
    run_ffmpeg("-i", clip, "-i", subtitles, "-map", "0", "-map", "1", "-c", "copy", path)


#: What ffmpeg makes: a name, and who makes it there.
MADE: dict[str, Callable[[Path], object]] = {
    "one-frame.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:rate=30:duration=0.033", *_X264, tone=False),
    "point.mkv": lambda p: _lavfi(p, "testsrc2=size=16x16:rate=30:duration=1,scale=1:1", "-c:v", "ffv1"),
    "strip.mkv": lambda p: _lavfi(p, "testsrc2=size=16x2048:rate=5:duration=1,scale=2:8190", "-c:v", "mpeg4", "-b:v", "100k"),
    "strip-wide.mkv": lambda p: _lavfi(p, "testsrc2=size=2048x16:rate=5:duration=1,scale=16384:2", "-c:v", "ffv1"),
    "square.mkv": lambda p: _lavfi(p, "color=size=8192x8192:rate=2:duration=1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "aspect.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1,setsar=1/100000", *_X264),
    "aspect-wide.mp4": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1,setsar=10000/1", *_X264),
    "alpha.mov": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=1,format=yuva444p10le", "-c:v", "prores_ks", "-profile:v", "4"
    ),
    "alpha.webm": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=1,format=yuva420p", "-c:v", "libvpx", "-auto-alt-ref", "0", "-deadline", "realtime"
    ),
    "deep.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", "-c:v", "libx264", "-pix_fmt", "yuv444p10le"),
    "deeper.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", "-c:v", "ffv1", "-pix_fmt", "yuv444p12le"),
    "float.mkv": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=1", "-c:v", "ffv1", "-pix_fmt", "gbrp16le", "-c:a", "pcm_f64le"
    ),
    "fields.mkv": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=1", *_X264, "-flags", "+ilme+ildct", "-x264-params", "fake-interlaced=1"
    ),
    "vfr.mkv": lambda p: _lavfi(
        p,
        "testsrc2=size=160x120:rate=1000:duration=2,select='lt(t,0.2)+not(mod(n,1000))'",
        *_X264,
        "-fps_mode",
        "passthrough",
        seconds=2,
    ),
    "slow.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:rate=1/30:duration=90", *_X264, seconds=90),
    "negative.mkv": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=1", *_X264, "-output_ts_offset", "-5", "-avoid_negative_ts", "disabled"
    ),
    "late.ts": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", *_X264, "-output_ts_offset", "95000"),
    "far.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", *_X264, "-output_ts_offset", "9000000000000"),
    "sizes.mkv": _sizes,
    "sound-64.mkv": _channels,
    "sound-768k.mkv": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", *_X264, "-c:a", "pcm_s32le", "-ar", "768000"),
    "sound-8k.mkv": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=1", *_X264, "-c:a", "pcm_u8", "-ar", "1000", "-ac", "1"
    ),
    "cover.mp3": lambda p: _lavfi(
        p, "testsrc2=size=160x120:duration=0.04", "-c:v", "png", "-c:a", "libmp3lame", "-disposition:v", "attached_pic"
    ),
    "cover.mkv": lambda p: _lavfi(
        p, "testsrc2=size=160x120:rate=25:duration=0.04", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "aac"
    ),
    "timecode.mov": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", *_X264, "-timecode", "01:00:00:00"),
    "escapes.mkv": lambda p: _notes(p, ESCAPES + LIKE_A_TOKEN, chapters=5),
    "escapes.mp4": lambda p: _notes(p, ESCAPES + LIKE_A_TOKEN, chapters=5),
    "long-notes.mkv": lambda p: _notes(p, ESCAPES * 200_000, chapters=3),
    "ffconcat-tag.mkv": lambda p: _notes(p, "ffconcat version 1.0\nfile /etc/passwd\n", chapters=2),
    "font.mkv": lambda p: _attached(p, 5_000_000),
    "tracks.mkv": lambda p: _tracks(p, 990),
    "tracks.ts": lambda p: _tracks(p, 990),
    "tracks.mp4": lambda p: _tracks(p, 990),
    "ass.mkv": _ass,
    "clip.nut": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", *_X264),
    "index.avi": lambda p: _lavfi(p, "testsrc2=size=160x120:duration=1", "-c:v", "mpeg4"),
}
