"""What is in a file: opened here, read by a limited child process, and told apart when it cannot be read.

Rules kept here:
- the path is opened once, by us, as a regular file and without following a link; the child gets only the descriptor;
- a child that crashes, hangs or eats all memory is an answer about the file, never our end;
- what could still become a video (a copy that goes on) is INCOMPLETE, what never will is UNSUPPORTED at once.
"""

import asyncio
import errno
import json
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from nemod.failure import Failure, Kind, NemodError
from nemod.media.boxes import Boxes, read_boxes
from nemod.media.child import Death, Finished, run
from nemod.media.formats import HEAD_BYTES, Head, kind_of
from nemod.media.held import ALLOW, FORBIDDEN, open_plain
from nemod.media.info import MediaInfo
from nemod.media.measured import info_from

#: The whole file is read once; at 10 MB/s this is room for 36 GB on slow network disks.
PROBE_TIMEOUT_S = 3600.0
#: Bytes of memory that reading a file may take.
MEMORY_MOST = 4 * 1024**3

#: A video that unfolds to more pixels than this (100 s of 8K at 30 frames per second) from fewer bits for each is a bomb.
#: A black picture that never changes takes 2.6e-4 as H.264 of any size (measured), some 3e-5 as AV1 in 4K.
BOMB_PIXELS, BOMB_BITS_PER_PIXEL = 1e11, 2e-5

_WAIT = "Wait if it is still being copied; otherwise copy it once more."
_NOT_OURS = "Drop a video file, such as .mp4, .mov, .mkv, .webm, .avi, .mts, .wmv or .gif."


class ProbeError(NemodError):
    """The file gives no `MediaInfo`, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    file: BinaryIO
    size_bytes: int
    head: Head
    boxes: Boxes


async def probe(path: Path, *, timeout_s: float) -> MediaInfo:
    """Measure a media file.

    Args:
        path: any name, also that of a file that is held open; the file is only read.
        timeout_s: seconds that reading all of it may take.

    Raises:
        ProbeError: SOURCE_GONE, UNREADABLE, UNSUPPORTED, INCOMPLETE or TRANSIENT; BUG when the reader itself is broken.
    """
    opened = await asyncio.to_thread(_open, path)
    try:
        _refuse_by_head(opened)
        raw = await _measure(opened.file.fileno(), timeout_s)
    finally:
        with suppress(OSError):  # it was only read, so its end cannot fail, whatever a disk says
            opened.file.close()
    _refuse_by_content(opened, raw)
    _refuse_bomb(raw)
    return info_from(raw, size_bytes=opened.size_bytes, boxes=opened.boxes)


def _fail(kind: Kind, detail: str, hint: str = "") -> NoReturn:
    raise ProbeError(Failure(kind=kind, detail=detail, hint=hint))


def _open(path: Path) -> _Opened:
    try:
        file = open_plain(path)
    except OSError as error:
        _refuse_to_open(error)
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            _fail(Kind.UNSUPPORTED, "It is not a regular file but a folder, a pipe or a device.", _NOT_OURS)
        head = kind_of(file.read(HEAD_BYTES))
        boxes = read_boxes(file, status.st_size)
    except OSError as error:
        file.close()
        _fail(Kind.TRANSIENT, f"It cannot be read: {error.strerror}.", "Check the disk or the network share that it is on.")
    except ProbeError:
        file.close()
        raise
    return _Opened(file=file, size_bytes=status.st_size, head=head, boxes=boxes)


def _refuse_to_open(error: OSError) -> NoReturn:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ESTALE:
            _fail(Kind.SOURCE_GONE, "It is no longer there.")
        case errno.EACCES | errno.EPERM:
            _fail(Kind.UNREADABLE, FORBIDDEN, ALLOW)
        case errno.ELOOP | errno.EMLINK:
            _fail(Kind.UNSUPPORTED, "It is a symbolic link, not a file.", "Drop the file itself, or a copy of it.")
        case errno.ENXIO | errno.ENODEV | errno.EISDIR | errno.EOPNOTSUPP:
            _fail(Kind.UNSUPPORTED, "It is not a regular file but a folder, a pipe or a device.", _NOT_OURS)
        case _:
            _fail(Kind.TRANSIENT, f"It cannot be opened: {error.strerror}.", "Check the disk or the share that it is on.")


def _refuse_by_head(opened: _Opened) -> None:
    match opened.head:
        case Head.EMPTY if opened.size_bytes == 0:
            _fail(Kind.INCOMPLETE, "It is empty: 0 bytes.", _WAIT)
        case Head.EMPTY:
            _fail(Kind.INCOMPLETE, "It begins with nothing but zeros: room that a copy has reserved and not filled.", _WAIT)
        case Head.PICTURE:
            _fail(Kind.UNSUPPORTED, "It is a still picture, not a video.", _NOT_OURS)
        case Head.TEXT:
            _fail(Kind.UNSUPPORTED, "It is a text (a playlist, subtitles, a page), not a video.", _NOT_OURS)
        case Head.MEDIA | Head.OTHER:
            pass


async def _measure(fd: int, timeout_s: float) -> dict[str, Any]:
    # -P keeps a hostile json.py in the working directory from being imported.
    argv = [sys.executable, "-P", "-m", "nemod.media.probe_child", str(fd)]
    # Counting packets is little work; what takes longer than the whole time-out on one processor is made to do harm.
    try:
        finished = await run(argv, timeout_s=timeout_s, pass_fds=(fd,), cpu_s=timeout_s, memory_bytes=MEMORY_MOST)
    except OSError as error:
        _fail(Kind.TRANSIENT, f"The process that reads videos cannot be started: {error.strerror}.")
    if finished.death is Death.HUNG:
        where = "Check the drive or the share that it lies on."
        _fail(Kind.TRANSIENT, f"Whoever reads it got nowhere for {timeout_s:,.0f} s, and was stopped.", where)
    if finished.timed_out:
        _fail(
            Kind.UNSUPPORTED,
            f"Reading it was not done after {timeout_s:.0f} s.",
            "If the disk is slow or busy, try it again later; otherwise the file is likely to be broken.",
        )
    if finished.returncode:
        _refuse_crashed(finished)
    raw: dict[str, Any] = json.loads(finished.stdout)
    return raw


def _refuse_crashed(finished: Finished) -> NoReturn:
    hint = "It is likely to be broken, or made to do harm; play it, and export it again if it does."
    match finished.death:
        case Death.OUTSIDE:
            _fail(Kind.TRANSIENT, "The process that reads videos was stopped from outside, perhaps for lack of memory.")
        case Death.MEMORY:
            _fail(Kind.UNSUPPORTED, "Reading it takes more memory than any sound video needs.", hint)
        case Death.CPU:
            _fail(Kind.UNSUPPORTED, "Reading it takes more work than any sound video needs, and was stopped.", hint)
        case Death.CRASH:
            _fail(Kind.UNSUPPORTED, f"It crashed the reader (signal {-finished.returncode}).", hint)
        case _:
            last = finished.stderr_tail.rpartition("\n")[2]
            _fail(Kind.BUG, f"The process that reads videos is broken: {last}.", "Run: nemod doctor")


def _refuse_by_content(opened: _Opened, raw: dict[str, Any]) -> None:
    """Tell a whole video from everything else that can be opened or not."""
    if error := raw.get("error"):
        _refuse_unopened(opened, error)
    streams = raw["streams"]
    pictures = [s for s in streams if s["type"] == "video" and s["index"] == raw["video"]]
    if not pictures:
        if opened.boxes.elsewhere:
            hint = "Export it with its media inside, as one self-contained file."
            _fail(Kind.UNSUPPORTED, "Its picture lies in another file, and nemod reads only what is dropped.", hint)
        if any(s["type"] == "video" and s["packets"] == 0 for s in streams):
            _fail(Kind.INCOMPLETE, "It announces pictures and does not hold one.", _WAIT)
        if any(s["type"] == "audio" and s["packets"] for s in streams):
            cover = ", only a cover" if any(s["type"] == "video" for s in streams) else ""
            _fail(Kind.UNSUPPORTED, f"It has sound but no moving picture{cover}.", _NOT_OURS)
        _refuse_unopened(opened, "open")
    (video,) = pictures
    if video["codec"] is None:
        _fail(Kind.UNSUPPORTED, "Its picture is coded in a way that cannot be read here.", "Export it as MP4 with H.264.")
    if raw["frame"] is None:
        _fail(Kind.INCOMPLETE, "Not one picture of it can be decoded.", _WAIT)
    if raw["format"] == "gif" and video["packets"] == 1:
        _fail(Kind.UNSUPPORTED, "It is a still picture, not a video.", _NOT_OURS)


def _refuse_bomb(raw: dict[str, Any]) -> None:
    """Refuse hours of work in hardly any bytes: a GIF of a few kilobytes can fill a thousand huge pictures."""
    (video,) = (s for s in raw["streams"] if s["index"] == raw["video"])
    pixels = raw["frame"]["width"] * raw["frame"]["height"] * video["packets"]
    if pixels > BOMB_PIXELS and video["bytes"] * 8 < BOMB_BITS_PER_PIXEL * pixels:
        size = f"{raw['frame']['width']}x{raw['frame']['height']}"
        what = f"It unfolds to {video['packets']:,} pictures of {size} from {video['bytes']:,} bytes, as no recording does."
        _fail(Kind.UNSUPPORTED, what, "It is made to keep machines busy. If you mean it, export it with smaller pictures.")


def _refuse_unopened(opened: _Opened, error: str) -> NoReturn:
    if error == "memory":
        _fail(
            Kind.UNSUPPORTED,
            "Reading it takes more memory, or it has more tracks, than any sound video.",
            "It is likely to be broken.",
        )
    if error == "decoder":
        _fail(Kind.UNSUPPORTED, "Its picture is coded in a way that cannot be read here.", "Export it as MP4 with H.264.")
    if opened.head is Head.MEDIA:
        lacking = "its index (moov) is missing" if opened.boxes.boxes and not opened.boxes.indexed else "nothing plays in it"
        _fail(Kind.INCOMPLETE, f"It begins like a video but {lacking}: it is not whole, or broken.", _WAIT)
    _fail(Kind.UNSUPPORTED, "It is not a video file.", _NOT_OURS)
