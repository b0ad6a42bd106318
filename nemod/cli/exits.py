"""What the command's exit codes mean, and the error that ends a command with words and a code. Pure."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class ExitCode(IntEnum):
    """How a command ended; the meanings stand in `MEANINGS`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    RUNNING = 3
    WAITING = 75  # sysexits.h: EX_TEMPFAIL, so schedulers know to come again
    INTERRUPTED = 130  # what a shell reports for Ctrl-C


MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.OK: "all is well",
        ExitCode.FAILED: "a file failed, does not fit, or could not be changed as asked; doctor found a fault",
        ExitCode.USAGE: "a wrong argument, a missing file, or a faulty config",
        ExitCode.RUNNING: "a daemon is running already",
        ExitCode.WAITING: "something waits: for a person, for an engine, or for a folder",
        ExitCode.INTERRUPTED: "interrupted",
    }
)


class Stop(Exception):  # noqa: N818 - how a command ends, with words for a person
    """Ends a command: each of `lines` is a sentence on standard error, `hint` says what to do next."""

    def __init__(self, code: ExitCode, *lines: str, hint: str = "") -> None:
        """Keep all; texts need not be safe to print yet."""
        super().__init__(*lines)
        self.code = code
        self.lines = lines
        self.hint = hint


def epilog() -> str:
    """The table for the end of `nemod --help`; the backspace keeps its lines apart."""
    rows = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    return f"\b\nExit codes:\n{rows}"
