"""Media made to do harm, through the real daemon: nothing else is read, no address is opened, the work is bounded."""

import os
import shutil
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.events import FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from nemod.failure import Kind
from nemod.job import JobState
from tests.support.clips import make_clip, run_ffmpeg
from tests.support.daemon import Machine, eventually

#: All of it, or what a minute allows.
SLOW = bool(os.environ.get("NEMOD_SLOW"))


class Canary(FileSystemEventHandler):
    """A folder whose files nobody has a reason to open, and a port that nobody has a reason to call."""

    def __init__(self, folder: Path) -> None:
        """Watch and listen."""
        folder.mkdir()
        self.opened: list[str] = []
        self.clip = make_clip(folder / "canary.mp4", seconds=1, size=(160, 120))
        shutil.copy(self.clip, folder / "canary.ts")
        self.port = socket.create_server(("127.0.0.1", 0))
        self.port.setblocking(False)
        self._observer = Observer()
        self._observer.schedule(self, str(folder), event_filter=[FileOpenedEvent])
        self._observer.start()

    def on_opened(self, event: FileSystemEvent) -> None:
        """Somebody has."""
        self.opened.append(os.fsdecode(event.src_path))

    @property
    def url(self) -> str:
        """What to call."""
        return f"http://127.0.0.1:{self.port.getsockname()[1]}/canary.ts"

    def called(self) -> bool:
        """Whether somebody has."""
        try:
            self.port.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def end(self) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join()
        self.port.close()


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """One for all."""
    made = Canary(tmp_path_factory.mktemp("away") / "canary")
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video."""
    return make_clip(tmp_path_factory.mktemp("tiny") / "tiny.mp4", seconds=1, size=(160, 120))


def texts(target: str) -> dict[str, bytes]:
    """Files that name another one, as the programs that understand them write them."""
    written = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
        "hls-key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n',
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT1S"><Period><AdaptationSet '
        f'mimeType="video/mp4"><Representation id="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period>'
        "</MPD>",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}" width="9" height="9"/></svg>',
        "srt": f"1\n00:00:00,000 --> 00:00:01,000\n<img src='{target}'>\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
        "asf": f"[Reference]\nRef1={target}\n",
        "url": target,
        "concat": f"concat:{target}|{target}",
        "rtsptext": f"RTSPtextrtsp://{target}",
    }
    return {name: text.encode() for name, text in written.items()}


def with_reference(clip: bytes, target: bytes) -> bytes:
    """An MP4 whose tracks say that their data lies in another file (ISO/IEC 14496-12, 8.7.2)."""
    data = bytearray(clip)
    place = 0
    while (place := data.find(b"url \0\0\0\1", place + 1)) > 0:
        data[place + 4 : place + 8] = bytes(4)
        data[place + 8 : place + 8] = target + b"\0"
        _grow(data, 0, len(data), place, len(target) + 1)
    return bytes(data)


def _grow(data: bytearray, start: int, end: int, place: int, by: int) -> None:
    """Make every box around a place so much longer; the index lies last, so no offset changes."""
    while start + 8 <= end:
        (size,) = struct.unpack_from(">I", data, start)
        if start < place < start + size:
            struct.pack_into(">I", data, start, size + by)
            inner = 16 if data[start + 4 : start + 8] == b"dref" else 8
            if bytes(data[start + 4 : start + 8]) in {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"}:
                _grow(data, start + inner, start + size, place, by)
            return
        start += size


def gif(width: int, height: int, pictures: int) -> bytes:
    """A GIF in which each picture changes a single point: some twenty bytes each."""
    one = b"\x21\xf9\x04\x00\x02\x00\x00\x00\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\x00\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff" + one * pictures + b";"


def answered(daemon: Machine, relpath: str) -> Kind | None:
    """Wait for a file's first answer: None when it is delivered."""
    eventually(lambda: any(j.failure is not None or j.state is JobState.DONE for j in daemon.jobs(relpath)), daemon.told)
    (job,) = daemon.jobs(relpath)
    return None if job.state is JobState.DONE or job.failure is None else job.failure.kind


def test_nothing_else_is_opened(daemon: Machine, canary: Canary, tiny: Path) -> None:
    """Playlists and references in a video's clothes, to a file and to an address, are refused or lead nowhere."""
    canary.opened.clear()
    names: list[str] = []
    for target in (f"file://{canary.clip}", str(canary.clip.with_suffix(".ts")), canary.url):
        forms = texts(target)
        # Behind bytes that are no text the first look does not stop them.
        behind = forms if SLOW else {"hls": forms["hls"], "dash": forms["dash"]}
        forms = forms | {f"{name}-behind": b"\x00\x01\x02\x03" + data for name, data in behind.items()}
        for number, (name, data) in enumerate(forms.items()):
            suffix = ("mp4", "mov", "mkv", "avi", "ts", "webm")[number % 6]
            names.append(f"{name}-{len(names)}.{suffix}")
            (daemon.home / "tight" / names[-1]).write_bytes(data)
    for name in names:
        assert answered(daemon, name) in {Kind.UNSUPPORTED, Kind.INCOMPLETE}, name
    for number, target in enumerate((f"file://{canary.clip}", canary.url, "canary.mp4")):
        (daemon.home / "tight" / f"dref-{number}.mov").write_bytes(with_reference(tiny.read_bytes(), target.encode()))
        answered(daemon, f"dref-{number}.mov")
    assert not canary.opened
    assert not canary.called()
    canary.clip.read_bytes()
    eventually(lambda: canary.opened)  # the watch does see


def test_an_attack_keeps_no_other_file_waiting(daemon: Machine, tiny: Path) -> None:
    """Bombs and absurd figures end in words or within the limit, and an ordinary file beside them is delivered."""
    bombs = {
        "largest.gif": gif(65535, 65535, 10),
        "huge.gif": gif(16_000, 16_000, 1000) if SLOW else gif(6000, 6000, 4000),
        "many.gif": gif(4000, 4000, 20_000),
        "nothing.gif": gif(0, 0, 50),
        "point.gif": gif(1, 1, 50),
    }
    clip = tiny.read_bytes()
    for name, box, offset, value in (
        ("years.mp4", b"mvhd", 16, b"\x7f\xff\xff\xff"),
        ("no-clock.mp4", b"mdhd", 12, bytes(4)),
        ("slow-clock.mp4", b"mdhd", 12, b"\0\0\0\1"),
        ("long-picture.mp4", b"stts", 12, b"\x7f\xff\xff\xff"),
        ("many-pictures.mp4", b"stts", 8, b"\x7f\xff\xff\xff"),
        ("wide.mp4", b"avc1", 24, b"\xff\xff\xff\xff"),
        ("stretched.mp4", b"tkhd", 76, b"\xff\xff\0\0\0\1\0\0"),
    ):
        place = clip.index(box, clip.index(b"moov")) + 4 + offset
        bombs[name] = clip[:place] + value + clip[place + len(value) :]
    for name, data in bombs.items():
        (daemon.home / "tight" / name).write_bytes(data)
    shutil.copy(tiny, daemon.home / "in" / "beside.mp4")
    daemon.delivered("beside.mp4")
    kinds = {name: answered(daemon, name) for name in bombs}
    assert kinds["huge.gif"] is kinds["many.gif"] is Kind.UNSUPPORTED
    assert {None, Kind.UNSUPPORTED, Kind.INCOMPLETE, Kind.IMPOSSIBLE, Kind.BAD_OUTPUT} >= set(kinds.values()), kinds


@pytest.mark.skipif(not SLOW, reason="makes and encodes large files; set NEMOD_SLOW=1")
def test_any_number_of_things_in_a_file(daemon: Machine, tiny: Path, tmp_path: Path) -> None:
    """Hundreds of tracks, thousands of chapters, megabytes of tags, jumping clocks: an output within the limit, or words."""
    picture = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=30:duration=1"]
    tone = ["-f", "lavfi", "-i", "sine=duration=1"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    run_ffmpeg(*picture, *tone, *coded, "-map", "0:v", *(["-map", "1:a"] * 200), tmp_path / "tracks.mkv")
    marks = "".join(f"[CHAPTER]\nTIMEBASE=1/1000000\nSTART={n * 90}\nEND={n * 90 + 90}\ntitle=c{n}\n" for n in range(10_000))
    title = "x" * 2_000_000
    (tmp_path / "notes").write_text(f";FFMETADATA1\ntitle={title}\n{marks}")
    (tmp_path / "font").write_bytes(os.urandom(3_000_000))
    attached: list[str | Path] = ["-attach", tmp_path / "font", "-metadata:s:t", "mimetype=application/x-font"]
    noted: list[str | Path] = ["-i", tiny, "-i", tmp_path / "notes", "-map_metadata", "1", "-map_chapters", "1", "-c", "copy"]
    run_ffmpeg(*noted, *attached, tmp_path / "notes.mkv")
    jump = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
    run_ffmpeg(*picture, *tone, "-vf", "setpts='if(gt(N,15),PTS+1e9/TB,PTS)'", *coded, *jump, tmp_path / "jump.mkv")
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=100000:duration=0.005", *coded, tmp_path / "fast.mp4")
    for name in ("tracks.mkv", "notes.mkv", "jump.mkv", "fast.mp4"):
        shutil.copy(tmp_path / name, daemon.home / "tight")
    assert daemon.delivered("tracks.mkv").stat().st_size <= 100_000
    assert daemon.delivered("notes.mkv").stat().st_size <= 100_000
    assert answered(daemon, "jump.mkv") in {None, Kind.IMPOSSIBLE}
    assert answered(daemon, "fast.mp4") in {None, Kind.UNSUPPORTED}


def test_children_are_bound(daemon: Machine, tmp_path: Path) -> None:
    """While it encodes, a child has limits of everything, no secret of ours, and nobody's terminal."""
    if not Path("/proc/self/limits").exists():
        pytest.skip("only Linux shows the limits of other processes")
    make_clip(tmp_path / "long.mkv", seconds=20, size=(640, 360))
    shutil.copy(tmp_path / "long.mkv", daemon.home / "tight")
    limits: list[str] = []

    def seen() -> bool:
        for pid in daemon.encoding():
            try:
                limits[:] = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
            except OSError:
                continue
            return bool(limits)
        return False

    eventually(seen, daemon.told)
    soft = {line[:26].strip(): line[26:].split()[0] for line in limits}
    assert soft["Max core file size"] == "0"
    assert {"unlimited"}.isdisjoint(soft[name] for name in ("Max cpu time", "Max file size", "Max data size"))
    daemon.nemod("jobs", "cancel", str(daemon.jobs("long.mkv")[0].id))
