"""The soak in small, so that its script cannot rot; thousands of jobs are run by hand, or here with NEMOD_SLOW=1."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak import Sample, leaks, soak, table
from tests.e2e.conftest import slow

CALM = Sample(
    ended=500,
    life=1,
    seconds=60.0,
    jobs_per_s=8.0,
    cpu_ms_per_job=200,
    resident_mb=70.0,
    files=24,
    threads=14,
    children=2,
    work_folders=1,
    ledger_mb=1.0,
    wal_mb=4.0,
    broken=(),
)
END = replace(CALM, children=0, work_folders=0)

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the soak reads /proc")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("jobs", [8, pytest.param(600, marks=slow)])
def test_nothing_is_lost_and_nothing_leaks(tmp_path: Path, jobs: int) -> None:
    """Every file that was dropped ends once, where it belongs, whatever goes wrong meanwhile."""
    report = soak(tmp_path, jobs, seed=3)
    assert report.broken + report.leaks == (), table(report)
    assert sum(report.ends.values()) == report.jobs == jobs
    assert report.faults


@pytest.mark.parametrize(
    ("late", "word"),
    [
        (replace(END, resident_mb=120.0), "memory"),
        (replace(END, files=60), "open files"),
        (replace(END, children=1), "children"),
        (replace(END, work_folders=3), "work folders"),
    ],
)
def test_what_grows_is_a_leak(late: Sample, word: str) -> None:
    """Of one life of the daemon: another life begins anew."""
    assert any(word in leak for leak in leaks([CALM, CALM, CALM, late]))
    assert leaks([CALM, CALM, CALM, END]) == []
    assert leaks([CALM, replace(END, life=2, resident_mb=120.0)]) == []
