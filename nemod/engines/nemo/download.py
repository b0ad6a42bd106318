"""Fetches a file that the cloud made, from an address that it names.

Rules kept here:
- none of our credentials, headers and cookies go there, and every hop of a redirect is checked like the first (`address`);
- a file is as long as it was said to be and never longer than expected, else it is none;
- a time-out never spans a yield: only the waiting for bytes counts.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import httpx

from nemod.engines.nemo.account import Credentials
from nemod.engines.nemo.address import Guard, PrivateAddressError
from nemod.engines.nemo.faults import CloudError
from nemod.engines.nemo.line import FOREIGN, WHOLE_S, Line, Skill
from nemod.engines.nemo.plain import plain
from nemod.engines.nemo.wire import Trouble, render_of

REDIRECTS_MOST = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Tried again from the start: the connection broke, or the server had an error of its own.
AGAIN = frozenset({Trouble.UNREACHABLE, Trouble.CUT, Trouble.SERVER})
#: Written in pieces of this size, and told of at most ten times a second.
PIECE_BYTES, TOLD_EVERY_S = 1 << 20, 0.1
#: A file that comes slower than this in the mean does not come.
LEAST_BYTES_PER_S, FREE_S = 10_000, 120.0
#: A page in place of a video is never larger.
PAGE_MOST_BYTES = 1_000_000
_PAGES = frozenset({"text/html", "application/json"})


async def download(
    line: Line, url: str, to: Path, *, most_bytes: int, pauses_s: tuple[float, ...]
) -> AsyncGenerator[int, None]:
    """Fetch an address into a file, telling how many bytes there are so far; tried again from the start after a break.

    Raises:
        CloudError: REFUSED when the address must not be fetched or the file is too large.
        OSError: the file cannot be written.
    """
    pauses = list(pauses_s)
    while True:
        try:
            async with aclosing(_once(line, url, to, most_bytes=most_bytes)) as counts:
                async for count in counts:
                    yield count
        except CloudError as error:
            if error.trouble not in AGAIN or not pauses:
                raise
        else:
            return
        await asyncio.sleep(pauses.pop(0))


async def _once(line: Line, url: str, to: Path, *, most_bytes: int) -> AsyncGenerator[int, None]:
    guard = Guard(line.nemo.api_url)
    place = _joined(line, httpx.URL(line.nemo.api_url), url)
    for _ in range(REDIRECTS_MOST + 1):
        # A client for each hop: nothing of the one before is known to it.
        async with line.alone() as http:
            request = http.build_request(
                "GET",
                place.copy_with(userinfo=b"", fragment=None),
                headers={"Accept": "*/*"},
                extensions={"trace": guard.watch(place)},
            )
            try:
                async with asyncio.timeout(WHOLE_S):
                    await guard.check(place)
                    response = await http.send(request, stream=True)
            except PrivateAddressError as error:
                raise _refused(line, error) from error
            except FOREIGN as error:
                raise line.lost(error, None, at="at the file's own address, ") from error
            try:
                target = response.headers.get("location")
                if response.status_code in REDIRECTS and target:
                    place = _joined(line, place, target)
                    continue
                _check(line, response)
                async with aclosing(save(line, response, to, most_bytes=most_bytes)) as counts:
                    async for count in counts:
                        yield count
            finally:
                await response.aclose()
        return
    raise line.error(Trouble.REFUSED, f"the file's address was redirected more than {REDIRECTS_MOST} times", None)


async def by_id(
    line: Line, path: str, skill: Skill, credentials: Credentials, to: Path, *, most_bytes: int
) -> AsyncGenerator[int | str, None]:
    """Ask the API itself for a file: bytes so far, or the address where it is, to be fetched without credentials.

    Raises:
        CloudError: MISSING when the reply names no file.
        OSError: the file cannot be written.
    """
    request = line.request("GET", path, skill, credentials, headers={"Accept": "*/*"})
    try:
        async with asyncio.timeout(WHOLE_S):
            response = await line.http.send(request, stream=True)
    except FOREIGN as error:
        raise line.lost(error, credentials) from error
    try:
        target = response.headers.get("location")
        if response.status_code in REDIRECTS and target:
            yield str(_joined(line, response.url, target))
            return
        kind = response.headers.get("content-type", "").lower()
        if response.is_success and "json" not in kind and not kind.startswith("text/"):
            async with aclosing(save(line, response, to, most_bytes=most_bytes)) as counts:
                async for count in counts:
                    yield count
            return
        try:
            async with asyncio.timeout(WHOLE_S):
                reply = await line.read(response, credentials)
        except FOREIGN as error:
            raise line.lost(error, credentials) from error
    finally:
        await response.aclose()
    line.check(reply, credentials)
    url = line.understand(render_of, reply, credentials).url
    if url is None:
        raise line.error(Trouble.MISSING, "it names no file", credentials)
    yield url


async def save(line: Line, response: httpx.Response, to: Path, *, most_bytes: int) -> AsyncGenerator[int, None]:
    """Write a reply's bytes into a file, which is emptied first, telling how many there are so far.

    Raises:
        CloudError: the connection broke, the file is too large, or it comes too slowly.
        OSError: the file cannot be written.
    """
    too_large = line.error(Trouble.REFUSED, f"the file has more than {most_bytes:,} bytes, which it cannot need", None)
    said = response.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most_bytes:
        raise too_large
    written, told, waited = 0, 0.0, 0.0
    held = bytearray()
    async with AsyncExitStack() as stack:
        chunks = await stack.enter_async_context(aclosing(plain(response)))
        out = stack.enter_context(await asyncio.to_thread(to.open, "wb"))
        while True:
            began = time.monotonic()
            try:
                chunk = await anext(chunks, b"")
            except FOREIGN as error:
                raise line.lost(error, None) from error
            now = time.monotonic()
            waited += now - began
            written += len(chunk)
            held += chunk
            if written > most_bytes:
                raise too_large
            if waited > FREE_S + written / LEAST_BYTES_PER_S:
                raise line.error(Trouble.CUT, f"{written:,} bytes came in {waited:.0f} s", None)
            if len(held) >= PIECE_BYTES or (not chunk and held):
                await asyncio.to_thread(out.write, bytes(held))
                held.clear()
            if not chunk:
                break
            if now - told >= TOLD_EVERY_S:
                told = now
                yield written
    if said.isdecimal() and response.num_bytes_downloaded != int(said):
        raise line.error(Trouble.CUT, f"{response.num_bytes_downloaded:,} of {int(said):,} bytes came", None)
    yield written


def _check(line: Line, response: httpx.Response) -> None:
    """Pass when a reply may be the file. Its status speaks of this address, not of our account."""
    status = response.status_code
    if status == 200:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        size = response.headers.get("content-length", "")
        if kind in _PAGES and (not size.isdecimal() or int(size) < PAGE_MOST_BYTES):
            raise line.error(Trouble.GARBLED, f"the file's address gives {kind} and no video", None)
        return
    words = f"the file's address answers with HTTP {status}"
    if status in {404, 410}:
        raise line.error(Trouble.MISSING, words, None)
    if status in {408, 425, 429} or status >= 500:
        raise line.error(Trouble.SERVER, words, None)
    raise line.error(Trouble.REFUSED, words, None)


def _joined(line: Line, base: httpx.URL, target: str) -> httpx.URL:
    unusable = line.error(Trouble.REFUSED, "the cloud gave an address that cannot be used", None)
    try:
        place = base.join(target.strip())
        usable = place.host and (place.port or 0) <= 65535  # a name is decoded here, and may prove to be none
    except (httpx.InvalidURL, ValueError) as error:
        raise unusable from error
    if not usable:
        raise unusable
    return place


def _refused(line: Line, error: PrivateAddressError) -> CloudError:
    return line.error(Trouble.REFUSED, f"the cloud gave an address that must not be fetched, since {error}", None)
