"""What a configuration says once it has been read: plain frozen values, no parsing, no I/O.

Bytes are decimal where a person writes MB; picture heights are the shorter side of the picture, as in "720p".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class EnginePolicy(StrEnum):
    """Which engine a folder may use; `local` never opens a network connection."""

    AUTO = "auto"
    LOCAL = "local"
    NEMO = "nemo"


class After(StrEnum):
    """What happens to an original once its output is delivered."""

    ARCHIVE = "archive"
    KEEP = "keep"
    TRASH = "trash"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What an output must be. `limit_bytes` None means: smaller than its source."""

    name: str
    limit_bytes: int | None = None
    max_height: int | None = None  # pixels on the shorter side
    max_fps: float | None = None
    codec: str = "h264"
    audio_bitrate_bps: int | None = None  # None: chosen from the budget
    keep_location: bool = False
    message: str | None = None  # the instruction for the cloud agent
    skill: str | None = None
    summary: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """An inbox with all that belongs to it; every path is absolute."""

    name: str
    inbox: Path
    outbox: Path
    originals: Path
    failed: Path | None  # None: a file that fails stays where it is
    preset: Preset
    engine: EnginePolicy = EnginePolicy.AUTO
    after: After = After.ARCHIVE
    recursive: bool = False
    ignore: tuple[str, ...] = ()
    output_name: str | None = None  # without its extension; None: the source's


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The `[nemod]` table. Seconds are seconds."""

    settle_s: float = 2.0
    rescan_s: float = 60.0
    workers: int = 1
    log_format: str = "auto"  # auto | json | console
    log_level: str = "info"
    ffmpeg: Path | None = None  # None: the one that imageio-ffmpeg carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a person may decide, checked."""

    file: Path
    settings: Settings = field(default_factory=Settings)
    folders: tuple[Folder, ...] = ()
    presets: Mapping[str, Preset] = field(default_factory=dict)  # built in and own, by name and short name
