"""The cloud engine: a job's stages in their order, each resumable from its token.

open a session → upload → ask (paid) → look at the state → render → poll → download; and from a refused result back to ask.
What each stage does stands in `prepare`, `talk` and `fetch`; what is written down between them in `trip`.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import assert_never

from nemod import logs
from nemod.config.model import Nemo
from nemod.engines.base import Engine, EngineError, EngineName, Event, Output, Progress, Task, Token, Wait
from nemod.engines.local.faults import of_folder
from nemod.engines.nemo import fetch, talk
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.client import Client, CloudError, skill_of
from nemod.engines.nemo.prepare import Parcel, parcel
from nemod.engines.nemo.run import OVERTAKEN, Run, Till, uncertain
from nemod.engines.nemo.trip import Purpose, Stage, Trip, trip_of
from nemod.engines.nemo.wire import Trouble, Uploaded
from nemod.failure import Failure, NemodError
from nemod.text import safe

log = logs.get(__name__)

#: Uploads whose reply was lost, and sessions that were lost before anything was paid in them, are begun again this often.
UPLOADS_MOST, SESSIONS_MOST = 3, 3
#: A file that the cloud calls too large is made so much smaller than it was, this often.
SHRINK, SHRINKS_MOST = 0.4, 3
#: How long an upload may take to appear in the session's state, in seconds between looks.
APPEARS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: Stages in which the session's timeline, as it is now, is taken for the job's own.
_OF_THE_TIMELINE = frozenset({Stage.LOADED, Stage.ASKING, Stage.CHECKING, Stage.EDITED, Stage.REFUSED})


class NemoEngine:
    """Edits videos in the NemoVideo cloud."""

    def __init__(
        self,
        nemo: Nemo,
        account: Account,
        *,
        local: Engine,
        anonymous: Callable[[], bool],
        price: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is connected yet.

        Args:
            nemo: the settings.
            account: where the token comes from.
            local: makes files that the cloud does not take as they are.
            anonymous: whether an anonymous account may be asked for.
            price: credits that the last message has cost, as far as is known.
            clock: epoch seconds.
        """
        self._nemo = nemo
        self._account = account
        self._local = local
        self._anonymous = anonymous
        self._clock = clock
        self._client = Client(nemo, account, anonymous=anonymous)
        self._busy = 0  # runs and questions under way
        self._till = Till() if price is None else Till(price=price)
        self._proven = False
        with suppress(NemodError):  # whoever asks whether it is ready hears of it
            known = account.current(now=clock(), anonymous=anonymous())
            self._proven = known is not None and known.proven

    @property
    def name(self) -> EngineName:
        """Which engine it is."""
        return EngineName.NEMO

    @property
    def careful(self) -> bool:
        """Until this account has rendered once: it may turn out that it must not, after an edit was paid."""
        return not self._proven

    async def ready(self) -> Failure | None:
        """No token, no credits, or no cloud."""
        try:
            async with self._connected():
                return await self._asked()
        except CloudError as error:
            return None if error.trouble in {Trouble.GARBLED, Trouble.MISSING} else error.failure

    async def _asked(self) -> Failure | None:
        credentials = await self._client.credentials()
        self._proven = credentials.proven
        balance = await self._client.balance(skill_of(None))
        if balance.available <= 0:
            return self._client.told(Trouble.CREDITS, "no credits are left").failure
        return None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        """Connections are shared by all that runs, and closed with the last of it: an idle engine holds no socket."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                await self._client.close()

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._client.close()

    async def run(self, task: Task, token: Token | None) -> AsyncGenerator[Event, None]:
        """Go on from a token, or from nothing."""
        async with self._connected(), aclosing(self._way(task, token)) as events:
            async for event in events:
                yield event

    async def _way(self, task: Task, token: Token | None) -> AsyncGenerator[Event, None]:
        skill = skill_of(task.preset)
        run = Run(
            task=task,
            nemo=self._nemo,
            client=self._client,
            local=self._local,
            skill=skill,
            till=self._till,
            trip=None if token is None else trip_of(token),
            resumed=True,
            log=log.bind(job=task.job, file=task.called.name),
            jitter=random.random,
            rendered=self._rendered,
            clock=self._clock,
        )
        sessions = 0
        while True:
            try:
                async with aclosing(_stage(run)) as events:
                    async for event in events:
                        yield event
                        if isinstance(event, Wait | Output):
                            return
            except CloudError as error:
                if error.trouble is not Trouble.SESSION:
                    raise EngineError(error.failure) from error
                sessions += 1
                if sessions > SESSIONS_MOST:
                    raise EngineError(error.failure) from error
                _abandon(run)
            except EngineError:
                raise
            except NemodError as error:  # the account's file
                raise EngineError(error.failure) from error
            except OSError as error:
                raise EngineError(of_folder(error)) from error

    def _rendered(self) -> None:
        if not self._proven:
            self._proven = True
            self._account.learn(proven=True)


def _abandon(run: Run) -> None:
    """The cloud has lost the session: begin another one, if nothing was paid in it.

    Raises:
        EngineError: something was.
    """
    if run.trip is not None and run.trip.turns:
        raise uncertain("The cloud no longer knows the session in which this edit was paid.")
    run.log.warning("cloud.session_lost")
    run.task = replace(run.task, continues=None, asked=run.task.asked and run.task.instruction is None)
    if run.task.asked:
        raise run.refused("The cloud no longer knows the session of this video, so there is nothing to render.")
    run.trip = None


def _stage(run: Run) -> AsyncGenerator[Event, None]:
    """What is done next."""
    if run.trip is None:
        return _begin(run)
    if run.task.overtaken and run.resumed and run.trip.turns and run.trip.stage in _OF_THE_TIMELINE:
        raise uncertain(OVERTAKEN)
    match run.trip.stage:
        case Stage.OPENED:
            return _load(run)
        case Stage.LOADED:
            return talk.send(run)
        case Stage.ASKING | Stage.CHECKING:
            return talk.look(run)
        case Stage.EDITED:
            return fetch.submit(run)
        case Stage.RENDERING:
            return fetch.resubmit(run)
        case Stage.POLLING:
            return fetch.poll(run)
        case Stage.MADE:
            return _after_an_output(run)
        case Stage.REFUSED:
            return talk.look_again(run)
        case _ as never:
            assert_never(never)


async def _begin(run: Run) -> AsyncGenerator[Event, None]:
    """A session of its own, or the one of another job."""
    yield Progress(stage="connecting to the cloud")
    task = run.task
    if task.continues is not None:
        if task.asked and task.instruction is None and task.overtaken:
            raise run.refused("The timeline of the shared session is another video's by now; ask for an edit instead.")
        earlier = trip_of(task.continues)
        session, own = earlier.session, earlier.own
        state = await run.client.state(run.skill, session.id)
        stage = Stage.OPENED if not task.asked else Stage.EDITED if task.instruction is None else Stage.LOADED
        run.trip = Trip(stage=stage, session=session, own=own if task.asked else (), infos=len(state.infos))
    else:
        session = await run.client.open_session(run.skill)
        run.trip = Trip(stage=Stage.OPENED, session=session)
    run.log.info("cloud.session", session=session.id, continued=task.continues is not None)
    yield run.reach(run.trip.stage)


async def _load(run: Run) -> AsyncGenerator[Event, None]:
    """Upload the video, made smaller or re-wrapped first where the cloud would not take it."""
    if run.resumed:
        state = await run.client.state(run.skill, run.at.session.id)
        if run.task.overtaken:
            run.trip = replace(run.at, infos=len(state.infos))  # what came since is another's
        elif len(state.infos) > run.at.infos:
            # The reply was lost, the upload was not.
            yield run.reach(Stage.LOADED, own=(safe(run.task.called.name), safe(run.task.called.stem)))
            return
    limit, refused = run.nemo.upload_limit_bytes, False
    for shrinks in range(SHRINKS_MOST + 1):
        sent: Parcel | None = None
        async with aclosing(parcel(run.task, run.local, limit_bytes=limit, refused=refused)) as steps:
            async for step in steps:
                if isinstance(step, Parcel):
                    sent = step
                else:
                    yield step
        assert sent is not None  # noqa: S101 - the last thing that `parcel` yields
        try:
            async with aclosing(_uploaded(run, sent)) as events:
                async for event in events:
                    yield event
        except CloudError as error:
            size = sent.file.stat().st_size
            if error.trouble is Trouble.TOO_LARGE and shrinks < SHRINKS_MOST:
                limit = int(size * SHRINK)
                run.log.warning("cloud.too_large", size_bytes=size, next_bytes=limit)
            elif error.trouble is Trouble.UNSUPPORTED and not refused:
                refused = True
                run.log.warning("cloud.unsupported", sent=sent.name)
            else:
                raise
        else:
            return
        finally:
            if sent.file != run.task.source:
                sent.file.unlink(missing_ok=True)


async def _uploaded(run: Run, sent: Parcel) -> AsyncGenerator[Event, None]:
    """Send a file, and see it in the session."""
    size = sent.file.stat().st_size
    for left in reversed(range(UPLOADS_MOST)):
        answer: Uploaded | None = None
        try:
            async with aclosing(run.client.upload(run.skill, run.at.session.id, sent.file, name=sent.name)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Uploaded):
                        answer = piece
                    else:
                        yield Progress(stage="uploading", fraction=min(1.0, piece / size) if size else None)
        except CloudError as error:
            # The reply may be lost, and the upload not: the state tells.
            if error.trouble not in {Trouble.CUT, Trouble.SERVER, Trouble.GARBLED}:
                raise
            state = await run.client.state(run.skill, run.at.session.id)
            if len(state.infos) <= run.at.infos:
                if not left:
                    raise
                continue
        if answer is None or not answer.applied:
            await _appeared(run)
        own = (sent.name, sent.name.rpartition(".")[0], *(answer.names + answer.urls if answer is not None else ()))
        run.log.info("cloud.uploaded", sent=sent.name, size_bytes=size, made=sent.made)
        yield run.reach(Stage.LOADED, own=own)
        return


async def _appeared(run: Run) -> None:
    """Wait until the session shows the upload; one that never does is left to the agent to find."""
    for pause_s in APPEARS_S:
        state = await run.client.state(run.skill, run.at.session.id)
        if len(state.infos) > run.at.infos:
            return
        await asyncio.sleep(pause_s)


async def _after_an_output(run: Run) -> AsyncGenerator[Event, None]:
    """The judge refused it: the next message says why. Without a refusal the file is lost, and fetched again."""
    if len(run.task.refusals) > run.at.follow:
        yield run.reach(Stage.LOADED, next=Purpose.FOLLOW_UP, follow=len(run.task.refusals), renders=0, replies=0, taken=0)
    else:
        yield run.reach(Stage.POLLING, polls=0, submitted=run.clock())
