"""Whether colours come out as they went in: real pixels through the real filters, held against the standards' arithmetic."""

import subprocess
from dataclasses import replace

import pytest

from nemod.media.info import VideoStream
from nemod.media.look import Picture, filters
from tests.ledger.values import VIDEO
from tests.support.clips import ffmpeg

SKIN, RED, BLUE, GREY = (0.85, 0.60, 0.50), (0.80, 0.10, 0.10), (0.10, 0.20, 0.90), (0.5, 0.5, 0.5)
#: Weights of red and blue in the luma (ISO/IEC 23091-2).
WEIGHTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt470bg": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}
#: BT.709's light in BT.2020's and in Display P3's primaries (ITU-R BT.2087, SMPTE EG 432).
INTO = {
    "bt2020": ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)),
    "smpte432": ((0.8225, 0.1775, 0.0), (0.0332, 0.9668, 0.0), (0.0171, 0.0724, 0.9105)),
}
BARE = replace(VIDEO, width=64, height=48, matrix=None, transfer=None, primaries=None, color_range=None)
SMALL = Picture(width=32, height=24)
RGB = tuple[float, float, float]


def coded(rgb: RGB, matrix: str = "bt709", *, bits: int = 8, full: bool = False) -> tuple[int, ...]:
    """Y'CbCr of an R'G'B' colour by BT.709's and BT.2020's formulas."""
    (red, blue), one = WEIGHTS[matrix], 1 << (bits - 8)
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    chroma = ((rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red))
    if full:
        return (round(luma * 255 * one), *(round((c * 255 + 128) * one) for c in chroma))
    return (round((16 + 219 * luma) * one), *(round((128 + 224 * c) * one) for c in chroma))


def seen(video: VideoStream, planes: tuple[int, ...], tags: str, *, picture: Picture = SMALL) -> tuple[int, ...]:
    """The middle of what the filters make of three frames of one colour, each plane filled with its value."""
    wide, size = video.bit_depth > 8, video.width * video.height
    quarter = 1 if video.pixel_format.startswith(("gbr", "yuv444")) else 4
    values = [value.to_bytes(2, "little") if wide else bytes([value]) for value in planes]
    frame = b"".join(value * (size // (quarter if number else 1)) for number, value in enumerate(values))
    chain = f"setparams={tags}," + filters(video, picture, start_gap_s=0.0)
    raw = ["-f", "rawvideo", "-pix_fmt", video.pixel_format, "-s", f"{video.width}x{video.height}", "-i", "-"]
    out = ["-vf", chain, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    done = subprocess.run([ffmpeg(), "-v", "error", *raw, *out], input=frame * 3, capture_output=True, check=True)
    luma, middle = picture.width * picture.height, picture.width * (picture.height // 2) + picture.width // 2
    chroma = (picture.width // 2) * (picture.height // 4) + picture.width // 4
    return (done.stdout[middle], done.stdout[luma + chroma], done.stdout[luma + luma // 4 + chroma])


def near(rgb: RGB, matrix: str = "bt709", off: int = 2) -> object:
    """Within so many steps of 255."""
    return pytest.approx(coded(rgb, matrix), abs=off)


@pytest.mark.parametrize("rgb", [SKIN, RED, BLUE, GREY])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt470bg"])
def test_every_matrix_and_range_becomes_the_same_colour(rgb: RGB, matrix: str) -> None:
    """In 4:2:0, 4:4:4 and ten bits, limited and full."""
    video = replace(BARE, matrix=matrix, color_range="tv")
    tags = f"colorspace={matrix}:range=tv"
    assert seen(video, coded(rgb, matrix), tags) == near(rgb)
    assert seen(replace(video, pixel_format="yuv444p"), coded(rgb, matrix), tags) == near(rgb)
    ten = replace(video, pixel_format="yuv420p10le", bit_depth=10)
    assert seen(ten, coded(rgb, matrix, bits=10), tags) == near(rgb)
    full = replace(video, pixel_format="yuvj420p", color_range="pc")
    assert seen(full, coded(rgb, matrix, full=True), f"colorspace={matrix}:range=pc") == near(rgb)


@pytest.mark.parametrize("rgb", [SKIN, RED, BLUE])
def test_screens_recorded_in_rgb_keep_their_colours(rgb: RGB) -> None:
    """They have no matrix of their own."""
    video = replace(BARE, pixel_format="gbrp", matrix="gbr", color_range="pc")
    planes = tuple(round(255 * rgb[number]) for number in (1, 2, 0))
    assert seen(video, planes, "colorspace=gbr:range=pc") == near(rgb)


@pytest.mark.parametrize("rgb", [SKIN, RED, BLUE])
def test_what_is_not_tagged_looks_as_a_player_guesses(rgb: RGB) -> None:
    """The values stay where the guess stays, and are converted where the size changes it."""
    unsaid = "colorspace=unknown"
    assert seen(BARE, coded(rgb, "smpte170m"), unsaid) == near(rgb, "smpte170m")
    assert seen(BARE, coded(rgb, "smpte170m"), unsaid, picture=Picture(width=960, height=720)) == near(rgb)
    large = replace(BARE, width=1280, height=720)
    assert seen(large, coded(rgb), unsaid) == near(rgb)


@pytest.mark.parametrize("rgb", [SKIN, RED, BLUE])
@pytest.mark.parametrize(
    ("primaries", "matrix", "told"), [("bt2020", "bt2020nc", True), ("bt2020", "bt2020nc", False), ("smpte432", "bt709", True)]
)
def test_wide_gamuts_do_not_turn_pale(rgb: RGB, primaries: str, matrix: str, told: bool) -> None:  # noqa: FBT001
    """BT.2020 and Display P3 in ordinary brightness; a matrix of BT.2020 speaks for its primaries."""
    light = [c / 4.5 if c < 0.081 else ((c + 0.099) / 1.099) ** (1 / 0.45) for c in rgb]
    mixed = [sum(share * c for share, c in zip(row, light, strict=True)) for row in INTO[primaries]]
    wide = tuple(4.5 * c if c < 0.018 else 1.099 * c**0.45 - 0.099 for c in mixed)
    video = replace(BARE, pixel_format="yuv420p10le", bit_depth=10, matrix=matrix, primaries=primaries if told else None)
    tags = f"colorspace={matrix}:color_primaries={primaries if told else 'unknown'}:range=tv"
    assert seen(video, coded((wide[0], wide[1], wide[2]), matrix, bits=10), tags) == near(rgb, off=3)


def pq(nits: float) -> float:
    """The signal of an absolute brightness (SMPTE ST 2084)."""
    power = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def grey_of(signal: float, transfer: str) -> int:
    """The luma that HDR grey of a signal gets; its colour must stay none."""
    video = replace(
        BARE,
        pixel_format="yuv420p10le",
        bit_depth=10,
        matrix="bt2020nc",
        primaries="bt2020",
        transfer=transfer,
        color_range="tv",
    )
    tags = f"colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}:range=tv"
    luma, blue, red = seen(video, coded((signal, signal, signal), "bt2020nc", bits=10), tags)
    assert (blue, red) == pytest.approx((128, 128), abs=1)
    return luma


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_keeps_skin_paper_and_highlights(transfer: str) -> None:
    """Skin (about 70 nits) is as bright as SDR's 70 of 203, paper is nearly white, and lights above it keep their steps.

    Signals of HLG for these are those of ITU-R BT.2408 and BT.2100 for a display of 1,000 nits.
    """
    hlg = {36: 0.43, 70: 0.55, 203: 0.75, 1000: 1.0}
    skin, paper, light = (grey_of(pq(nits) if transfer == "smpte2084" else hlg[nits], transfer) for nits in (70, 203, 1000))
    assert skin == pytest.approx(16 + 219 * (70 / 203) ** (1 / 2.4), abs=6)
    assert 195 <= paper <= 215
    assert paper + 20 <= light <= 237
