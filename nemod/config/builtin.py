"""What nemod brings along as data: the platforms' limits and the presets.

Both tables ship inside the package and are covered by tests, so a fault in them is a bug and may raise.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from nemod.config.model import Preset
from nemod.config.problem import did_you_mean
from nemod.config.units import UnitError, format_limit, parse_size


class Confidence(StrEnum):
    """How well a platform's limit is known."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What a platform takes: bytes to use, what it publishes, since when, checked when (year-month), and who says so."""

    name: str
    title: str
    limit_bytes: int
    published: str
    since: str
    checked: str
    source: str
    confidence: Confidence
    note: str


@cache
def platforms() -> Mapping[str, Platform]:
    """Every platform by its name, in the table's order."""
    return MappingProxyType({name: _platform(name, row) for name, row in _table("platforms.toml").items()})


@cache
def builtin_presets() -> Mapping[str, Preset]:
    """Every built-in preset by its name and by its short names, in the table's order; each carries the name it stands under."""
    presets: dict[str, Preset] = {}
    for name, row in _table("presets.toml").items():
        preset = _preset(name, row)
        presets[name] = preset
        presets.update((short, replace(preset, name=short)) for short in row.get("also", ()))
    return MappingProxyType(presets)


def adhoc_preset(limit_bytes: int) -> Preset:
    """A preset with nothing but a limit in bytes, named after it: "8MB"."""
    name = format_limit(limit_bytes)
    return Preset(name=name, limit_bytes=limit_bytes, summary=f"At most {name}")


def parse_limit(value: object) -> int:
    """Bytes from a size or from a platform's name; raises UnitError."""
    if not isinstance(value, str) or not value.strip() or value.strip()[0].isdigit():
        return parse_size(value)
    platform = platforms().get(value.strip().lower())
    if platform is None:
        hint = did_you_mean(value, platforms(), otherwise='write a size like "10MB" or a platform\'s name like "discord"')
        raise UnitError(f'"{value}" is neither a size nor a platform', hint)
    return platform.limit_bytes


def _platform(name: str, row: Mapping[str, Any]) -> Platform:
    rest = {key: value for key, value in row.items() if key not in {"bytes", "confidence"}}
    return Platform(name=name, limit_bytes=row["bytes"], confidence=Confidence(row["confidence"]), **rest)


def _preset(name: str, row: Mapping[str, Any]) -> Preset:
    rest = {key: value for key, value in row.items() if key not in {"limit", "also"}}
    limit = row.get("limit")
    platform = platforms().get(limit) if limit is not None else None
    return Preset(
        name=name,
        limit_bytes=None if limit is None else parse_limit(limit),
        note=platform.note if platform is not None else "",
        **rest,
    )


def _table(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("nemod.config").joinpath(name).read_text(encoding="utf-8"))
