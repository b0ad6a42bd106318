"""An encode takes frames as they come: none is lost where their distances change, none is shown for too long or too short."""

from pathlib import Path

import pytest

from nemod.media.probe import probe
from tests.support.clips import make_clip
from tests.support.press import play, pressed

#: When frame N is shown, in seconds.
DISTANCES = {
    "thirty, then twenty-four a second": "if(lt(N,30),N/30,1+(N-30)/24)",
    "twenty-four, then thirty a second": "if(lt(N,24),N/24,1+(N-24)/30)",
    "a phone in the dark": "N/30+0.008*mod(N,3)",
    "every fifth one late": "N/25+0.018*not(mod(N,5))",
}
#: The same where pictures stand: a slide show, and a screen on which something moves now and then.
STILLS = {"a slide show": "N*3.5", "a screen": "mod(N,6)/30+4*floor(N/6)"}
#: A limit that asks for two passes.
STILLS_BYTES = 300_000


def timed(path: Path, when: str, *, frames: int, size: tuple[int, int], audio_s: float | None = None) -> Path:
    """A clip whose frames come when an expression says, in a quality that leaves something to save."""
    timing = ("-vf", f"settb=1/90000,setpts='({when})/TB'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    sound = ("-af", f"apad,atrim=duration={audio_s}") if audio_s is not None else ()
    drawn = ("-frames:v", str(frames), "-crf", "5", *timing, *sound)
    return make_clip(path, seconds=frames / 30, size=size, audio=audio_s is not None, extra_args=drawn)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("when", DISTANCES.values(), ids=list(DISTANCES))
async def test_every_frame_of_an_uneven_clip_is_kept(tmp_path: Path, when: str, suffix: str) -> None:
    """As many frames come out as went in, each when it came before, to a sixtieth of a second."""
    source = timed(tmp_path / f"source{suffix}", when, frames=60, size=(320, 180))
    was = play(source).frames
    assert len(was) == 60
    now = play(await pressed(source, source.stat().st_size // 2)).frames
    assert len(now) == len(was)
    assert [at - now[0] for at in now] == pytest.approx([at - was[0] for at in was], abs=1 / 60)


@pytest.mark.parametrize("audio_s", [None, 14.0])
@pytest.mark.parametrize("when", STILLS.values(), ids=list(STILLS))
async def test_long_stills_do_not_lengthen_a_clip(tmp_path: Path, when: str, audio_s: float | None) -> None:
    """Pictures that stand for seconds come and go when they did, and the whole lasts as long."""
    frames = 12 if when == STILLS["a slide show"] else 24
    source = timed(tmp_path / "source.mkv", when, frames=frames, size=(1280, 720), audio_s=audio_s)
    was = await probe(source, timeout_s=60)
    assert was.size_bytes > 2 * STILLS_BYTES
    output = await pressed(source, STILLS_BYTES)
    assert (await probe(output, timeout_s=60)).duration_s == pytest.approx(was.duration_s, abs=0.5)
    assert play(output).frames == pytest.approx(play(source).frames, abs=0.1)
