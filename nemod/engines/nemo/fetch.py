"""From an edited timeline to a file on this disk: submit, poll, download, look at what came.

Rules kept here:
- the render's id is ours and written down before it is submitted, so that it is found again, whatever happens;
- an id is submitted again only when the cloud does not know it; a render that failed gets a new one, once;
- a file that came incomplete is fetched by the other way; what is handed out is a whole video.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

from nemod.engines.base import EngineError, Event, Output, Progress, Task, Wait
from nemod.engines.nemo import draft
from nemod.engines.nemo.client import CloudError
from nemod.engines.nemo.run import OVERTAKEN, Run, uncertain
from nemod.engines.nemo.talk import ask_away, cost_of, extras
from nemod.engines.nemo.trip import Stage, token_of
from nemod.engines.nemo.wire import Render, RenderStatus, State, Trouble
from nemod.failure import Kind
from nemod.media.info import MediaInfo
from nemod.media.probe import PROBE_TIMEOUT_S, ProbeError, probe
from nemod.media.verdict import How, how

#: A render that failed, or whose file is no good, is submitted again under a new id, once.
RENDERS_MOST = 2
#: Polls in a row without an answer, or with a result that has no address, before something else is tried.
BLANK_MOST = 3
#: A state may lag behind the stream that told of the edit.
STATE_TRIES, STATE_PAUSE_S = 3, 2.0
#: Polls are spread by so much of their interval, so that many jobs do not ask at once.
SPREAD = 0.2
#: A result is never larger than this many times the source or the limit; an endless one ends there.
_TIMES_SOURCE, _TIMES_LIMIT, _LEAST_BYTES = 4, 50, 300_000_000
#: What a cloud says when a file is not to be had there, also later.
_NO_FILE = frozenset({Trouble.REFUSED, Trouble.GARBLED, Trouble.MISSING, Trouble.PLAN})


async def submit(run: Run) -> AsyncGenerator[Event, None]:
    """Choose an id, write it down, and submit the timeline as it is."""
    state = await _timeline(run)
    if len(state.infos) > 1 and draft.anothers(state.draft, own=run.at.own, infos=state.infos):
        raise uncertain(OVERTAKEN)
    if not run.task.asked or run.task.instruction is not None:
        added = extras(run, state)
        if added:
            yield ask_away(run, added)
            return
    yield run.reach(Stage.RENDERING, render=f"render_{uuid.uuid4().hex}", renders=run.at.renders + 1, polls=0)
    async with aclosing(_submitted(run, state)) as events:
        async for event in events:
            yield event


async def resubmit(run: Run) -> AsyncGenerator[Event, None]:
    """Killed between choosing the id and hearing that it arrived: ask for it, and submit it if the cloud does not know it."""
    if await run.client.render(run.skill, run.at.render) is None:
        if run.task.overtaken:
            raise uncertain(OVERTAKEN)
        state = await _timeline(run)
        async with aclosing(_submitted(run, state)) as events:
            async for event in events:
                yield event
        return
    yield run.reach(Stage.POLLING, submitted=run.clock())


async def _submitted(run: Run, state: State) -> AsyncGenerator[Event, None]:
    assert state.draft is not None  # noqa: S101 - `_timeline` has seen it
    yield Progress(stage="starting the render in the cloud")
    try:
        known_as = await run.client.submit(run.skill, run.at.session.id, run.at.render, state.draft)
    except CloudError as error:
        if error.trouble is not Trouble.REFUSED or run.at.renders >= RENDERS_MOST:
            raise
        run.log.warning("cloud.render_refused", render=run.at.render, why=error.failure.detail)
        await asyncio.sleep(STATE_PAUSE_S)  # what the state tells may lag behind
        yield run.reach(Stage.EDITED)  # once more, with the timeline as it is now and a new id
        return
    run.log.info("cloud.render", render=known_as, timeline=draft.summary(state.draft))
    checkpoint = run.reach(Stage.POLLING, render=known_as, submitted=run.clock())
    yield checkpoint
    yield Wait(token=checkpoint.token, until=run.clock() + _pause(run, first=True), polling=True)


async def _timeline(run: Run) -> State:
    """The session's state, with a timeline that can be rendered.

    Raises:
        EngineError: there is none.
    """
    for left in reversed(range(STATE_TRIES)):
        state = await run.client.state(run.skill, run.at.session.id)
        if draft.exportable(state.draft):
            return state
        if left:
            await asyncio.sleep(STATE_PAUSE_S)
    raise run.refused("The cloud's agent says that it is done, but there is no timeline to render.")


async def poll(run: Run) -> AsyncGenerator[Event, None]:
    """Ask how far the render is; fetch it when it is ready, else wait without a slot."""
    yield Progress(stage="rendering in the cloud")
    try:
        found = await run.client.render(run.skill, run.at.render)
    except CloudError as error:
        if error.trouble is not Trouble.REFUSED:
            raise
        yield _anew(run, error.failure.detail)  # how some tell that the render has failed
        return
    if found is None or found.status is RenderStatus.FAILED:
        if found is None and run.at.polls < BLANK_MOST:
            yield _later(run, polls=run.at.polls + 1)
            return
        why = "the cloud does not know it any more" if found is None else found.error or "no reason given"
        yield _anew(run, why)
        return
    if found.status is RenderStatus.COMPLETED:
        run.rendered()
        if run.at.unsettled:
            settled = await cost_of(run)
            yield replace(run.reach(Stage.POLLING, unsettled=False), cost=settled, left=run.left)
        if found.url is None and run.at.polls < BLANK_MOST:
            yield _later(run, polls=run.at.polls + 1)
            return
        async with aclosing(_fetched(run, found)) as events:
            async for event in events:
                yield event
        return
    if run.clock() - run.at.submitted > run.nemo.render_timeout_s:
        raise run.refused(f"The render has not finished after {run.nemo.render_timeout_s / 60:.0f} minutes; its id is kept.")
    yield _later(run, polls=0)


def _later(run: Run, *, polls: int) -> Wait:
    trip = run.trip = replace(run.at, polls=polls)
    return Wait(token=token_of(trip), until=run.clock() + _pause(run, first=False), polling=True)


def _anew(run: Run, why: str) -> Event:
    """Another render of the same timeline, under a new id, once."""
    if run.at.renders >= RENDERS_MOST:
        raise run.refused(f"The cloud could not render the video: {why}.")
    run.log.warning("cloud.render_failed", render=run.at.render, why=why)
    return run.reach(Stage.EDITED, polls=0)


def _pause(run: Run, *, first: bool) -> float:
    """Seconds to the next poll: spread, and by half an interval earlier for the first one."""
    interval = run.nemo.poll_interval_s
    if first:
        return interval * (0.5 + 0.5 * run.jitter())
    return interval * (1 + SPREAD * (run.jitter() - 0.5))


async def _fetched(run: Run, render: Render) -> AsyncGenerator[Event, None]:
    """Download a finished render and hand it out, or have it rendered once more."""
    task = run.task
    file = task.folder / "cloud.mp4"
    most = max(_TIMES_SOURCE * task.media.size_bytes, _TIMES_LIMIT * task.limit_bytes, _LEAST_BYTES)
    media: MediaInfo | None = None
    trouble: CloudError | None = None
    passing: CloudError | None = None
    for way in ("address", "endpoint"):
        if way == "address" and render.url is None:
            continue
        pieces = (
            run.client.download(render.url, file, most_bytes=most)
            if way == "address" and render.url is not None
            else run.client.fetch(run.skill, run.at.render, file, most_bytes=most)
        )
        try:
            async with aclosing(pieces) as counts:
                async for got in counts:
                    whole = render.size_bytes
                    yield Progress(stage="downloading", fraction=min(1.0, got / whole) if whole else None)
        except CloudError as error:
            run.log.warning("cloud.download_failed", way=way, why=error.failure.detail)
            trouble = error
            if error.trouble not in _NO_FILE:
                passing = error
            continue
        trouble = None
        media = await _whole(file)
        if media is not None:
            break
        run.log.warning("cloud.download_failed", way=way, why="What came is not a whole video.")
    if media is None:
        file.unlink(missing_ok=True)
        # A way that was only blocked may lead to the file later; another render is for a file that is nowhere.
        if trouble is not None and (passing is not None or run.at.renders >= RENDERS_MOST):
            raise passing or trouble
        yield _anew(run, "what can be downloaded is not a whole video")
        return
    run.log.info("cloud.downloaded", size_bytes=media.size_bytes)
    async with aclosing(_wrapped(run, file, media)) as events:
        async for event in events:
            yield event


async def _whole(file: Path) -> MediaInfo | None:
    """What was downloaded, if it is a video from its beginning to its end.

    Raises:
        EngineError: TRANSIENT; nobody could look, which says nothing of the file.
    """
    try:
        media = await probe(file, timeout_s=PROBE_TIMEOUT_S)
    except ProbeError as error:
        if error.failure.kind is Kind.TRANSIENT:
            raise EngineError(error.failure) from error
        return None
    return None if media.video is None or media.cut_off_s or media.truncated else media


def _only_wrapping(media: MediaInfo, task: Task) -> bool:
    """Whether writing the same picture and sound into a new file may be all that is missing."""
    further = bool(media.others) or len(media.audio) > 1
    within = replace(media, size_bytes=min(media.size_bytes, task.limit_bytes)) if further else media
    return how(within, task.preset, task.limit_bytes) is How.REMUX


async def _wrapped(run: Run, file: Path, media: MediaInfo) -> AsyncGenerator[Event, None]:
    """Hand the file out, re-wrapped first where only its wrapping keeps it from playing everywhere."""
    task = run.task
    made = f"by the cloud: {run.at.summary}" if run.at.summary else "by the cloud"
    path = file
    if _only_wrapping(media, task):
        folder = task.folder / "wrap"
        folder.mkdir(mode=0o700, exist_ok=True)
        work: Task = replace(task, source=file, media=media, how=How.REMUX, folder=folder, refusals=())
        # Still too large without its further tracks, say: then it is judged as it came.
        with suppress(EngineError):
            async with aclosing(run.local.run(work, None)) as events:
                async for event in events:
                    if isinstance(event, Output):
                        path = event.path
    run.trip = replace(run.at, stage=Stage.MADE)
    yield Output(path=path, token=token_of(run.trip), note=made)
