"""The token for a call: the one there is, or an anonymous one that is asked for.

Rules kept here:
- a token is asked for only when it could be kept, by one process at a time, and with the same client id always;
- the cloud gives one per client and week: a refusal is written down and nobody asks again for a day;
- a token that is on its way when the work is stopped is waited for a moment, since it cannot be asked for twice.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from nemod.engines.nemo.account import Account, AccountError, Credentials
from nemod.engines.nemo.faults import CloudError
from nemod.engines.nemo.line import Line, Skill
from nemod.engines.nemo.wire import Trouble, grant_of
from nemod.failure import Failure, Kind

PATH = "/api/auth/anonymous-token"
#: After a 429 the documents say: wait so long and ask once more. Refused again, it is the quota of a week.
QUOTA_PAUSE_S, QUOTA_REST_S = 30.0, 86400.0
#: Another process that asks for a token is looked at this often.
LOCK_EVERY_S = 0.2
#: How long a reply that is on its way is waited for when the work is stopped.
GRACE_S = 3.0
_PASSING = frozenset({Trouble.UNREACHABLE, Trouble.CUT, Trouble.SERVER})


class Tokens:
    """Gives credentials, and renews anonymous ones."""

    def __init__(
        self,
        line: Line,
        account: Account,
        *,
        anonymous: Callable[[], bool],
        pauses_s: tuple[float, ...],
        quota_pause_s: float = QUOTA_PAUSE_S,
    ) -> None:
        """Nothing is asked yet; `anonymous` says whether a token may be asked for."""
        self._line = line
        self._account = account
        self._anonymous = anonymous
        self._pauses_s = pauses_s
        self._quota_pause_s = quota_pause_s
        self._asking = asyncio.Lock()

    async def credentials(self, skill: Skill) -> Credentials:
        """The token to use now.

        Raises:
            CloudError: there is none, and none can be had.
        """
        if (found := self.current()) is not None:
            return found
        if not self._anonymous():
            raise self._none()
        async with self._asking:
            task = asyncio.create_task(self._ask(skill))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait({task}, timeout=GRACE_S)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise

    def current(self) -> Credentials | None:
        """The token that there is; CloudError when the account's files cannot be used."""
        with _told():
            return self._account.current(now=self._line.clock(), anonymous=self._anonymous())

    def renew(self, refused: Credentials) -> None:
        """An anonymous token was refused: the next call asks for another, unless that has happened already."""
        with _told():
            self._account.reject(refused.token.get_secret_value())

    def learn(self, *, user: str) -> None:
        """Write down whose token it is."""
        self._account.learn(user=user)

    async def _ask(self, skill: Skill) -> Credentials:
        with contextlib.ExitStack() as held:
            with _told():
                self._account.prepare()
                while not self._locked(held):  # noqa: ASYNC110 - another process holds it
                    await asyncio.sleep(LOCK_EVERY_S)
            # Somebody else may have asked while we waited.
            if (found := self.current()) is not None:
                return found
            with _told():
                until, client = self._account.refused_until(), self._account.client_id()
            if until is not None and until > self._line.clock():
                raise self._refused("", until)
            await self._granted(skill, client)
        if (found := self.current()) is None:
            raise self._none()
        return found

    def _locked(self, held: contextlib.ExitStack) -> bool:
        try:
            held.enter_context(self._account.lock(wait=False))
        except BlockingIOError:
            return False
        return True

    async def _granted(self, skill: Skill, client: str) -> None:
        """Ask, and write down what is given or refused."""
        pauses = list(self._pauses_s)
        again = True
        while True:
            try:
                request = self._line.request("POST", PATH, skill, None, headers={"X-Client-Id": client})
                reply = await self._line.exchange(request, None)
                self._line.check(reply, None, secrets=(client,))
                grant = self._line.understand(grant_of, reply, None)
            except CloudError as error:
                if error.trouble is Trouble.THROTTLED and again:
                    again = False
                    with _told():  # before the pause: who is restarted in it must not ask at once
                        self._account.refuse(self._line.clock() + self._quota_pause_s)
                    await asyncio.sleep(self._quota_pause_s)
                elif error.trouble is Trouble.THROTTLED:
                    until = self._line.clock() + QUOTA_REST_S
                    with _told():
                        self._account.refuse(until)
                    raise self._refused(error.failure.detail, until) from error
                elif error.trouble in _PASSING and pauses:
                    await asyncio.sleep(pauses.pop(0))
                elif error.trouble is Trouble.REFUSED:
                    # No job can help it, so it is no refusal of a job's.
                    raise self._none(error.failure.detail) from error
                else:
                    raise
            else:
                with _told():
                    self._account.keep_anonymous(grant, now=self._line.clock())
                return

    def _refused(self, said: str, until: float) -> CloudError:
        detail = "The cloud gives no anonymous account at present: there is one per client, and ten per network, in 7 days."
        hint = f"Register at {self._line.nemo.web_url} and store your token with `nemod account set-token`, or wait."
        found = Failure(kind=Kind.THROTTLED, detail=f"{detail} {said}".strip(), hint=hint, retry_at=until)
        return CloudError(found, trouble=Trouble.THROTTLED)

    def _none(self, said: str = "") -> CloudError:
        hint = "Store a token with `nemod account set-token`, or set NEMO_TOKEN."
        found = Failure(kind=Kind.CREDENTIALS, detail=f"There is no account for the cloud. {said}".strip(), hint=hint)
        return CloudError(found, trouble=Trouble.TOKEN)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What is wrong with the account's files, as an error of the cloud."""
    try:
        yield
    except AccountError as error:
        raise CloudError(error.failure, trouble=Trouble.TOKEN) from error
