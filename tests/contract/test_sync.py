"""A flash and its beep stay together, whichever track begins late and whatever the container makes of time."""

from pathlib import Path

import pytest

from tests.support.clips import run_ffmpeg
from tests.support.press import play, pressed

#: A player shows a frame for a thirtieth of a second; nobody notices twice that.
NOTICED_S = 0.06
LATE_S = 0.7
CODED = {
    ".ts": ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    ".mpg": ("-c:v", "mpeg2video", "-b:v", "1M", "-c:a", "mp2"),
    ".mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
}


def flash_and_beep(path: Path, *, picture_late_s: float, sound_late_s: float) -> Path:
    """Four seconds in which the picture turns white and a tone sounds in the third one, each track beginning when told."""
    moment = "between(t+{},2,2.5)"
    white = f"drawbox=color=white:t=fill:enable='{moment.format(picture_late_s)}'"
    loud = f"volume=0:enable='not({moment.format(sound_late_s)})'"
    run_ffmpeg(
        *("-itsoffset", str(picture_late_s), "-f", "lavfi"),
        *("-i", f"color=black:size=160x120:rate=30:duration={4 - picture_late_s},noise=alls=8:allf=t,{white}"),
        *("-itsoffset", str(sound_late_s), "-f", "lavfi"),
        *("-i", f"aevalsrc=0.9*sin(2764*t):sample_rate=48000:duration={4 - sound_late_s},{loud}"),
        *("-pix_fmt", "yuv420p", *CODED[path.suffix], path),
    )
    return path


@pytest.mark.parametrize(("picture_late_s", "sound_late_s"), [(0.0, 0.0), (0.0, LATE_S), (LATE_S, 0.0)])
@pytest.mark.parametrize("suffix", CODED)
async def test_a_late_track_stays_late(tmp_path: Path, suffix: str, picture_late_s: float, sound_late_s: float) -> None:
    """Left to itself ffmpeg moves each track of an MPEG stream to the beginning; here the beep stays with its flash."""
    source = flash_and_beep(tmp_path / f"source{suffix}", picture_late_s=picture_late_s, sound_late_s=sound_late_s)
    was = play(source)
    assert was.apart_s == pytest.approx(0, abs=NOTICED_S), "the clip itself"
    now = play(await pressed(source, source.stat().st_size * 2 // 3))
    assert now.apart_s == pytest.approx(was.apart_s, abs=NOTICED_S)
