"""nemod beside others, on the same clips, limits, ffmpeg and machine, in one run. `python benchmarks/fit.py --help`.

Rules kept here:
- each tool is called as its own user calls it, in turn and alone, and no tool always runs first;
- every output is scored by the same referee (`score.py`), which shares nothing with nemod;
- nothing is fetched but, for the peers, packages from PyPI; the clips are made here or lie in the folder that is named.
"""

import argparse
import fnmatch
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import material, meter
from benchmarks.figures import KNOWN_REFERENCE, Row, goal_lines, goals, summary, table
from benchmarks.peers import ABOUT, NotHereError, Task, Tool, commands, environment, prepare, result, tries
from benchmarks.score import Facts, UnreadableError, facts, score

#: Clips that are known by name, and limits that starve them.
KNOWN_LIMITS = {"bbb_1080p_51.mp4": 3_000_000, "vtest.avi": 1_000_000, "syn_cam_1080p_12s.mp4": 2_000_000, **material.LIMITS}
STARVED_BITS_PER_PIXEL = 0.03
SOUND_BYTES_S = 6_000
SHORTEST_S = 2.0
UNITS = {"KB": 1e3, "MB": 1e6, "KiB": 1024.0, "MiB": 1024.0**2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A source, what it is, and what it has to fit."""

    path: Path
    facts: Facts
    limit_bytes: int


def main() -> int:
    """Run all of it; 1 when --check was asked and a goal is missed."""
    asked = _arguments()
    work = Path(asked.work or tempfile.mkdtemp(prefix="nemod-fit-"))
    cache, peers = Path(asked.cache or work / "clips"), Path(asked.peers or work / "peers")
    clips, left_out = find_clips(asked.clips, cache, asked.pick, _limits(asked.limit), with_material=asked.material)
    here = []
    for tool in asked.only:
        try:
            prepare(tool, peers.absolute())
            here.append(tool)
        except NotHereError as error:
            left_out.append(f"{tool}: {error}")
    rows = compare(
        clips, here, work=work, peers=peers.absolute(), repeat=asked.repeat, frames=asked.frames, timeout_s=asked.timeout
    )
    print(table(rows), summary(rows), sep="\n\n")
    print("", *(f"- {tool}: {ABOUT[tool]}" for tool in here), *(f"- left out: {reason}" for reason in left_out), sep="\n")
    found = goals(rows)
    print("", goal_lines(found), sep="\n")
    if asked.json:
        told = {"rows": [asdict(row) for row in rows], "goals": [asdict(goal) for goal in found], "left_out": left_out}
        asked.json.write_text(json.dumps(told, indent=1) + "\n")
    if not asked.work:
        shutil.rmtree(work, ignore_errors=True)
    missed = [goal.name for goal in found if goal.reached is False]
    if asked.check and missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if asked.check and missed else 0


def compare(
    clips: Sequence[Clip], tools: Sequence[Tool], *, work: Path, peers: Path, repeat: int, frames: int, timeout_s: float
) -> list[Row]:
    """Every tool on every clip; whoever began on one clip is last on the next."""
    rows = []
    for number, clip in enumerate(clips):
        taken: dict[Tool, list[Row]] = {tool: [] for tool in tools}
        # The recorded figure stands for the reference on clips that are known: it is not run there.
        running = [tool for tool in tools if tool is not Tool.REFERENCE or clip.path.name not in KNOWN_REFERENCE]
        for turn in range(repeat):
            at = (number + turn) % max(1, len(running))
            for tool in running[at:] + running[:at]:
                place = work / "runs" / clip.path.stem / tool
                row = one_run(tool, clip, place, peers, frames=frames if turn == repeat - 1 else 0, timeout_s=timeout_s)
                taken[tool].append(row)
                print(f"{clip.path.name} {tool}: {row.size_bytes} bytes, {row.wall_s:.1f} s {row.fault}", file=sys.stderr)
        rows += [_middle(taken[tool]) for tool in running]
    return rows


def one_run(tool: Tool, clip: Clip, place: Path, peers: Path, *, frames: int, timeout_s: float) -> Row:
    """One encode, and what it is worth on so many `frames`; with 0 it is not scored."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    task = Task(source=clip.path.absolute(), facts=clip.facts, limit_bytes=clip.limit_bytes, work=place.absolute())
    spent = meter.run(commands(tool, task, peers), cwd=task.work, env=environment(tool, task, peers), timeout_s=timeout_s)
    output = result(task)
    (place / "said.txt").write_text(spent.said)
    fault, seen, shown = "", None, ""
    if spent.exit_code != 0:
        words = spent.said.strip().splitlines()
        fault = f"ended with {spent.exit_code}: {words[-1][:120] if words else ''}"
        output = None
    elif output is None:
        fault = "no output"
    elif frames:
        try:
            seen, made = score(clip.path, output, frames_most=frames), facts(output)
        except UnreadableError as error:
            fault = str(error)
        else:
            shown, fault = f"{made.width}x{made.height}@{made.fps:.4g}", _unlike(clip.facts, made)
    return Row(
        clip=clip.path.name,
        tool=tool,
        limit_bytes=clip.limit_bytes,
        source_pixels=clip.facts.pixels,
        wall_s=spent.wall_s,
        cpu_s=spent.cpu_s,
        peak_bytes=spent.peak_bytes,
        size_bytes=output.stat().st_size if output else None,
        shown=shown,
        vmaf=seen.vmaf if seen else None,
        vmaf_p5=seen.vmaf_p5 if seen else None,
        ssim=seen.ssim if seen else None,
        tries=tries(tool, spent.said),
        fault=fault,
    )


def find_clips(
    folder: Path | None, cache: Path, pick: Sequence[str], limits: Mapping[str, int], *, with_material: bool
) -> tuple[list[Clip], list[str]]:
    """The clips, and which were left out for what reason."""
    paths = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")) if folder else []
    wanted = [one for one in paths if _picked(one.name, pick)]
    left_out: list[str] = []
    for name in [name for name in material.LIMITS if _picked(name, pick)] if with_material or folder is None else []:
        try:
            wanted.append(material.make(name, cache, folder))
        except material.CannotMakeError as error:
            left_out.append(f"{name}: {error}")
    clips = []
    for path in wanted:
        try:
            media = facts(path)
        except UnreadableError as error:
            left_out.append(f"{path.name}: {error}")
            continue
        if media.seconds < SHORTEST_S:
            left_out.append(f"{path.name}: shorter than {SHORTEST_S:g} s")
            continue
        limit = limits.get(path.name, KNOWN_LIMITS.get(path.name)) or starved_limit(media)
        clips.append(Clip(path=path, facts=media, limit_bytes=limit))
    return clips, left_out


def starved_limit(media: Facts) -> int:
    """A limit that hurts: few bits for each pixel of each picture, sound beside it, never more than half of the source."""
    picture = STARVED_BITS_PER_PIXEL * media.pixels * media.fps * media.seconds / 8
    sound = SOUND_BYTES_S * media.seconds if media.sound else 0
    return int(min(picture + sound, media.size_bytes / 2)) // 1000 * 1000


def _picked(name: str, pick: Sequence[str]) -> bool:
    return not pick or any(fnmatch.fnmatch(name, f"*{one}*") for one in pick)


def _unlike(source: Facts, made: Facts) -> str:
    """What a score does not tell: an output that is shorter, or mute."""
    if source.sound and not made.sound:
        return "no sound"
    if abs(made.seconds - source.seconds) > max(0.25, 3 / min(source.fps, made.fps), source.seconds / 100):
        return f"{made.seconds:.2f} s of {source.seconds:.2f}"
    return ""


def _middle(taken: Sequence[Row]) -> Row:
    last = asdict(taken[-1])
    peak = max(row.peak_bytes for row in taken)
    wall, cpu = median(row.wall_s for row in taken), median(row.cpu_s for row in taken)
    worst = next((row for row in taken if row.size_bytes is None or row.over), None)
    # A limit that is broken once is broken.
    told = {} if worst is None else {"size_bytes": worst.size_bytes, "fault": worst.fault}
    return Row(**{**last, **told, "wall_s": wall, "cpu_s": cpu, "peak_bytes": peak})


def _limits(words: Sequence[str]) -> dict[str, int]:
    found = {}
    for word in words:
        name, _, size = word.rpartition("=")
        unit = next((unit for unit in UNITS if size.endswith(unit)), "")
        found[name] = int(float(size.removesuffix(unit)) * UNITS.get(unit, 1.0))
    return found


def _tools(words: str) -> list[Tool]:
    return [Tool(word.strip()) for word in words.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--clips", type=Path, metavar="DIR", help="real clips; without it the project makes its own")
    add("--material", action="store_true", help="with --clips: the project's own material, too")
    add("--pick", action="append", default=[], metavar="PART", help="only clips whose name has this in it; may be repeated")
    add("--limit", action="append", default=[], metavar="NAME=SIZE", help='a clip\'s limit, such as "holiday.mov=8MB"')
    add("--only", type=_tools, default=list(Tool), metavar="TOOL,…", help=f"of {', '.join(Tool)}")
    add("--repeat", type=int, default=1, metavar="N", help="so often; seconds are the median")
    add("--frames", type=int, default=400, metavar="N", help="score at most so many pictures of each clip")
    add("--timeout", type=float, default=1800.0, metavar="SECONDS", help="for one tool on one clip")
    add("--peers", metavar="DIR", help="where foreign tools are installed, once; else a temporary folder")
    add("--cache", metavar="DIR", help="where made clips are kept; else a temporary folder")
    add("--work", metavar="DIR", help="where outputs are left; else a temporary folder that is removed")
    add("--json", type=Path, metavar="FILE", help="write all figures there, too")
    add("--check", action="store_true", help="end with 1 when a goal is missed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
