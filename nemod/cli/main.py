"""The `nemod` command: its commands put together, and the boundary where a failure becomes words and an exit code.

A traceback is for a bug of ours; a person's mistake, a full disk or a closed pipe never shows one.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from nemod.cli import account, ask, compress, config, doctor, folders, health, jobs, look, notify, pause, run, sandbox, service
from nemod.cli.common import complain, say, tell
from nemod.cli.exits import ExitCode, Stop, epilog
from nemod.cli.identity import become
from nemod.failure import NemodError

#: The backspace keeps the lines of a block apart.
HELP = """Drop a video in a folder, get back a file that fits.

\b
  nemod run                                    watch the folders
  nemod compress clip.mov --preset discord     one file, now
  nemod status                                 what is going on

Discord's free limit is 20 MB since August 2026: preset "discord". "discord-10mb" stays as the safe one for old clients,
bots and webhooks.
"""

app = typer.Typer(
    name="nemod",
    help=HELP,
    # Plain help: no boxes, the same on a terminal and in a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog(),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"nemod {version('nemod')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Nothing of its own: commands follow."""


for module in (run, compress, look, doctor, health, config, jobs, ask, folders, pause, notify, service, account, sandbox):
    module.register(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, the process's own by default, and return its exit code."""
    _leave_no_core()
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a letter gets its code, not a traceback of ours.
            stream.reconfigure(errors="backslashreplace")
    code = _carry_out(argv)
    return code if _said_all() else ExitCode.FAILED


def _carry_out(argv: Sequence[str] | None) -> int:
    try:
        become(os.environ)
        code = app(argv, standalone_mode=False, prog_name="nemod")
    except BrokenPipeError:
        return ExitCode.FAILED  # whoever read us has seen enough
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        return ExitCode.INTERRUPTED
    except Stop as stop:
        return _explain(stop)
    except NemodError as error:
        return _explain(Stop(ExitCode.FAILED, error.failure.detail, hint=error.failure.hint))
    except typer.TyperException as error:
        return _explain_usage(error)
    except OSError as error:
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return _explain(Stop(ExitCode.FAILED, f"{where}{error.strerror or error}"))
    return code if isinstance(code, int) else ExitCode.OK


def _said_all() -> bool:
    """Whether standard output took all that was said; what it did not take must not complain at exit."""
    whole = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout:
                whole = False
                if not isinstance(error, BrokenPipeError):
                    tell(f"What was said could not be written: {error.strerror}.")
    return whole


def _open_streams() -> None:
    """Where one of the three streams is closed, as some starters leave them, nothing is read or said there.

    Else the next file that is opened would take its number: what is said would be written into it, and a child would get it
    for its own stream.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as the process
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _leave_no_core() -> None:
    """A process that dies writes its memory nowhere: tokens are in it, and pictures of people's videos.

    The owner may still look at it with a debugger while it lives: whoever can do that can read the token's file as well.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _explain(stop: Stop) -> int:
    first, *more = stop.lines
    if more:  # a list speaks for itself
        complain(first, *more)
    else:
        tell(first)
    if stop.hint:
        complain(stop.hint[0].upper() + stop.hint[1:])
    return stop.code


def _explain_usage(error: typer.TyperException) -> int:
    """What typer says of wrong arguments; for a group without a command it is the help, of several lines."""
    text = error.format_message()
    if "\n" in text:
        complain(*text.split("\n"))
    else:
        context: typer.Context | None = getattr(error, "ctx", None)
        tell(text)
        complain(f"See: {'nemod' if context is None else context.command_path} --help")
    return error.exit_code
