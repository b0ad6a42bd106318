"""`nemod ask JOB "…"`: go on with a job in the cloud session that it was made in.

Rules kept here:
- a wish becomes a job of its own, so that it is paid, watched and delivered like any other: while a daemon runs, by its
  mailbox, else by the same function;
- looking at the session, asking for the credits and uploading cost nothing and are done at once, by this command;
- nothing here asks for an anonymous account: a session belongs to the account that it was opened with.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, assert_never

import typer

from nemod.cli.account import HOW, account_at, balance_line, cloud, has_account
from nemod.cli.common import (
    ANSWER_S,
    ASK_EVERY_S,
    ConfigOption,
    JsonOption,
    Places,
    alone,
    existing_ledger,
    places,
    print_json,
    say,
)
from nemod.cli.exits import ExitCode, Stop
from nemod.cli.progress import Lines
from nemod.cli.things import things, uploads
from nemod.config.model import Folder, Nemo
from nemod.config.units import format_size
from nemod.daemon.asking import no_session, session_token, under_way
from nemod.daemon.mailbox import Answer, Verb, apply
from nemod.engines.base import EngineName, Progress
from nemod.engines.nemo.client import Client, Skill, skill_of
from nemod.engines.nemo.draft import summary
from nemod.engines.nemo.translate import Action, route
from nemod.engines.nemo.trip import session_of_token
from nemod.engines.nemo.upload import TYPES
from nemod.engines.nemo.wire import Balance, State
from nemod.job import Job, JobId, JobState
from nemod.ledger.ledger import Ledger
from nemod.text import safe

#: Among so many of the newest jobs the daemon's answer is looked for.
NEWEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a person asks about, and what with."""

    ledger: Ledger
    where: Places
    nemo: Nemo
    folders: Mapping[str, Folder]
    job: Job
    as_json: bool

    @property
    def skill(self) -> Skill:
        """Under whose name the session was opened."""
        return skill_of(self.job.folder.preset)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="\b\nExamples:\n"
        '  nemod ask 7 "make it two seconds shorter"   an edit, then a new video beside the first\n'
        "  nemod ask 7 export                          the video once more, as the session has it\n"
        "  nemod ask 7 status                          what is on the timeline\n"
        '  nemod ask 7 "upload logo.png"               puts a file into the session\n'
        "  nemod ask 7 credits                         what is left"
    )(ask)


def ask(
    job: Annotated[int, typer.Argument(metavar="JOB", help="A number from: nemod jobs list", show_default=False)],
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What should be done.", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Go on with a job in its cloud session, in your own words.

    An edit costs credits, as the first one did; everything else is free.
    """
    where = places(config)
    settings = where.load_or_default()
    folders = {folder.name: folder for folder in settings.folders}
    with existing_ledger(where.state) as ledger:
        found = None if ledger is None else ledger.job(JobId(job))
        if ledger is None or found is None:
            raise Stop(ExitCode.USAGE, f"There is no job {job}.", hint="See: nemod jobs list --all")
        text = " ".join(words).strip()
        if not text:
            raise Stop(ExitCode.FAILED, "Nothing was asked.", hint=f'Say it in words: nemod ask {job} "make it shorter"')
        if why := no_session(ledger, found, folders):
            raise Stop(ExitCode.FAILED, why)
        _answer(
            _Asked(ledger=ledger, where=where, nemo=settings.nemo, folders=folders, job=found, as_json=as_json), words, text
        )


def _answer(asked: _Asked, words: Sequence[str], text: str) -> None:
    action = route(text)
    match Action.UPLOAD if action is Action.EDIT and uploads(words) else action:
        case Action.EXPORT:
            _wish(asked, None)
        case Action.EDIT:
            _wish(asked, text)
        case Action.STATUS:
            timeline = summary(asyncio.run(_state(asked)).draft)
            _print(asked, {"timeline": timeline}, timeline)
        case Action.CREDITS:
            balance = asyncio.run(_balance(asked))
            _print(asked, asdict(balance), balance_line(balance))
        case Action.UPLOAD:
            _upload(asked, words)
        case _ as never:
            assert_never(never)


def _print(asked: _Asked, fields: Mapping[str, object], text: str) -> None:
    if asked.as_json:
        print_json({"job": asked.job.id, **fields})
    else:
        say(safe(text))


# -- a wish: a job of its own -------------------------------------------------------------------------------------------------


def _wish(asked: _Asked, instruction: str | None) -> None:
    """Render what stands in the session, or edit it first."""
    ledger, number = asked.ledger, asked.job.id
    with alone(asked.where.state, ledger) as ours:
        if ours:
            answer = apply(ledger, Verb.ASK, number, asked.folders, now=time.time(), text=instruction)
        elif why := under_way(asked.job):
            answer = Answer(done=False, says=why)
        else:
            answer = _ask_daemon(ledger, asked.job, instruction)
    if not answer.done:
        raise Stop(ExitCode.FAILED, answer.says)
    if asked.as_json:
        print_json({"job": answer.made, "parent": number, "outbox": str(asked.job.folder.outbox)})
    else:
        say(safe(answer.says) + (" It starts with the next: nemod run" if ours else ""))


def _ask_daemon(ledger: Ledger, job: Job, instruction: str | None) -> Answer:
    last = max((known.id for known in ledger.jobs(newest=1)), default=0)
    ledger.request(Verb.ASK, job.id, now=time.time(), text=instruction)
    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        for made in ledger.jobs(newest=NEWEST):
            if made.id > last and made.parent == job.id and made.instruction == instruction:
                says = f"Job {made.id} goes on in the session of job {job.id}; its result will appear in {job.folder.outbox}."
                return Answer(done=True, says=says, made=made.id)
        time.sleep(ASK_EVERY_S)
    return Answer(done=True, says=f"The daemon takes care of it; its result will appear in {job.folder.outbox}.")


# -- what is free, and done at once -------------------------------------------------------------------------------------------


@asynccontextmanager
async def _session(asked: _Asked) -> AsyncIterator[tuple[Client, str]]:
    """The cloud, and the id of the session there.

    Raises:
        Stop: there is no account, or nobody knows the session.
    """
    token = session_token(asked.ledger, asked.job)
    session = None if token is None else session_of_token(token)
    if session is None:
        raise Stop(ExitCode.FAILED, f"The session of job {asked.job.id} was written down by another version of nemod.")
    account = account_at(asked.where, asked.nemo)
    if not has_account(account):
        raise Stop(ExitCode.FAILED, "There is no account in the cloud, so its sessions cannot be looked at.", hint=HOW)
    async with cloud(asked.nemo, account) as client:
        yield client, session.id


async def _state(asked: _Asked) -> State:
    async with _session(asked) as (client, session):
        return await client.state(asked.skill, session)


async def _balance(asked: _Asked) -> Balance:
    async with _session(asked) as (client, _):
        return await client.balance(asked.skill)


def _upload(asked: _Asked, words: Sequence[str]) -> None:
    """Put files into the session; without a name, the job's own source once more."""
    if why := under_way(asked.job) or _session_taken(asked.ledger, asked.job):
        raise Stop(ExitCode.FAILED, why)
    named = things(words)
    sources = [thing if "://" in thing else Path(thing).expanduser() for thing in named] if named else [asked.job.source]
    for source in sources:
        _check(asked, source, own=not named)
    asyncio.run(_send(asked, sources))
    told = [source if isinstance(source, str) else source.name for source in sources]
    verb = "lies" if len(told) == 1 else "lie"
    _print(asked, {"uploaded": told}, f"{', '.join(told)} {verb} in the session of job {asked.job.id} now.")


async def _send(asked: _Asked, sources: Sequence[str | Path]) -> None:
    lines = Lines()
    async with _session(asked) as (client, session):
        with lines.shown():
            for source in sources:
                if isinstance(source, str):
                    await client.upload_url(asked.skill, session, source)
                    continue
                size = max(1, source.stat().st_size)
                async for event in client.upload(asked.skill, session, source, name=source.name):
                    if isinstance(event, int):
                        lines.show(source, source.name, Progress(stage="uploading", fraction=min(1.0, event / size)))


def _session_taken(ledger: Ledger, job: Job) -> str:
    """Why the session may not be touched now, or "": one thing after the other is asked of it."""
    for other in ledger.jobs(states=[JobState.RUNNING, JobState.QUEUED]):
        attempt = other.attempt
        there = other.state is JobState.RUNNING or (attempt is not None and attempt.engine is EngineName.NEMO)
        if there and (other.parent == job.id or (other.session_key is not None and other.session_key == job.session_key)):
            return f"Job {other.id} is at work in the same session; upload when it has ended."
    return ""


def _check(asked: _Asked, source: str | Path, *, own: bool) -> None:
    if isinstance(source, str):
        if not source.lower().startswith(("http://", "https://")):
            raise Stop(ExitCode.FAILED, f"Only an http or https address can be uploaded, not {source}")
        return
    name = str(source)
    if not source.is_file():
        what = f"The source of job {asked.job.id} is no longer at {name}." if own else f'There is no file "{name}".'
        raise Stop(ExitCode.FAILED, what, hint=f'Name a file or an address: nemod ask {asked.job.id} "upload logo.png"')
    if source.suffix.lower() not in TYPES:
        kinds = " ".join(sorted(TYPES))
        raise Stop(ExitCode.FAILED, f"The cloud does not take this kind of file: {name}", hint=f"It takes: {kinds}")
    if source.stat().st_size > asked.nemo.upload_limit_bytes:
        most = format_size(asked.nemo.upload_limit_bytes)
        raise Stop(ExitCode.FAILED, f"{name} is larger than the {most} that the cloud takes at once.")
