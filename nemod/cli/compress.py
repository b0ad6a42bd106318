"""`nemod compress`: named files, now; no config and no daemon needed.

Rules kept here:
- everything a person may have got wrong is found before the first file is touched;
- an output never replaces a file, and its source stays where it is.
"""

import asyncio
import os
import signal
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from nemod import logs
from nemod.cli.common import (
    ConfigOption,
    JsonOption,
    complain,
    complete_preset,
    find_preset,
    places,
    presets_of,
    print_json,
    say,
    tell,
)
from nemod.cli.exits import ExitCode, Stop
from nemod.cli.progress import Lines
from nemod.config.builtin import adhoc_preset, parse_limit
from nemod.config.encoders import parse_encoder
from nemod.config.model import Preset, Settings
from nemod.config.units import UnitError, format_duration, format_size, parse_time
from nemod.daemon.outputs import output_views, quality_of
from nemod.daemon.single import compress_file
from nemod.delivery.names import output_stem
from nemod.engines.base import Engine
from nemod.engines.local.engine import LocalEngine
from nemod.engines.local.tools import find_ffmpeg
from nemod.failure import Failure, Kind, NemodError
from nemod.job import Job, JobState
from nemod.media.verdict import How
from nemod.text import safe
from nemod.views import failure_view, part_text, quality_text

#: What to suggest to somebody who names no preset.
USEFUL = ("discord", "discord-10mb", "gmail", "whatsapp", "jpeng-video")
SUFFIX = ".mp4"
VERDICTS = {How.PASS: "passed", How.REMUX: "remuxed", How.ENCODE: "encoded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to compress: what a person called it, where it really lies, and where its output goes."""

    named: Path
    source: Path
    outbox: Path
    output_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How it went. `job` is None when nothing could be started; `seconds` is how long it took."""

    wanted: Wanted
    preset: Preset
    job: Job | None
    failure: Failure | None
    seconds: float


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="\b\nExamples:\n"
        "  nemod compress clip.mov --preset discord        20 MB, Discord's free limit since August 2026\n"
        "  nemod compress clip.mov -p discord-10mb         10 MB, for old clients, bots and webhooks\n"
        "  nemod compress *.mov --limit 8MB                each to at most 8,000,000 bytes\n"
        "  nemod compress clip.mkv -p gmail -o mail.mp4    under a name of your choice\n"
        "  nemod compress clip.mp4 -p discord --start 0:10 --end 0:40\n"
        "  nemod compress -p github --json -- -clip.mp4    a name that starts with a dash"
    )(compress)


def compress(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="The videos.", show_default=False)],
    preset: Annotated[
        str | None,
        typer.Option("--preset", "-p", metavar="NAME", autocompletion=complete_preset, help="See: nemod presets"),
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", "-l", metavar="SIZE", help='At most so much: "8MB", "500KB", "10MiB".')
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The output's name; for one file only.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help='Leave out what comes before: "0:10", "10s", "1:02:03.5".')
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Leave out what comes after, counted from the beginning, too.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", metavar="NAME", help="software, auto-hw, or a kind of hardware: nvenc, qsv, vaapi …"),
    ] = None,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False,
    config: ConfigOption = None,
) -> None:
    """Compress files now, each to an MP4 that fits.

    The output lies beside its source, as NAME-PRESET.mp4; no file is ever replaced, and the source stays.
    """
    where = places(config)
    found = where.load_if_any()
    settings = Settings() if found is None else found.settings
    goal = _encoded(_cut(_goal(preset, limit, presets_of(found), settings), start, end), encoder)
    wanted = _wanted(files, goal, output)
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    lines = Lines()
    logs.setup("auto", "info" if verbose else "critical", lines.stream)
    with lines.shown():
        done = asyncio.run(_all(wanted, goal, LocalEngine(ffmpeg), ffmpeg, lines, as_json=as_json))
    if any(one.failure is not None for one in done):
        raise typer.Exit(ExitCode.FAILED)


def _goal(preset: str | None, limit: str | None, presets: Mapping[str, Preset], settings: Settings) -> Preset:
    match preset, limit:
        case None, None:
            lines = [f"  --preset {name:<14} {presets[name].summary}" for name in USEFUL]
            raise Stop(ExitCode.USAGE, "Say what must come out, with --preset or --limit. For example:", *lines)
        case str(name), None:
            return find_preset(name, presets)
        case None, str(size):
            try:
                return replace(adhoc_preset(parse_limit(size)), encoder=settings.encoder)
            except UnitError as error:
                raise Stop(ExitCode.USAGE, f"--limit: {error.what}.", hint=error.hint) from error
        case _:
            raise Stop(ExitCode.USAGE, "Give either --preset or --limit, not both.")


def _cut(preset: Preset, start: str | None, end: str | None) -> Preset:
    """The preset with the times that were given; what was not given is as the preset has it."""
    preset = replace(
        preset,
        start_s=preset.start_s if start is None else _time("--start", start),
        end_s=preset.end_s if end is None else _time("--end", end),
    )
    if preset.end_s is not None and preset.end_s <= (preset.start_s or 0):
        what = f"The end at {format_duration(preset.end_s)} does not come after the start"
        what += f" at {format_duration(preset.start_s)}." if preset.start_s else "."
        hint = 'Both are counted from the beginning of the video, as in "--start 0:10 --end 0:40".'
        raise Stop(ExitCode.USAGE, what, hint=hint)
    return preset


def _encoded(preset: Preset, encoder: str | None) -> Preset:
    """The preset with the encoder that was named."""
    if encoder is None:
        return preset
    try:
        return replace(preset, encoder=parse_encoder(encoder, preset.codec))
    except UnitError as error:
        raise Stop(ExitCode.USAGE, f"--encoder: {error.what}.", hint=error.hint) from error


def _time(option: str, text: str) -> float:
    try:
        return parse_time(text)
    except UnitError as error:
        raise Stop(ExitCode.USAGE, f"{option}: {error.what}.", hint=error.hint) from error


def _wanted(files: Sequence[Path], preset: Preset, output: Path | None) -> tuple[Wanted, ...]:
    faults = [f"{file}: {fault}" for file in files if (fault := _fault(file))]
    if faults:
        raise Stop(ExitCode.USAGE, *faults)
    if output is None:
        return tuple(_one(file, file.parent, f"{output_stem(file.name)}-{preset.name}") for file in files)
    if len(files) != 1:
        raise Stop(ExitCode.USAGE, "--output names one file; leave it out to compress several.")
    if output.suffix != SUFFIX:
        raise Stop(ExitCode.USAGE, f"{output}: the output is always an MP4, so its name must end in {SUFFIX}.")
    if not output.parent.is_dir():
        raise Stop(ExitCode.USAGE, f"{output.parent}: there is no such folder.")
    if os.path.lexists(output):
        raise Stop(ExitCode.USAGE, f"{output}: exists already, and nothing is ever replaced.", hint="Choose another name.")
    return (_one(files[0], output.parent, output.stem),)


def _one(file: Path, outbox: Path, name: str) -> Wanted:
    # A person may name a link; the work is done on what it points to.
    return Wanted(named=file, source=Path(os.path.realpath(file)), outbox=outbox, output_name=name)


def _fault(file: Path) -> str | None:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return f"{error.strerror}."
    if stat.S_ISDIR(mode):
        return "is a folder; name the videos in it, or set up a watch folder: nemod folders add"
    return None if stat.S_ISREG(mode) else "is not a regular file."


async def _all(
    wanted: Sequence[Wanted], preset: Preset, engine: Engine, ffmpeg: Path, lines: Lines, *, as_json: bool
) -> list[Done]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are running in one
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does: encoders are children in sessions of their own, and must not outlive us.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    done = []
    for one in wanted:
        result = await _compress(one, preset, engine, ffmpeg, lines)
        _report(result, as_json=as_json)
        done.append(result)
    return done


async def _compress(one: Wanted, preset: Preset, engine: Engine, ffmpeg: Path, lines: Lines) -> Done:
    began = time.monotonic()
    job, failure = None, None
    try:
        job = await compress_file(
            one.source,
            preset,
            engine=engine,
            ffmpeg=ffmpeg,
            outbox=one.outbox,
            output_name=one.output_name,
            show=lambda progress: lines.show(one, one.named.name, progress),
        )
    except NemodError as error:
        failure = error.failure
    finally:
        lines.keep_only(set())
    if job is not None and job.state is not JobState.DONE:
        failure = job.failure or Failure(kind=Kind.BUG, detail="It ended without an output.")
    return Done(wanted=one, preset=preset, job=job, failure=failure, seconds=time.monotonic() - began)


def _report(done: Done, *, as_json: bool) -> None:
    name, job = os.fspath(done.wanted.named), done.job
    if as_json:
        print_json(result(done), indent=None)
    elif done.failure is None and job is not None and job.target is not None:
        output = safe(str(done.wanted.outbox / job.target.name))
        sizes = f"{format_size(job.fingerprint.size_bytes)} -> {format_size(job.delivered_bytes or 0)}"
        parts, quality = output_views(job), quality_of(job)
        several = f", in {len(parts)} parts" if len(parts) > 1 else ""
        say(f"{safe(name)} -> {output}  ({sizes}, {VERDICTS[job.attempts[-1].how]}{several}, {format_duration(done.seconds)})")
        if len(parts) > 1 or _is_a_part(job):
            for part in parts:
                say(f"  {safe(str(done.wanted.outbox / Path(part.path).name))}  ({part_text(part)})")
        if job.attempts[-1].note and job.attempts[-1].how is not How.PASS:
            say(f"  {safe(job.attempts[-1].note)}")
        if quality is not None:
            say(f"  {quality_text(quality)}")
    if done.failure is not None:
        tell(f"{name}: {done.failure.detail}")
        if hint := _hint(done.failure):
            complain(hint)


def _is_a_part(job: Job) -> bool:
    """Whether something of the source was left out."""
    return (job.media is not None and job.media.window is not None) or (job.made is not None and bool(job.made.parts))


def _hint(failure: Failure) -> str:
    """What to do, where a daemon would go on by itself and a command has ended."""
    match failure.kind:
        case Kind.BUG:
            return "Run it again with --verbose for the log."
        case Kind.NO_SPACE:
            return f"{failure.hint.partition(' Free some')[0]} Free some space and run it again."
        case Kind.NOT_WRITABLE:
            return "Choose a folder that you may write to, with --output."
        case _:
            return failure.hint


def result(done: Done) -> dict[str, Any]:
    """What `--json` prints of a file: sizes in bytes; `verdict` is passed, remuxed, encoded or failed."""
    job = done.job
    delivered = job is not None and done.failure is None
    limit = done.preset.limit_bytes if job is None or job.route is None else job.route.limit_bytes
    return {
        "source": str(done.wanted.named.absolute()),
        "output": str(job.target) if job is not None and delivered else None,
        "input_bytes": None if job is None else job.fingerprint.size_bytes,
        "output_bytes": job.delivered_bytes if job is not None and delivered else None,
        "outputs": [asdict(output) for output in output_views(job)] if job is not None and delivered else [],
        "quality": asdict(quality) if job is not None and delivered and (quality := quality_of(job)) is not None else None,
        "limit_bytes": limit,
        "engine": job.attempts[-1].engine.value if job is not None and job.attempts else None,
        "note": job.attempts[-1].note if job is not None and delivered else None,
        "verdict": VERDICTS[job.attempts[-1].how] if job is not None and delivered else "failed",
        "seconds": round(done.seconds, 3),
        "failure": None if done.failure is None else asdict(failure_view(done.failure)),
    }
