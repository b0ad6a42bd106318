"""Thousands of small jobs through one real daemon while everything around it goes wrong: what is lost, what leaks.

    python benchmarks/soak.py                      5,000 jobs; about half an hour on two free cores
    python benchmarks/soak.py --jobs 500 --seed 7  fewer, with other faults
    python benchmarks/soak.py --minutes 10         as many as go in that time
    python benchmarks/soak.py --json soak.json     the figures for programs, too

Tiny real clips (most of them pass, some are re-wrapped or encoded, some are made by the sandbox, some are no videos) are
dropped into three folders. Meanwhile the daemon and its children are killed, the cloud misbehaves, an outbox is full or in the
way, the ledger is locked, the config is read again, jobs are cancelled by command. The daemon itself is killed during the first
two fifths only: the rest is one life, long enough to see whether it grows. Exit code 1: a law was broken, or it leaks. It needs
Linux, for /proc.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.soak_trouble import Trouble, children_of, small_disk
from benchmarks.soak_world import CONFIG, FOLDERS, Material, World
from tests.support.cloud import cloud
from tests.support.daemon import machine

BACKLOG = 24
FAULT_EVERY_MOST = 10
STORMY = 0.4
DISK_MB = 200
#: When all is dropped, nothing may take longer than this to come to its end.
PATIENCE_S = 600.0
PROD_EVERY_S = 3.0
#: What one life may grow by between its second quarter and its end.
GROWTH_MOST_MB, GROWTH_MOST_FILES = 25.0, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at a moment: `ended` jobs, how fast the last ones were, and what it holds."""

    ended: int
    life: int
    seconds: float
    jobs_per_s: float
    cpu_ms_per_job: float
    resident_mb: float
    files: int
    threads: int
    children: int
    work_folders: int
    ledger_mb: float
    wal_mb: float
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of it all; `broken` and `leaks` should be empty."""

    jobs: int
    seconds: float
    sorts: dict[str, int]
    doubled_names: int
    faults: dict[str, int]
    lives: int
    ends: dict[str, int]
    command_s: dict[str, float]
    samples: tuple[Sample, ...]
    broken: tuple[str, ...]
    leaks: tuple[str, ...]


class Meter:
    """Takes samples of a world's daemon."""

    def __init__(self, world: World, trouble: Trouble) -> None:
        """The clock begins."""
        self._world, self._trouble = world, trouble
        self._began = self._last = time.monotonic()
        self._ended = 0
        self._cpu = cpu_s()

    def take(self) -> Sample:
        """One sample, with a look at the laws."""
        home, state = self._world.machine.home, self._world.machine.state
        pid = self._world.machine.pid
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        states = self._world.states()
        ended = states["done"] + states["failed"] + states["cancelled"]
        now, cpu = time.monotonic(), cpu_s()
        passed, many = now - self._last, max(1, ended - self._ended)
        broken = tuple(self._world.broken_now())
        sample = Sample(
            ended=ended,
            life=self._trouble.lives,
            seconds=round(now - self._began, 1),
            jobs_per_s=round((ended - self._ended) / passed, 2),
            cpu_ms_per_job=round(1000 * (cpu - self._cpu) / many),
            resident_mb=int(status["VmRSS"].split()[0]) / 1000,
            files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=int(status["Threads"]),
            children=len(children_of(pid)),
            work_folders=len([path for path in home.rglob(".nemod-work/*") if path.is_dir()]),
            ledger_mb=round((state / "ledger.sqlite3").stat().st_size / 1e6, 2),
            wal_mb=round((state / "ledger.sqlite3-wal").stat().st_size / 1e6, 2),
            broken=broken,
        )
        self._last, self._ended, self._cpu = time.monotonic(), ended, cpu_s()
        return sample


def cpu_s() -> float:
    """What the children that have ended took of the processor: daemons and commands, with all they ran."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def soak(root: Path, jobs: int, seed: int, *, drop_s: float = float("inf")) -> Report:
    """Run it all in a folder of its own; after `drop_s` seconds nothing more is dropped."""
    with (
        machine(root) as made,
        cloud(root / "sandbox", "--credits", "1e9", "--cost", "1") as sandbox,
        small_disk(made.home / "disk", DISK_MB) as full,
    ):
        for name in FOLDERS:
            (made.home / name).mkdir()
        made.configure(CONFIG.format(rescan=5))
        made.more_env |= sandbox.env()
        material = Material.make(root / "clips")
        world = World(machine=made, material=material, dice=random.Random(seed), patient=jobs >= 500)  # noqa: S311 - a seed is the point
        trouble = Trouble(world=world, cloud=sandbox, full=full)
        if not full:
            print("No file system can be mounted here: an outbox that is full is left out.", file=sys.stderr)
        trouble.start()
        meter = Meter(world, trouble)
        began = time.monotonic()
        samples = _drop_all(world, trouble, meter, jobs, until=began + drop_s)
        trouble.settle()
        _work_off(world, trouble)
        samples.append(meter.take())
        took = time.monotonic() - began
        commands = {
            " ".join(words): _timed(world, *words) for words in (("status",), ("jobs", "list"), ("jobs", "list", "--all"))
        }
        code = made.stop()
        broken = [*(f"at {s.ended}: {b}" for s in samples for b in s.broken), *world.broken_at_the_end()]
        broken += [] if code == 0 else [f"the daemon ended with {code}"]
        broken += [f"law 4: {fault}" for fault in sandbox.faults()]
        broken += [f"a bug: {line[:2000]}" for log in made.home.glob("log*") for line in _bugs(log)]
        return Report(
            jobs=len(world.dropped),
            seconds=round(took, 1),
            sorts={
                sort: sum(one.sort == sort for one in world.dropped.values())
                for sort in {o.sort for o in world.dropped.values()}
            },
            doubled_names=world.doubled,
            faults=dict(sorted(trouble.done.items())),
            lives=trouble.lives,
            ends=dict(world.states()),
            command_s=commands,
            samples=tuple(samples),
            broken=tuple(broken),
            leaks=tuple(leaks(samples)),
        )


def _drop_all(world: World, trouble: Trouble, meter: Meter, jobs: int, *, until: float) -> list[Sample]:
    """Drop file after file, never too many at once, with a fault now and then."""
    samples: list[Sample] = []
    fault_every = max(2, min(FAULT_EVERY_MOST, jobs // 10))
    for number in range(1, jobs + 1):
        world.drop()
        if number % fault_every == 0:
            trouble.stir(kills=number <= STORMY * jobs)
        if number % max(1, jobs // 10) == 0:
            samples.append(meter.take())
            print(line_of(samples[-1]), file=sys.stderr, flush=True)
        if time.monotonic() > until:
            break
        patience = time.monotonic() + PATIENCE_S
        while _open(world) > BACKLOG:
            time.sleep(0.05)
            if time.monotonic() > patience:
                raise SystemExit(f"Nothing moves any more:\n{world.states()}\n{world.machine.told()[-5000:]}")
    return samples


def _open(world: World) -> int:
    """Files that are not at their end; those that are given more looks wait for no one."""
    (counted,) = world.rows("SELECT COUNT(*) FROM job WHERE state IN ('done', 'failed', 'cancelled', 'parked') OR tries > 0")
    return len(world.dropped) - int(counted[0] or 0)


def _work_off(world: World, trouble: Trouble) -> None:
    """Wait for the end, and ask again, as a person would, for what rests, was cancelled or failed by a fault."""
    until = time.monotonic() + PATIENCE_S
    good = {(o.folder, o.name.encode(), o.size) for o in world.dropped.values() if o.sort not in {"sound", "rubbish"}}
    while True:
        rows = world.rows("SELECT id, state, folder_name, relpath, size FROM job WHERE state <> 'done'")
        unfinished = [row for row in rows if row[1] in {"queued", "running"}]
        parked = [str(row[0]) for row in rows if row[1] == "parked"]
        again = [str(i) for i, state, *key in rows if state == "cancelled" or (state == "failed" and tuple(key) in good)]
        if not unfinished and not parked and not again and len(world.rows("SELECT id FROM job")) >= len(world.dropped):
            return
        for word, numbers in (("release", parked), ("retry", again)):
            if numbers:
                trouble.command("jobs", word, *numbers)
                trouble.done[f"asked to {word}"] += len(numbers)
        trouble.settle()
        time.sleep(min(PROD_EVERY_S, 0.2 + len(world.dropped) / 100))
        if time.monotonic() > until:
            raise SystemExit(f"This never ends:\n{rows}\n{world.machine.told()[-5000:]}")


def _timed(world: World, *words: str) -> float:
    began = time.monotonic()
    done = world.machine.nemod(*words)
    assert done.returncode == 0, done.stderr
    return round(time.monotonic() - began, 2)


def _bugs(log: Path) -> list[str]:
    return [line for line in log.read_text(encoding="utf-8").splitlines() if '.bug"' in line or '"ledger.failed"' in line]


def leaks(samples: Sequence[Sample]) -> list[str]:
    """What the last life had more of at its end than in its beginning."""
    life = [sample for sample in samples if sample.life == samples[-1].life]
    early, late = life[len(life) // 4], life[-1]
    found = []
    if late.resident_mb - early.resident_mb > GROWTH_MOST_MB:
        found.append(f"memory grew from {early.resident_mb:.0f} to {late.resident_mb:.0f} MB")
    if late.files - early.files > GROWTH_MOST_FILES:
        found.append(f"open files grew from {early.files} to {late.files}")
    if late.children or late.work_folders:
        found.append(f"{late.children} children and {late.work_folders} work folders are left at rest")
    return found


HEAD = "| ended | life | jobs/s | CPU ms/job | RSS MB | files | threads | children | work | ledger MB | WAL MB | broken |"


def line_of(s: Sample) -> str:
    """A sample as a row."""
    held = f"{s.resident_mb:.0f} | {s.files} | {s.threads} | {s.children} | {s.work_folders} | {s.ledger_mb} | {s.wal_mb}"
    return f"| {s.ended} | {s.life} | {s.jobs_per_s} | {s.cpu_ms_per_job} | {held} | {len(s.broken)} |"


def table(report: Report) -> str:
    """All of it for people."""
    rows = [HEAD, "|" + "---|" * (HEAD.count("|") - 1), *map(line_of, report.samples)]
    return "\n".join(
        [
            *rows,
            "",
            f"{report.jobs} files in {report.seconds:.0f} s, {report.doubled_names} under a name used before: {report.sorts}",
            f"{sum(report.faults.values())} faults: {report.faults}",
            f"{report.lives} lives of the daemon; ends: {report.ends}",
            f"seconds for commands at the end: {report.command_s}",
            *(f"BROKEN: {line}" for line in report.broken),
            *(f"LEAKS: {line}" for line in report.leaks),
            "Lost: nothing." if not report.broken else f"Lost: see above, {len(report.broken)} times.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, and answer whether all is well."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--jobs", type=int, default=5000)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--minutes", type=float, default=float("inf"))
    words.add_argument("--json", type=Path)
    asked = words.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="nemod-soak-") as place:
        report = soak(Path(place), asked.jobs, asked.seed, drop_s=60 * asked.minutes)
    print(table(report))
    if asked.json is not None:
        asked.json.write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
    return 1 if report.broken or report.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
