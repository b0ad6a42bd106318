"""How a source is opened: what every argument vector begins with, and the clock that picture and sound share. Pure.

Rules kept here:
- inputs and outputs are named with `file:` and absolute paths, so no name can be read as an option or a protocol;
- inputs are opened with allow-lists of protocols and containers, so a playlist in a video's clothes opens nothing else;
- time begins at zero with the earlier of picture and sound, or with the window that is wanted of them.
"""

from pathlib import Path

from nemod.media.formats import source_input
from nemod.media.info import MediaInfo, Window

#: Containers with an index, in which a seek lands at or before the time; elsewhere it may land behind, so it begins earlier.
INDEXED = ("mov", "matroska")
EARLIER_S, NEAR_S = 60.0, 10.0
#: Clocks are so coarse: what is nearer is the same moment.
CLOCK_S = 0.0005
#: So long before the end a picture that stands there is repeated.
AGAIN_S = 0.04


def head(ffmpeg: Path) -> list[str]:
    """How every call begins: quiet, progress on stdout, nothing read from stdin."""
    return [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", "-y", "-progress", "pipe:1"]


def timed_input(path: Path, media: MediaInfo, *, near: bool = False) -> list[str]:
    """An input whose time begins at zero for picture and sound alike; of a window, shortly before it.

    Picture and sound are read by two runs. Left to itself ffmpeg moves the tracks that are *mapped* to zero, so for MPEG
    streams each would begin at once, however late it was. A seek alone is exact to a key frame only; `within` does the rest.

    `near` seeks less far back, where a window that lacks its first pictures does no harm.
    """
    seek: list[str] = []
    if media.window is not None:
        start = _first_picture_s(media.window) - (0.5 if media.container.startswith(INDEXED) else NEAR_S if near else EARLIER_S)
        seek = ["-noaccurate_seek", "-ss", f"{start:.6f}"] if start > 0 else []
    return [*seek, "-copyts", "-itsoffset", f"{0 - media.first_s:.6f}", *source_input(path)]


def within(media: MediaInfo, *, sound: bool = False) -> tuple[str, ...]:
    """The filters that keep a window and let its time begin at zero; none when all is wanted."""
    if media.window is None:
        return ()
    start, end, picture = media.window.start_s, media.window.end_s, _first_picture_s(media.window)
    if sound:
        return (f"atrim=start={start:.6f}:end={end:.6f}", f"asetpts=PTS-{start:.6f}/TB")
    if picture < start:  # what stands at the start came before it, and is shown from the start on
        cut = (f"trim=start={picture - CLOCK_S:.6f}:end={end:.6f}", f"setpts=max(0\\,PTS-{start:.6f}/TB)")
    else:
        cut = (f"trim=start={start:.6f}:end={end:.6f}", f"setpts=PTS-{start:.6f}/TB")
    # A container's clock may tick once a frame only, too seldom for a start between two.
    return ("settb=AVTB", *cut, *_stays(media.window))


def _stays(window: Window) -> tuple[str, ...]:
    """A last picture that stands for long is shown once more, shortly before the end: else it would last for a moment only."""
    if window.last_s is None:
        return ()
    came, again = max(0.0, window.last_s - window.start_s) + CLOCK_S, window.end_s - window.start_s - AGAIN_S
    return ("tpad=stop=1:stop_mode=clone", f"setpts=if(gt(T\\,{came:.6f})\\,{again:.6f}/TB\\,PTS)")


def _first_picture_s(window: Window) -> float:
    return window.start_s if window.picture_s is None else min(window.start_s, window.picture_s)
