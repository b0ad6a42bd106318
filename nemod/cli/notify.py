"""`nemod notify test`: whether the addresses of the config take a message."""

import asyncio
from collections.abc import Sequence

import typer

from nemod.cli.common import ConfigOption, JsonOption, places, print_json, say
from nemod.cli.exits import ExitCode, Stop
from nemod.config.model import Config
from nemod.config.telling import VARIABLE, address_text
from nemod.herald.courier import Sent, send
from nemod.herald.words import trial
from nemod.text import safe


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Try where you are told of what happened.")
    group.command("test", epilog="\b\nExamples:\n  nemod notify test\n  nemod notify test --json")(try_all)
    # A group of one command would swallow its name.
    group.callback()(lambda: None)
    app.add_typer(group, name="notify", epilog="\b\nExample:\n  nemod notify test")


def try_all(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Send a test message to every address, and say which of them took it.

    Exit code 1: one did not.
    """
    found = places(config).load()
    urls = found.notify.urls
    if not urls:
        hint = f"Write them into the config's table [notify] as urls, or set {VARIABLE}; the README has examples."
        raise Stop(ExitCode.USAGE, "There is no address to which a message could be sent.", hint=hint)
    sent = asyncio.run(_send(urls))
    silent = [folder.name for folder in found.folders if not folder.notify]
    if as_json:
        print_json(
            {
                "addresses": [
                    {"number": number, "address": address_text(url), "taken": one.taken, "why": one.why or None}
                    for number, (url, one) in enumerate(zip(urls, sent, strict=True), 1)
                ],
                "folders": [folder.name for folder in found.folders if folder.notify],
                "silent_folders": silent,
            }
        )
    else:
        for number, (url, one) in enumerate(zip(urls, sent, strict=True), 1):
            say(f"{number}  {safe(address_text(url))}  {'taken' if one.taken else f'not taken: {safe(one.why)}'}")
        _tell_of_folders(found, silent)
    if not all(one.taken for one in sent):
        raise typer.Exit(ExitCode.FAILED)


def _tell_of_folders(config: Config, silent: Sequence[str]) -> None:
    on = ", ".join(tell.value for tell in config.notify.on) or "nothing"
    say(f"They are told of: {on}.")
    if silent:
        say(f"Of these folders they hear nothing, unless you write notify = true there: {safe(', '.join(silent))}.")


async def _send(urls: Sequence[str]) -> list[Sent]:
    return await asyncio.gather(*(send(url, trial()) for url in urls))
