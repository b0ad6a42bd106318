"""A job's way through the cloud, as far as it has come: what stands in the engine's token. Pure.

Rules kept here:
- a stage is written down before its effect: `ASKING` before a paid message leaves, `RENDERING` before a render is submitted;
- no secret is in it, and no signed address: both are asked for again.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from nemod.engines.base import EngineError, Token
from nemod.engines.nemo.wire import Session, Trouble
from nemod.failure import Failure, Kind

VERSION = "1"


class Stage(StrEnum):
    """What has been done, or is about to be."""

    OPENED = "opened"  # there is a session; no upload is recorded
    LOADED = "loaded"  # the video is in the session
    ASKING = "asking"  # a paid message is about to leave, or has left
    CHECKING = "checking"  # its stream broke or said nothing: the session's state is looked at again and again
    EDITED = "edited"  # the timeline is as it was asked for, as far as the cloud says
    RENDERING = "rendering"  # the id is chosen; whether it was submitted is unknown
    POLLING = "polling"  # it was submitted
    MADE = "made"  # the result was fetched; a follow-up may be asked for
    REFUSED = "refused"  # the agent did not do it; nothing more is asked by ourselves


class Purpose(StrEnum):
    """Why a message is sent."""

    FIRST = "first"
    ANSWER = "answer"  # to a question back
    NO_SCREEN = "no_screen"  # to "click this, open that"
    TAKE_AWAY = "take_away"  # what nobody asked for
    FOLLOW_UP = "follow_up"  # the judge refused the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The last message, and how things stood before it: what tells later whether it arrived."""

    purpose: Purpose
    at: float  # epoch seconds
    state: str  # fingerprint of the session's state
    total: float | None = None  # credits, available and frozen; None: unknown
    frozen: float | None = None
    alone: bool = True  # no other job had a message under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """How far a job has come."""

    stage: Stage
    session: Session
    own: tuple[str, ...] = ()  # names and addresses of what we uploaded
    infos: int = 0  # media in the session before our upload
    base: dict[str, object] | None = None  # the tracks without a picture that were there before the first message
    asked: Asked | None = None
    next: Purpose = Purpose.FIRST  # the message that follows when the stage is LOADED
    turns: int = 0  # paid messages that left
    replies: int = 0  # answers given to questions
    taken: int = 0  # times that unasked tracks were asked away
    resent: int = 0  # messages sent again because the first never arrived
    looks: int = 0  # at the state, since the stream was lost
    doubt: bool = False  # the last message was withdrawn by the proof of a balance; the state may still prove otherwise
    told: Trouble | None = None  # what the stream said of the account
    unsettled: bool = False  # the balance had not moved when the edit was there; it is asked again at the end
    heard: str = ""  # the agent's last words, fit for people
    render: str = ""  # id
    renders: int = 0  # submitted, each under an id of its own
    polls: int = 0  # in a row without a usable answer
    submitted: float = 0.0  # epoch seconds
    follow: int = 0  # refusals of the judge that were answered
    summary: str = field(default="")  # what the edit changed


_TRIP = TypeAdapter(Trip)


def token_of(trip: Trip) -> Token:
    """The token for the ledger: a version and JSON."""
    return Token(f"{VERSION}:{_TRIP.dump_json(trip).decode()}")


def trip_of(token: Token) -> Trip:
    """The inverse of `token_of`.

    Raises:
        EngineError: the token is of another version of nemod.
    """
    version, _, text = token.partition(":")
    try:
        if version == VERSION:
            return _TRIP.validate_json(text)
    except ValidationError:
        pass
    detail = "Its state in the cloud was written down by another version of nemod."
    raise EngineError(
        Failure(
            kind=Kind.UNCERTAIN, detail=detail, hint="Use that version to finish it, or pay again: nemod jobs retry --pay-again"
        )
    )


def session_of_token(token: Token) -> Session | None:
    """The cloud session that a token belongs to; None when it tells of none."""
    try:
        return trip_of(token).session
    except EngineError:
        return None
