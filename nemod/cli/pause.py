"""`nemod pause` and `nemod resume`: nothing new is begun, in every folder or in one. Works with and without a daemon."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from nemod.cli.common import ConfigOption, JsonOption, Places, places, print_json, say, using
from nemod.cli.exits import ExitCode, Stop
from nemod.config.model import Config
from nemod.config.problem import did_you_mean
from nemod.daemon.service import open_ledger
from nemod.ledger.ledger import Ledger
from nemod.ledger.pauses import EVERY, Pause, Why
from nemod.ledger.store import speaking
from nemod.text import safe

_Folder = Annotated[
    str | None, typer.Argument(metavar="[FOLDER]", help="One folder's name; every folder without it.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="\b\nExamples:\n  nemod pause           everything\n  nemod pause gmail     one folder")(pause)
    app.command(epilog="\b\nExamples:\n  nemod resume          everything\n  nemod resume gmail    one folder")(resume)


def pause(folder: _Folder = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Begin nothing new, until you say so; a restart does not change that.

    Videos are still taken in and wait. What is being made is finished, what the cloud makes is fetched.
    """
    where = places(config)
    with _ledger(where, folder) as ledger:
        fresh = ledger.pause(folder or EVERY, now=time.time())
        known = ledger.pauses()
    again = f"nemod resume {folder}" if folder else "nemod resume"
    what = f'The folder "{safe(folder)}" begins' if folder else "All folders begin"
    _tell(known, f"{what} nothing new{'' if fresh else ', as before'}. Go on with: {safe(again)}", as_json=as_json)


def resume(folder: _Folder = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Go on after `nemod pause`: every folder, or one.

    Exit code 1: the folder stays paused, since all of them are.
    """
    where = places(config)
    with _ledger(where, folder) as ledger:
        count = ledger.resume(folder or EVERY)
        known = ledger.pauses()
    if folder and any(p.folder == EVERY for p in known):
        raise Stop(ExitCode.FAILED, f'All folders are paused, "{safe(folder)}" with them.', hint="Go on with: nemod resume")
    who = f'The folder "{safe(folder)}"' if folder else "Everything"
    _tell(known, f"{who} goes on." if count else f"{who} was not paused.", as_json=as_json)


@contextmanager
def _ledger(where: Places, folder: str | None) -> Iterator[Ledger]:
    """The ledger, made if there is none yet; a folder that is named must be known, by the config or by a pause."""
    with using(where.state):
        ledger = open_ledger(where.state)
    with closing(ledger), speaking(ledger):
        settings = where.read()
        names = {p.folder for p in ledger.pauses()} - {EVERY}
        if isinstance(settings, Config):
            names |= {f.name for f in settings.folders}
        if folder is not None and folder not in names:
            hint = did_you_mean(folder, sorted(names), otherwise="See: nemod folders list")
            raise Stop(ExitCode.USAGE, f'There is no folder named "{safe(folder)}".', hint=hint)
        yield ledger


def _tell(known: tuple[Pause, ...], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"paused": [p.folder or None for p in known if p.why is Why.ASKED]})
    else:
        say(words)
