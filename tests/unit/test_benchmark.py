"""What the benchmark makes of its figures, on recorded ones: its table, its summary and its goals."""

from dataclasses import replace

import pytest

from benchmarks.figures import Goal, Row, goals, starved, summary, table

BARE = Row(
    clip="bbb_1080p_51.mp4",
    tool="bare",
    limit_bytes=3_000_000,
    source_pixels=1920 * 1080,
    wall_s=36.3,
    cpu_s=70.0,
    peak_bytes=450_000_000,
    size_bytes=3_057_300,
    shown="1920x1080@24",
    vmaf=76.7,
    vmaf_p5=67.0,
    ssim=0.91,
    tries=1,
)
NEMOD = replace(
    BARE, tool="nemod", wall_s=70.0, cpu_s=130.0, size_bytes=2_985_000, shown="1280x720@24", vmaf=81.8, vmaf_p5=74.0, tries=None
)
CODE_BARE = replace(BARE, clip="code_1080p.mp4", limit_bytes=1_000_000, size_bytes=1_045_900, vmaf=95.1, wall_s=15.5)
CODE_REFERENCE = replace(CODE_BARE, tool="reference", size_bytes=990_700, vmaf=95.0, wall_s=32.0, tries=2)
CODE = replace(CODE_BARE, tool="nemod", size_bytes=992_000, vmaf=96.2, wall_s=30.0)
ROWS = (NEMOD, BARE, CODE, CODE_BARE, CODE_REFERENCE)


def _goal(found: list[Goal], name: str) -> Goal:
    return next(goal for goal in found if goal.name == name)


def test_a_run_that_reaches_every_goal_misses_none() -> None:
    """Figures on the right side of each bound are all told as reached."""
    assert [goal.name for goal in goals(ROWS) if goal.reached is not True] == []


@pytest.mark.parametrize(
    ("row", "changed", "missed"),
    [
        (NEMOD, {"size_bytes": 3_000_001}, "none over its limit"),
        (NEMOD, {"size_bytes": 2_909_000}, "fill least"),
        (NEMOD, {"vmaf": 81.6}, "VMAF of bbb_1080p_51.mp4"),
        (CODE, {"vmaf": 95.9}, "VMAF of code_1080p.mp4"),
        (NEMOD, {"wall_s": 36.3 * 3.01}, "wall / bare, worst"),
        (CODE, {"wall_s": 15.5 * 2.9}, "wall / bare, median"),
        (NEMOD, {"peak_bytes": 1_000_000_000}, "peak bytes at 1080p"),
        (NEMOD, {"fault": "no sound"}, "every clip has a whole output"),
        (NEMOD, {"size_bytes": None, "vmaf": None}, "every clip has a whole output"),
    ],
)
def test_each_goal_can_be_missed(row: Row, changed: dict[str, object], missed: str) -> None:
    """One figure just beyond its bound is named, whatever else is well."""
    rows = [replace(one, **changed) if one == row else one for one in ROWS]  # type: ignore[arg-type]

    assert _goal(goals(rows), missed).reached is False


def test_a_goal_without_its_figures_is_not_reached() -> None:
    """Where nobody ran beside nemod, its pace and its margin were not looked at."""
    found = goals([CODE])

    assert _goal(found, "wall / bare, median").reached is None
    assert _goal(found, "VMAF of code_1080p.mp4").reached is None


def test_a_generous_limit_may_be_left_unused() -> None:
    """Where a bare run is as good as its source already, how full the output is does not count."""
    generous = [replace(CODE, size_bytes=400_000), replace(CODE_BARE, vmaf=97.5), NEMOD, BARE]

    assert not starved(generous, "code_1080p.mp4")
    assert _goal(goals(generous), "fill least").reached is True


def test_the_table_says_what_was_over_and_what_went_wrong() -> None:
    """A row over its limit is marked, and a run without an output gives its reason in place of its fill."""
    broken = replace(BARE, tool="ffmpeg4discord", size_bytes=None, vmaf=None, ssim=None, fault="ended with 1: no ffprobe")
    lines = table([NEMOD, BARE, broken]).splitlines()

    assert "| nemod | 99.50% | 81.8 (74) | 0.9100 | 1280x720@24 | 70 | 130 | 450 |  |" in lines[2]
    assert "101.91% **OVER**" in lines[3]
    assert "ended with 1: no ffprobe" in lines[4]
    assert len({line.count("|") for line in lines}) == 1


def test_the_summary_compares_clip_by_clip_with_the_bare_run() -> None:
    """Gains and paces are those of each clip beside its own bare run."""
    line = next(line for line in summary(ROWS).splitlines() if line.startswith("| nemod"))

    assert "| 2 of 2 | 0 | 99.35% | 99.20% | median +3.1, least +1.1 | median 1.9, worst 1.9 |" in line
