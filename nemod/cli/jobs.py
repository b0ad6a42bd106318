"""`nemod jobs …`: see what became of files, and say what should become of them.

While a daemon runs, it alone changes jobs: a word is left in its mailbox and its answer is awaited for a moment. Without
one the command changes the ledger itself, by the same function.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

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
    print_sheet,
    say,
    scene,
    tell,
)
from nemod.cli.detail import detail
from nemod.cli.exits import ExitCode, Stop
from nemod.config.model import Config, Folder
from nemod.config.units import format_exact
from nemod.daemon.mailbox import Seen, Verb, apply, look
from nemod.daemon.outputs import OutputView
from nemod.job import ENDED, Job, JobId, JobState
from nemod.ledger.ledger import Ledger
from nemod.media.quality import Quality
from nemod.text import safe
from nemod.views import OPEN, JobView, fields, job_view, jobs_sheet, part_text, quality_text

#: How many jobs that are over a plain list shows.
RECENT = 20
#: In which states a word means something; in others its answer is no, and nobody need be asked.
MEANT_FOR: Mapping[Verb, frozenset[JobState]] = {
    Verb.CANCEL: frozenset(OPEN),
    Verb.RETRY: frozenset({JobState.FAILED, JobState.CANCELLED}),
    Verb.PAY_AGAIN: frozenset({JobState.FAILED, JobState.CANCELLED, JobState.PARKED}),
    Verb.RELEASE: frozenset({JobState.PARKED, JobState.QUEUED}),
    Verb.FIRST: frozenset({JobState.QUEUED}),
}

IdsArgument = Annotated[list[int], typer.Argument(metavar="ID", help="Numbers from: nemod jobs list", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="List, show, retry, cancel, release jobs.")
    group.command(
        "list",
        epilog="\b\nExamples:\n  nemod jobs list\n  nemod jobs list --state failed\n  nemod jobs list --all --json | jq length",
    )(show_all)
    group.command("show", epilog="\b\nExamples:\n  nemod jobs show 7\n  nemod jobs show 7 --json | jq .history")(show_one)
    group.command(
        "retry",
        epilog="\b\nExamples:\n"
        "  nemod jobs retry 7 9\n"
        "  nemod jobs retry --pay-again 7       in a new cloud session, which may cost credits once more",
    )(retry)
    group.command("cancel", epilog="\b\nExample:\n  nemod jobs cancel 7")(cancel)
    group.command("release", epilog="\b\nExample:\n  nemod jobs release 7")(release)
    group.command("first", epilog="\b\nExample:\n  nemod jobs first 7")(first)
    app.add_typer(group, name="jobs", epilog="\b\nExample:\n  nemod jobs list --state failed")


def show_all(
    every: Annotated[bool, typer.Option("--all", help="All that there ever were.")] = False,
    state: Annotated[JobState | None, typer.Option("--state", help="Only those in this state.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs: all open ones, and the last 20 others."""
    where = places(None)
    views: list[JobView] = []
    with existing_ledger(where.state) as ledger:
        if ledger is not None:
            if state is not None:
                found = ledger.jobs(states=[state])
            elif every:
                found = ledger.jobs()
            else:
                found = (*ledger.jobs(states=OPEN), *ledger.jobs(states=ENDED, newest=RECENT))
            now = scene(where.state, ledger)
            views = [job_view(job, now) for job in sorted(found, key=lambda job: job.id)]
    if as_json:
        print_json([fields(view) for view in views])
    elif views:
        print_sheet(jobs_sheet(views))
    else:
        tell("There are no such jobs." if state is not None else "There are no jobs yet.")


def show_one(
    job: Annotated[int, typer.Argument(metavar="ID", help="A number from: nemod jobs list", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Show a job: its facts, what was tried, its history."""
    where = places(None)
    with existing_ledger(where.state) as ledger:
        shown = None if ledger is None else detail(ledger, JobId(job), scene(where.state, ledger))
    if shown is None:
        raise _unknown([job])
    if as_json:
        print_json(shown)
    else:
        _print_detail(shown)


def _print_detail(shown: Mapping[str, Any]) -> None:
    for key, value in shown.items():
        match key, value:
            case _, None | [] | "":
                pass
            case "failure", {"kind": kind, "detail": what, "hint": hint}:
                say(f"{key:>12}  {safe(what)} ({kind})")
                if hint:
                    say(f"{'':>12}  {safe(hint)}")
            case "media", dict():
                say(f"{key:>12}  {_media_text(value)}")
            case "outputs", list() | tuple():
                for number, output in enumerate(value if len(value) > 1 else (), 1):
                    say(f"{f'part {number}':>12}  {safe(output['path'])}  ({part_text(OutputView(**output))})")
            case "quality", dict():
                say(f"{key:>12}  {quality_text(Quality(**value))}")
            case "tries", list():
                for number, attempt in enumerate(value, 1):
                    say(f"{f'try {number}':>12}  {_try_text(attempt)}")
            case "history", list():
                for number, event in enumerate(value):
                    label = "" if number else key
                    say(f"{label:>12}  {_moment(event['at'])}  {event['was'] or 'new'} -> {event['now']}")
            case "original_file", str():
                say(f"{'lies at':>12}  {safe(value)}")
            case "original_until", float():
                say(f"{'until':>12}  {_moment(value)}, or sooner for want of room")
            case (("created" | "started" | "finished" | "due"), float()):
                say(f"{key:>12}  {_moment(value)}")
            case str(), int() if key.endswith("_bytes"):
                say(f"{key.removesuffix('_bytes'):>12}  {format_exact(value)}")
            case _:
                say(f"{key:>12}  {safe(str(value))}")


def _media_text(media: Mapping[str, Any]) -> str:
    video, sound = media["video"], [audio["codec"] for audio in media["audio"]]
    picture = f"{video['codec']} {video['width']}x{video['height']} {video['fps']:.4g} fps" if video else "no picture"
    return f"{media['duration_s']:.1f} s, {picture}, sound: {', '.join(sound) or 'none'}"


def _try_text(attempt: Mapping[str, Any]) -> str:
    failure = attempt["failure"]
    outcome = attempt["refused"] or (failure and failure["detail"]) or attempt["note"]
    return f"{attempt['engine']} {attempt['how']}" + (f": {safe(outcome)}" if outcome else "")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def retry(
    ids: IdsArgument,
    pay_again: Annotated[
        bool, typer.Option("--pay-again", help="Begin anew in the cloud and pay again; parked jobs, too.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Start failed or cancelled jobs again.

    With the folder and its preset as the config has them now. What was made in the cloud goes on in the same session, so that
    nothing is paid twice, unless you say so.
    """
    _ask(Verb.PAY_AGAIN if pay_again else Verb.RETRY, ids, config)


def cancel(ids: IdsArgument, config: ConfigOption = None) -> None:
    """Stop jobs; their files stay where they are."""
    _ask(Verb.CANCEL, ids, config)


def release(ids: IdsArgument, config: ConfigOption = None) -> None:
    """Let parked or waiting jobs go on now.

    For when what they waited for has been put right.
    """
    _ask(Verb.RELEASE, ids, config)


def first(ids: IdsArgument, config: ConfigOption = None) -> None:
    """Put queued jobs ahead of all others, in the order given."""
    _ask(Verb.FIRST, ids, config)


def _ask(verb: Verb, ids: list[int], config: Path | None) -> None:
    where = places(config)
    # The last one asked for goes to the very front, so the first of several is asked for last.
    jobs = [JobId(number) for number in (reversed(ids) if verb is Verb.FIRST else ids)]
    with existing_ledger(where.state) as ledger:
        if ledger is None:
            raise _unknown(ids)
        if missing := [job for job in jobs if ledger.job(job) is None]:
            raise _unknown(missing)
        with alone(where.state, ledger) as ours:
            folders = _folders(where)
            done = [(_do if ours else _ask_daemon)(ledger, folders, verb, job) for job in jobs]
    if not all(done):
        raise typer.Exit(ExitCode.FAILED)


def _ask_daemon(ledger: Ledger, folders: Mapping[str, Folder], verb: Verb, number: JobId) -> bool:
    job = ledger.job(number)
    seen = None if job is None or job.state in MEANT_FOR[verb] else look(job, verb)
    with ledger.transaction():  # the daemon moves jobs meanwhile: what is said of one is to be true when it is said
        job = ledger.job(number)
        if job is None or job.state not in MEANT_FOR[verb]:
            return _do(ledger, folders, verb, number, seen or Seen())  # it cannot be done, and this says why
        ledger.request(verb, number, now=time.time())
    now: Job | None = job
    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        now = ledger.job(number)
        # One that is being stopped has some more facts before it is cancelled.
        if now != job and (now is None or verb is not Verb.CANCEL or now.state is not JobState.RUNNING):
            break
        time.sleep(ASK_EVERY_S)
    state = "gone" if now is None else now.state
    if now == job or (verb is Verb.CANCEL and state is JobState.RUNNING):
        say(f"The daemon takes care of it; job {number} is still {state}.")
    elif verb is Verb.FIRST:
        say(f"Job {number} goes next.")
    elif verb is Verb.RELEASE:
        say(f"Job {number} goes on.")
    else:
        say(f"Job {number} is {state}.")
    return True


def _do(ledger: Ledger, folders: Mapping[str, Folder], verb: Verb, number: JobId, seen: Seen | None = None) -> bool:
    answer = apply(ledger, verb, number, folders, now=time.time(), seen=seen)
    if answer.done:
        say(safe(answer.says))
    else:
        tell(answer.says)
    return answer.done


def _folders(where: Places) -> Mapping[str, Folder]:
    config = where.read()
    return {folder.name: folder for folder in config.folders} if isinstance(config, Config) else {}


def _unknown(ids: Sequence[int]) -> Stop:
    what = f"There is no job {', '.join(map(str, ids))}."
    return Stop(ExitCode.USAGE, what, hint="See: nemod jobs list --all")
