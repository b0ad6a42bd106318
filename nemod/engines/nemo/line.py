"""One request to the API and its reply: headers, time limits, sizes, and what went wrong in the words of `faults`.

Rules kept here:
- nothing is connected before the first call, and `close` leaves nothing open;
- a connection carries one request: what a server sends behind its reply can never be taken for the reply to the next one;
- a redirect is not followed, so credentials never leave for another address; cookies are not kept;
- a token that comes back is blanked before anything is understood: who repeats it must not have it written down or sent on;
- a reply is never read without bound, neither in bytes nor in seconds.
"""

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, TypeVar

import httpx

from nemod.config.model import Nemo, Preset
from nemod.engines.nemo import fair
from nemod.engines.nemo.account import Credentials, Origin
from nemod.engines.nemo.faults import ROWS, CloudError, failure, of_exception, of_status, quoted
from nemod.engines.nemo.foreign import Garbled
from nemod.engines.nemo.handshake import spoken
from nemod.engines.nemo.plain import plain
from nemod.engines.nemo.wire import Reply, Trouble, reply_of, trouble
from nemod.text import REDACTED

T = TypeVar("T")

#: A JSON reply is never larger; the largest that is documented, a session's state, has some kilobytes.
REPLY_MOST_BYTES = 5_000_000
CONNECT_S, READ_S, WHOLE_S = 10.0, 60.0, 180.0
#: A token that is shorter is no secret, and may be a word.
_TOKEN_LEAST_BYTES = 16
TIMEOUT = httpx.Timeout(READ_S, connect=CONNECT_S)
#: What may come out of httpx, and of the sockets beneath it; what it makes of foreign bytes may also be a ValueError.
FOREIGN: tuple[type[Exception], ...] = (*ROWS, OSError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """In whose name the cloud is asked; without these three headers an export is refused."""

    source: str
    version: str
    platform: str


def skill_of(preset: Preset | None) -> Skill:
    """The skill that a preset names, or nemod itself."""
    platform = preset.skill_platform if preset is not None else "unknown"
    if preset is None or preset.skill is None:
        return Skill(source="nemod", version=version("nemod"), platform=platform)
    return Skill(source=preset.skill, version=preset.skill_version, platform=platform)


class Line:
    """The way to one API address."""

    def __init__(self, nemo: Nemo, *, clock: Callable[[], float]) -> None:
        """Nothing is connected yet."""
        self.nemo = nemo
        self.clock = clock
        self._agent = f"nemod/{version('nemod')}"
        self._tls: ssl.SSLContext | None = None
        self._http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """The shared client, made at the first call."""
        if self._http is None:
            self._http = self.alone()
        return self._http

    def alone(self) -> httpx.AsyncClient:
        """A client with connections of its own, for who must know that nobody used them before; the caller closes it."""
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        headers = {"User-Agent": self._agent, "Accept-Encoding": "identity", "Connection": "close"}
        http = httpx.AsyncClient(verify=self._tls, timeout=TIMEOUT, follow_redirects=False, headers=headers)
        http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
        return http

    async def close(self) -> None:
        """Close the shared client; the next call makes another."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def request(
        self,
        method: str,
        path: str,
        skill: Skill,
        credentials: Credentials | None,
        *,
        body: Mapping[str, object] | None = None,
        content: AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> httpx.Request:
        """A request with all its headers; `body` is sent as JSON, `content` as it is."""
        all_headers = {
            "Accept": "application/json",
            "X-Skill-Source": skill.source,
            "X-Skill-Version": skill.version,
            "X-Skill-Platform": skill.platform,
        }
        if credentials is not None:
            all_headers["Authorization"] = f"Bearer {credentials.token.get_secret_value()}"
        if body is not None:
            all_headers["Content-Type"] = "application/json"
        # Plain ASCII: a file's name in a message may hold bytes that are no UTF-8.
        encoded = None if body is None else json.dumps(body).encode("ascii")
        try:
            return self.http.build_request(
                method,
                f"{self.nemo.api_url}{path}",
                headers={**all_headers, **(headers or {})},
                content=content if content is not None else encoded,
                timeout=timeout,
                extensions={"trace": fair.trace},
            )
        except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
            raise self.lost(error, credentials) from error

    async def exchange(self, request: httpx.Request, credentials: Credentials | None, *, whole_s: float = WHOLE_S) -> Reply:
        """Send a request and read its reply, whatever it says.

        Raises:
            CloudError: there was no reply, or one without end.
        """
        try:
            async with asyncio.timeout(whole_s):
                response = await self.http.send(request, stream=True)
                try:
                    return await self.read(response, credentials)
                finally:
                    await response.aclose()
        except FOREIGN as error:
            raise self.lost(error, credentials) from error

    async def read(self, response: httpx.Response, credentials: Credentials | None) -> Reply:
        """What a reply says; CloudError when it is too large."""
        content = bytearray()
        async with aclosing(plain(response)) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > REPLY_MOST_BYTES:
                    raise self.error(Trouble.GARBLED, f"it is larger than {REPLY_MOST_BYTES // 1_000_000} MB", credentials)
        return self.reply(response, bytes(content), credentials)

    def reply(self, response: httpx.Response, content: bytes, credentials: Credentials | None) -> Reply:
        """A reply as the wire's readers take it; a Retry-After that is a date is turned into seconds."""
        known = without_token(content, credentials)
        return reply_of(response.status_code, known, retry_after=self._retry_after(response))

    def check(
        self, reply: Reply, credentials: Credentials | None, *, paid: bool = False, secrets: tuple[str, ...] = ()
    ) -> None:
        """Pass when all is well with a reply.

        Raises:
            CloudError: it says that something is wrong; `unsure` when a paid request may have been taken all the same.
        """
        found = trouble(reply)
        if found is None:
            return
        kind, words = found
        if 300 <= reply.status < 400:
            words = "it redirects to another address, and credentials do not follow; check `api_url`"
        if kind is Trouble.GARBLED:
            words = words or reply.excerpt
        unsure = paid and of_status(kind, reply.status)
        raise self.error(kind, words, credentials, reply=reply, unsure=unsure, secrets=secrets)

    def understand(self, read: Callable[[Reply], T], reply: Reply, credentials: Credentials | None) -> T:
        """What a reader makes of a reply; CloudError when it cannot."""
        try:
            return read(reply)
        except Garbled as error:
            words = str(error) or reply.excerpt
            raise self.error(Trouble.GARBLED, words, credentials, reply=reply) from error

    def lost(self, error: Exception, credentials: Credentials | None, *, paid: bool = False, at: str = "") -> CloudError:
        """What an exception in place of a reply means; `at` says where, unless it was the API's own address."""
        kind, unsure = of_exception(error, paid=paid)
        return self.error(kind, f"{at}{spoken(error)}", credentials, unsure=unsure)

    def error(
        self,
        kind: Trouble,
        words: str,
        credentials: Credentials | None,
        *,
        reply: Reply | None = None,
        unsure: bool = False,
        secrets: tuple[str, ...] = (),
    ) -> CloudError:
        """A trouble as the error that is raised."""
        token = () if credentials is None else (credentials.token.get_secret_value(),)
        wait = reply.retry_after_s if reply is not None else None
        found = failure(
            kind,
            quoted(words, secrets=(*token, *secrets)),
            credentials=credentials,
            web_url=self.nemo.web_url,
            now=self.clock(),
            retry_after_s=wait,
            code=_code(reply),
            unsure=unsure,
        )
        return CloudError(found, trouble=kind, unsure=unsure, retry_after_s=wait)

    def _retry_after(self, response: httpx.Response) -> str | None:
        text = str(response.headers.get("retry-after", "")).strip()
        if not text or text.isdecimal():
            return text or None
        try:
            return str(max(0.0, parsedate_to_datetime(text).timestamp() - self.clock()))
        except (ValueError, OverflowError):
            return text


class Patience:
    """How often a free call is tried again before its failure is told.

    After each of the pauses for what may pass by itself; once after a short Retry-After; once with a new anonymous token.
    """

    def __init__(
        self,
        pauses_s: tuple[float, ...],
        renew: Callable[[Credentials], None],
        *,
        again: frozenset[Trouble] = frozenset({Trouble.UNREACHABLE, Trouble.CUT, Trouble.SERVER, Trouble.GARBLED}),
    ) -> None:
        """Everything is still to be tried."""
        self._pauses = list(pauses_s)
        self._renew = renew
        self._again = again
        self._renewed = self._waited = False

    async def bear(self, error: CloudError, credentials: Credentials) -> None:
        """Return when the call may be tried again now, else raise the error."""
        if error.trouble is Trouble.TOKEN and credentials.origin is Origin.ANONYMOUS and not self._renewed:
            self._renewed = True
            self._renew(credentials)
        elif error.trouble is Trouble.THROTTLED and not self._waited and _short(error.retry_after_s):
            self._waited = True
            await asyncio.sleep(error.retry_after_s or 0.0)
        elif error.trouble in self._again and self._pauses:
            await asyncio.sleep(self._pauses.pop(0))
        else:
            raise error


def without_token(content: bytes, credentials: Credentials | None) -> bytes:
    """What came without the token that was sent, whatever that looks like."""
    token = b"" if credentials is None else credentials.token.get_secret_value().encode()
    return content.replace(token, REDACTED.encode()) if len(token) >= _TOKEN_LEAST_BYTES else content


def _short(wait_s: float | None) -> bool:
    return wait_s is not None and math.isfinite(wait_s) and wait_s <= 30.0


def _code(reply: Reply | None) -> int:
    """The code in a reply's body when it is one of a server's error, else the HTTP status; 0 without a reply."""
    if reply is None:
        return 0
    body: Any = reply.body
    inside = body.get("code") if isinstance(body, dict) else None
    try:
        code = int(inside) if isinstance(inside, int | str) else 0
    except ValueError:
        code = 0
    return code if 500 <= code < 600 else reply.status if reply.status >= 400 else 0
