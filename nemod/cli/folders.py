"""`nemod folders`: list, add, remove, pause, resume."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nemod.cli.common import (
    ConfigOption,
    JsonOption,
    complete_preset,
    places,
    print_json,
    print_sheet,
    say,
    tell,
    tell_daemon,
)
from nemod.cli.exits import ExitCode, Stop
from nemod.cli.owners import make_as_wished
from nemod.cli.pause import pause, resume
from nemod.config.prepare import prepare
from nemod.config.write import add_folder, default_places, remove_folder
from nemod.daemon.mailbox import Verb
from nemod.host.services import too_narrow
from nemod.views import fields, folder_view, folders_sheet, tilde


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="List the watch folders, add, remove or pause one.")
    group.command("list", epilog="\b\nExamples:\n  nemod folders list\n  nemod folders list --json | jq -r '.[].inbox'")(show)
    group.command(
        "add",
        epilog="\b\nExamples:\n"
        "  nemod folders add mail --preset gmail\n"
        "  nemod folders add friends -p discord              20 MB, Discord's free limit since August 2026\n"
        "  nemod folders add bot -p discord-10mb             10 MB, for old clients, bots and webhooks\n"
        "  nemod folders add nas -p whatsapp --inbox /srv/nas/whatsapp",
    )(add)
    group.command("remove", epilog="\b\nExample:\n  nemod folders remove mail")(remove)
    group.command("pause", epilog="\b\nExample:\n  nemod folders pause mail")(pause)
    group.command("resume", epilog="\b\nExample:\n  nemod folders resume mail")(resume)
    app.add_typer(group, name="folders", epilog="\b\nExample:\n  nemod folders add mail --preset gmail")


def show(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the folders: where to drop videos, where results appear."""
    where = places(config)
    views = [folder_view(folder) for folder in where.load().folders]
    if as_json:
        print_json([fields(view) for view in views])
    else:
        print_sheet(folders_sheet(views, home=where.home))


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A short name: letters, digits, dashes.", show_default=False)],
    preset: Annotated[
        str,
        typer.Option(
            "--preset", "-p", metavar="PRESET", autocompletion=complete_preset, help="What must come out; see: nemod presets"
        ),
    ],
    inbox: Annotated[
        str | None, typer.Option("--inbox", metavar="DIR", help="Where videos are dropped; ~/Compress/NAME by default.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a folder; a running daemon takes it up at once.

    It is written to a file of its own beside the config, in folders.d.
    """
    where = places(config)
    usual = default_places(name, where.env)
    if inbox is not None and not inbox.strip():  # an empty variable of a script would mean the folder that it stands in
        raise Stop(ExitCode.USAGE, "--inbox names no folder.", hint='Write "." if this one is meant.')
    chosen = usual["inbox"] if inbox is None else Path(inbox)
    chosen = chosen if chosen.parts[:1] == ("~",) else chosen.absolute()
    outbox = usual.get("outbox") if inbox is None else None
    written = add_folder(where.config, name, preset, chosen, home=where.home, env=where.env, outbox=outbox)
    if not isinstance(written, Path):
        raise Stop(ExitCode.USAGE, *map(str, written), hint=where.how_to_init())
    whole = where.load()
    make_as_wished(whole.settings, where.env, tell)
    (folder,) = (f for f in whole.folders if f.name == name)
    # Only the new one counts here: that another folder's disk is away must not keep it out.
    if problems := prepare(replace(whole, folders=(folder,)), home=where.home):
        written.unlink()
        raise Stop(ExitCode.USAGE, *map(str, problems))
    tell_daemon(where.state, Verb.RELOAD)
    for line in too_narrow(home=where.home, env=where.env):
        tell(line)
    if as_json:
        print_json({"file": str(written), **fields(folder_view(folder))})
    else:
        say(f"Drop a video into  {tilde(folder.inbox, where.home)}")
        say(f"Find the result in {tilde(folder.outbox, where.home)}")


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="From: nemod folders list", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Watch a folder no more; a running daemon lets go of it at once.

    No video is touched, and what was taken in is still worked off. The folder's own file in folders.d is kept beside it.
    """
    where = places(config)
    aside = remove_folder(where.config, name)
    if not isinstance(aside, Path):
        raise Stop(ExitCode.USAGE, *map(str, aside), hint=where.how_to_init())
    tell_daemon(where.state, Verb.RELOAD)
    if as_json:
        print_json({"removed": name, "file": str(aside)})
    else:
        say(f"{name} is watched no more. Its settings are kept in {tilde(aside, where.home)}")
