"""`nemod health`: does the daemon work? For health checks of containers, supervisors and monitoring; no config is needed."""

import os
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import typer

from nemod.cli.common import JsonOption, print_json, say, tell
from nemod.cli.exits import ExitCode
from nemod.config.places import state_dir
from nemod.daemon.health import ANSWER_S, State, ask
from nemod.text import safe
from nemod.threads import patiently

_WORDS: Mapping[State, str] = MappingProxyType(
    {
        State.STARTING: "The daemon of {state} is starting.",
        State.STOPPING: "The daemon of {state} is stopping.",
        State.STUCK: "The daemon of {state} runs, but its work stands still.",
        State.SILENT: f"The daemon of {{state}} did not answer within {ANSWER_S:g} seconds: it is paused or hangs.",
        State.ABSENT: "No daemon runs for {state}.",
        State.UNKNOWN: "Whether a daemon works for {state} cannot be known from this account: ask as the one that it runs as.",
    }
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod health                       exit code 0: it works; 1: it does not, or not yet\n"
        "  nemod health --json | jq -r .state"
    )(health)


def health(as_json: JsonOption = False) -> None:
    """Say whether the daemon works: exit code 0 if it does, else 1.

    It works when it is there, watches its folders, and its work goes on now. Nothing is written, and no network is needed.
    """
    state = state_dir(os.environ)
    try:
        patiently(partial(os.path.lexists, state))
    except TimeoutError:
        _report(as_json, State.UNKNOWN, f"The disk or network share of the state folder {state} does not answer.")
        raise typer.Exit(ExitCode.FAILED) from None
    found = ask(state)
    if found.healthy:
        _report(as_json, found.state, f"The daemon works: {safe(found.doing)}.", pid=found.pid, doing=found.doing)
        return
    _report(as_json, found.state, _WORDS[found.state].format(state=safe(str(state))), pid=found.pid, doing=found.doing)
    raise typer.Exit(ExitCode.FAILED)


def _report(as_json: bool, state: State, words: str, *, pid: int | None = None, doing: str = "") -> None:
    healthy = state is State.WORKING
    if as_json:
        print_json({"healthy": healthy, "state": state.value, "words": words, "pid": pid, "doing": doing or None})
    elif healthy:
        say(words)
    else:
        tell(words)
