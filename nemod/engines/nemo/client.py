"""The cloud's API as calls: one method for each endpoint that is used.

Rules kept here:
- a free call is tried again in place before its failure is told; the message that is paid for never is;
- an anonymous token that is refused is renewed once; one that a person gave is never replaced;
- a result is fetched without credentials, and a lost reply to an upload or a message is for the engine to think about.
"""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from nemod.config.model import Nemo
from nemod.engines.nemo import download as downloads
from nemod.engines.nemo import stream, upload
from nemod.engines.nemo.account import Account, Credentials, Origin
from nemod.engines.nemo.faults import CloudError
from nemod.engines.nemo.frames import Frame
from nemod.engines.nemo.line import Line, Patience, Skill, skill_of
from nemod.engines.nemo.tokens import QUOTA_PAUSE_S, Tokens
from nemod.engines.nemo.wire import (
    Balance,
    Render,
    Reply,
    Session,
    State,
    Trouble,
    Uploaded,
    balance_of,
    render_body,
    render_of,
    session_body,
    session_of,
    state_of,
    uploaded_of,
)
from nemod.failure import Failure, Kind

__all__ = ["Client", "CloudError", "Skill", "skill_of"]

T = TypeVar("T")

RETRIES_S = (0.5, 2.0, 8.0)
#: Only what never arrived: an upload whose reply was lost may be there.
_UNSENT = frozenset({Trouble.UNREACHABLE})


class Client:
    """Speaks to the cloud for one account."""

    def __init__(
        self,
        nemo: Nemo,
        account: Account,
        *,
        anonymous: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        retries_s: tuple[float, ...] = RETRIES_S,
        quota_pause_s: float = QUOTA_PAUSE_S,
        tick_s: float = stream.TICK_S,
    ) -> None:
        """Nothing is connected yet.

        Args:
            nemo: the settings.
            account: where the token comes from.
            anonymous: whether an anonymous token may be asked for.
            clock: epoch seconds.
            retries_s: pauses before a free call is tried again.
            quota_pause_s: pause before an anonymous token is asked for once more.
            tick_s: a message that is answered by nothing is told of this often.
        """
        self._nemo = nemo
        self._retries_s = retries_s
        self._tick_s = tick_s
        self._line = Line(nemo, clock=clock)
        self._tokens = Tokens(self._line, account, anonymous=anonymous, pauses_s=retries_s, quota_pause_s=quota_pause_s)

    async def credentials(self) -> Credentials:
        """The credentials for the next call; an anonymous token is asked for when that is allowed.

        Raises:
            CloudError: there are none.
        """
        return await self._tokens.credentials(skill_of(None))

    def told(self, trouble: Trouble, words: str) -> CloudError:
        """What the cloud said outside of a reply, as the error that it is; asks nothing."""
        with suppress(CloudError):
            current = self._tokens.current()
            if trouble is Trouble.TOKEN and current is not None and current.origin is Origin.ANONYMOUS:
                return self._renewed(current, self._line.error(trouble, words, current))
            return self._line.error(trouble, words, current)
        return self._line.error(trouble, words, None)

    async def open_session(self, skill: Skill) -> Session:
        """A new session of the agent."""
        path = "/api/tasks/me/with-session/nemo_agent"
        session = await self._free(session_of, skill, "POST", path, body=session_body(self._nemo.language))
        self._learn(session.user)
        return session

    async def upload(self, skill: Skill, session: str, file: Path, *, name: str) -> AsyncGenerator[int | Uploaded, None]:
        """Send a file to a session: how many bytes have left so far, at last what the cloud calls it.

        Raises:
            CloudError: CUT, SERVER and GARBLED leave open whether it arrived.
        """
        patience = self._patience(_UNSENT)
        while True:
            credentials = await self._tokens.credentials(skill)
            try:
                pieces = upload.upload(self._line, skill, credentials, _upload_path(session), file, name)
                async with aclosing(pieces):
                    async for piece in pieces:
                        if isinstance(piece, Reply):
                            self._line.check(piece, credentials)
                            yield self._line.understand(uploaded_of, piece, credentials)
                            return
                        yield piece
            except CloudError as error:
                await patience.bear(error, credentials)

    async def upload_url(self, skill: Skill, session: str, url: str) -> Uploaded:
        """Have the cloud fetch a file by itself."""
        body = {"urls": [url], "source_type": "url"}
        return await self._free(uploaded_of, skill, "POST", _upload_path(session), body=body, again=_UNSENT)

    async def state(self, skill: Skill, session: str) -> State:
        """The session's timeline and media."""
        state = await self._free(state_of, skill, "GET", f"/api/state/nemo_agent/me/{_quoted(session)}/latest")
        self._learn(state.user)
        return state

    async def balance(self, skill: Skill) -> Balance:
        """The account's credits."""
        return await self._free(balance_of, skill, "GET", "/api/credits/balance/simple")

    async def ask(self, skill: Skill, session: str, text: str) -> AsyncGenerator[Frame, None]:
        """Send a message, which is paid for, and give the frames of the answer; never sent again.

        Raises:
            CloudError: `unsure` says whether it may have arrived.
        """
        credentials = await self._tokens.credentials(skill)
        try:
            answer = stream.ask(self._line, skill, credentials, session, text, tick_s=self._tick_s)
            async with aclosing(answer):
                async for frame in answer:
                    yield frame
        except CloudError as error:
            if error.trouble is Trouble.TOKEN and not error.unsure and credentials.origin is Origin.ANONYMOUS:
                raise self._renewed(credentials, error) from error
            raise

    async def submit(self, skill: Skill, session: str, render_id: str, draft: Mapping[str, object]) -> str:
        """Submit a render under an id of ours; the id to poll. One that exists already is ours, sent before."""
        body = render_body(render_id, session, draft)
        try:
            path = "/api/render/proxy/lambda"
            return await self._free(lambda reply: _submitted(reply, render_id), skill, "POST", path, body=body)
        except CloudError as error:
            if error.trouble is Trouble.DUPLICATE:
                return render_id
            raise

    async def render(self, skill: Skill, render_id: str) -> Render | None:
        """How far a render is; None when the cloud does not know the id."""
        try:
            return await self._free(render_of, skill, "GET", f"/api/render/proxy/lambda/{_quoted(render_id)}")
        except CloudError as error:
            if error.trouble is Trouble.MISSING:
                return None
            raise

    async def cancel_render(self, skill: Skill, render_id: str) -> None:
        """Call a render off, if the cloud will."""
        with suppress(CloudError):
            path = f"/api/render/proxy/lambda/{_quoted(render_id)}/cancel"
            await self._free(lambda _reply: None, skill, "POST", path, again=frozenset())

    async def download(self, url: str, to: Path, *, most_bytes: int) -> AsyncGenerator[int, None]:
        """Fetch a file from an address that the cloud named: bytes so far. Our credentials stay here.

        Raises:
            CloudError: REFUSED when the address must not be fetched.
            OSError: the file cannot be written.
        """
        counts = downloads.download(self._line, url, to, most_bytes=most_bytes, pauses_s=self._retries_s)
        async with aclosing(counts):
            async for count in counts:
                yield count

    async def fetch(self, skill: Skill, render_id: str, to: Path, *, most_bytes: int) -> AsyncGenerator[int, None]:
        """Fetch a render by its id, the other way: bytes so far. It may answer with the file, an address or a redirect.

        Raises:
            CloudError: MISSING when there is no file.
            OSError: the file cannot be written.
        """
        patience = self._patience()
        url: str | None = None
        while True:
            credentials = await self._tokens.credentials(skill)
            try:
                path = f"/api/render/proxy/{_quoted(render_id)}/download"
                found = downloads.by_id(self._line, path, skill, credentials, to, most_bytes=most_bytes)
                async with aclosing(found):
                    async for step in found:
                        if isinstance(step, int):
                            yield step
                        else:
                            url = step
                break
            except CloudError as error:
                await patience.bear(error, credentials)
        if url is not None:
            async with aclosing(self.download(url, to, most_bytes=most_bytes)) as counts:
                async for count in counts:
                    yield count

    async def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        await self._line.close()

    async def _free(
        self,
        read: Callable[[Reply], T],
        skill: Skill,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        again: frozenset[Trouble] | None = None,
    ) -> T:
        """A call that costs nothing, tried again in place."""
        patience = self._patience(again)
        while True:
            credentials = await self._tokens.credentials(skill)
            try:
                request = self._line.request(method, path, skill, credentials, body=body)
                reply = await self._line.exchange(request, credentials)
                self._line.check(reply, credentials)
                return self._line.understand(read, reply, credentials)
            except CloudError as error:
                await patience.bear(error, credentials)

    def _renewed(self, refused: Credentials, error: CloudError) -> CloudError:
        """Nothing was taken, and the next call asks for another token: no person is needed."""
        self._tokens.renew(refused)
        return CloudError(Failure(kind=Kind.TRANSIENT, detail=error.failure.detail), trouble=Trouble.TOKEN)

    def _patience(self, again: frozenset[Trouble] | None = None) -> Patience:
        return Patience(self._retries_s, self._tokens.renew, **({} if again is None else {"again": again}))

    def _learn(self, user: str) -> None:
        with suppress(CloudError):
            current = self._tokens.current()
            if user and current is not None and not current.user:
                self._tokens.learn(user=user)


def _quoted(identity: str) -> str:
    return quote(identity, safe="")


def _upload_path(session: str) -> str:
    return f"/api/upload-video/nemo_agent/me/{_quoted(session)}"


def _submitted(reply: Reply, render_id: str) -> str:
    """The id to poll: the cloud's when it names one; a bare "all is well" will do, since the id is ours."""
    return render_of(reply).id or render_id if isinstance(reply.body, dict) else render_id
