"""What the sandbox can be told to do wrong: every contradiction of the public documents and every accident of a network.

A misbehaviour is written NAME[:ARGUMENT][:ENDPOINT][@N]. `@N` means only the first N times, and an endpoint, where one can be
named, means only there. Nothing here acts; who serves a request asks `Faults.take` at the place where it would go wrong.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Endpoint(StrEnum):
    """The names of the calls, as misbehaviours and the journal use them."""

    TOKEN = "token"  # noqa: S105 - the name of a call
    SESSION = "session"
    ASK = "ask"
    UPLOAD = "upload"
    STATE = "state"
    CREDITS = "credits"
    RENDER = "render"
    POLL = "poll"
    DOWNLOAD = "download"
    FETCH = "fetch"
    CANCEL = "cancel"
    CLAIM = "claim"
    TOKENS = "tokens"


class FaultError(ValueError):
    """A misbehaviour that there is not; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What can be switched on: what happens, its argument as help shows it, and whether an endpoint can be named."""

    name: str
    says: str
    arg: str = ""
    choices: tuple[str, ...] = ()
    optional: bool = True
    scoped: bool = False


#: Each line: how it is written, and what then happens.
_TEXT = """\
silent-edit | The agent edits and says nothing.
silent-nothing | The agent takes the credits, changes nothing and says nothing.
no-content | The agent edits; instead of words comes an event with MODEL_RETURNED_NO_CONTENT.
temporary-issue | After the reply comes "I encountered a temporary issue", which means nothing.
refuse-words | The agent answers in words, neither edits nor asks.
question[:KIND] | The agent first asks back, once a session. KIND: text, tool.
question-always | The agent asks back each time and never edits.
gui-wording[:LANGUAGE] | The agent edits and speaks of buttons. LANGUAGE: en, zh.
gui-only[:LANGUAGE] | The agent only says what to click, once a session; nothing is edited. LANGUAGE: en, zh.
unasked-music | The first edit adds music that nobody asked for.
unasked-title | The first edit adds a title that nobody asked for.
keeps-music | The same as unasked-music, and the music stays when it is asked away.
own-sound | The draft lists the video's own sound as a sound track.
overshoot[:FACTOR] | The first goal of a session is missed by FACTOR (1.3); a follow-up is met.
overshoot-always[:FACTOR] | Every goal is missed by FACTOR (1.3).
slow-edit[:SECONDS] | An edit takes SECONDS (5) longer.
drop[:SECONDS] | The stream is cut midway; the edit goes on and is done SECONDS later.
drop-cancel | The stream is cut midway and the edit is cancelled; the credits are gone.
drop-unsent | The connection is closed before the message is taken; nothing is charged.
cancel-on-hangup | An edit is cancelled when the client hangs up; the credits are gone.
heartbeats[:KIND] | Many heartbeats before every frame. KIND: comment, empty, word, event, braces, typed; else all.
heartbeat-only[:edit] | Heartbeats and nothing else, for ever; with "edit" the edit is made unseen.
stall[:ENDPOINT] | Nothing comes, for ever; at ask (the default) after the credits are taken.
error-frame[:edit] | The stream ends with an error frame; with "edit" the edit was made before.
error-frame-broken[:edit] | The same as invalid JSON, as old servers paste it together.
llm-error[:edit] | The stream ends with an event that carries errorCode and errorMessage.
dialect:KIND | The stream speaks another dialect. KIND: adk, adk-stream, typed, bare.
cost-per-session | Only the first message of a session costs credits.
no-credits | Every message is refused for lack of credits (2001).
token-expires[:CALLS] | A token is void (1001) after so many calls (0).
session-lost[:ENDPOINT] | The cloud has forgotten the session (1002) when a call names it.
bare-ids | Tokens, sessions and states come without user_id and expires_at.
session-number | The session id is a JSON number.
render-errors-200 | The render endpoints tell their errors under HTTP 200.
http-statuses | Errors with a body code carry a matching HTTP status, too.
flat-body[:ENDPOINT] | The reply has no envelope around its data.
upload-lost-reply | The upload arrives, its reply does not.
upload-not-applied[:SECONDS] | The upload says session_state_applied false and shows in the state SECONDS (0.5) later.
draft-on-upload | An upload puts the video on the timeline at once.
draft-absent-before | Before the first edit the state has no draft key.
draft-null-before | Before the first edit the draft is null.
draft-string | The state shows the draft as a string of JSON.
state-lag[:SECONDS] | The state shows changes SECONDS (1) later.
render-402[:anonymous] | Export is refused with 402; or only for anonymous accounts.
render-failed | The render fails.
render-slow[:SECONDS] | The render takes SECONDS (5) longer.
render-id-changed | The render gets another id than the one that the client chose.
render-lost-reply | The render is taken, the reply is lost.
render-queued | The render stays pending until it is cancelled.
render-stuck | The render never ends.
poll-shape:KIND | How a poll is answered. KIND: wrapped, flat, old, output-url, code, nested-old, underscore, url.
completed-no-url | A completed render has no URL; only the fallback endpoint serves it.
fetch-json | The fallback endpoint answers with JSON that names the URL.
wrong-picture | The render is turned by 90 degrees.
undershoot-length | The render ends early.
hevc | The render is HEVC.
moov-at-end | The render's index stands at its end.
url-404 | The URL of the render leads nowhere.
url-private | The URL leads to an address within the cloud's own network.
url-file | The URL names a file of the client's machine.
url-redirect | The URL redirects once, harmlessly.
url-redirect-private | The URL redirects to an address within the cloud's own network.
url-redirect-loop | The URL redirects to itself.
cut-download | The download breaks off halfway.
short-length | The download's Content-Length is half of what belongs to it.
html-download | The download is a page of HTML with status 200.
code:NUMBER[:ENDPOINT] | The reply is HTTP 200 with this body code.
http:STATUS[:ENDPOINT] | The reply has this HTTP status.
detail:STATUS[:ENDPOINT] | The reply has this HTTP status and only {"detail": ...}.
throttle[:SECONDS][:ENDPOINT] | The reply is 429; with SECONDS it has a Retry-After.
html-error[:ENDPOINT] | The reply is 502 with a page of HTML; nothing is done.
reset[:ENDPOINT] | The connection is reset; nothing is done.
close[:ENDPOINT] | The connection is closed without a reply; nothing is done.
garbage[:ENDPOINT] | All is done, and the reply is random bytes that call themselves JSON.
empty-body[:ENDPOINT] | All is done, and the reply is empty.
lost-reply[:ENDPOINT] | All is done, and the connection is closed without a reply.
late-reply[:SECONDS][:ENDPOINT] | All is done, and the reply comes SECONDS (5) later.
slow:BYTES_PER_S[:ENDPOINT] | The reply's body comes at this pace.
"""


def _read(line: str) -> Misbehaviour:
    head, _, says = line.partition(" | ")
    name = re.match(r"[\w-]+", head)
    assert name is not None  # noqa: S101 - the table above
    rest = head[name.end() :]
    arg = rest.replace("[:ENDPOINT]", "").strip("[]:")
    named = re.search(r"(?:KIND|LANGUAGE): ([\w-]+(?:, [\w-]+)*)", says)
    choices = tuple(named[1].split(", ")) if named else (arg,) if arg.islower() else ()
    optional = not rest.startswith(":")
    return Misbehaviour(name=name[0], says=says, arg=arg, choices=choices, optional=optional, scoped="ENDPOINT" in rest)


CATALOGUE: Mapping[str, Misbehaviour] = MappingProxyType({m.name: m for m in map(_read, _TEXT.splitlines())})
#: Each of them as it is written, with what it does.
LISTED: tuple[tuple[str, str], ...] = tuple((h, s) for h, _, s in (line.partition(" | ") for line in _TEXT.splitlines()))
_NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("NUMBER", "BYTES_PER_S", "CALLS"), r"\d+"),
        **dict.fromkeys(("SECONDS", "FACTOR"), r"\d+(\.\d+)?"),
        "STATUS": r"[1-5]\d\d",
    }
)


@dataclass(slots=True, kw_only=True)
class Switch:
    """A misbehaviour that is on; `left` is how often it still acts, None for ever."""

    name: str
    arg: str
    endpoint: str
    left: int | None


def parse(word: str) -> Switch:
    """Read one as a person writes it.

    Raises:
        FaultError: there is none of that name, or its end cannot be read.
    """
    body, at, times = word.partition("@")
    name, *rest = body.split(":")
    known = CATALOGUE.get(name)
    if known is None:
        near = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else " See all of them with: nemod sandbox --list"
        raise FaultError(f'There is no misbehaviour "{name}".{hint}')
    if at and not (times.isdecimal() and int(times) > 0):
        raise FaultError(f'"{word}": after @ stands how often, as in "{name}@2".')
    endpoint = ""
    if known.scoped and rest and rest[-1] in set(Endpoint):
        endpoint = rest.pop()
    if len(rest) > 1 or (rest and not known.arg):
        raise FaultError(f'"{word}" says more than "{name}" can be told.')
    if name == "stall" and not endpoint:
        endpoint = Endpoint.ASK
    arg = rest[0] if rest else ""
    absent = not arg and known.optional
    if known.choices and arg not in known.choices and not absent:
        raise FaultError(f'"{word}": what can follow "{name}:" is {", ".join(known.choices)}.')
    if known.arg in _NUMBERS and not re.fullmatch(_NUMBERS[known.arg], arg) and not absent:
        raise FaultError(f'"{word}": {known.arg} must be a number.')
    return Switch(name=name, arg=arg, endpoint=endpoint, left=int(times) if at else None)


@dataclass(slots=True)
class Faults:
    """The misbehaviours that are on."""

    switches: list[Switch] = field(default_factory=list)

    def switch_on(self, words: Iterable[str]) -> None:
        """Add some; all of them, or none when one cannot be read.

        Raises:
            FaultError: one cannot be read.
        """
        self.switches += [parse(word) for word in words]

    def clear(self) -> None:
        """Behave again."""
        self.switches.clear()

    def take(self, name: str, endpoint: Endpoint | None = None) -> str | None:
        """The argument of a misbehaviour that is on ("" for none), counted as having acted; None when it is not on."""
        switch = self._find(name, endpoint)
        if switch is None:
            return None
        if switch.left is not None:
            switch.left -= 1
        return switch.arg

    def peek(self, name: str) -> str | None:
        """The same, not counted."""
        switch = self._find(name, None)
        return None if switch is None else switch.arg

    def _find(self, name: str, endpoint: Endpoint | None) -> Switch | None:
        assert name in CATALOGUE, name  # noqa: S101 - a slip of the pen would never act
        here = (s for s in self.switches if s.name == name and s.left != 0 and s.endpoint in {"", endpoint})
        return next(here, None)

    def names(self) -> list[str]:
        """Those that still act, as they are written."""
        return [
            f"{s.name}{f':{s.arg}' if s.arg else ''}{f':{s.endpoint}' if s.endpoint else ''}{f'@{s.left}' if s.left else ''}"
            for s in self.switches
            if s.left != 0
        ]
