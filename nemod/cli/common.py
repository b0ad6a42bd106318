"""What the commands share: options, where things lie, reading config and ledger, and printing.

Rules kept here:
- data goes to standard output, everything said to a person to standard error;
- a name is made safe before a terminal sees it; JSON is plain ASCII;
- a token is never printed, whatever place of a config or a command line somebody put it into;
- reading never creates anything: no ledger yet is an empty answer.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nemod import durable
from nemod.cli.exits import ExitCode, Stop
from nemod.config.builtin import builtin_presets
from nemod.config.model import Config, Preset
from nemod.config.parse import check, parse, understand
from nemod.config.places import config_file, state_dir
from nemod.config.problem import Problem, did_you_mean
from nemod.config.sources import Source
from nemod.daemon import locks
from nemod.daemon.board import read_board
from nemod.daemon.locks import Busy, Lock, daemon_runs
from nemod.daemon.service import LEDGER, open_ledger
from nemod.ledger.ledger import Ledger, speaking
from nemod.text import safe, without_tokens
from nemod.threads import patiently
from nemod.views import Scene, Sheet

#: A pipe has no width: rows stay on their lines, whatever their length.
_PIPE_WIDTH = 100_000
#: How long a daemon's answer is awaited; it looks at its mailbox twice a second.
ANSWER_S, ASK_EVERY_S = 10.0, 0.05

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The config to use instead of NEMOD_CONFIG or the usual place."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things lie; `named` says that a person named the config, which then must be there; `env` is the environment."""

    config: Path
    named: bool
    state: Path
    home: Path
    env: Mapping[str, str]

    def read(self) -> Config | tuple[Problem, ...]:
        """The config, or every problem with it."""
        return parse(self.config, home=self.home, env=self.env)

    def load(self) -> Config:
        """The config.

        Raises:
            Stop: it is missing or faulty; every problem is a line.
        """
        config = self.read()
        if isinstance(config, Config):
            return config
        # Whoever has to mend it should see at once what is wrong with the folders, too.
        problems = check(self.config, home=self.home, env=self.env)
        raise Stop(ExitCode.USAGE, *map(str, config if isinstance(problems, Config) else problems), hint=self.how_to_init())

    def load_if_any(self) -> Config | None:
        """The config for a command that can do without; one that was named on purpose must be sound."""
        if self.named:
            return self.load()
        if not self.config.exists():
            return None
        config = self.read()
        if isinstance(config, Config):
            return config
        tell(f"The config {self.config} has problems and is left out; see: nemod config check")
        return None

    def load_or_default(self) -> Config:
        """The config; where there is none, and none was named, what holds without one.

        Raises:
            Stop: it is faulty, or the environment is.
        """
        if self.named or self.config.exists():
            return self.load()
        nothing = Source(file=self.config, text="", values={})
        config = understand(self.config, (nothing,), home=self.home, env=self.env)
        if isinstance(config, Config):
            return config
        raise Stop(ExitCode.USAGE, *map(str, config))

    def how_to_init(self) -> str:
        """How to write a config in a place of one's own that has none; for the usual place the problem itself says it."""
        return f"Write one with: nemod init --config {self.config}" if self.named and not self.config.exists() else ""


def places(flag: Path | None) -> Places:
    """Where things lie, from the command line, the environment and the platform.

    Raises:
        Stop: the disk of config or ledger does not answer.
    """
    home = Path.home()
    file = config_file(flag, os.environ, home)
    state = state_dir(os.environ)
    _await_disk(file.parent, "config's folder")
    _await_disk(state, "state folder")
    named = flag is not None or bool(os.environ.get("NEMOD_CONFIG"))
    env = os.environ
    return Places(config=file, named=named, state=state, home=home, env=env)


def _await_disk(folder: Path, what: str) -> None:
    """Make sure that a folder's disk answers before more is asked of it: a command that waits for it for ever says nothing.

    The folder itself is opened: its attributes may be remembered, and whoever looks for a name in it waits with all who do.

    Raises:
        Stop: it does not.
    """
    try:
        patiently(lambda: os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY)))
    except TimeoutError as error:
        said = f"The disk or network share of the {what} {folder} does not answer."
        raise Stop(ExitCode.FAILED, said, hint="Check its drive or its network.") from error
    except OSError:
        pass  # whoever uses it says what is wrong


def presets_of(config: Config | None) -> Mapping[str, Preset]:
    """Every preset that can be named."""
    return builtin_presets() if config is None else config.presets


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    """A preset by name.

    Raises:
        Stop: there is none; the message suggests one.
    """
    if name not in presets:
        hint = did_you_mean(name, presets, otherwise="See all of them with: nemod presets")
        raise Stop(ExitCode.USAGE, f'There is no preset named "{name}".', hint=hint)
    return presets[name]


def complete_preset(incomplete: str) -> list[tuple[str, str]]:
    """Preset names for a shell's completion; a faulty config only hides its own."""
    where = places(None)
    config = where.read() if where.config.exists() else None
    presets = presets_of(config if isinstance(config, Config) else None)
    return [(name, preset.summary) for name, preset in presets.items() if name.startswith(incomplete)]


# -- the ledger ---------------------------------------------------------------------------------------------------------------


@contextmanager
def existing_ledger(state: Path) -> Iterator[Ledger | None]:
    """The ledger of a state folder; None when there is none yet.

    Raises:
        LedgerError: it cannot be used.
    """
    if not (state / LEDGER).exists():
        yield None
        return
    ledger = open_ledger(state)
    try:
        with speaking(ledger):
            yield ledger
    finally:
        ledger.close()


@contextmanager
def alone(state: Path, ledger: Ledger) -> Iterator[bool]:
    """Whether no daemon runs, and none begins while this lasts: then the ledger's jobs are ours to change."""
    try:
        lock = Lock(state / locks.FILE, create=True, shared=True)
    except Busy:
        yield False
        return
    try:
        ledger.recover()  # what a killed daemon held is nobody's now
        yield True
    finally:
        lock.release()


@contextmanager
def using(state: Path) -> Iterator[None]:
    """A state folder that is made, for its owner alone, if it is not there.

    Raises:
        Stop: it cannot be used.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.sync_way(state)  # what it will know must not be lost with its name
        yield
    except OSError as error:
        what = f"The state folder {state} cannot be used: {error.strerror}."
        raise Stop(ExitCode.USAGE, what, hint="Make it writable, or set NEMOD_STATE_DIR to another place.") from error


def tell_daemon(state: Path, verb: str) -> None:
    """Leave a word that is about no job, if there is a daemon to read it."""
    if daemon_runs(state):
        with existing_ledger(state) as ledger:
            if ledger is not None:
                ledger.request(verb, None, now=time.time())


def scene(state: Path, ledger: Ledger) -> Scene:
    """What jobs are seen against, now."""
    alive = daemon_runs(state)
    board = read_board(state) if alive else {}
    return Scene(board=board, holds=ledger.holds(), alive=alive, now=time.time(), pauses=ledger.pauses())


# -- printing -----------------------------------------------------------------------------------------------------------------


def tell(text: str) -> None:
    """Say something to a person, on standard error."""
    complain(f"nemod: {text}")


def complain(*lines: str) -> None:
    """Print lines on standard error as they are, made safe; where nobody can hear them, the exit code says enough."""
    with suppress(OSError):
        for line in lines:
            print(without_tokens(safe(line)), file=sys.stderr)  # noqa: T201


def say(text: str = "") -> None:
    """Print a line of data; texts from outside must have been made safe."""
    print(without_tokens(text))  # noqa: T201


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value for programs; without an indent on one line."""
    say(json.dumps(value, indent=indent, allow_nan=False))


def print_sheet(sheet: Sheet) -> None:
    """Print a table whose cells are safe: columns under bold heads on a terminal, plain text elsewhere."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in sheet.columns:
        table.add_column(Text(column), overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().rstrip("\n").split("\n"):
        say(line.rstrip(" "))
