"""Uploads: multipart bodies written to disk as they come, in constant memory, and what is in the files.

Rules kept here:
- no more than one chunk of a body is in memory;
- a body that is too large is read to its end and dropped, so that the client hears why.
"""

import hashlib
import shutil
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from python_multipart.multipart import MultipartParser, parse_options_header

from nemod.media.probe import ProbeError, probe
from nemod.sandbox.replies import Refusal
from nemod.sandbox.world import Asset

KINDS = {
    **dict.fromkeys(("mp4", "mov", "avi", "webm", "mkv"), "video"),
    **dict.fromkeys(("jpg", "jpeg", "png", "gif", "webp"), "image"),
    **dict.fromkeys(("mp3", "wav", "m4a", "aac"), "audio"),
}
FIELD = "files"
PROBE_TIMEOUT_S = 600.0
FETCH_TIMEOUT_S = 60.0
CHUNK = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Part:
    """One file of a body: its name, where it lies, its size and what its bytes hash to."""

    name: str
    path: Path
    size: int = 0
    digest: "_Hash" = field(default_factory=hashlib.sha256)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(slots=True, kw_only=True)
class Receiver:
    """Writes the files of a multipart body into a folder; other fields are dropped."""

    folder: Path
    limit: int
    parts: list[Part] = field(default_factory=list)
    too_large: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""
    _file: IO[bytes] | None = None

    async def receive(self, content_type: str, body: AsyncIterator[bytes]) -> list[Part]:
        """Read a body to its end.

        Raises:
            Refusal: it is no multipart body, or larger than the limit.
        """
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise Refusal(400, "The body must be multipart/form-data or JSON with urls.")
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._open,
                "on_part_data": self._write,
                "on_part_end": self._close,
            },
        )
        try:
            async for chunk in body:
                parser.write(chunk)
            parser.finalize()
        except ValueError as error:
            raise Refusal(400, f"The multipart body cannot be read: {error}.") from error
        finally:
            self._close()
        if self.too_large:
            raise Refusal(4002, f"The file is larger than {self.limit // 1_000_000} MB.")
        return self.parts

    def _begin(self) -> None:
        self._disposition = b""

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name", b"").decode() == FIELD and b"filename" in options:
            name = PurePosixPath(options[b"filename"].decode("utf-8", "replace").replace("\\", "/")).name or "video.mp4"
            part = Part(name=name, path=self.folder / f"{len(self.parts)}.upload")
            self.parts.append(part)
            self._file = part.path.open("wb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            return
        part = self.parts[-1]
        part.size += end - start
        if part.size > self.limit:
            self.too_large = True
            return
        piece = data[start:end]
        part.digest.update(piece)
        self._file.write(piece)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def fetch(url: str, folder: Path, number: int, *, limit: int) -> Part:
    """Get a file by its URL; for a thread of its own.

    Raises:
        Refusal: the URL is none of http, or gives nothing, or too much.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise Refusal(400, "Only http and https URLs can be fetched.")
    name = PurePosixPath(unquote(parts.path)).name or "video.mp4"
    part = Part(name=name, path=folder / f"{number}.upload")
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as reply, part.path.open("wb") as file:  # noqa: S310 - checked above
            while chunk := reply.read(CHUNK):
                part.size += len(chunk)
                if part.size > limit:
                    raise Refusal(4002, f"The file is larger than {limit // 1_000_000} MB.")
                part.digest.update(chunk)
                file.write(chunk)
    except OSError as error:
        raise Refusal(400, "The URL gives no file.") from error
    return part


async def asset_of(part: Part, *, cdn_url: str, known: dict[str, Asset]) -> Asset:
    """Look into a file; one that was seen before is not measured again.

    Raises:
        Refusal: its kind is not supported, or it cannot be read.
    """
    kind = KINDS.get(PurePosixPath(part.name).suffix.lower().removeprefix("."))
    if kind is None:
        raise Refusal(4001, "This kind of file is not supported.")
    digest = part.digest.hexdigest()
    shown: dict[str, object] = {"filename": part.name, "file_type": kind, "cdn_url": cdn_url, "hash": digest, "size": part.size}
    measured = ("duration", "width", "height", "fps")
    if (earlier := known.get(digest)) is not None and earlier.path.exists():
        part.path.unlink()
        shown |= {key: earlier.shown[key] for key in measured if key in earlier.shown}
        return Asset(
            path=earlier.path,
            shown=shown,
            frames_per_s=earlier.frames_per_s,
            hdr=earlier.hdr,
            has_sound=earlier.has_sound,
        )
    path = part.path.with_name(digest[:32])
    shutil.move(part.path, path)
    asset = Asset(path=path, shown=shown)
    if kind == "video":
        await _measure(asset)
    known[digest] = asset
    return asset


async def _measure(asset: Asset) -> None:
    try:
        media = await probe(asset.path, timeout_s=PROBE_TIMEOUT_S)
    except ProbeError as error:
        raise Refusal(4001, f"The file is no video that can be read. {error.failure.detail}") from error
    assert media.video is not None  # noqa: S101 - the probe refuses what has no picture
    width, height = media.video.display_size
    asset.frames_per_s = media.video.fps
    asset.hdr = media.video.hdr
    asset.has_sound = bool(media.audio)
    asset.shown |= {"duration": round(media.duration_s, 3), "width": width, "height": height, "fps": round(media.video.fps, 2)}
