"""How a source is opened: what every argument vector begins with, and the clock that picture and sound share. Pure.

Rules kept here:
- inputs and outputs are named with `file:` and absolute paths, so no name can be read as an option or a protocol;
- inputs are opened with allow-lists of protocols and containers, so a playlist in a video's clothes opens nothing else;
- time begins at zero with the earlier of picture and sound, or with the window that is wanted of them.
"""

from pathlib import Path

from nemod.media.formats import source_input
from nemod.media.info import MediaInfo

#: Containers with an index, in which a seek lands at or before the time; elsewhere it may land behind, so it begins earlier.
INDEXED = ("mov", "matroska")
EARLIER_S = 10.0


def head(ffmpeg: Path) -> list[str]:
    """How every call begins: quiet, progress on stdout, nothing read from stdin."""
    return [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", "-y", "-progress", "pipe:1"]


def timed_input(path: Path, media: MediaInfo) -> list[str]:
    """An input whose time begins at zero for picture and sound alike; of a window, shortly before it.

    Picture and sound are read by two runs. Left to itself ffmpeg moves the tracks that are *mapped* to zero, so for MPEG
    streams each would begin at once, however late it was. A seek alone is exact to a key frame only; `within` does the rest.
    """
    seek: list[str] = []
    if media.window is not None:
        start = media.window.start_s - (0.5 if media.container.startswith(INDEXED) else EARLIER_S)
        seek = ["-noaccurate_seek", "-ss", f"{start:.6f}"] if start > 0 else []
    return [*seek, "-copyts", "-itsoffset", f"{0 - media.first_s:.6f}", *source_input(path)]


def within(media: MediaInfo, *, sound: bool = False) -> tuple[str, ...]:
    """The filters that keep a window and let its time begin at zero; none when all is wanted."""
    if media.window is None:
        return ()
    letter, start, end = "a" if sound else "", media.window.start_s, media.window.end_s
    return (f"{letter}trim=start={start:.6f}:end={end:.6f}", f"{letter}setpts=PTS-{start:.6f}/TB")
