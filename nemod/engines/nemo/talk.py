"""Messages to the agent, and what became of them: the part of the way that costs money.

Rules kept here:
- a message leaves only behind a checkpoint that announces it, and is never sent again from there: the session's state decides
  whether it arrived, and a balance that has not moved is the only proof that it did not;
- the stream is read to its close, whatever is in it; then the state, not the words, says whether something was edited;
- a question, a screen that is not there and tracks that nobody asked for are each answered once, then it is a refusal.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import assert_never

from nemod.engines.base import Checkpoint, EngineError, Event, Progress, Wait
from nemod.engines.nemo import draft, message, translate
from nemod.engines.nemo.client import CloudError
from nemod.engines.nemo.frames import Complaint, Heartbeat, Listener
from nemod.engines.nemo.run import Run, uncertain
from nemod.engines.nemo.translate import Action
from nemod.engines.nemo.trip import Asked, Purpose, Stage, token_of
from nemod.engines.nemo.wire import Balance, State, Trouble

#: A message that is still at work is told of this often.
STILL_EVERY_S = 120.0
#: What people see of an agent's words.
WORDS_MOST = 300
#: Questions that are answered, unasked tracks that are asked away, messages sent again after proof that they never arrived.
REPLIES_MOST, TAKEN_MOST, RESENT_MOST = 1, 1, 1
#: What a frame of the stream may say as well as a reply.
_TOLD_INSIDE = frozenset({Trouble.TOKEN, Trouble.SESSION, Trouble.CREDITS, Trouble.PLAN, Trouble.THROTTLED})


async def send(run: Run) -> AsyncGenerator[Event, None]:
    """Send the message that is next, read the answer, and come to the next stage.

    Raises:
        EngineError: the agent refuses.
        CloudError: the cloud could not be asked; if so, the message did not leave.
    """
    came_from, purpose = run.at, run.at.next
    before = await run.client.state(run.skill, run.at.session.id)
    balance = await _balance(run)
    if balance is not None and balance.available <= 0:
        raise await run.told(Trouble.CREDITS, "no credits are left")
    asked = Asked(
        purpose=purpose,
        at=run.clock(),
        state=before.fingerprint,
        total=None if balance is None else balance.total,
        frozen=None if balance is None else balance.frozen,
        alone=run.till.alone(run.task.job),
    )
    text = _text(run, purpose, before)
    base = draft.without_picture(before.draft) if purpose is Purpose.FIRST else run.at.base
    announced = run.reach(Stage.ASKING, asked=asked, turns=run.at.turns + 1, looks=0, heard="", base=base)
    run.till.paying.add(run.task.job)
    try:
        yield replace(announced, expects=run.till.price, left=None if balance is None else balance.available)
        run.till.sent[run.task.job] = run.clock()
        run.log.info("cloud.asked", why=purpose.value, message=text)
        listener = Listener()
        lost: CloudError | None = None
        try:
            async with aclosing(_heard(run, text, listener)) as events:
                async for event in events:
                    yield event
        except CloudError as error:
            if not error.unsure:
                # It never arrived, so nothing was paid: back to where we came from, and let the failure be told.
                run.trip = came_from
                yield Checkpoint(token=token_of(came_from), cost=0)
                raise
            lost = error
            run.log.warning("cloud.stream_lost", why=error.failure.detail)
        async with aclosing(_settled(run, before, listener, lost)) as events:
            async for event in events:
                yield event
    finally:
        run.till.paying.discard(run.task.job)


def _text(run: Run, purpose: Purpose, state: State) -> str:
    task = run.task
    match purpose:
        case Purpose.FIRST:
            several = run.at.infos > 0 and not task.asked and bool(run.at.own)
            return message.first(
                task.preset,
                limit_bytes=task.limit_bytes,
                language=run.nemo.language,
                instruction=task.instruction,
                file=run.at.own[0] if several else None,
            )
        case Purpose.ANSWER:
            return message.answer(run.nemo.reply, limit_bytes=task.limit_bytes)
        case Purpose.NO_SCREEN:
            return message.no_screen(task.limit_bytes)
        case Purpose.TAKE_AWAY:
            return message.take_away(extras(run, state), limit_bytes=task.limit_bytes)
        case Purpose.FOLLOW_UP:
            return message.follow_up(task.refusals, limit_bytes=task.limit_bytes)
        case _ as never:
            assert_never(never)


async def _heard(run: Run, text: str, listener: Listener) -> AsyncGenerator[Event, None]:
    """Read the stream to its close, telling now and then that the cloud is still at work."""
    began = told = run.clock()
    yield Progress(stage="editing in the cloud")
    async with aclosing(run.client.ask(run.skill, run.at.session.id, text)) as frames:
        async for frame in frames:
            listener.hear(frame)
            if isinstance(frame, Complaint):
                run.log.warning("cloud.complained", why=frame.text[:WORDS_MOST])
            now = run.clock()
            if now - told >= STILL_EVERY_S:
                told = now
                minutes = round((now - began) / 60)
                run.log.info("cloud.still_working", minutes=minutes)
                yield Progress(stage=f"the cloud is still working ({minutes} min)")
            elif not isinstance(frame, Heartbeat):
                yield Progress(stage="editing in the cloud")


async def _settled(run: Run, before: State, listener: Listener, lost: CloudError | None) -> AsyncGenerator[Event, None]:
    """What the message has done, by the state of the session."""
    after = await run.client.state(run.skill, run.at.session.id)
    gist = translate.gist(listener.words)
    heard = gist.text[:WORDS_MOST]
    if heard:
        run.log.info("cloud.answered", says=heard)
    question = bool(listener.question) or gist.asks
    if after.fingerprint != before.fingerprint and (listener.changes_things or not question):
        async with aclosing(_edited(run, before, after, heard)) as events:
            async for event in events:
                yield event
        return
    broken = next((c for c in listener.complaints if c.trouble in _TOLD_INSIDE), None)
    if lost is None and broken is not None and broken.trouble is not None and not listener.words:
        # Told inside the stream, and nothing was edited: whether the message counts is for the balance to say.
        if not (cost := await _cost(run)):
            yield replace(run.reach(Stage.LOADED, turns=run.at.turns - 1), cost=cost)
        raise await run.told(broken.trouble, broken.text)
    may_reply = run.at.replies < REPLIES_MOST
    if lost is None and question and may_reply and run.nemo.reply:
        yield replace(_then(run, Purpose.ANSWER, heard), cost=await _cost(run))
    elif lost is None and not question and Action.EXPORT in gist.actions and draft.exportable(after.draft):
        yield replace(run.reach(Stage.EDITED, heard=heard), cost=await _cost(run))
    elif lost is None and not question and gist.actions and may_reply:
        yield replace(_then(run, Purpose.NO_SCREEN, heard), cost=await _cost(run))
    elif lost is None and (question or (listener.words and not listener.changes_things)):
        yield replace(run.reach(Stage.REFUSED, heard=heard or listener.question), cost=await _cost(run))
        raise refusal(run)
    else:
        # Silent, broken off, or it says that it did what cannot be seen yet.
        checkpoint = run.reach(Stage.CHECKING, heard=heard)
        yield checkpoint
        yield Wait(token=checkpoint.token, until=run.clock() + run.nemo.recheck_first_s, polling=True)


def _then(run: Run, purpose: Purpose, heard: str) -> Checkpoint:
    """Another message follows, of which there is one at most."""
    counted = {"taken": run.at.taken + 1} if purpose is Purpose.TAKE_AWAY else {"replies": run.at.replies + 1}
    return run.reach(Stage.LOADED, next=purpose, heard=heard, **counted)


async def _edited(run: Run, before: State, after: State, heard: str) -> AsyncGenerator[Event, None]:
    summary = draft.changes(before, after)
    run.log.info("cloud.edited", changed=summary, timeline=draft.summary(after.draft))
    cost = await _cost(run)
    yield replace(run.reach(Stage.EDITED, heard=heard, summary=summary), cost=cost, left=run.left)


async def look(run: Run) -> AsyncGenerator[Event, None]:
    """Look at the state again after a stream that was lost or silent; ends in a wait, a later stage, or a failure."""
    asked = run.at.asked
    if asked is None:
        raise uncertain("It is not known what the session looked like before the message.")
    if run.at.stage is Stage.ASKING:
        # Killed with the message under way: whether it left is unknown.
        checkpoint = run.reach(Stage.CHECKING)
        yield checkpoint
        yield Wait(token=checkpoint.token, until=max(run.clock(), asked.at + run.nemo.recheck_first_s), polling=True)
        return
    yield Progress(stage="looking whether the edit arrived")
    state = await run.client.state(run.skill, run.at.session.id)
    if state.fingerprint != asked.state:
        run.log.info("cloud.edited", changed="found after the stream was lost", timeline=draft.summary(state.draft))
        yield replace(run.reach(Stage.EDITED), cost=await _cost(run), left=run.left)
        return
    if run.at.looks < run.nemo.recheck_times:
        checkpoint = run.reach(Stage.CHECKING, looks=run.at.looks + 1)
        yield checkpoint
        yield Wait(token=checkpoint.token, until=run.clock() + run.nemo.recheck_every_s, polling=True)
        return
    if not await _unpaid(run, asked):
        raise uncertain("The cloud was asked to edit, and it cannot be told whether it did: its answer was lost.")
    run.log.info("cloud.unsent", why="The balance has not moved and nothing was edited.")
    if run.at.heard or run.at.resent >= RESENT_MOST:
        yield replace(run.reach(Stage.REFUSED), cost=0)
        raise refusal(run)
    yield replace(run.reach(Stage.LOADED, next=asked.purpose, resent=run.at.resent + 1, turns=run.at.turns - 1), cost=0)


def ask_away(run: Run, names: tuple[str, ...]) -> Checkpoint:
    """Tracks have appeared that nobody asked for: the next message asks them away, once.

    Raises:
        EngineError: that was asked already.
    """
    if run.at.taken >= TAKEN_MOST:
        raise run.refused(f"The cloud's agent added what nobody asked for, and did not take it away: {', '.join(names)}.")
    run.log.warning("cloud.unasked", added=list(names))
    return _then(run, Purpose.TAKE_AWAY, run.at.heard)


async def look_again(run: Run) -> AsyncGenerator[Event, None]:
    """A person released a job that the agent had refused: go on if the session has changed since, else refuse again."""
    state = await run.client.state(run.skill, run.at.session.id)
    asked = run.at.asked
    if asked is not None and state.fingerprint == asked.state:
        raise refusal(run)
    yield run.reach(Stage.EDITED)


def refusal(run: Run) -> EngineError:
    """The agent's no, in its own words."""
    if run.at.heard:
        return run.refused(f"The cloud's agent did not edit the video. It says: {run.at.heard}")
    return run.refused("The cloud's agent does nothing with the message.")


def extras(run: Run, state: State) -> tuple[str, ...]:
    """Tracks that nobody asked for."""
    if message.allows(run.task.instruction):
        return ()
    return draft.unasked(run.at.base, state.draft, own=run.at.own)


async def _balance(run: Run) -> Balance | None:
    """The account's credits; None where the cloud does not tell."""
    try:
        return await run.client.balance(run.skill)
    except CloudError as error:
        if error.trouble in {Trouble.GARBLED, Trouble.MISSING, Trouble.REFUSED}:
            return None
        raise


async def _cost(run: Run) -> float:
    """What the last message has cost; what was expected where the balance cannot tell."""
    asked, balance = run.at.asked, await _balance(run)
    if asked is None or asked.total is None or balance is None:
        return run.till.price
    run.left = balance.available
    if not (asked.alone and run.till.alone(run.task.job) and run.till.quiet_since(run.task.job, asked.at)):
        return run.till.price
    cost = asked.total - balance.total
    if cost > 0:
        run.till.price = cost
    return max(0.0, cost)


async def _unpaid(run: Run, asked: Asked) -> bool:
    """Whether the balance proves that the message was never taken: it has not moved, and nobody else moved it."""
    balance = await _balance(run)
    if balance is None or asked.total is None or asked.frozen is None:
        return False
    unmoved = balance.total == asked.total and balance.frozen <= asked.frozen
    return unmoved and asked.alone and run.till.quiet_since(run.task.job, asked.at)
