"""The figures of a run, and what they say: the table, the summary and the goals. Pure.

Rules kept here:
- a goal that could not be looked at, because a tool it needs did not run, is told as not checked, never as reached;
- fill is only asked of starved clips: where the bare two-pass run is close to the source, what is left of a limit is well left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

NEMOD, BARE, REFERENCE = "nemod", "bare", "reference"
#: VMAF of the reference column, as measured once, for clips that are known by name.
KNOWN_REFERENCE = {"bbb_1080p_51.mp4": 80.7, "vtest.avi": 88.8, "syn_cam_1080p_12s.mp4": 83.0}
#: Material of the kinds for which the same margin is asked over the reference as it runs here.
BESIDE_REFERENCE = ("anim_720p.mp4", "code_1080p.mp4", "film_720p.mp4", "trailer_720p.mp4")
GENEROUS_VMAF = 96.0
MARGIN = 1.0
FILL_MEDIAN, FILL_LEAST = 0.99, 0.97
WALL_MEDIAN, WALL_WORST = 2.0, 3.0
PEAK_BYTES = 1_000_000_000
FULL_HD = 1920 * 1080


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One tool on one clip: medians of seconds over its repeats, the picture of the last, if there is one."""

    clip: str
    tool: str
    limit_bytes: int
    source_pixels: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    size_bytes: int | None = None
    shown: str = ""
    vmaf: float | None = None
    vmaf_p5: float | None = None
    ssim: float | None = None
    tries: int | None = None
    fault: str = ""

    @property
    def fill(self) -> float | None:
        """The output's share of the limit."""
        return None if self.size_bytes is None else self.size_bytes / self.limit_bytes

    @property
    def over(self) -> bool:
        """Whether it is larger than the limit."""
        return self.size_bytes is not None and self.size_bytes > self.limit_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What was asked and what came; `reached` is None when it could not be looked at."""

    name: str
    reached: bool | None
    told: str


def table(rows: Sequence[Row]) -> str:
    """Markdown, one line for each clip and tool."""
    head = ["clip, limit", "tool", "fill", "VMAF (p5)", "SSIM", "size", "wall s", "CPU s", "peak MB", "tries"]
    lines = [_line(head), _line(["---"] * 2 + ["---:"] * 3 + ["---"] + ["---:"] * 4)]
    for row in rows:
        fill = row.fault or "no output" if row.fill is None else f"{row.fill:.2%}{' **OVER**' if row.over else ''}"
        vmaf = "" if row.vmaf is None else f"{row.vmaf:.1f} ({row.vmaf_p5:.0f})"
        ssim = "" if row.ssim is None else f"{row.ssim:.4f}"
        remark = f", {row.fault}" if row.fault and row.fill is not None else ""
        costs = [f"{row.wall_s:.0f}", f"{row.cpu_s:.0f}", f"{row.peak_bytes / 1e6:.0f}", str(row.tries or "")]
        lines.append(
            _line([f"{row.clip}, {row.limit_bytes / 1e6:g} MB", row.tool, f"{fill}{remark}", vmaf, ssim, row.shown, *costs])
        )
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Markdown, one line for each tool over all clips that it made something of."""
    head = ["tool", "clips", "over", "fill median", "fill least", "VMAF - bare", "wall / bare", "CPU / bare", "peak MB"]
    lines = [_line(head), _line(["---"] + ["---:"] * 8)]
    for tool in dict.fromkeys(row.tool for row in rows):
        own = [row for row in rows if row.tool == tool]
        fills = [row.fill for row in own if row.fill is not None]
        gains = pairs(rows, tool, lambda row, bare: None if row.vmaf is None or bare.vmaf is None else row.vmaf - bare.vmaf)
        walls = pairs(rows, tool, lambda row, bare: row.wall_s / bare.wall_s)
        cpus = pairs(rows, tool, lambda row, bare: row.cpu_s / bare.cpu_s)
        lines.append(
            _line(
                [
                    tool,
                    f"{len(fills)} of {len(own)}",
                    str(sum(row.over for row in own)),
                    f"{median(fills):.2%}" if fills else "",
                    f"{min(fills):.2%}" if fills else "",
                    f"median {median(gains):+.1f}, least {min(gains):+.1f}" if gains else "",
                    f"median {median(walls):.1f}, worst {max(walls):.1f}" if walls else "",
                    f"median {median(cpus):.1f}, worst {max(cpus):.1f}" if cpus else "",
                    f"{max(row.peak_bytes for row in own) / 1e6:.0f}",
                ]
            )
        )
    return "\n".join(lines)


def pairs(rows: Sequence[Row], tool: str, figure: Callable[[Row, Row], float | None]) -> list[float]:
    """A figure of each clip on which both the tool and the bare run made something, the two beside each other."""
    found = []
    for _, same in groupby(sorted(rows, key=lambda row: row.clip), key=lambda row: row.clip):
        by_tool = {row.tool: row for row in same if row.size_bytes is not None}
        if tool in by_tool and BARE in by_tool and (value := figure(by_tool[tool], by_tool[BARE])) is not None:
            found.append(value)
    return found


def starved(rows: Sequence[Row], clip: str) -> bool:
    """Whether its limit hurts: the bare run is visibly worse than the source, over the limit though it may be."""
    bare = next((row.vmaf for row in rows if row.clip == clip and row.tool == BARE), None)
    return bare is None or bare < GENEROUS_VMAF


def goals(rows: Sequence[Row]) -> list[Goal]:
    """What nemod is held to, one by one."""
    own = [row for row in rows if row.tool == NEMOD]
    fills = [row.fill for row in own if row.fill is not None and starved(rows, row.clip)]
    walls = pairs(rows, NEMOD, lambda row, bare: row.wall_s / bare.wall_s)
    peaks = [row.peak_bytes for row in own if row.source_pixels <= FULL_HD]
    faults = [f"{row.clip}: {row.fault or 'no output'}" for row in own if row.fault or row.size_bytes is None]
    over = [row.clip for row in own if row.over]
    return [
        Goal(
            name="every clip has a whole output",
            reached=not faults if own else None,
            told="; ".join(faults) or f"{len(own)} of {len(own)}",
        ),
        Goal(name="none over its limit", reached=not over if own else None, told=", ".join(over) or f"0 of {len(own)}"),
        _held(
            "fill median",
            median(fills) if fills else None,
            lambda got: got >= FILL_MEDIAN,
            f"at least {FILL_MEDIAN:.0%}",
            "{:.2%}",
        ),
        _held(
            "fill least", min(fills) if fills else None, lambda got: got >= FILL_LEAST, f"at least {FILL_LEAST:.0%}", "{:.2%}"
        ),
        *(_better(rows, row) for row in own if row.clip in KNOWN_REFERENCE or row.clip in BESIDE_REFERENCE),
        _held(
            "wall / bare, median",
            median(walls) if walls else None,
            lambda got: got <= WALL_MEDIAN,
            f"at most {WALL_MEDIAN:g}",
            "{:.2f}",
        ),
        _held(
            "wall / bare, worst", max(walls, default=None), lambda got: got <= WALL_WORST, f"at most {WALL_WORST:g}", "{:.2f}"
        ),
        _held("peak bytes at 1080p", max(peaks, default=None), lambda got: got < PEAK_BYTES, "less than 1 GB", "{:,}"),
    ]


def goal_lines(found: Sequence[Goal]) -> str:
    """Markdown, a line for each."""
    words = {True: "reached", False: "**missed**", None: "not checked"}
    return "\n".join(f"- {goal.name}: {words[goal.reached]} ({goal.told})" for goal in found)


def _held(name: str, got: float | None, holds: Callable[[float], bool], asked: str, form: str) -> Goal:
    if got is None:
        return Goal(name=name, reached=None, told=f"{asked}; nothing to look at")
    return Goal(name=name, reached=holds(got), told=f"{form.format(got)}; {asked}")


def _better(rows: Sequence[Row], row: Row) -> Goal:
    name = f"VMAF of {row.clip}"
    here = next((one.vmaf for one in rows if one.clip == row.clip and one.tool == REFERENCE), None)
    reference = KNOWN_REFERENCE.get(row.clip, here)
    if reference is None:
        return Goal(name=name, reached=None, told="the reference did not run")
    asked = f"at least {reference + MARGIN:.1f}, {MARGIN:g} above the reference"
    return Goal(
        name=name, reached=row.vmaf is not None and row.vmaf >= reference + MARGIN, told=f"{row.vmaf or 0:.1f}; {asked}"
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
