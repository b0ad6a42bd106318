"""Commands that only look: status, presets, limits; `check` and `doctor` have files of their own."""

import time
from dataclasses import asdict

import typer

from nemod.cli.check import check
from nemod.cli.common import (
    ConfigOption,
    JsonOption,
    Places,
    existing_ledger,
    places,
    presets_of,
    print_json,
    print_sheet,
    say,
    scene,
    tell,
)
from nemod.config.builtin import platforms
from nemod.config.model import Config, Preset
from nemod.config.places import SYSTEM_HOME
from nemod.config.units import format_size
from nemod.daemon.locks import daemon_runs
from nemod.daemon.resting import pause_view
from nemod.host.systemd import SYSTEM_FILE
from nemod.host.units import USER
from nemod.job import JobState
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
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="\b\nExamples:\n  nemod status\n  nemod status --json | jq .counts")(status)
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod check clip.mp4 --for discord          20 MB, Discord's free limit since August 2026\n"
        "  nemod check clip.mp4 --for discord-10mb && echo fits everywhere on Discord\n"
        "  nemod check small.mp4 --quality clip.mov    how good its picture is beside the original"
    )(check)
    app.command(epilog="\b\nExamples:\n  nemod presets\n  nemod presets --json | jq '.[].name'")(presets)
    app.command(epilog="\b\nExamples:\n  nemod limits\n  nemod limits --json")(limits)


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
    if view.holds or view.pauses:
        say()
        print_sheet(holds_sheet(view.holds, view.pauses, now=time.time()))
    say()
    if view.folders:
        print_sheet(places_sheet(view.folders, home=where.home))
    for problem in view.problems:
        say(problem)
    if not view.running and where.home != SYSTEM_HOME and SYSTEM_FILE.exists():
        tell(f"This is yours; the machine's service is asked with: sudo -u {USER} nemod status")


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
            pauses=tuple(pause_view(p) for p in now.pauses if p.until is None or p.until > now.now),
            folders=known.folders,
            problems=known.problems,
        )


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
