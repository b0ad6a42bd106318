"""What a configuration says once it has been read: plain frozen values, no parsing, no I/O.

Bytes are decimal where a person writes MB; picture heights are the shorter side of the picture, as in "720p".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

#: What encodes and reads yield to others where nobody has said anything.
NICENESS = 5
#: Settings that count from the next start on.
LATER = ("cores", "niceness", "umask", "owner", "group", "ffmpeg")


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


class SessionScope(StrEnum):
    """Which jobs share a cloud session: none, or all of a folder, one after the other."""

    JOB = "job"
    FOLDER = "folder"


class Finish(StrEnum):
    """Who makes a file that the cloud could not make small enough."""

    LOCAL = "local"
    OFF = "off"


class Tell(StrEnum):
    """What people can be told of: jobs that end or rest, and folders and engines that are held."""

    DONE = "done"
    FAILED = "failed"
    PARKED = "parked"
    HELD = "held"


class Codec(StrEnum):
    """How the picture of an output is coded; H.264 plays everywhere."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"


class Encoder(StrEnum):
    """What encodes the picture: this machine's processor, any hardware encoder that works, or one kind of them."""

    SOFTWARE = "software"
    AUTO_HW = "auto-hw"
    NVENC = "nvenc"
    QSV = "qsv"
    VAAPI = "vaapi"
    VIDEOTOOLBOX = "videotoolbox"
    AMF = "amf"


class Speed(StrEnum):
    """How much work the picture is worth."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Tracks(StrEnum):
    """What becomes of several sound tracks: the one that a player would choose, or all of them at once."""

    FIRST = "first"
    MIX = "mix"


class OnImpossible(StrEnum):
    """What is done with a video that cannot fit at a quality worth looking at."""

    FAIL = "fail"
    SPLIT = "split"
    TRIM = "trim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What an output must be. `limit_bytes` None means: smaller than its source."""

    name: str
    limit_bytes: int | None = None
    max_height: int | None = None  # pixels on the shorter side
    max_fps: float | None = None
    codec: Codec = Codec.H264
    encoder: Encoder = Encoder.SOFTWARE
    audio_bitrate_bps: int | None = None  # None: chosen from the budget
    audio: Tracks = Tracks.FIRST
    speed: Speed = Speed.BALANCED
    measure: bool = False  # say how good the output is: VMAF against its source
    on_impossible: OnImpossible = OnImpossible.FAIL
    start_s: float | None = None  # of the source, only what lies between these two; None: from its start, to its end
    end_s: float | None = None
    keep_location: bool = False
    message: str | None = None  # the instruction for the cloud agent; {limit}, {height} and {language} stand for values
    skill: str | None = None  # the name under which the cloud is asked; None: nemod's own
    skill_version: str = "1.0.0"  # the published documents carry none
    skill_platform: str = "unknown"  # clawhub | cursor | unknown, from the place where the skill is installed
    skill_file: str | None = None  # the SKILL.md that name and version were read from
    summary: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Opening hours: some days of the week (0 is Monday), and minutes after midnight; `end` may lie behind the day's 1,440."""

    days: tuple[int, ...]
    start: int
    end: int


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
    output_name: str | None = None  # a template, without the extension; None: the source's name
    session: SessionScope = SessionScope.JOB
    hours: tuple[Span, ...] = ()  # when new work may begin; none: always
    retention_s: float | None = None  # how long the trash keeps an original; None: for ever, or as the system's trash does
    keep_free_bytes: int | None = None  # below it the oldest originals in the trash make room
    on_done: tuple[str, ...] = ()  # a program and its arguments, run when a job is done; none: nothing is
    on_failed: tuple[str, ...] = ()
    notify: bool = True  # whether its jobs are told of at the addresses of `Notify`

    @property
    def own_trash(self) -> bool:
        """Whether its originals lie in nemod's own trash for a while, which is the folder `originals`."""
        return self.after is After.TRASH and (self.retention_s is not None or self.keep_free_bytes is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The `[nemod]` table. Seconds are seconds."""

    settle_s: float = 2.0
    rescan_s: float = 60.0
    workers: int = 1
    cores: int | None = None  # on which all children run together; None: all that there are
    niceness: int = NICENESS  # of children; 0 to 19
    umask: int | None = None  # what new files and folders for people lack; None: as nemod was started
    owner: int | None = None  # whose they are, by number
    group: int | None = None
    log_format: str = "auto"  # auto | json | console
    log_level: str = "info"
    ffmpeg: Path | None = None  # None: the one that imageio-ffmpeg carries
    encoder: Encoder = Encoder.SOFTWARE  # where neither a preset nor a folder says otherwise
    hook_timeout_s: float = 60.0

    def later(self, before: "Settings") -> tuple[str, ...]:
        """What differs from the settings before and counts from the next start on."""
        return tuple(key for key in LATER if getattr(self, key) != getattr(before, key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nemo:
    """The `[nemo]` table: the NemoVideo cloud. Seconds are seconds, credits the cloud's own units."""

    api_url: str = "https://mega-api-prod.nemovideo.ai"  # without a slash at the end
    web_url: str = "https://nemovideo.com"
    language: str = "en"
    slots: int = 4  # jobs that are uploaded or edited at the same time
    poll_interval_s: float = 30.0
    edit_timeout_s: float = 900.0  # hard, for one message
    heartbeat_timeout_s: float = 600.0  # nothing but heartbeats for so long: the message has timed out
    render_timeout_s: float = 1800.0  # a render that is not ready by then is given up, its id kept
    recheck_first_s: float = 30.0  # after a lost stream: the first look at the session's state,
    recheck_every_s: float = 60.0  # and the pause before each of the further looks,
    recheck_times: int = 5  # of which there are so many
    upload_limit_bytes: int = 500_000_000  # a larger source is shrunk here first
    follow_ups: int = 1  # messages after an output that did not keep its promise
    finish: Finish = Finish.LOCAL
    reply: str = "Use your best judgement and go on without asking; nobody is here to answer."  # "": a question parks the job
    patience_s: float = 1800.0  # how long a job that has paid waits for a cloud that is away, before it goes local
    max_credits_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """The `[notify]` table. Seconds are seconds."""

    urls: tuple[str, ...] = field(default=(), repr=False)  # Apprise's; each may hold a secret
    urls_file: Path | None = None  # from which some of them come
    on: tuple[Tell, ...] = (Tell.FAILED, Tell.PARKED, Tell.HELD)
    digest_s: float = 300.0  # what happens within so long is told together


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a person may decide, checked."""

    file: Path
    settings: Settings = field(default_factory=Settings)
    nemo: Nemo = field(default_factory=Nemo)
    notify: Notify = field(default_factory=Notify)
    folders: tuple[Folder, ...] = ()
    presets: Mapping[str, Preset] = field(default_factory=dict)  # built in and own, by name and short name
