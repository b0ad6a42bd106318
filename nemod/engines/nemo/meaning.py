"""What an answer comes to: the session's state decides, and where it has not changed, the agent's words. Pure."""

from enum import StrEnum

from nemod.engines.nemo import translate
from nemod.engines.nemo.frames import Complaint
from nemod.engines.nemo.listener import Listener
from nemod.engines.nemo.questions import claims_done
from nemod.engines.nemo.translate import Action
from nemod.engines.nemo.wire import Trouble

#: What a frame of the stream may say as well as a reply, and what then is no edit.
TOLD_INSIDE = frozenset({Trouble.TOKEN, Trouble.CREDITS, Trouble.PLAN, Trouble.THROTTLED})


class Meaning(StrEnum):
    """What a message has come to."""

    EDITED = "edited"  # the state has changed
    QUESTION = "question"  # it asks back
    READY = "ready"  # nothing to edit: "click Export"
    SCREEN = "screen"  # it wants something clicked
    REFUSAL = "refusal"  # words that neither edit nor ask
    TOLD = "told"  # the stream said that the account may not
    UNCLEAR = "unclear"  # lost, silent, or it says that it did what cannot be seen yet


def meaning(listener: Listener, *, lost: bool, changed: bool, exportable: bool) -> Meaning:
    """What a message has come to.

    Args:
        listener: what was heard.
        lost: the stream did not come to its close.
        changed: the session's state is not what it was before.
        exportable: it has a timeline that can be rendered.
    """
    gist = translate.gist(listener.words)
    question = bool(listener.question) or gist.asks
    if changed and (exportable or listener.changes_things or not question):
        return Meaning.EDITED  # "… Is that okay?" after the work is no question that anybody must answer
    if lost:
        return Meaning.UNCLEAR
    if told(listener) is not None:
        return Meaning.TOLD
    if question:
        return Meaning.QUESTION
    if Action.EXPORT in gist.actions and exportable:
        return Meaning.READY
    done = claims_done(listener.words)  # the state may lag behind the words, and another message costs
    if gist.actions and not done:
        return Meaning.SCREEN
    if listener.words and not listener.changes_things and not done:
        return Meaning.REFUSAL
    return Meaning.UNCLEAR


def told(listener: Listener) -> Complaint | None:
    """The first complaint that speaks of the account."""
    return next((c for c in listener.complaints if c.trouble in TOLD_INSIDE), None)
