"""A day of the budget is a day of the local calendar."""

import os
import time
from collections.abc import Iterator

import pytest

from nemod.daemon.purse import day_of


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place that changes its clocks twice a year."""
    monkeypatch.setitem(os.environ, "TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("moment", "begins", "hours"),
    [
        (1_790_000_000, 1_789_941_600, 24),  # 2026-09-21 16:13 there
        (1_774_742_400, 1_774_738_800, 23),  # 2026-03-29, when the clocks go forward
        (1_792_882_800, 1_792_879_200, 25),  # 2026-10-25, when they go back
        (1_789_941_600, 1_789_941_600, 24),  # midnight itself begins a day
    ],
)
def test_a_day_lasts_from_midnight_to_midnight(moment: float, begins: float, hours: float) -> None:
    """However many hours that are."""
    assert day_of(moment) == (begins, begins + hours * 3600)
    assert day_of(begins + hours * 3600 - 1) == (begins, begins + hours * 3600)
