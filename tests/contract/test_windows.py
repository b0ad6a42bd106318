"""A part of a video, cut to the picture and the sample by the embedded engine; and what it does with what cannot fit."""

import array
import asyncio
import subprocess
from itertools import pairwise
from pathlib import Path

import av
import pytest

from nemod.config.model import OnImpossible, Preset, Speed
from nemod.engines.base import EngineError, Output, Task
from nemod.engines.local.engine import LocalEngine
from nemod.engines.local.fitting import Impossible
from nemod.media.info import MediaInfo
from nemod.media.moments import standing
from nemod.media.probe import probe
from nemod.media.verdict import Accept, How, judge
from tests.support.clips import ffmpeg, run_ffmpeg

#: Each frame has a shade of its own among so many; the tone begins with a frame, in the middle of the clip.
SHADES, FPS, TONE_S = 20, 30, 2.0
HERTZ = 8000


def shaded(path: Path, *coding: str, seconds: float = 4.0, chain: str = "null") -> Path:
    """A clip whose frames can be told apart, silent until the tone."""
    picture = f"nullsrc=s=64x64:r={FPS}:d={seconds},geq=lum='20+10*mod(N,{SHADES})':cb=128:cr=128,{chain}"
    tone = f"aevalsrc='if(gte(t,{TONE_S}),0.5*sin(2*PI*880*t),0)':s=48000:d={seconds}"
    run_ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-fps_mode", "vfr", *coding, f"file:{path}")
    return path


def seen(path: Path) -> list[tuple[float, int]]:
    """When each frame comes, in seconds of the file's clock, and its shade."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(frame.time, shade(frame)) for frame in container.decode(stream)]


def shade(frame: av.VideoFrame) -> int:
    plane = bytes(frame.reformat(width=16, height=16, format="gray8").planes[0])
    return round((sum(plane) / len(plane) * 219 / 255 + 16 - 20) / 10)


def tone_begins(path: Path) -> float:
    """When the tone begins, in seconds from the beginning of an output."""
    chain = ["-map", "0:a:0", "-ac", "1", "-ar", str(HERTZ), "-af", "aresample=async=1:first_pts=0", "-f", "s16le", "-"]
    samples = array.array(
        "h", subprocess.run([ffmpeg(), "-v", "error", "-i", path, *chain], capture_output=True, check=True).stdout
    )
    return next(n for n, sample in enumerate(samples) if abs(sample) > 4000) / HERTZ


async def run(root: Path, source: Path, media: MediaInfo, limit_bytes: int, then: OnImpossible = OnImpossible.FAIL) -> Output:
    """What the engine makes of it."""
    await asyncio.to_thread(root.mkdir)
    preset = Preset(name="made", limit_bytes=limit_bytes, speed=Speed.FAST, on_impossible=then)
    task = Task(job=1, source=source, media=media, how=How.ENCODE, preset=preset, limit_bytes=limit_bytes, folder=root)
    events = [event async for event in LocalEngine(ffmpeg()).run(task, None)]
    assert isinstance(events[-1], Output)
    return events[-1]


X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-qp", "10", "-bf", "3", "-g", "1000", "-keyint_min", "1000", "-c:a", "aac")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "60", "-bf", "2", "-c:a", "mp2")
KINDS = {
    "a long way between key frames.mp4": (X264, "null"),
    "now and then a frame.mkv": (X264, "select='not(mod(n\\,4))+gt(mod(n\\,30)\\,20)'"),
    "first time stamp far from zero.ts": ((*X264, "-output_ts_offset", "1000"), "null"),
    "program stream.mpg": (MPEG2, "null"),
    "a clock that ticks once a frame.avi": (("-c:v", "mjpeg", "-q:v", "2", "-c:a", "pcm_s16le"), "null"),
    "pictures that stand for a second.mkv": (X264, "select='not(mod(n\\,30))'"),
}


@pytest.mark.parametrize("name", KINDS)
async def test_a_window_begins_with_the_picture_of_its_start_and_sound_keeps_to_it(tmp_path: Path, name: str) -> None:
    """Every picture of the window once and at its time, the one that stands at the start first; the tone where it was."""
    coding, chain = KINDS[name]
    source = shaded(tmp_path / name, *coding, chain=chain)
    whole = await probe(source, timeout_s=60)
    start, end = 1.25, 2.7
    part = await standing(ffmpeg(), source, whole.cut(start, end))
    output = await run(tmp_path / "work", source, part, 500_000)
    frames = [(time - whole.first_s, shade) for time, shade in seen(source)]
    before = [frame for frame in frames if frame[0] <= start]
    wanted = [(0.0, before[-1][1]), *((time - start, shade) for time, shade in frames if start < time < end)]
    found = seen(output.path)
    if whole.video is not None and whole.video.longest_step_s > 0.5:
        assert found.pop()[1] == wanted[-1][1]  # it is shown once more, so that it stays to the end
    assert [shade for _, shade in found] == [shade for _, shade in wanted]
    assert [time for time, _ in found] == pytest.approx([time for time, _ in wanted], abs=0.002)
    tone = min(time for time, _ in frames if time >= TONE_S - 0.01) - start
    assert tone_begins(output.path) == pytest.approx(tone, abs=0.02)
    made = await probe(output.path, timeout_s=60)
    verdict = judge(part, made, preset=Preset(name="made"), limit_bytes=500_000, decode_error=None, how=How.ENCODE)
    assert isinstance(verdict, Accept), verdict


@pytest.mark.parametrize("cut", [(None, None), (0.7, 5.9)])
async def test_what_cannot_fit_is_split_with_nothing_lost_and_nothing_twice(
    tmp_path: Path, cut: tuple[float | None, float | None]
) -> None:
    """Each part fits, they meet, and one after the other they show every picture once; of a window, too."""
    source = shaded(tmp_path / "clip.mp4", *X264, seconds=7)
    media = await probe(source, timeout_s=60)
    if cut[0] is not None and cut[1] is not None:
        media = await standing(ffmpeg(), source, media.cut(cut[0], cut[1]))
    limit = 13_000 if cut[0] is None else 10_000
    output = await run(tmp_path / "work", source, media, limit, OnImpossible.SPLIT)
    assert len(output.parts) > 2
    assert output.path == output.parts[0].path
    assert output.parts[0].window.start_s == (cut[0] or 0.0)
    assert output.parts[-1].window.end_s == pytest.approx(cut[1] or media.duration_s)
    assert all(one.window.end_s == other.window.start_s for one, other in pairwise(output.parts))
    shades = [shade for part in output.parts for _, shade in seen(part.path)]
    first, last = round((cut[0] or 0) * FPS), round((cut[1] or 7) * FPS)
    assert shades == [number % SHADES for number in range(first, last)]
    for part in output.parts:
        assert part.path.stat().st_size == part.size_bytes <= limit
        made = await probe(part.path, timeout_s=60)
        verdict = judge(part.of(media), made, preset=Preset(name="made"), limit_bytes=limit, decode_error=None, how=How.ENCODE)
        assert isinstance(verdict, Accept), verdict
    assert len(list((tmp_path / "work").rglob("*.mp4"))) == len(output.parts)


async def test_what_cannot_fit_is_trimmed_to_a_beginning_that_does(tmp_path: Path) -> None:
    """One part from the start, as long as will do; the note says where it was cut."""
    source = shaded(tmp_path / "clip.mp4", *X264, seconds=7)
    media = await probe(source, timeout_s=60)
    output = await run(tmp_path / "work", source, media, 22_000, OnImpossible.TRIM)
    (part,) = output.parts
    assert (part.path, part.window.start_s) == (output.path, 0.0)
    assert 1 < part.window.end_s < 7
    assert part.size_bytes <= 22_000
    shades = [shade for _, shade in seen(part.path)]
    assert shades == [number % SHADES for number in range(len(shades))]
    assert len(shades) == pytest.approx(part.window.end_s * FPS, abs=1)
    assert "cut off after 0:0" in output.note


@pytest.mark.parametrize("then", OnImpossible)
async def test_where_not_even_a_second_fits_it_is_impossible_whatever_was_wished(tmp_path: Path, then: OnImpossible) -> None:
    """The failure is the one of the whole."""
    source = shaded(tmp_path / "clip.mp4", *X264)
    media = await probe(source, timeout_s=60)
    with pytest.raises(EngineError, match=r"4\.0 s of video do not fit"):
        await run(tmp_path / "work", source, media, 5000, then)


async def test_what_would_do_does(tmp_path: Path) -> None:
    """The limit and the length that a failure tells hold when they are tried."""
    source = shaded(tmp_path / "clip.mp4", *X264, seconds=7)
    media = await probe(source, timeout_s=60)
    with pytest.raises(EngineError) as raised:
        await run(tmp_path / "first", source, media, 22_000)
    cause = raised.value.__cause__
    assert isinstance(cause, Impossible)
    assert (await run(tmp_path / "limit", source, media, cause.need_bytes)).parts == ()
    shorter = media.cut(0.0, cause.longest_s)
    assert (await run(tmp_path / "length", source, shorter, 22_000)).path.stat().st_size <= 22_000


async def test_a_preset_without_a_limit_is_never_split(tmp_path: Path) -> None:
    """Smaller than its source is all that it promises; what is small already stays."""
    source = shaded(tmp_path / "clip.mp4", *X264)
    media = await probe(source, timeout_s=60)
    (tmp_path / "work").mkdir()
    preset = Preset(name="smaller", on_impossible=OnImpossible.SPLIT)
    task = Task(job=1, source=source, media=media, how=How.ENCODE, preset=preset, limit_bytes=5000, folder=tmp_path / "work")
    with pytest.raises(EngineError, match="about as small as it can be"):
        [event async for event in LocalEngine(ffmpeg()).run(task, None)]
