"""Which ffmpeg there is and what it can do: asked at start, never assumed, because builds differ by platform."""

from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from nemod.config.model import Codec
from nemod.engines.local.codecs import CODERS
from nemod.engines.local.ffmpeg import missing, names_in
from nemod.failure import Failure, Kind
from nemod.media.child import Death, run

NEEDED = (
    *("libx264", "aac", "scale", "fps", "setparams", "bwdif", "colorspace"),
    *("aresample", "aformat", "pan", "amix", "alimiter", "aphaseshift"),
)
TONE_MAP = ("zscale", "tonemap")
ASK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """An ffmpeg that was asked what it can do."""

    ffmpeg: Path
    version: str
    encoders: frozenset[str]
    filters: frozenset[str]

    @property
    def tone_maps(self) -> bool:
        """Whether HDR can be made to look right."""
        return not missing(self.encoders, self.filters, TONE_MAP)

    @property
    def scores(self) -> bool:
        """Whether pictures can be compared with their source."""
        return "libvmaf" in self.filters

    def codes(self, codec: Codec) -> bool:
        """Whether a codec can be made."""
        return CODERS[codec].encoder in self.encoders


def find_ffmpeg(named: Path | None) -> Path:
    """The ffmpeg of the config, else the one that imageio-ffmpeg carries; it need not exist."""
    if named is not None:
        return named
    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:  # no wheel for this platform, none on the PATH
        return Path("ffmpeg")


async def inspect(ffmpeg: Path) -> Tools | Failure:
    """Ask an ffmpeg for its version, encoders and filters."""
    answers = []
    for question in ("-version", "-encoders", "-filters"):
        try:
            answer = await run([str(ffmpeg), "-hide_banner", question], timeout_s=ASK_TIMEOUT_S)
        except OSError as error:
            return _missing(f"{ffmpeg} cannot be started: {error.strerror or error}.")
        if answer.death in {Death.OUTSIDE, Death.TIME, Death.HUNG}:
            detail = f"{ffmpeg} was stopped before it could say what it can do."
            return Failure(kind=Kind.TRANSIENT, detail=detail, hint="The machine may be short of memory, or very busy.")
        if answer.returncode:
            return _missing(f"{ffmpeg} {question} ended with code {answer.returncode}.")
        answers.append(answer.stdout.decode("utf-8", "replace"))
    words = answers[0].split()
    tools = Tools(
        ffmpeg=ffmpeg,
        version=words[2] if len(words) > 2 else "unknown",
        encoders=names_in(answers[1]),
        filters=names_in(answers[2]),
    )
    if lacking := missing(tools.encoders, tools.filters, NEEDED):
        return _missing(f"{ffmpeg} was built without {', '.join(lacking)}.")
    return tools


def _missing(detail: str) -> Failure:
    return Failure(
        kind=Kind.TOOL_MISSING,
        detail=detail,
        hint="Leave `ffmpeg` out of the config to use the one that nemod brings, or name one with libx264 and AAC.",
    )
