"""`nemod run` and `nemod once`: from a config, perhaps a fresh one, to a daemon at work.

The order matters: config, folders, lock, ledger. Whoever does not get the lock has changed nothing that a daemon uses.
"""

import asyncio
import os
import signal
from dataclasses import asdict
from functools import partial
from pathlib import Path

import typer

from nemod import logs
from nemod.cli import story
from nemod.cli.common import ConfigOption, Places, existing_ledger, places, say, tell, using
from nemod.cli.detail import detail_now
from nemod.cli.doctor import examine
from nemod.cli.engines import Workshop
from nemod.cli.exits import ExitCode, Stop
from nemod.cli.identity import unknown_zone
from nemod.cli.owners import make_as_wished
from nemod.cli.progress import Lines
from nemod.config.model import Config
from nemod.config.prepare import prepare, stops
from nemod.config.problem import Problem
from nemod.config.write import write_default
from nemod.daemon.locks import Busy, Seat, daemon_runs
from nemod.daemon.outside import Outside
from nemod.daemon.service import Ending, Outcome, Service, open_ledger
from nemod.engines.local.tools import find_ffmpeg
from nemod.host.notify import Notifier
from nemod.intake.drives import away
from nemod.job import JobId
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger
from nemod.media import polite
from nemod.views import limit_text, tilde

log = logs.get(__name__)

LINES_EVERY_S = 0.25
_DELIVERED = "Everything is delivered all the same; see: nemod config check"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod run                          with ~/.config/nemod/config.toml, written if there is none\n"
        "  nemod run --config clips.toml      with another config\n"
        "  kill -HUP PID                      reads the config again"
    )(run)
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod once                         exit code 0: all done; 1: a file failed; 75: something waits\n"
        "  nemod once --config clips.toml     with another config"
    )(once)


def run(config: ConfigOption = None) -> None:
    """Watch the folders and compress what is dropped there.

    Ends politely on Ctrl-C or SIGTERM, at once on a second one. The first start writes a commented config and makes the
    folders.
    """
    where = places(config)
    if zone := unknown_zone(where.env):
        tell(zone)
    # A container names the place of a config that is not there yet.
    if (not where.named or "NEMOD_WATCH_DIR" in where.env) and not where.config.exists():
        _write_first(where)
        say(f"A first config is written: {tilde(where.config, where.home)}")
    outcome = _work(where, once=False)
    if outcome.ending is Ending.BROKEN:
        raise typer.Exit(ExitCode.FAILED)


def _write_first(where: Places) -> None:
    try:
        write_default(where.config, where.env)
    except OSError as error:
        what = f"The first config {where.config} cannot be written: {error.strerror}."
        hint = f"Make its folder writable for the user that nemod runs as, which is {os.geteuid()}:{os.getegid()} here."
        raise Stop(ExitCode.USAGE, what, hint=hint) from error


def once(config: ConfigOption = None) -> None:
    """Work off what lies in the inboxes, then end.

    For cron jobs and scripts: the exit code tells how it went.
    """
    where = places(config)
    outcome = _work(where, once=True)
    match outcome.ending:
        case Ending.STOPPED:
            raise typer.Exit(ExitCode.INTERRUPTED)
        case Ending.BROKEN:
            raise typer.Exit(ExitCode.FAILED)
        case Ending.WORKED_OFF:
            if outcome.failed:
                raise typer.Exit(ExitCode.FAILED)
            if outcome.waiting or _engine_held(where.state):
                raise typer.Exit(ExitCode.WAITING)


def _work(where: Places, *, once: bool) -> Outcome:
    # "Read the config again" must not end a daemon that only starts; the service lets it in once it can do so.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    config = where.load()
    make_as_wished(config.settings, where.env, lambda _: None)  # which is told once the log is there
    if problems := list(filter(stops, prepare(config, home=where.home, away=_away(config, where.state)))):
        raise Stop(ExitCode.USAGE, *map(str, problems))
    seat = _seat(where.state)
    try:
        return _serve(config, where, seat, once=once)
    except Busy as busy:
        raise Stop(ExitCode.RUNNING, *str(busy).splitlines(), hint="Stop it, or give the two different folders.") from busy
    finally:
        seat.release()


def _seat(state: Path) -> Seat:
    try:
        with using(state):
            return Seat(state)
    except Busy as busy:
        runs = "See what it does with: nemod status. It reads a changed config on SIGHUP."
        raise Stop(ExitCode.RUNNING, str(busy), hint=runs if daemon_runs(state) else "Try again in a moment.") from busy


def _serve(config: Config, where: Places, seat: Seat, *, once: bool) -> Outcome:
    settings = config.settings
    lines = Lines()
    logs.setup(
        settings.log_format,  # type: ignore[arg-type]
        settings.log_level,
        lines.stream,
        story=partial(story.line, home=where.home),
        untold=story.UNTOLD,
    )
    make_as_wished(settings, where.env, lambda why: log.warning("output.owner", why=why, hint=_DELIVERED))
    polite.be(niceness=settings.niceness, cores=settings.cores)
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    notifier = Notifier(where.env)
    workshop = Workshop(where.state, ffmpeg, env=where.env, home=where.home)
    service = Service(
        config,
        where.state,
        workshop.refit,
        ffmpeg,
        reread=partial(_reread, where),
        seat=seat,
        available=workshop.available,
        once=once,
        outside=Outside(
            watcher=None if once or not notifier.listening else notifier,
            describe=detail_now,
            around=partial(_around, where),
        ),
    )
    live = settings.log_format != "json"

    async def serve() -> Outcome:
        shower: asyncio.Task[None] | None = None

        def ready() -> None:
            nonlocal shower
            if not once:
                _introduce(config, where.home)
            if live:
                shower = asyncio.create_task(_show(lines, service, where.state))

        try:
            return await service.run(ready)
        finally:
            if shower is not None:
                shower.cancel()
                # Whatever became of the lines, they were only a display.
                await asyncio.gather(shower, return_exceptions=True)

    return asyncio.run(serve())


async def _around(where: Places) -> list[dict[str, object]]:
    """What the doctor finds from where the daemon is, in a service with less rights than a terminal."""
    # In a thread with a loop of its own: disks may not answer, and the daemon's loop waits for nobody.
    return [asdict(finding) for finding in await asyncio.to_thread(lambda: asyncio.run(examine(where)))]


def _reread(where: Places) -> Config | tuple[Problem, ...]:
    config = where.read()
    if not isinstance(config, Config):
        return config
    return tuple(filter(stops, prepare(config, home=where.home, away=_away(config, where.state)))) or config


def _away(config: Config, state: Path) -> frozenset[Path]:
    """The places that lay on a drive which is not mounted."""
    with existing_ledger(state) as ledger:
        known = {} if ledger is None else ledger.drives()
    places = [path for f in config.folders for path in (f.inbox, f.outbox, f.originals, f.failed) if path is not None]
    return away(places, known)


def _introduce(config: Config, home: Path) -> None:
    """Two lines: where to drop a video, and where the result will be."""
    if not config.folders:
        tell("The config names no folder yet. Add one with: nemod folders add clips --preset discord")
        return
    first, more = config.folders[0], len(config.folders) - 1
    others = f"  (and {more} more {'folder' if more == 1 else 'folders'}: nemod folders list)" if more else ""
    say(f"Drop a video into  {tilde(first.inbox, home)}{others}")
    say(f"Find the result in {tilde(first.outbox, home)}  ({limit_text(first.preset.limit_bytes)}; Ctrl-C stops nemod)")


async def _show(lines: Lines, service: Service, state: Path) -> None:
    """Keep the live lines up to date; names come from the ledger, by a connection of our own that only reads."""
    names: dict[JobId, str] = {}
    desk = Desk(await asyncio.to_thread(open_ledger, state))
    try:
        with lines.shown():
            while True:
                for number, running in dict(service.board.jobs).items():
                    if number not in names:
                        job = await desk(Ledger.job, number)
                        names[number] = f"job {number}" if job is None else job.relpath
                    lines.show(number, names[number], running)
                lines.keep_only(set(service.board.jobs))
                await asyncio.sleep(LINES_EVERY_S)
    finally:
        desk.close()


def _engine_held(state: Path) -> bool:
    with existing_ledger(state) as ledger:
        return ledger is not None and any(hold.scope.startswith("engine:") for hold in ledger.holds())
