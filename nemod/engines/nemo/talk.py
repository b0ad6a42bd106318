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
from nemod.engines.nemo.frames import Complaint, Heartbeat
from nemod.engines.nemo.listener import Listener
from nemod.engines.nemo.meaning import Meaning, meaning, told
from nemod.engines.nemo.run import Run, uncertain
from nemod.engines.nemo.trip import Asked, Purpose, Stage, token_of
from nemod.engines.nemo.wire import Balance, State, Trouble

#: A message that is still at work is told of this often.
STILL_EVERY_S = 120.0
#: What people see of an agent's words, and how many of its complaints are logged.
WORDS_MOST, COMPLAINTS_MOST = 300, 20
#: Questions that are answered, unasked tracks that are asked away, messages sent again after proof that they never arrived.
REPLIES_MOST, TAKEN_MOST, RESENT_MOST = 1, 1, 1


async def send(run: Run) -> AsyncGenerator[Event, None]:
    """Send the message that is next, read the answer, and come to the next stage.

    Raises:
        EngineError: the agent refuses.
        CloudError: the cloud could not be asked; if so, the message did not leave.
    """
    purpose = run.at.next
    before = await run.client.state(run.skill, run.at.session.id)
    if run.at.doubt and not run.task.overtaken and run.at.asked is not None and before.fingerprint != run.at.asked.state:
        # It was taken after all, later than anybody would wait for: what was asked for is there.
        run.log.info("cloud.edited", changed="found before it was asked again", timeline=draft.summary(before.draft))
        yield run.reach(Stage.EDITED, doubt=False)
        return
    clean = not run.at.unsettled
    if not clean:
        # What the message before has cost must be known, or counted as expected, before another one is announced.
        cost = await cost_of(run) or run.till.price
        yield replace(run.reach(run.at.stage, unsettled=False), cost=cost)
    balance = await _balance(run)
    if balance is not None and balance.available <= 0:
        raise run.client.told(Trouble.CREDITS, "no credits are left")
    asked = Asked(
        purpose=purpose,
        at=run.clock(),
        state=before.fingerprint,
        total=None if balance is None else balance.total,
        frozen=None if balance is None else balance.frozen,
        alone=run.till.alone(run.task.job) and clean,
    )
    came_from = run.at
    run.left = None if balance is None else balance.available
    text = _text(run, purpose, before)
    base = draft.without_picture(before.draft) if purpose is Purpose.FIRST else run.at.base
    announced = run.reach(Stage.ASKING, asked=asked, turns=run.at.turns + 1, looks=0, heard="", base=base, told=None)
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
            if error.trouble is Trouble.SERVER:
                run.trip = replace(
                    run.at, told=error.trouble
                )  # should it prove that nothing was done, it is the cloud that is ill
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
            several = len(state.infos) > 1 and bool(run.at.own)
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
    of = "" if run.left is None else f" of {run.left:g}"
    stage = f"editing in the cloud, about {run.till.price:g}{of} credits"
    yield Progress(stage=stage)
    async with aclosing(run.client.ask(run.skill, run.at.session.id, text)) as frames:
        async for frame in frames:
            listener.hear(frame)
            if isinstance(frame, Complaint) and len(listener.complaints) <= COMPLAINTS_MOST:
                run.log.warning("cloud.complained", why=frame.text[:WORDS_MOST])
            now = run.clock()
            if now - told >= STILL_EVERY_S:
                told = now
                minutes = round((now - began) / 60)
                run.log.info("cloud.still_working", minutes=minutes)
                yield Progress(stage=f"the cloud is still working ({minutes} min)")
            elif not isinstance(frame, Heartbeat):
                yield Progress(stage=stage)


async def _settled(run: Run, before: State, listener: Listener, lost: CloudError | None) -> AsyncGenerator[Event, None]:
    """What the message has done, by the state of the session."""
    after = await run.client.state(run.skill, run.at.session.id)
    changed, exportable = after.fingerprint != before.fingerprint, draft.exportable(after.draft)
    comes_to = meaning(listener, lost=lost is not None, changed=changed, exportable=exportable)
    heard = (translate.gist(listener.words).text or listener.question)[:WORDS_MOST]
    if heard:
        run.log.info("cloud.answered", says=heard)
    run.trip = replace(run.at, heard=heard or run.at.heard)
    may_reply = run.at.replies < REPLIES_MOST
    match comes_to:
        case Meaning.EDITED:
            summary = draft.changes(before, after)
            run.log.info("cloud.edited", changed=summary, timeline=draft.summary(after.draft))
            yield await _paid(run, run.reach(Stage.EDITED, summary=summary))
        case Meaning.READY:
            yield await _paid(run, run.reach(Stage.EDITED))
        case Meaning.QUESTION if may_reply and run.nemo.reply:
            yield await _paid(run, _then(run, Purpose.ANSWER))
        case Meaning.SCREEN if may_reply:
            yield await _paid(run, _then(run, Purpose.NO_SCREEN))
        case Meaning.REFUSAL | Meaning.QUESTION | Meaning.SCREEN:
            yield await _paid(run, run.reach(Stage.REFUSED))
            raise refusal(run)
        case Meaning.TOLD:
            complaint = told(listener)
            assert complaint is not None  # noqa: S101 - that is what it means
            run.trip = replace(run.at, told=complaint.trouble, heard=complaint.text[:WORDS_MOST])
            if complaint.trouble is Trouble.CREDITS and await _unpaid(run):
                yield _withdrawn(run)
                raise run.client.told(complaint.trouble, complaint.text)
            for event in _rest(run, run.clock() + run.nemo.recheck_first_s):
                yield event
        case Meaning.UNCLEAR:
            for event in _rest(run, run.clock() + run.nemo.recheck_first_s):
                yield event
        case _ as never:
            assert_never(never)


def _rest(run: Run, until: float, **facts: int) -> tuple[Checkpoint, Wait]:
    """Write down that the state is to be looked at, and wait for it without a slot (epoch seconds)."""
    checkpoint = run.reach(Stage.CHECKING, **facts)
    return checkpoint, Wait(token=checkpoint.token, until=until, polling=True)


async def _paid(run: Run, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with what the message has cost; a balance that has not moved yet is asked again at the end."""
    cost = await cost_of(run)
    if cost == 0 and run.at.stage is Stage.EDITED:
        run.trip = replace(run.at, unsettled=True)
        return replace(checkpoint, token=token_of(run.at))
    return replace(checkpoint, cost=cost, left=run.left)


def _then(run: Run, purpose: Purpose) -> Checkpoint:
    """Another message follows, of which there is one at most."""
    counted = {"taken": run.at.taken + 1} if purpose is Purpose.TAKE_AWAY else {"replies": run.at.replies + 1}
    return run.reach(Stage.LOADED, next=purpose, doubt=False, **counted)


def _withdrawn(run: Run) -> Checkpoint:
    """The last message has never been taken, as the balance proves: back to before it."""
    purpose = Purpose.FIRST if run.at.asked is None else run.at.asked.purpose
    return replace(run.reach(Stage.LOADED, next=purpose, turns=run.at.turns - 1, doubt=True), cost=0)


async def look(run: Run) -> AsyncGenerator[Event, None]:
    """Look at the state again after a stream that was lost or silent; ends in a wait, a later stage, or a failure."""
    asked = run.at.asked
    if asked is None:
        raise uncertain("It is not known what the session looked like before the message.")
    if run.at.stage is Stage.ASKING:
        # Killed with the message under way: whether it left is unknown.
        for event in _rest(run, max(run.clock(), asked.at + run.nemo.recheck_first_s)):
            yield event
        return
    yield Progress(stage="looking whether the edit arrived")
    state = await run.client.state(run.skill, run.at.session.id)
    if state.fingerprint != asked.state:
        run.log.info("cloud.edited", changed="found after the stream was lost", timeline=draft.summary(state.draft))
        yield await _paid(run, run.reach(Stage.EDITED))
        return
    if run.at.looks < run.nemo.recheck_times:
        for event in _rest(run, run.clock() + run.nemo.recheck_every_s, looks=run.at.looks + 1):
            yield event
        return
    if not await _unpaid(run):
        raise uncertain("The cloud was asked to edit, and it cannot be told whether it did: its answer was lost.")
    if run.at.told is not None:
        trouble, words = run.at.told, run.at.heard
        yield _withdrawn(run)
        raise run.client.told(trouble, words)
    run.log.info("cloud.unsent", why="The balance has not moved and nothing was edited.")
    if run.at.heard or run.at.resent >= RESENT_MOST:
        yield replace(run.reach(Stage.REFUSED), cost=0)
        raise refusal(run)
    run.trip = replace(run.at, resent=run.at.resent + 1)
    yield _withdrawn(run)


def ask_away(run: Run, names: tuple[str, ...]) -> Checkpoint:
    """Tracks have appeared that nobody asked for: the next message asks them away, once.

    Raises:
        EngineError: that was asked already.
    """
    if run.at.taken >= TAKEN_MOST:
        raise run.refused(f"The cloud's agent added what nobody asked for, and did not take it away: {', '.join(names)}.")
    run.log.warning("cloud.unasked", added=list(names))
    return _then(run, Purpose.TAKE_AWAY)


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


async def cost_of(run: Run) -> float:
    """What the last message has cost: what the balance lost to it, reserved or taken; what was expected where nobody knows."""
    asked, balance = run.at.asked, await _balance(run)
    if asked is None or asked.total is None or asked.frozen is None or balance is None:
        return run.till.price
    run.left = balance.available
    alone = asked.alone and run.till.alone(run.task.job) and run.till.quiet_since(run.task.job, asked.at)
    cost = (asked.total - asked.frozen) - balance.available
    if not alone or cost < 0 or balance.total > asked.total:
        return run.till.price  # others, or somebody who bought credits, moved it as well
    if cost > 0:
        run.till.price = cost
    return cost


async def _unpaid(run: Run) -> bool:
    """Whether the balance proves that the last message was never taken: it has not moved, and nobody else moved it."""
    asked, balance = run.at.asked, await _balance(run)
    if asked is None or balance is None or asked.total is None or asked.frozen is None:
        return False
    unmoved = balance.total == asked.total and balance.frozen <= asked.frozen
    return unmoved and asked.alone and run.till.quiet_since(run.task.job, asked.at)
