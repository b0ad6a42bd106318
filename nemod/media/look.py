"""How the picture is to look: its pixels, its frames, and the filters that make it from what was decoded. Pure."""

from dataclasses import dataclass

from nemod.media.info import VideoStream

#: A distance of picture to sound start that nobody notices.
GAP_IGNORED_S = 0.05


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
        chain.append("bwdif=mode=send_frame:deint=all")
    if video.hdr:
        # Linear light with diffuse white at 203 nits (ITU-R BT.2408), then a curve that is straight up to the highlights.
        source = f"tin={video.transfer}:pin={_or(video.primaries, 'bt2020')}:min={_or(video.matrix, 'bt2020nc')}"
        chain += [
            f"zscale=w={width}:h={height}:f=spline36:rin={'full' if video.color_range == 'pc' else 'limited'}",
            f"zscale={source}:t=linear:npl=203",
            "format=gbrpf32le",
            "zscale=p=bt709",
            "tonemap=mobius:desat=0",
            "zscale=t=bt709:m=bt709:r=limited",
        ]
    else:
        convert = "" if untagged(video, picture) else f":in_color_matrix={_matrix(video)}:out_color_matrix=bt709"
        chain.append(f"scale={width}:{height}:flags=lanczos+accurate_rnd+full_chroma_int:out_range=tv{convert}")
    if picture.fps is not None:
        chain.append(f"fps={picture.fps:.6g}:start_time=0")
    elif start_gap_s > GAP_IGNORED_S and not video.variable:
        chain.append(f"fps={video.fps:.6g}:start_time=0")  # the first picture stands until the second comes
    chain += ["setsar=1", "format=yuv420p"]
    if not untagged(video, picture):
        chain.append("setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709")
    return ",".join(chain)


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
