"""How the picture is to look: its pixels, its frames, and the filters that make it from what was decoded. Pure.

Rules kept here:
- what comes out is limited-range 4:2:0 in square pixels, in BT.709 and tagged so; or, untagged, in whatever a player guesses;
- what is shown as white paper stays near white, skin stays as bright as it was, and highlights keep their steps;
- nothing is sharpened: a picture is only scaled.
"""

from dataclasses import dataclass

from nemod.media.info import VideoStream

#: A distance of picture to sound start that nobody notices.
GAP_IGNORED_S = 0.05
#: Diffuse white in nits (ITU-R BT.2408), and how many times as bright the brightest light is that keeps its steps: HLG ends at
#: 1,000 nits. Told to the tone map, because what files say of themselves (MaxCLL, mastering display) is often absent or wrong.
WHITE_NITS, PEAKS = 203, {"arib-std-b67": 1000 / 203, "smpte2084": 10.0}
#: Primaries that hold colours far outside BT.709's: shown as if they were its own they look pale.
WIDE = frozenset({"bt2020", "smpte431", "smpte432"})
#: What zscale and colorspace know by these names.
_HDR_MATRICES = frozenset({"bt709", "bt470bg", "smpte170m", "bt2020nc", "bt2020c", "ictcp", "gbr"})
_SDR_TRANSFERS = frozenset({"bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "iec61966-2-1", "bt2020-10", "bt2020-12"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the encoded picture is to be: pixels, both even, and frames per second (None: as they come)."""

    width: int
    height: int
    fps: float | None = None


def filters(video: VideoStream, picture: Picture, *, start_gap_s: float) -> str:
    """The chain from a decoded (and by ffmpeg already rotated) frame to limited-range BT.709 4:2:0 in square pixels."""
    width, height = picture.width, picture.height
    chain: list[str] = []
    if video.interlaced:
        chain.append("bwdif=mode=send_frame:deint=interlaced")  # frames that are whole, as in a film between, stay whole
    if video.hdr:
        chain += _tone_mapped(video, width, height)
    elif _primaries(video) in WIDE:
        chain += _narrowed(video, width, height)
    else:
        convert = "" if untagged(video, picture) else f":in_color_matrix={_matrix(video)}:out_color_matrix=bt709"
        chain.append(f"scale={width}:{height}:{_SCALING}:out_range=tv{convert}")
    if picture.fps is not None:
        chain.append(f"fps={picture.fps:.6g}:start_time=0")
    elif start_gap_s > GAP_IGNORED_S and not video.variable:
        chain.append(f"fps={video.fps:.6g}:start_time=0")  # the first picture stands until the second comes
    chain += ["setsar=1", "format=yuv420p"]
    if not untagged(video, picture):
        chain.append("setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709")
    return ",".join(chain)


_SCALING = "flags=lanczos+accurate_rnd+full_chroma_int"


def _tone_mapped(video: VideoStream, width: int, height: int) -> list[str]:
    """Linear light with diffuse white at 1, then a curve that is straight up to the skin and bends towards the highlights.

    White paper comes out at 85 %. The curve is that of the brightest of the three colours, so hues stay.
    """
    matrix = "gbr" if _rgb(video) else video.matrix if video.matrix in _HDR_MATRICES else "bt2020nc"
    return [
        f"zscale=w={width}:h={height}:f=spline36:rin={'full' if _full(video) else 'limited'}",
        f"zscale=tin={video.transfer}:pin={_or(video.primaries, 'bt2020')}:min={matrix}:t=linear:npl={WHITE_NITS}",
        "format=gbrpf32le",
        "zscale=p=bt709",
        f"tonemap=mobius:desat=0:peak={PEAKS[video.transfer or '']:.2f}",
        "zscale=t=bt709:m=bt709:r=limited:d=ordered",
    ]


def _narrowed(video: VideoStream, width: int, height: int) -> list[str]:
    """Colours of a wide gamut as BT.709's, in linear light; what lies outside is clipped."""
    transfer = video.transfer if video.transfer in _SDR_TRANSFERS else "bt709"
    named = {"bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470bg"}
    matrix = named.get(video.matrix or "", "bt2020ncl" if _primaries(video) == "bt2020" and not _rgb(video) else "bt709")
    convert = ":out_color_matrix=bt709" if _rgb(video) else ""
    come = f"ispace={matrix}:iprimaries={_primaries(video)}:itrc={transfer}:irange=tv"
    go = "space=bt709:primaries=bt709:trc=bt709:range=tv:format=yuv420p10"
    scale = f"scale={width}:{height}:{_SCALING}:out_range=tv{convert}"
    return [scale, "format=yuv420p10le", f"colorspace={come}:{go}"]


def _primaries(video: VideoStream) -> str | None:
    """Its primaries; where only the matrix is told, those that belong to it."""
    return "bt2020" if video.primaries is None and video.matrix in ("bt2020nc", "bt2020c") else video.primaries


def _rgb(video: VideoStream) -> bool:
    return video.pixel_format.startswith(("gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr"))


def _full(video: VideoStream) -> bool:
    return video.color_range == "pc" or (_rgb(video) and video.color_range is None)


def untagged(video: VideoStream, picture: Picture) -> bool:
    """Whether the output says as little about its colours as its source did.

    Of a picture without tags a player guesses the matrix by its size. Where it will guess the same for the output, the values
    stay as they are: any tag could only be wrong. Otherwise the output is BT.709 and says so.
    """
    yuv = video.pixel_format.startswith(("yuv", "nv", "p0"))
    return (
        yuv
        and video.matrix is None
        and not video.hdr
        and _is_hd(video.short_side) == _is_hd(min(picture.width, picture.height))
    )


def _is_hd(short_side: int) -> bool:
    return short_side >= 720


def _or(name: str | None, default: str) -> str:
    return default if name is None or name == "reserved" else name


def _matrix(video: VideoStream) -> str:
    """The matrix that made the source's YUV; untagged material follows the custom: BT.601 for SD, BT.709 for HD."""
    known = {"bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470", "fcc": "fcc", "smpte240m": "smpte240m"}
    if video.matrix in known:
        return known[video.matrix]
    if video.matrix in ("bt2020nc", "bt2020c"):
        return "bt2020"
    return "bt709" if _is_hd(video.short_side) else "smpte170m"
