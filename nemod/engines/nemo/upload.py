"""Sends a file to a session: multipart, straight from the disk, in constant memory.

Rules kept here:
- the disk is read off the loop, a piece at a time, and never more than was announced;
- a file that changes while it is sent is not sent: its length was promised;
- one attempt: whether a lost reply means a lost upload is for the session's state to say.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx

from nemod.engines.nemo.account import Credentials
from nemod.engines.nemo.faults import CloudError
from nemod.engines.nemo.line import CONNECT_S, READ_S, Line, Skill
from nemod.engines.nemo.wire import Reply, Trouble
from nemod.failure import Failure, Kind
from nemod.text import safe

PIECE_BYTES = 1 << 20
#: The slowest connection that is waited for, and the slowest cloud that stores what it got.
LINE_BYTES_PER_S, STORE_BYTES_PER_S = 50_000, 1_000_000
TOLD_EVERY_S = 0.2
#: By the suffixes that the documents list; the cloud goes by the name.
TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
}


class _DiskError(Exception):
    """The file could not be read to its end; carries the failure, so that no error of a socket is taken for it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(slots=True, kw_only=True)
class _Body:
    """The multipart body; `sent` counts the file's bytes that were handed to the socket."""

    file: Path
    size_bytes: int
    head: bytes
    tail: bytes
    sent: int = 0

    @property
    def length(self) -> int:
        return len(self.head) + self.size_bytes + len(self.tail)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self.head
        try:
            with await asyncio.to_thread(self.file.open, "rb") as source:
                while piece := await asyncio.to_thread(source.read, PIECE_BYTES):
                    if self.sent + len(piece) > self.size_bytes:
                        raise _DiskError(_CHANGED)
                    yield piece
                    self.sent += len(piece)
        except OSError as error:
            raise _DiskError(_unread(error)) from error
        if self.sent != self.size_bytes:
            raise _DiskError(_CHANGED)
        yield self.tail


async def upload(
    line: Line, skill: Skill, credentials: Credentials, session_path: str, file: Path, name: str
) -> AsyncGenerator[int | Reply, None]:
    """Send a file, telling how many of its bytes have left, at last the reply.

    Raises:
        CloudError: there was no reply, or the file could not be read.
    """
    boundary = uuid.uuid4().hex
    try:
        size = (await asyncio.to_thread(file.stat)).st_size
    except OSError as error:
        raise CloudError(_unread(error), trouble=Trouble.REFUSED) from error
    body = _Body(file=file, size_bytes=size, head=_head(boundary, name), tail=f"\r\n--{boundary}--\r\n".encode())
    chunks = body.chunks()
    request = line.request(
        "POST",
        session_path,
        skill,
        credentials,
        content=chunks,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(body.length)},
        timeout=httpx.Timeout(READ_S, connect=CONNECT_S, read=READ_S + size / STORE_BYTES_PER_S),
    )
    whole_s = READ_S + size / LINE_BYTES_PER_S
    # A task of its own goes on sending while whoever listens to us writes down how far it is.
    sending = asyncio.create_task(line.exchange(request, credentials, whole_s=whole_s))
    told = 0
    try:
        while not sending.done():
            await asyncio.wait({sending}, timeout=TOLD_EVERY_S)
            if body.sent != told:
                told = body.sent
                yield told
        yield sending.result()
    except _DiskError as error:
        raise CloudError(error.failure, trouble=Trouble.REFUSED) from error
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await chunks.aclose()


def _head(boundary: str, name: str) -> bytes:
    """The part's head, its file name written as HTML forms do: UTF-8, with quotes and line ends in percent signs."""
    escaped = safe(name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A"))
    kind = TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{escaped}"\r\nContent-Type: {kind}\r\n\r\n'
    ).encode()


_CHANGED = Failure(kind=Kind.SOURCE_CHANGED, detail="The file changed while it was sent to the cloud.")


def _unread(error: OSError) -> Failure:
    if isinstance(error, FileNotFoundError):
        return Failure(kind=Kind.SOURCE_GONE, detail="The file that was to be sent to the cloud is gone.")
    kind = Kind.UNREADABLE if isinstance(error, PermissionError) else Kind.TRANSIENT
    return Failure(kind=kind, detail=f"The file that was to be sent to the cloud cannot be read ({error.strerror}).")
