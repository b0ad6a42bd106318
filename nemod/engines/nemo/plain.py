"""The bytes of a reply as they were before anybody compressed them, in pieces that stay small.

Rules kept here:
- we ask for plain bytes; whoever compresses all the same is understood if it was done once, by gzip or deflate;
- what came never unfolds by more than a piece at a time, so that whoever counts the bytes can stop: ten megabytes may hold ten
  gigabytes, and compressed twice a single packet does.
"""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx

PIECE_BYTES = 1 << 16
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
#: Both formats, told apart by their first bytes.
_EITHER = zlib.MAX_WBITS | 32


async def plain(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The content of a reply, piece by piece.

    Raises:
        httpx.HTTPError: the connection broke, or the content is compressed in a way that cannot be undone.
    """
    encodings = [word.strip().lower() for word in response.headers.get("content-encoding", "").split(",")]
    encodings = [word for word in encodings if word not in {"", "identity"}]
    if len(encodings) > 1 or not _KNOWN.issuperset(encodings):
        raise httpx.DecodingError("it is compressed in a way that was not asked for")
    async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_raw())) as chunks:
        if not encodings:
            async for chunk in chunks:
                yield chunk
            return
        inflating = zlib.decompressobj(_EITHER)
        async for chunk in chunks:
            rest = chunk
            while rest and not inflating.eof:
                try:
                    piece = inflating.decompress(rest, PIECE_BYTES)
                except zlib.error as error:
                    raise httpx.DecodingError("it is compressed, and damaged") from error
                rest = inflating.unconsumed_tail
                if piece:
                    yield piece
        if not inflating.eof:
            raise httpx.RemoteProtocolError("it is compressed, and ends too early")
