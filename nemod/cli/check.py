"""The command `check`: would a file do as it is, and how good is it beside its source?"""

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

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
)
from nemod.cli.exits import ExitCode, Stop
from nemod.config.model import Preset
from nemod.config.units import format_exact
from nemod.daemon.examine import QUALITY_LEAST_S, QUALITY_PER_S
from nemod.engines.local.tools import find_ffmpeg
from nemod.media.info import MediaInfo
from nemod.media.probe import PROBE_TIMEOUT_S, ProbeError, probe
from nemod.media.quality import Quality, QualityError, Shown, compare
from nemod.media.verdict import check as faults_of
from nemod.media.verdict import inline_faults
from nemod.text import safe
from nemod.views import quality_text


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The video.", show_default=False)],
    preset: Annotated[
        str | None,
        typer.Option("--for", metavar="PRESET", autocompletion=complete_preset, help="See: nemod presets", show_default=False),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--quality", metavar="SOURCE", help="Measure how good the picture is beside this video.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell whether a file fits and plays inline as it is, and how good its picture is beside its source.

    If not, it says why. Exit code 0: yes, 1: no.
    """
    if preset is None and source is None:
        raise Stop(
            ExitCode.USAGE, "Say what the file is for with --for PRESET, or what it was made from with --quality SOURCE."
        )
    found = places(config).load_if_any()
    goal = None if preset is None else find_preset(preset, presets_of(found))
    try:
        size_bytes = file.stat().st_size
    except OSError as error:
        raise Stop(ExitCode.USAGE, f"{file}: {error.strerror}.") from error
    original = None if source is None else _original(source)
    try:
        media = asyncio.run(probe(Path(os.path.realpath(file)), timeout_s=PROBE_TIMEOUT_S))
    except ProbeError as error:
        answer = _answer(file, goal, size_bytes, None, (error.failure.detail,))
    else:
        # A preset without a figure promises less than the source has; of a file alone only the rest can be asked.
        limit = media.size_bytes if goal is None or goal.limit_bytes is None else goal.limit_bytes
        answer = _answer(file, goal, media.size_bytes, media, () if goal is None else faults_of(media, goal, limit))
        if original is not None:
            made = Shown(path=Path(os.path.realpath(file)), parts=(media,))
            answer["quality"] = _measured(find_ffmpeg(found.settings.ffmpeg if found is not None else None), original, made)
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer)
    if not answer["ok"] or (original is not None and answer["quality"] is None):
        raise typer.Exit(ExitCode.FAILED)


def _original(source: Path) -> Shown:
    """What a file is held against.

    Raises:
        Stop: USAGE; it cannot be read.
    """
    path = Path(os.path.realpath(source))
    try:
        return Shown(path=path, parts=(asyncio.run(probe(path, timeout_s=PROBE_TIMEOUT_S)),))
    except ProbeError as error:
        raise Stop(ExitCode.USAGE, f"{source}: {error.failure.detail}", hint=error.failure.hint) from error


def _measured(ffmpeg: Path, original: Shown, made: Shown) -> dict[str, Any] | None:
    """What `--json` prints of the quality; None when it could not be measured, and it is said why."""
    was_s, now_s = original.parts[0].duration_s, made.parts[0].duration_s
    if abs(was_s - now_s) > max(0.5, 0.01 * was_s):
        complain(f"It lasts {now_s:,.1f} s and its source {was_s:,.1f} s: both are compared from their beginnings on.")
    # By the shorter one: a header may claim any length.
    patience = max(QUALITY_LEAST_S, QUALITY_PER_S * min(was_s, now_s))
    try:
        return asdict(asyncio.run(compare(ffmpeg, original, made, timeout_s=patience)))
    except QualityError as error:
        say(f"{error.failure.detail} {error.failure.hint}".strip())
        return None


def _answer(
    file: Path, goal: Preset | None, size_bytes: int, media: MediaInfo | None, reasons: tuple[str, ...]
) -> dict[str, Any]:
    """What `--json` prints: sizes in bytes, `fits` by size alone, `ok` when there is no reason against the file."""
    limit = None if goal is None else goal.limit_bytes
    return {
        "file": str(file.absolute()),
        "preset": None if goal is None else goal.name,
        "ok": not reasons,
        "fits": limit is None or size_bytes <= limit,
        "plays_inline": media is not None and not inline_faults(media),
        "reasons": reasons,
        "size_bytes": size_bytes,
        "limit_bytes": limit,
        "media": None if media is None else asdict(media),
        "quality": None,
    }


def _print_answer(answer: dict[str, Any]) -> None:
    name, preset, limit = safe(Path(answer["file"]).name), answer["preset"], answer["limit_bytes"]
    size = format_exact(answer["size_bytes"]) + ("" if limit is None else f" of {format_exact(limit)}")
    if preset is not None:
        say(f"{name}: {'yes' if answer['ok'] else 'no'}, for {preset} ({size})")
    for reason in answer["reasons"]:
        say(f"  {safe(reason)}")
    if answer["quality"] is not None:
        quality = quality_text(Quality(**answer["quality"]))
        say(f"{name}: {quality}" if preset is None else f"  {quality}")
    if preset is not None and not answer["ok"]:
        say(f"Make one that does with: nemod compress FILE --preset {preset}")
