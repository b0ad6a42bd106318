"""What these tests tell at the end of a run beside passed and failed: how many deaths were met."""

from collections.abc import Callable

import pytest

pytest.register_assert_rewrite("tests.crash.world")

Record = Callable[[str, object], None]
DEATHS = "deaths met"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each test that has counted."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == DEATHS and report.when == "call":
                    terminalreporter.write_line(f"{value} {DEATHS}: {report.nodeid} ({report.duration:.0f} s)")
