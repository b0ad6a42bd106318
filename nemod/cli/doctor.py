"""`nemod doctor`: looks at all that nemod stands on, from here or from where the daemon is."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nemod.cli.common import ConfigOption, JsonOption, Places, places, print_json, print_sheet
from nemod.cli.exits import ExitCode, Stop
from nemod.daemon import health
from nemod.daemon.health import Health
from nemod.host import doctor as host
from nemod.host.finding import Finding
from nemod.text import safe
from nemod.views import Sheet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod doctor                       from here, with your rights\n"
        "  nemod doctor --service             from where the daemon is, with the rights that its service gives it\n"
        "  nemod doctor --json | jq '.[] | select(.ok | not)'"
    )(doctor)


def doctor(
    service: Annotated[
        bool, typer.Option("--service", help="Let the running daemon look: a service sees and may do less than a terminal.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Look at all that nemod needs, and say what to do.

    Exit code 1: something is wrong.
    """
    where = places(config)
    findings = _from_the_daemon(where.state) if service else asyncio.run(examine(where))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_sheet(
            Sheet(
                columns=("", "LOOKED AT", "FOUND", "WHAT TO DO"),
                rows=tuple(("ok" if f.ok else "!!", safe(f.what), _short(f.found, where.home), safe(f.todo)) for f in findings),
            )
        )
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


async def examine(where: Places) -> tuple[Finding, ...]:
    """What can be seen by this process."""
    return await host.examine(where.config, where.state, home=where.home, env=where.env, program=Path(sys.executable))


def _from_the_daemon(state: Path) -> Sequence[Finding]:
    said = health.around(state)
    if isinstance(said, Health):
        what = f"The daemon of {state} cannot be asked: it is {said.state}."
        raise Stop(ExitCode.FAILED, what, hint="See: nemod health. Without --service this terminal looks for itself.")
    try:
        return [Finding(**finding) for finding in said]
    except TypeError as error:
        raise Stop(ExitCode.FAILED, "The daemon is of another version.", hint="Restart it: nemod service restart") from error


def _short(found: str, home: Path) -> str:
    """What was found; a path that it begins with is made short, and nothing else is taken for one."""
    return safe(f"~{found.removeprefix(str(home))}" if found.startswith(f"{home}/") else found)
