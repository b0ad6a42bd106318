"""What people see of jobs: rows of the ledger turned into values that a table, `--json` and a page print alike. Pure.

Rules kept here:
- one function makes a value, printers only lay it out; `fields` gives what `--json` prints, `*_sheet` what a table shows;
- times are epoch seconds, sizes bytes, `left_s` seconds, `percent` from 0 to 100, `speed` seconds of video per second;
- paths are texts with surrogate escapes; sheets make them safe for a terminal, JSON escapes them by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, assert_never

from nemod.config.model import Folder
from nemod.config.units import format_duration, format_size
from nemod.daemon.board import Running
from nemod.daemon.outputs import OutputView, output_views, quality_of
from nemod.daemon.resting import PauseView, pause_view
from nemod.engines.base import EngineName
from nemod.failure import Failure, Kind
from nemod.job import TRANSITIONS, Job, JobId, JobState
from nemod.ledger.ledger import HoldRow, Spending, engine_scope, folder_scope
from nemod.ledger.pauses import Pause, pause_of
from nemod.media.quality import Quality
from nemod.media.verdict import Refuse
from nemod.text import safe

#: States in which a job still has something before it, in the order in which people ask about them.
OPEN = (JobState.RUNNING, JobState.PARKED, JobState.QUEUED)
NOTHING = "-"
#: A longer name is cut in the middle, where it is least missed; JSON has it whole.
NAME_MOST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureView:
    """What went wrong and what to do."""

    kind: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job. `attempts` counts this round's; `output` is set once delivered, `due` while queued, progress while running.

    `outputs` are the delivered files in their order, mostly one; `output` is the first, `output_bytes` their sum. `quality` is
    what was measured, if it was asked for.
    """

    id: int
    folder: str
    source: str  # where the original lies now
    state: str
    stage: str  # what it does, or waits for, in words
    engine: str | None  # who works on it or will; None: not yet decided
    preset: str
    limit_bytes: int | None
    input_bytes: int
    output_bytes: int | None
    output: str | None
    outputs: tuple[OutputView, ...]
    quality: Quality | None
    attempts: int
    due: float | None
    failure: FailureView | None
    created: float
    finished: float | None
    percent: float | None
    speed: float | None
    left_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """An engine or folder that takes nothing new until then (None: until a person acts); `times` in a row."""

    scope: str
    until: float | None
    times: int
    failure: FailureView


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderView:
    """An inbox and what becomes of its files."""

    name: str
    inbox: str
    outbox: str
    originals: str
    failed: str | None
    preset: str
    limit_bytes: int | None
    engine: str
    after: str
    recursive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """All at a glance: `jobs` are those that run, rest or wait; `counts` is by state; `problems` are the config's."""

    running: bool  # whether a daemon is
    state_dir: str
    counts: Mapping[str, int] = field(default_factory=dict)
    jobs: tuple[JobView, ...] = ()
    holds: tuple[HoldView, ...] = ()
    pauses: tuple[PauseView, ...] = ()
    folders: tuple[FolderView, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table ready to print."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What jobs are seen against: those that run or wait outside, holds and pauses, whether a daemon is there, and the time."""

    board: Mapping[JobId, Running]
    holds: tuple[HoldRow, ...]
    alive: bool
    now: float
    pauses: tuple[Pause, ...] = ()


def fields(view: JobView | HoldView | FolderView | StatusView) -> dict[str, Any]:
    """A view as JSON has it."""
    return asdict(view)


def job_view(job: Job, scene: Scene) -> JobView:
    """A job as people see it."""
    running = scene.board.get(job.id) if job.state is JobState.RUNNING else None
    delivered = job.delivered_bytes is not None and job.target is not None
    fraction = running.fraction if running is not None else None
    return JobView(
        id=job.id,
        folder=job.folder.name,
        source=str(job.source),
        state=job.state.value,
        stage=stage(job, scene),
        engine=_engine(job),
        preset=job.folder.preset.name,
        limit_bytes=job.folder.preset.limit_bytes if job.route is None else job.route.limit_bytes,
        input_bytes=job.fingerprint.size_bytes,
        output_bytes=job.delivered_bytes,
        output=str(job.target) if delivered else None,
        outputs=output_views(job),
        quality=quality_of(job) if delivered else None,
        attempts=len(job.attempts),
        due=job.due if job.state is JobState.QUEUED else None,
        failure=failure_view(job.failure) if job.failure is not None else None,
        created=job.created,
        finished=job.finished,
        percent=None if fraction is None else round(100 * fraction, 1),
        speed=running.speed if running is not None else None,
        left_s=running.left_s if running is not None else None,
    )


def quality_text(quality: Quality) -> str:
    """What was measured, for reading: "VMAF 93.1, 5th percentile 88.0, SSIM 0.983"."""
    return f"VMAF {quality.vmaf_mean:.1f}, 5th percentile {quality.vmaf_p5:.1f}, SSIM {quality.ssim:.3f}"


def part_text(output: OutputView) -> str:
    """Which part of its source a file shows, and its size: "0:00 to 1:05, 9.9 MB"."""
    if output.start_s is None or output.end_s is None:
        return format_size(output.bytes)
    return f"{format_duration(output.start_s)} to {format_duration(output.end_s)}, {format_size(output.bytes)}"


def stage(job: Job, scene: Scene) -> str:
    """What a job does, or waits for."""
    match job.state:
        case JobState.QUEUED:
            return _waits_for(job, scene)
        case JobState.RUNNING if not scene.alive:
            return "interrupted: goes on at the next start"
        case JobState.RUNNING:
            running = scene.board.get(job.id)
            return "starting" if running is None else running.stage
        case JobState.PARKED:
            return "waits for you" + _because(job.failure)
        case JobState.DONE:
            return "delivered"
        case JobState.FAILED:
            return "failed" + _because(job.failure)
        case JobState.CANCELLED:
            return "cancelled" + _because(job.failure)
        case _ as never:
            assert_never(never)


def _waits_for(job: Job, scene: Scene) -> str:
    engine = _engine(job)
    scopes = {folder_scope(job.folder.name), *(() if engine is None else (engine_scope(EngineName(engine)),))}
    for hold in scene.holds:
        # Who only polls has paid: want of credits does not hold it.
        paid = job.polling and hold.failure.kind is Kind.CREDITS
        if hold.scope in scopes and not paid and (hold.until is None or hold.until > scene.now):
            until = "" if hold.until is None else f" until {clock(hold.until, now=scene.now)}"
            return f"waiting{until}: {hold.failure.detail}"
    if (paused := pause_of(job, scene.pauses, now=scene.now)) is not None:
        until = "" if paused.until is None else f" until {clock(paused.until, now=scene.now)}"
        return f"waiting{until}: {pause_view(paused).detail}"
    if job.due > scene.now and job.polling:
        resting = scene.board.get(job.id)
        doing = resting.stage if resting is not None and resting.rests else "made in the cloud"
        return f"{doing}, next look at {clock(job.due, now=scene.now, seconds=True)}" + _because(job.failure)
    if job.due > scene.now:
        return f"waiting until {clock(job.due, now=scene.now)}" + _because(job.failure)
    return "waiting for its turn"


def _because(failure: Failure | None) -> str:
    return f": {failure.detail}" if failure is not None and failure.detail else ""


def _engine(job: Job) -> str | None:
    if job.attempts:
        return job.attempts[-1].engine.value
    return None if job.route is None else job.route.engines[0].value


def failure_view(failure: Failure) -> FailureView:
    """A failure for people."""
    return FailureView(kind=failure.kind.value, detail=failure.detail, hint=failure.hint)


def job_detail(
    job: Job, scene: Scene, history: Iterable[tuple[float, str | None, str]], *, spendings: Sequence[Spending] = ()
) -> dict[str, Any]:
    """Everything about a job, as JSON has it: the fields of `JobView`, then facts, this round's tries and the history.

    `credits` is what it has cost in the cloud, or may have; None: nothing was paid. `parent` is the job whose session it goes
    on in.
    """
    return {
        **fields(job_view(job, scene)),
        "how": None if job.route is None else job.route.how.value,
        "original": job.disposed,  # archived, kept, trashed, deleted, gone or changed
        "started": job.started,
        "parent": job.parent,
        "instruction": job.instruction,
        "credits": sum(s.counted for s in spendings) if spendings else None,
        "media": None if job.media is None else asdict(job.media),
        "tries": [
            {
                "engine": attempt.engine.value,
                "how": attempt.how.value,
                "note": attempt.note,
                "refused": attempt.verdict.detail if isinstance(attempt.verdict, Refuse) else None,
                "failure": None if attempt.failure is None else asdict(failure_view(attempt.failure)),
            }
            for attempt in job.attempts
        ],
        "history": [{"at": at, "was": was, "now": now} for at, was, now in history],
    }


def hold_view(hold: HoldRow) -> HoldView:
    """A hold as people see it."""
    return HoldView(scope=hold.scope, until=hold.until, times=hold.times, failure=failure_view(hold.failure))


def folder_view(folder: Folder) -> FolderView:
    """A folder as people see it."""
    return FolderView(
        name=folder.name,
        inbox=str(folder.inbox),
        outbox=str(folder.outbox),
        originals=str(folder.originals),
        failed=None if folder.failed is None else str(folder.failed),
        preset=folder.preset.name,
        limit_bytes=folder.preset.limit_bytes,
        engine=folder.engine.value,
        after=folder.after.value,
        recursive=folder.recursive,
    )


# -- tables -----------------------------------------------------------------------------------------------------------------


def jobs_sheet(jobs: Sequence[JobView]) -> Sheet:
    """Jobs, one a row; the file by its name alone, since its folder stands beside it."""
    return Sheet(
        columns=("ID", "FOLDER", "FILE", "STATE", "SIZE", "STAGE"),
        rows=tuple((str(j.id), safe(j.folder), _short(safe(Path(j.source).name)), j.state, _sizes(j), doing(j)) for j in jobs),
    )


def holds_sheet(holds: Sequence[HoldView], pauses: Sequence[PauseView] = (), *, now: float) -> Sheet:
    """Who takes nothing new, and what to do about it."""
    paused = tuple(
        (
            "all folders" if p.folder is None else f"folder {safe(p.folder)}",
            "you act" if p.until is None else clock(p.until, now=now),
            p.detail,
            safe(p.hint) or NOTHING,
        )
        for p in pauses
    )
    return Sheet(
        columns=("HELD", "UNTIL", "WHY", "WHAT TO DO"),
        rows=tuple(
            (
                safe(h.scope.replace(":", " ")),
                _until(h, now),
                safe(h.failure.detail),
                safe(h.failure.hint) or NOTHING,
            )
            for h in holds
        )
        + paused,
    )


def _short(name: str) -> str:
    return name if len(name) <= NAME_MOST else f"{name[: NAME_MOST // 2]}…{name[-NAME_MOST // 2 + 1 :]}"


def _until(hold: HoldView, now: float) -> str:
    if hold.until is not None:
        return clock(hold.until, now=now)
    return "it is back" if hold.scope.startswith("folder:") else "you act"


def places_sheet(folders: Sequence[FolderView], *, home: Path) -> Sheet:
    """Where to drop and where to find, for a glance."""
    return Sheet(
        columns=("DROP VIDEOS INTO", "RESULTS APPEAR IN", "LIMIT"),
        rows=tuple((tilde(f.inbox, home), tilde(f.outbox, home), limit_text(f.limit_bytes)) for f in folders),
    )


def folders_sheet(folders: Sequence[FolderView], *, home: Path) -> Sheet:
    """Folders, one a row."""
    return Sheet(
        columns=("NAME", "DROP VIDEOS INTO", "RESULTS APPEAR IN", "PRESET", "LIMIT", "ENGINE", "ORIGINALS"),
        rows=tuple(
            (f.name, tilde(f.inbox, home), tilde(f.outbox, home), f.preset, limit_text(f.limit_bytes), f.engine, f.after)
            for f in folders
        ),
    )


def doing(job: JobView) -> str:
    """A job's stage with how far it is: "pass 2 of 2, 45 %, 3.1x, 0:12 left"."""
    parts = [safe(job.stage)]
    parts += [] if job.percent is None else [f"{job.percent:.0f} %"]
    parts += [] if job.speed is None else [f"{job.speed:.1f}x"]
    parts += [] if job.left_s is None else [f"{format_duration(job.left_s)} left"]
    return ", ".join(parts)


def _sizes(job: JobView) -> str:
    came = format_size(job.input_bytes)
    return came if job.output_bytes is None else f"{came} -> {format_size(job.output_bytes)}"


def limit_text(limit_bytes: int | None) -> str:
    """A preset's limit for reading."""
    return "smaller than before" if limit_bytes is None else format_size(limit_bytes)


def clock(at: float, *, now: float, seconds: bool = False) -> str:
    """A moment in local time: "10:42", with its date when it is not today's."""
    moment, today = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
    time = "%H:%M:%S" if seconds else "%H:%M"
    return moment.strftime(time if moment.date() == today.date() else f"%Y-%m-%d {time}")


def tilde(path: str | Path, home: Path) -> str:
    """A path made short and safe for people: "~/Compress/clips"."""
    path = Path(path)
    return safe(f"~/{path.relative_to(home)}" if path != home and path.is_relative_to(home) else str(path))


def state_diagram() -> str:
    """The life of a job as a Mermaid diagram, printed from the table of transitions."""
    lines = ["stateDiagram-v2", f"    [*] --> {JobState.QUEUED}: file at rest"]
    lines += [f"    {was} --> {now}: {move}" for was, moves in TRANSITIONS.items() for move, now in moves.items()]
    lines += [f"    {state} --> [*]" for state, moves in TRANSITIONS.items() if not moves]
    return "\n".join(lines) + "\n"
