"""Commands that only look: status, presets, limits, check and doctor."""

import asyncio
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nemod.cli.common import (
    ConfigOption,
    JsonOption,
    Places,
    complete_preset,
    existing_ledger,
    find_preset,
    places,
    presets_of,
    print_json,
    print_sheet,
    say,
    scene,
)
from nemod.cli.exits import ExitCode, Stop
from nemod.config.builtin import platforms
from nemod.config.model import Config, Preset
from nemod.config.units import format_exact, format_size
from nemod.daemon.locks import daemon_runs
from nemod.host import doctor as host
from nemod.job import JobState
from nemod.media.info import MediaInfo
from nemod.media.probe import PROBE_TIMEOUT_S, ProbeError, probe
from nemod.media.verdict import check as faults_of
from nemod.media.verdict import inline_faults
from nemod.text import safe
from nemod.views import (
    OPEN,
    Sheet,
    StatusView,
    fields,
    folder_view,
    hold_view,
    holds_sheet,
    job_view,
    jobs_sheet,
    limit_text,
    places_sheet,
    tilde,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="\b\nExamples:\n  nemod status\n  nemod status --json | jq .counts")(status)
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod check clip.mp4 --for discord          20 MB, Discord's free limit since August 2026\n"
        "  nemod check clip.mp4 --for discord-10mb && echo fits everywhere on Discord"
    )(check)
    app.command(epilog="\b\nExamples:\n  nemod presets\n  nemod presets --json | jq '.[].name'")(presets)
    app.command(epilog="\b\nExamples:\n  nemod limits\n  nemod limits --json")(limits)
    app.command(epilog="\b\nExamples:\n  nemod doctor\n  nemod doctor --json")(doctor)


def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show what runs, and what waits for what.

    With the holds on engines and folders, what to do about them, and where the folders are.
    """
    where = places(config)
    view = _status(where)
    if as_json:
        print_json(fields(view))
        return
    say(f"Daemon: {'running' if view.running else 'not running (start it with: nemod run)'}")
    say(f"Jobs: {', '.join(f'{count} {state}' for state, count in view.counts.items() if count) or 'none yet'}")
    # What has begun is told of between its polls, too; what only waits for its turn is counted.
    telling = tuple(j for j in view.jobs if j.state != JobState.QUEUED or j.failure is not None or j.attempts)
    if telling:
        say()
        print_sheet(jobs_sheet(telling))
    for job in telling:
        if job.state == JobState.PARKED and job.failure is not None and job.failure.hint:
            say(f"Job {job.id}: {safe(job.failure.hint)}")
    if view.holds:
        say()
        print_sheet(holds_sheet(view.holds, now=time.time()))
    say()
    if view.folders:
        print_sheet(places_sheet(view.folders, home=where.home))
    for problem in view.problems:
        say(problem)


def _status(where: Places) -> StatusView:
    config = where.read()
    alive = daemon_runs(where.state)
    # A daemon with a config of its own name does not need the usual one.
    missed = alive and not where.named and not where.config.exists()
    known = StatusView(
        running=alive,
        state_dir=str(where.state),
        counts={state.value: 0 for state in JobState},
        folders=tuple(map(folder_view, config.folders)) if isinstance(config, Config) else (),
        problems=() if missed or isinstance(config, Config) else tuple(map(str, config)),
    )
    with existing_ledger(where.state) as ledger:
        if ledger is None:
            return known
        now = scene(where.state, ledger)
        jobs = sorted(ledger.jobs(states=OPEN), key=lambda job: (OPEN.index(job.state), job.rank, job.id))
        return StatusView(
            running=now.alive,
            state_dir=known.state_dir,
            counts={state.value: count for state, count in ledger.counts().items()},
            jobs=tuple(job_view(job, now) for job in jobs),
            holds=tuple(map(hold_view, now.holds)),
            folders=known.folders,
            problems=known.problems,
        )


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The video.", show_default=False)],
    preset: Annotated[str, typer.Option("--for", metavar="PRESET", autocompletion=complete_preset, help="See: nemod presets")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell whether a file fits and plays inline as it is.

    If not, it says why. Exit code 0: yes, 1: no.
    """
    goal = find_preset(preset, presets_of(places(config).load_if_any()))
    try:
        size_bytes = file.stat().st_size
    except OSError as error:
        raise Stop(ExitCode.USAGE, f"{file}: {error.strerror}.") from error
    try:
        media = asyncio.run(probe(Path(os.path.realpath(file)), timeout_s=PROBE_TIMEOUT_S))
    except ProbeError as error:
        answer = _answer(file, goal, size_bytes, None, (error.failure.detail,))
    else:
        # A preset without a figure promises less than the source has; of a file alone only the rest can be asked.
        limit = media.size_bytes if goal.limit_bytes is None else goal.limit_bytes
        answer = _answer(file, goal, media.size_bytes, media, faults_of(media, goal, limit))
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer)
    if not answer["ok"]:
        raise typer.Exit(ExitCode.FAILED)


def _answer(file: Path, goal: Preset, size_bytes: int, media: MediaInfo | None, reasons: tuple[str, ...]) -> dict[str, Any]:
    """What `--json` prints: sizes in bytes, `fits` by size alone, `ok` when there is no reason against the file."""
    return {
        "file": str(file.absolute()),
        "preset": goal.name,
        "ok": not reasons,
        "fits": goal.limit_bytes is None or size_bytes <= goal.limit_bytes,
        "plays_inline": media is not None and not inline_faults(media),
        "reasons": reasons,
        "size_bytes": size_bytes,
        "limit_bytes": goal.limit_bytes,
        "media": None if media is None else asdict(media),
    }


def _print_answer(answer: dict[str, Any]) -> None:
    name, preset, limit = safe(Path(answer["file"]).name), answer["preset"], answer["limit_bytes"]
    size = format_exact(answer["size_bytes"]) + ("" if limit is None else f" of {format_exact(limit)}")
    say(f"{name}: {'yes' if answer['ok'] else 'no'}, for {preset} ({size})")
    for reason in answer["reasons"]:
        say(f"  {safe(reason)}")
    if not answer["ok"]:
        say(f"Make one that does with: nemod compress FILE --preset {preset}")


def presets(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the presets, built in and your own.

    Discord's free limit is 20 MB since August 2026: "discord". "discord-10mb" stays as the safe one for old clients, bots
    and webhooks.
    """
    every = presets_of(places(config).load_if_any()).values()
    if as_json:
        print_json([asdict(preset) for preset in every])
        return
    print_sheet(
        Sheet(
            columns=("PRESET", "LIMIT", "PICTURE", "WHAT FOR"),
            rows=tuple((p.name, limit_text(p.limit_bytes), _bounds(p), safe(p.summary)) for p in every),
        )
    )


def _bounds(preset: Preset) -> str:
    bounds = [] if preset.max_height is None else [f"{preset.max_height}p"]
    bounds += [] if preset.max_fps is None else [f"{preset.max_fps:g} fps"]
    return ", ".join(bounds) or "-"


def limits(as_json: JsonOption = False) -> None:
    """List what platforms take, with dates and sources.

    Discord's free limit is 20 MB since August 2026; old clients, bots and webhooks may still refuse more than 10 MB.
    """
    every = platforms().values()
    if as_json:
        print_json([asdict(platform) for platform in every])
        return
    print_sheet(
        Sheet(
            columns=("PLATFORM", "USED", "PUBLISHED", "SINCE", "CHECKED", "SURE", "SOURCE", "NOTE"),
            rows=tuple(
                (
                    p.name,
                    format_size(p.limit_bytes),
                    p.published,
                    p.since or "-",
                    p.checked,
                    p.confidence.value,
                    p.source,
                    p.note or "-",
                )
                for p in every
            ),
        )
    )


def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Look at all that nemod needs, and say what to do.

    Exit code 1: something is wrong.
    """
    where = places(config)
    findings = asyncio.run(
        host.examine(where.config, where.state, home=where.home, env=where.env, program=Path(sys.executable))
    )
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_sheet(
            Sheet(
                columns=("", "LOOKED AT", "FOUND", "WHAT TO DO"),
                rows=tuple(("ok" if f.ok else "!!", safe(f.what), _short(f.found, where.home), safe(f.todo)) for f in findings),
            )
        )
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _short(found: str, home: Path) -> str:
    return tilde(found, home) if found.startswith("/") else safe(found)
