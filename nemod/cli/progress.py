"""Live lines on a terminal: what runs, how far it is, and how long it will take. Nothing at all elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from nemod.config.units import format_duration
from nemod.daemon.board import Running
from nemod.engines.base import Progress
from nemod.text import safe


class Lines:
    """A line for each thing that runs, below whatever else is written to `stream`."""

    def __init__(self) -> None:
        """Nothing is shown before `shown`."""
        console = Console(stderr=True)
        self._console = console
        self._live = console.is_terminal and not console.is_dumb_terminal
        #: Where a log goes so that it stands above the lines and does not tear them.
        self.stream: TextIO = cast(TextIO, FileProxy(console, sys.stderr)) if self._live else sys.stderr
        self._tasks: dict[object, TaskID] = {}
        name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bars = Bars(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[doing]}", markup=False, table_column=Column(no_wrap=True)),
            console=console,
            disable=not self._live,
            expand=True,
            transient=True,
            refresh_per_second=4,
            # Standard output is data and stays what it is; the log has its own way, `stream`.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the lines for as long as this lasts."""
        with self._bars:
            # A second Ctrl-C ends at once: the terminal must have its cursor by then.
            self._console.show_cursor()
            yield

    def show(self, key: object, name: str, progress: Progress | Running) -> None:
        """Something has come so far; the first time, it gets its line."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = self._bars.add_task(safe(name), total=None, doing="")
        fraction = progress.fraction
        self._bars.update(task, total=None if fraction is None else 1.0, completed=fraction or 0.0, doing=_doing(progress))

    def keep_only(self, keys: set[object]) -> None:
        """Take away the lines of everything else."""
        for key in self._tasks.keys() - keys:
            self._bars.remove_task(self._tasks.pop(key))


def _doing(progress: Progress | Running) -> str:
    parts = [safe(progress.stage)]
    parts += [] if progress.fraction is None else [f"{100 * progress.fraction:3.0f} %"]
    parts += [] if progress.speed is None else [f"{progress.speed:.1f}x"]
    parts += [] if progress.left_s is None else [f"{format_duration(progress.left_s)} left"]
    return "  ".join(parts)
