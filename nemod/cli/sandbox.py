"""`nemod sandbox`: a loopback server that speaks the cloud's API, to try the cloud engine without an account."""

import ipaddress
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nemod.cli.exits import ExitCode, Stop
from nemod.config.units import UnitError, parse_size
from nemod.engines.local.tools import find_ffmpeg
from nemod.sandbox.faults import LISTED, FaultError, parse

PREFIX = "nmv_usr_"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod sandbox\n"
        "  nemod sandbox --credits 500 --edit-seconds 3 --render-seconds 5\n"
        "  nemod sandbox --misbehave silent-edit@1 --misbehave drop\n"
        "  nemod sandbox --misbehave code:2001:ask --dialect typed\n"
        "  nemod sandbox --list"
    )(sandbox)


def sandbox(  # noqa: PLR0917 - typer's options, always by name
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65535)] = 8642,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    token: Annotated[str, typer.Option(help=f"The account's token, {PREFIX}…; a new one if none is given.")] = "",
    credit: Annotated[float, typer.Option("--credits", help="What every account begins with.", min=0)] = 100,
    cost: Annotated[float, typer.Option(help="What a message costs.", min=0)] = 50,
    upload_limit: Annotated[str, typer.Option(help="The largest upload.")] = "500MB",
    dialect: Annotated[str, typer.Option(help="How streams are written: adk, adk-stream, typed, bare.")] = "adk",
    edit_seconds: Annotated[float, typer.Option(help="How long an edit takes at least.", min=0)] = 0,
    render_seconds: Annotated[float, typer.Option(help="How long a render takes at least.", min=0)] = 0,
    misbehave: Annotated[
        list[str] | None,
        typer.Option("--misbehave", metavar="NAME[:ARG][:ENDPOINT][@N]", help="What goes wrong; see --list. May be repeated."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep everything here over a restart; a temporary folder if not given.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the misbehaviours and exit.")] = False,
) -> None:
    """Run a server that speaks the NemoVideo API, on this machine and for nothing.

    It takes uploads, edits by message, and renders with ffmpeg. Nothing leaves the machine, and nothing is paid.
    """
    if listed:
        width = max(len(how) for how, _ in LISTED)
        for how, says in LISTED:
            typer.echo(f"{how:<{width}}  {says}")
        return
    if token and not (token.startswith(PREFIX) and token.isascii() and token.isprintable() and " " not in token):
        raise Stop(ExitCode.USAGE, f"--token must begin with {PREFIX} and hold no spaces.")
    try:
        for word in misbehave or []:
            parse(word)
        limit = parse_size(upload_limit)
    except (FaultError, UnitError) as error:
        raise Stop(ExitCode.USAGE, str(error)) from error
    try:
        # Only here: the extra is not needed for any other command.
        from nemod.sandbox.serve import Settings, listen, serve  # noqa: PLC0415
        from nemod.sandbox.stream import Dialect  # noqa: PLC0415
    except ImportError as error:
        raise Stop(
            ExitCode.FAILED,
            f"The sandbox needs the package {error.name}, which is not installed.",
            hint="install it with: pip install 'nemod[sandbox]'",
        ) from error
    if dialect not in set(Dialect):
        raise Stop(ExitCode.USAGE, f'There is no dialect "{dialect}"; there are {", ".join(Dialect)}.')
    if not _is_loopback(host):
        typer.echo(f"Everybody who reaches {host} can use this sandbox and have files rendered on this machine.", err=True)
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(listen(host, port))
        except OSError as error:
            where = f"{host}, port {port}"
            raise Stop(
                ExitCode.FAILED, f"{where}: {error.strerror or error}.", hint="choose another port with --port, or 0 for any"
            ) from error
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nemod-sandbox-")))
        settings = Settings(
            state=folder,
            ffmpeg=find_ffmpeg(None),
            token=token,
            credits=credit,
            cost=cost,
            upload_limit=limit,
            dialect=Dialect(dialect),
            edit_s=edit_seconds,
            render_s=render_seconds,
            misbehave=tuple(misbehave or []),
        )
        name = f"[{host}]" if ":" in host else host
        serve(settings, listening, ready=partial(_ready, f"http://{name}:{listening.getsockname()[1]}"))
    typer.echo("The sandbox is closed.", err=True)


def _ready(address: str, token: str) -> None:
    typer.echo(f"The sandbox listens on {address}; end it with Ctrl-C. To use it, set in the daemon's environment:")
    typer.echo(f"export NEMO_API_URL={address}")
    typer.echo(f"export NEMO_TOKEN={token}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
