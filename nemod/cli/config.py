"""`nemod init`, `nemod config check` and `nemod config show`."""

import asyncio
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomli_w
import typer

from nemod.cli.common import ConfigOption, JsonOption, complain, places, print_json, say
from nemod.cli.exits import ExitCode, Stop
from nemod.config.builtin import builtin_presets
from nemod.config.hours import hours_text
from nemod.config.model import Config, Folder, Nemo, Preset
from nemod.config.parse import check as check_all
from nemod.config.prepare import prepare
from nemod.config.problem import Problem
from nemod.config.sources import read_sources
from nemod.config.telling import address_problem, address_text
from nemod.config.units import format_limit
from nemod.config.write import write_default
from nemod.herald.courier import understood
from nemod.text import safe
from nemod.views import tilde


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="\b\nExamples:\n  nemod init\n  nemod init --config clips.toml")(init)
    group = typer.Typer(no_args_is_help=True, help="Check the config, or show what it comes to.")
    group.command(epilog="\b\nExamples:\n  nemod config check\n  nemod config check --config clips.toml && echo sound")(check)
    group.command(epilog="\b\nExamples:\n  nemod config show\n  nemod config show --json | jq .folders")(show)
    app.add_typer(group, name="config", epilog="\b\nExample:\n  nemod config check")


def init(config: ConfigOption = None) -> None:
    """Write a commented config and make its folders.

    A config that is there already is left alone.
    """
    where = places(config)
    try:
        write_default(where.config, where.env)
    except FileExistsError as error:
        hint = "Edit it, then: nemod config check"
        raise Stop(ExitCode.USAGE, f"There is a config already: {where.config}", hint=hint) from error
    made = where.load()
    say(f"Written: {tilde(where.config.absolute(), where.home)}")
    if problems := prepare(made, home=where.home):
        raise Stop(ExitCode.USAGE, *map(str, problems))
    for folder in made.folders:
        say(f"Folder for {folder.preset.name}: {tilde(folder.inbox, where.home)}")
    say("Start with: nemod run" if config is None else f"Start with: nemod run --config {safe(str(config))}")


def check(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Find every problem in the config and its folders.

    Exit code 2: there is one.
    """
    where = places(config)
    found = check_all(where.config, home=where.home, env=where.env)
    problems = _unknown_addresses(found) if isinstance(found, Config) else found
    if as_json:
        print_json(
            {
                "file": str(where.config),
                "ok": not problems,
                "problems": [{**asdict(problem), "file": str(problem.file)} for problem in problems],
            }
        )
    elif problems:
        complain(*map(str, problems))
    else:
        say(f"{tilde(where.config, where.home)}: no problems")
    if problems:
        raise typer.Exit(ExitCode.USAGE)


def _unknown_addresses(config: Config) -> tuple[Problem, ...]:
    """Addresses that mean nothing; a daemon works without them, and asking takes a moment."""
    said = asyncio.run(understood(config.notify.urls))
    written = read_sources(config.file)[0][0]
    return tuple(address_problem(written, number, why) for number, why in enumerate(said) if why)


def show(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the config with every default filled in.

    What is printed is a config itself.
    """
    found = places(config).load()
    value = effective(found)
    if as_json:
        print_json({"file": str(found.file), **value})
        return
    say(f"# {safe(str(found.file))}")
    say(tomli_w.dumps(_without_none(value)).rstrip("\n"))


def effective(config: Config) -> dict[str, dict[str, Any]]:
    """A config in the words of the config; None where nothing is set."""
    settings = config.settings
    own = (preset for name, preset in config.presets.items() if name not in builtin_presets())
    return {
        "nemod": {
            "settle": _seconds(settings.settle_s),
            "rescan": _seconds(settings.rescan_s),
            "workers": settings.workers,
            "cores": settings.cores,
            "niceness": settings.niceness,
            "umask": None if settings.umask is None else f"{settings.umask:03o}",
            "owner": settings.owner,
            "group": settings.group,
            "log_format": settings.log_format,
            "log_level": settings.log_level,
            "ffmpeg": _text(settings.ffmpeg),
            "encoder": settings.encoder.value,
            "hook_timeout": _seconds(settings.hook_timeout_s),
        },
        "nemo": _nemo(config.nemo),
        "notify": {
            # Not one of them is shown: each may be a secret from its first letter on.
            "urls": [address_text(url) for url in config.notify.urls],
            "urls_file": _text(config.notify.urls_file),
            "on": [tell.value for tell in config.notify.on],
            "digest": _seconds(config.notify.digest_s),
        },
        "folders": {folder.name: _folder(folder) for folder in config.folders},
        "presets": {preset.name: _preset(preset) for preset in own},
    }


def _nemo(nemo: Nemo) -> dict[str, Any]:
    return {
        "api_url": nemo.api_url,
        "web_url": nemo.web_url,
        "language": nemo.language,
        "slots": nemo.slots,
        "poll_interval": _seconds(nemo.poll_interval_s),
        "edit_timeout": _seconds(nemo.edit_timeout_s),
        "heartbeat_timeout": _seconds(nemo.heartbeat_timeout_s),
        "render_timeout": _seconds(nemo.render_timeout_s),
        "recheck_first": _seconds(nemo.recheck_first_s),
        "recheck_every": _seconds(nemo.recheck_every_s),
        "recheck_times": nemo.recheck_times,
        "upload_limit": format_limit(nemo.upload_limit_bytes),
        "follow_ups": nemo.follow_ups,
        "finish": nemo.finish.value,
        "reply": nemo.reply,
        "patience": _seconds(nemo.patience_s),
        "max_credits_per_day": nemo.max_credits_per_day,
    }


def _folder(folder: Folder) -> dict[str, Any]:
    return {
        "inbox": _text(folder.inbox),
        "preset": folder.preset.name,
        "encoder": folder.preset.encoder.value,
        "outbox": _text(folder.outbox),
        "originals": _text(folder.originals),
        "failed": _text(folder.failed),
        "engine": folder.engine.value,
        "after": folder.after.value,
        "recursive": folder.recursive,
        "ignore": list(folder.ignore),
        "session": folder.session.value,
        "output_name": folder.output_name,
        "hours": hours_text(folder.hours) if folder.hours else None,
        "retention": None if folder.retention_s is None else f"{folder.retention_s / 3600:g}h",
        "keep_free": None if folder.keep_free_bytes is None else format_limit(folder.keep_free_bytes),
        "on_done": list(folder.on_done),
        "on_failed": list(folder.on_failed),
        "notify": folder.notify,
    }


def _preset(preset: Preset) -> dict[str, Any]:
    return {
        "limit": None if preset.limit_bytes is None else format_limit(preset.limit_bytes),
        "max_height": preset.max_height,
        "max_fps": preset.max_fps,
        "codec": preset.codec.value,
        "encoder": preset.encoder.value,
        "speed": preset.speed.value,
        "audio": preset.audio.value,
        "audio_bitrate": preset.audio_bitrate_bps,
        "start": preset.start_s,
        "end": preset.end_s,
        "on_impossible": preset.on_impossible.value,
        "measure": preset.measure,
        "keep_location": preset.keep_location,
        "message": preset.message,
        "skill": preset.skill_file or preset.skill,
        "summary": preset.summary or None,
    }


def _seconds(duration_s: float) -> str:
    """A duration that reads back as exactly this one; no power of ten, which the config does not know."""
    return f"{Decimal(repr(duration_s)).normalize():f}s"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: what is not set is left out."""
    return {
        key: _without_none(value) if isinstance(value, dict) else value for key, value in table.items() if value is not None
    }
