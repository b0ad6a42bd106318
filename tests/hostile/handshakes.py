"""Servers that get TLS wrong, one way each: on a port of its own, on threads, and remembering what reached them.

`heard` holds what was readable of each request: a token that stands in none of it has not left.
"""

import contextlib
import os
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CERTS = Path(__file__).parent / "certs"
WAIT_S = 60.0
_BODY = b'{"code": 0, "data": {"available": 5, "frozen": 0, "total": 5}}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"

Way = Callable[[socket.socket, "Server"], None]


@dataclass(slots=True, kw_only=True)
class Server:
    """Its port, how often somebody connected, and what was heard of HTTP."""

    port: int
    connected: int = 0
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, as it should be."""
        return f"https://127.0.0.1:{self.port}"


def _context(certificate: str, *, old: bool = False, asks: bool = False) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTS / f"{certificate}.pem", CERTS / "key.pem")
    if old:
        made.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is too old is the point
            made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1
    if asks:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(CERTS / "authority.pem")
    return made


def _request(connection: socket.socket, server: Server) -> None:
    got = b""
    while b"\r\n\r\n" not in got and (piece := connection.recv(1 << 16)):
        got += piece
    server.heard.append(got)


def _secured(then: Way, certificate: str = "good", *, old: bool = False, asks: bool = False) -> Way:
    context = _context(certificate, old=old, asks=asks)

    def way(connection: socket.socket, server: Server) -> None:
        with context.wrap_socket(connection, server_side=True) as safe:
            then(safe, server)

    return way


def _answers(connection: socket.socket, server: Server) -> None:
    _request(connection, server)
    connection.sendall(REPLY)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(connection: socket.socket, server: Server) -> None:
    _request(connection, server)
    _reset(connection)


def _closes(_connection: socket.socket, _server: Server) -> None:
    """Ends it at once."""


def _rubbish(connection: socket.socket, server: Server) -> None:
    _request(connection, server)
    os.write(connection.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)


def _hello(*pieces: bytes, reset: bool = False) -> Way:
    def way(connection: socket.socket, server: Server) -> None:
        server.heard.append(connection.recv(1 << 16))
        for piece in pieces:
            connection.sendall(piece)
        if reset:
            _reset(connection)

    return way


def _silent(connection: socket.socket, server: Server) -> None:
    while got := connection.recv(1 << 16):
        server.heard.append(got)


def ways() -> Mapping[str, Way]:
    """Every way by its name."""
    return {
        "good": _secured(_answers),
        **{name: _secured(_answers, name) for name in ("expired", "early", "other", "itself")},
        "old": _secured(_answers, old=True),
        "asks for a certificate": _secured(_answers, asks=True),
        "closes after the handshake": _secured(_closes),
        "closes after the request": _secured(_request),
        "resets after the request": _secured(_cut),
        "rubbish after the request": _secured(_rubbish),
        "plain": _hello(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        "half a handshake": _hello(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + b"a" * 20),
        "cut": _hello(),
        "reset": _hello(reset=True),
        "garbage": _hello(bytes(range(256)) * 4),
        "silent": _silent,
        "alert": _hello(_ALERT),
    }


def _carry_out(way: Way, connection: socket.socket, server: Server) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(WAIT_S)
        way(connection, server)


def _accept(listener: socket.socket, way: Way, server: Server) -> None:
    with contextlib.suppress(OSError):  # it was closed
        while True:
            connection, _ = listener.accept()
            server.connected += 1
            threading.Thread(target=_carry_out, args=(way, connection, server), daemon=True).start()


@contextlib.contextmanager
def serving() -> Iterator[Mapping[str, Server]]:
    """A server for every way."""
    with contextlib.ExitStack() as held:
        servers: dict[str, Server] = {}
        for name, way in ways().items():
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            servers[name] = Server(port=listener.getsockname()[1])
            threading.Thread(target=_accept, args=(listener, way, servers[name]), daemon=True).start()
        yield servers
