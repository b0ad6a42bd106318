"""What happened, in the words of one short message, however much it was. Pure.

Rules kept here:
- a message has counts for all and names for the first few: no service cuts it off, and nobody has to scroll;
- names and reasons come from anywhere: they break no line, mention nobody, link nowhere and mean nothing in HTML or Markdown;
- it says what happened, to which file, and what to do next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nemod.config.units import format_size
from nemod.job import Job, JobState
from nemod.ledger.beside import HoldRow
from nemod.logs import redact
from nemod.text import safe

#: So many of each kind are named, or fewer when their names and reasons are long: some services take 2,000 characters.
SHOWN, BODY_MOST = 4, 1_700
NAME_MOST, REASON_MOST, HINT_MOST = 60, 140, 120
#: In the order in which a person wants to know.
EVENTS = ("failed", "parked", "done")
_HEADS: Mapping[str, tuple[str, str]] = {
    "failed": ("failed", "failed"),
    "parked": ("waits for you", "wait for you"),
    "done": ("is done", "are done"),
}
#: What makes a mention, a link, a tag or an emphasis somewhere; a mark without width behind it takes that away.
_ACTIVE = "@<>&[]`*_~|#"
_APART = "\N{WORD JOINER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A job and what it came to."""

    event: str
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent; `grade` is Apprise's: failure, warning or success."""

    title: str
    body: str
    grade: str


def message(counts: Mapping[str, int], first: Sequence[Happened], holds: Sequence[HoldRow]) -> Message:
    """All that happened since the last message.

    Args:
        counts: how many jobs came to which event.
        first: some of them, the first of each event among them.
        holds: who takes nothing new.
    """
    grade = "failure" if counts.get("failed") else "warning" if holds or counts.get("parked") else "success"
    if sum(counts.values()) + len(holds) == 1:
        return _alone(first, holds, grade)
    parts = [f"{counts[event]} {_HEADS[event][counts[event] != 1]}" for event in EVENTS if counts.get(event)]
    parts += [f"{len(holds)} held"] if holds else []
    bodies = ("\n".join(_lines(counts, first, holds, shown)) for shown in range(SHOWN, -1, -1))
    body = next((body for body in bodies if len(body) <= BODY_MOST), "More: nemod status")
    return Message(title=f"nemod: {', '.join(parts)}", body=body, grade=grade)


def trial() -> Message:
    """What `nemod notify test` sends."""
    return Message(title="nemod: a test", body="This address hears of nemod. Nothing happened.", grade="success")


def _alone(first: Sequence[Happened], holds: Sequence[HoldRow], grade: str) -> Message:
    for one in first:
        said = [f"{_whole(one.job.folder.name)}: {_name(one.job)}", *_why(one)]
        said += [f"More: nemod jobs show {one.job.id}"]
        return Message(title=f"nemod: {_name(one.job)} {_HEADS[one.event][0]}", body="\n".join(said), grade=grade)
    for hold in holds:
        return Message(title=f"nemod: {_who(hold)} is held", body="\n".join([*_held(hold), "More: nemod status"]), grade=grade)
    return Message(title="nemod: a job has ended", body="More: nemod jobs list", grade=grade)


def _lines(counts: Mapping[str, int], first: Sequence[Happened], holds: Sequence[HoldRow], shown: int) -> Iterator[str]:
    for event in EVENTS:
        named = [one for one in first if one.event == event][:shown]
        if not counts.get(event):
            continue
        yield f"{counts[event]} {_HEADS[event][counts[event] != 1]}:"
        for one in named:
            yield f"- {_name(one.job)} ({_whole(one.job.folder.name)}, job {one.job.id})" + "".join(
                f": {why}" for why in _why(one)[:1]
            )
        if (more := counts[event] - len(named)) > 0:
            yield f"- and {more} more"
        yield f"More: nemod jobs list --state {event}"
    for hold in holds[:shown]:
        yield " ".join([f"{_who(hold)} is held:", *_held(hold)])
    if len(holds) > shown:
        yield f"and {len(holds) - shown} more are held. More: nemod status"


def _why(one: Happened) -> list[str]:
    """What is to be said of it, and what to do; little when it has gone on meanwhile."""
    job = one.job
    if job.state.value != one.event:
        return [f"It is {job.state} by now."]
    if job.state is JobState.DONE:
        return [f"{format_size(job.fingerprint.size_bytes)} became {format_size(job.delivered_bytes or 0)}."]
    if (failure := job.failure) is None:
        return []
    return [_tame(failure.detail, REASON_MOST), *([_tame(failure.hint, HINT_MOST)] if failure.hint else [])]


def _who(hold: HoldRow) -> str:
    return _whole(hold.scope.replace(":", " "))


def _held(hold: HoldRow) -> list[str]:
    hint = [_tame(hold.failure.hint, HINT_MOST)] if hold.failure.hint else []
    return [_tame(hold.failure.detail, REASON_MOST), *hint]


def _name(job: Job) -> str:
    name = safe(job.relpath.rpartition("/")[2])
    half = NAME_MOST // 2
    return _apart(redact(name if len(name) <= NAME_MOST else f"{name[:half]}…{name[1 - half :]}"))


def _whole(text: str) -> str:
    return _apart(safe(text))


def _tame(text: str, most: int) -> str:
    said = safe(redact(text))
    return _apart(said if len(said) <= most else f"{said[: most - 1]}…")


def _apart(text: str) -> str:
    text = "".join(f"{char}{_APART}" if char in _ACTIVE else char for char in text)
    return text.replace("//", f"/{_APART}/")
