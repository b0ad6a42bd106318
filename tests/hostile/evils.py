"""The table of evils: what a server, or whoever sits between, may answer to a request.

`QUICK` ones end by themselves or are given up soon; `SLOW` ones last until whoever asked loses patience.
"""

import asyncio
import gzip
import json
import struct
import zlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import repeat

Do = Callable[[asyncio.StreamWriter, str], Coroutine[None, None, None]]
_SSE = "text/event-stream"
#: Texts that made patterns try again and again: blanks, dashes, one word, one sign.
_TIRING = ('{"error": "' + " " * 100_000 + "x", "-" * 100_000, "a-" * 50_000, "a://" * 100_000, "请" * 100_000, '"(' * 50_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evil:
    """What is done; `reads` says whether the request is read to its end first, `slow` whether it takes its time."""

    do: Do
    reads: bool = True
    slow: bool = False


def head(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    """A status line and headers."""
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode("latin-1")


def reply(body: bytes, *more: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole reply with its true length."""
    return head(f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more, status=status) + body


def _fixed(*pieces: bytes) -> Evil:
    async def do(writer: asyncio.StreamWriter, _url: str) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return Evil(do=do)


def _body(body: bytes, *, kind: str = "application/json", status: str = "200 OK") -> Evil:
    return _fixed(reply(body, kind=kind, status=status))


def _endless(begin: bytes, piece: bytes, *, times: int = 1_000_000_000, every_s: float = 0.0, end: bytes = b"") -> Evil:
    """A beginning, then a piece over and over, with a pause between perhaps."""

    async def do(writer: asyncio.StreamWriter, _url: str) -> None:
        writer.write(begin)
        for each in repeat(piece, times):
            writer.write(each)
            await writer.drain()
            if every_s:
                await asyncio.sleep(every_s)
        writer.write(end)
        await writer.drain()

    return Evil(do=do, slow=bool(every_s))


def _hang(*pieces: bytes, reads: bool = True) -> Evil:
    async def do(writer: asyncio.StreamWriter, _url: str) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(86_400)

    return Evil(do=do, reads=reads, slow=True)


async def _reset(writer: asyncio.StreamWriter, _url: str) -> None:
    # Nothing lingers: the other side sees a reset, not an end.
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _elsewhere(location: str, status: str = "307 Elsewhere") -> Evil:
    async def do(writer: asyncio.StreamWriter, url: str) -> None:
        writer.write(reply(b"", f"Location: {location.format(url=url)}", status=status))

    return Evil(do=do)


@cache
def _bomb(layers: int, wbits: int, megabytes: int) -> bytes:
    packed = zlib.compressobj(9, zlib.DEFLATED, wbits)
    made = b"".join([*(packed.compress(bytes(1_000_000)) for _ in range(megabytes)), packed.flush()])
    for _ in range(layers - 1):
        made = gzip.compress(made, 9)
    return made


def _compressed(encoding: str, *, layers: int = 1, wbits: int = 31, megabytes: int = 200) -> Evil:
    async def do(writer: asyncio.StreamWriter, _url: str) -> None:
        bomb = _bomb(layers, wbits, megabytes)
        writer.write(head(f"Content-Encoding: {encoding}", f"Content-Length: {len(bomb)}", f"Content-Type: {_SSE}") + bomb)
        await writer.drain()

    return Evil(do=do)


def _json(value: object) -> Evil:
    return _body(json.dumps(value).encode())


def _words(text: str) -> Evil:
    """Words in every place at which words are read, first as a reply's, then as a stream's."""
    return _body(json.dumps({"code": 4999, "message": text, "error": text}).encode())


def _stream(*events: str) -> Evil:
    return _body("".join(f"data: {event}\n\n" for event in events).encode("utf-8", "replace"), kind=_SSE)


_OPEN = head("Content-Type: application/json", "Connection: close")
_STREAM = head(f"Content-Type: {_SSE}", "Connection: close")
_CHUNKED = head("Content-Type: application/json", "Transfer-Encoding: chunked")
_WRONG: tuple[object, ...] = (
    *(None, [], {}, True, 0, -1, 1e400, "", "x", [[]], [None], {"data": None}, {"data": []}, {"data": "{}"}, {"data": 7}),
    {"code": "zero"},
    {"code": [0]},
    {"code": 10**400, "data": {}},
    {"code": 0, "data": {"session_id": {}, "draft": 7, "state": [1], "status": {"a": 1}, "available": "many", "files": 7}},
    {"code": 0, "data": {"session_id": "x" * 3_000_000, "available": 1e308, "frozen": 1e308, "total": -1e308, "status": "ok"}},
    {"code": 0, "data": {"token": "t" * 3_000_000, "expires_at": 1e300, "credits": "NaN", "url": "u" * 3_000_000}},
    {"code": 0, "data": {"token": "a b\r\nX: y", "session_id": "../../..", "url": "http://[::1", "progress": -1e300}},
    {"code": 0, "data": {"state": {"draft": {"t": [{"tt": float("nan"), "sg": [{"n": "\ud800"}] * 1000}]}}}},
    {"code": 0, "data": {"files": [{"name": "n" * 1000}] * 3000, "video_infos": "[" * 1000, "draft": "[" * 100_000}},
)

EVILS: Mapping[str, Evil] = {
    # The connection
    "closed": _fixed(),
    "closed unread": Evil(do=_fixed().do, reads=False),
    "reset": Evil(do=_reset),
    "reset unread": Evil(do=_reset, reads=False),
    "hang unread": _hang(reads=False),
    "hang": _hang(),
    "hang in status": _hang(b"HTTP/1.1 2"),
    "hang in headers": _hang(b"HTTP/1.1 200 OK\r\nContent-Type: app"),
    "hang in body": _hang(_OPEN, b'{"code": 0, "da'),
    "hang in file": _hang(head("Content-Type: video/mp4", "Connection: close"), b"\0\0\0\x18ftypisom"),
    "hang between events": _hang(_STREAM, b'data: {"text": "I am"}\n\n'),
    "drip": _endless(b"", b"H", every_s=1),
    "drip headers": _endless(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", every_s=1),
    "drip body": _endless(_OPEN, b" ", every_s=1),
    "storm": replace(_endless(b"", head(status="103 Early") * 500), slow=True),
    "heartbeats": _endless(_STREAM, b": beat\n\ndata: heartbeat\n\n", every_s=0.2),
    # The frame
    "garbage": _fixed(bytes(range(256)) * 40),
    "not http": _fixed(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "http 1.0": _fixed(head("Content-Type: application/json", version="1.0") + b'{"code": 0, "data": {}}'),
    "http 9": _fixed(head(version="9.9") + b"{}"),
    "status 999": _body(b"{}", status="999 Odd"),
    "status 101": _fixed(head("Upgrade: x", status="101 Switching")),
    "endless 1xx": _endless(b"", head(status="103 Early") * 500, times=40),
    "headers without end": _endless(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 8_000 + b"\r\n"),
    "one header without end": _endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 100_000),
    "cookies": _fixed(head(*(f"Set-Cookie: c{n}=v; Domain=.x; Expires=Thu, 99 Foo" for n in range(1_500))) + b"{}"),
    "too short": _fixed(head("Content-Length: 1000") + b'{"code": 0}'),
    "too long": _fixed(head("Content-Length: 2") + b"{}" + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "length -1": _fixed(head("Content-Length: -1") + b"{}"),
    "length huge": _fixed(head("Content-Length: 99999999999999999999999") + b"{}"),
    "two lengths": _fixed(head("Content-Length: 2", "Content-Length: 20") + b"{}"),
    "length and chunks": _fixed(head("Content-Length: 2", "Transfer-Encoding: chunked") + b"5\r\n{}   \r\n0\r\n\r\n"),
    "chunk garbage": _fixed(_CHUNKED + b"zz\r\n{}\r\n"),
    "chunk huge": _fixed(_CHUNKED + b"FFFFFFFFFFFFFFFFFFFF\r\n{}"),
    "chunk cut": _fixed(_CHUNKED + b"400\r\n{}"),
    "chunk extension": _endless(_CHUNKED + b"1;x=", b"y" * 100_000),
    "tiny chunks": _endless(_CHUNKED, b"1\r\n \r\n" * 5_000, times=10),
    "trailers": _endless(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1_000, times=1_000),
    # The size
    "body without end": _endless(_OPEN + b'{"a": "', b"x" * 100_000),
    "deep": _body(b"[" * 100_000),
    "deep objects": _body(b'{"a":' * 100_000),
    "many values": _body(b'{"code": 0, "data": [' + b'{"a":1},' * 500_000 + b"0]}"),
    "many lists": _body(b"[" + b"[]," * 1_500_000 + b"0]"),
    "astral": _body(('{"code": 0, "message": "\U0001f600' + "x" * 4_000_000 + '"}').encode()),
    "gzip bomb": _compressed("gzip"),
    "deflate bomb": _compressed("deflate", wbits=15),
    "double gzip bomb": _compressed("gzip, gzip", layers=2),
    "many encodings": _compressed("gzip" + ", gzip" * 5_000, megabytes=1),
    "brotli": _compressed("br", megabytes=1),
    "zstd": _compressed("zstd", megabytes=1),
    "not gzip": _fixed(head("Content-Encoding: gzip", "Content-Length: 2") + b"{}"),
    # The stream
    "line without end": _endless(_STREAM + b"data: ", b"x" * 100_000),
    "blanks without end": _endless(_STREAM, b" \n" * 50_000),
    "comments without end": _endless(_STREAM, b": beat\n" * 10_000),
    "event without end": _endless(_STREAM, b"data: x\n" * 10_000),
    "events without end": _endless(_STREAM, b"data: {}\n\n" * 5_000),
    "words without end": _endless(_STREAM, b'data: {"text": "I did "}\n\n' * 2_000),
    "calls without end": _endless(_STREAM, b'data: {"functionCall": {"name": "edit"}}\n\n' * 2_000),
    "complaints without end": _endless(_STREAM, b'data: {"error": "no"}\n\n' * 2_000),
    "glued objects": _body(b"data: " + b"{}" * 500_000 + b"\n\n", kind=_SSE),
    "event of many values": _body(b"data: [" + b'{"a":1},' * 200_000 + b"0]\n\n", kind=_SSE),
    # The sense
    "empty": _body(b""),
    "page": _body(b"<html><h1>Log in</h1></html>", kind="text/html"),
    "playlist": _body(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", kind="application/vnd.apple.mpegurl"),
    "concat": _body(b"ffconcat version 1.0\nfile /etc/passwd\n", kind="video/mp4"),
    "digits": _body(b"9" * 100_000),
    "nan": _body(b'{"code": NaN, "data": {"available": Infinity, "status": NaN}}'),
    "surrogates": _body(b'{"code": 4999, "message": "\\ud800", "\\udfff": "\\ud83d"}'),
    "bytes": _body(b'{"code": 0, "data": "\xff\xfe\xc0\x80\x00"}'),
    **{f"wrong {number}": _json(value) for number, value in enumerate(_WRONG)},
    **{f"tiring words {number}": _words(text) for number, text in enumerate(_TIRING)},
    **{
        f"tiring event {number}": _stream(text, json.dumps({"text": text}), json.dumps({"error": text}))
        for number, text in enumerate(_TIRING)
    },
    # The status
    **{f"status {n}": _body(b"{}", status=f"{n} X") for n in (204, 206, 400, 401, 402, 403, 404, 408, 409, 413, 415, 429)},
    **{f"server {n}": _body(b"<h1>Bad Gateway</h1>", status=f"{n} X", kind="text/html") for n in (500, 502, 503, 504, 599)},
    **{
        f"retry after {text}": _fixed(reply(b"{}", f"Retry-After: {text}", status="429 Later"))
        for text in (
            "31",
            "-1",
            "1000000000000",
            "9" * 6_000,
            "soon",
            "Thu, 99 Foo 99999 25:61:61 +9999999",
            "1e400",
            "\xff",
            ",",
        )
    },
    # Elsewhere
    **{
        f"redirect {to[:40]}": _elsewhere(to)
        for to in (
            *("{url}/stolen", "//169.254.169.254/", "file:///etc/passwd", "ftp://127.0.0.1/", "http://[::1", "http://\xff/"),
            *(
                "http://2130706433:1/",
                "http://0x7f.1:1/",
                "http://[::ffff:10.0.0.1]/",
                "/" + "a" * 65_530,
                "http://x:99999999999/",
            ),
        )
    },
    "redirect in circles": _elsewhere("{url}/file.mp4"),
}

#: Addresses of a result that must not be fetched: no socket is to be opened for any of them.
PRIVATE = (
    *(
        "file:///etc/passwd",
        "ftp://192.0.2.1/x",
        "gopher://10.0.0.1/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "//10.1.1.1/x",
    ),
    *(
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://167772161/",
        "http://0xa000001/",
        "http://012.0.0.1/",
    ),
    *("http://[::ffff:10.0.0.1]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://[::]/", "http://[64:ff9b::a00:1]/"),
    *("http://[2002:a00:1::]/", "http://user:pw@10.0.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "data:,x"),
)
QUICK = tuple(name for name, evil in EVILS.items() if not evil.slow)
SLOW = tuple(name for name, evil in EVILS.items() if evil.slow)
