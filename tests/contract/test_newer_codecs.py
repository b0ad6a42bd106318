"""HEVC and AV1 from a source to the judge's word: within the limit, right, and measured where that is asked for."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Codec, Preset, Speed
from nemod.daemon.examine import Examiner
from nemod.engines.base import EngineError, Output, Task
from nemod.engines.local.engine import LocalEngine
from nemod.engines.local.tools import inspect
from nemod.failure import Failure, Kind
from nemod.job import JobId
from nemod.media.probe import probe
from nemod.media.verdict import Accept, How, Verdict
from tests.support.clips import clip, ffmpeg

WATER = clip("stream-of-water.mp4")
LIMIT = 90_000
PRESET = Preset(name="newer", limit_bytes=LIMIT, speed=Speed.FAST, measure=True)


async def made(root: Path, preset: Preset, tool: Path) -> Path:
    """What the local engine makes of the clip."""
    media = await probe(WATER, timeout_s=60)
    task = Task(job=JobId(1), source=WATER, media=media, how=How.ENCODE, preset=preset, limit_bytes=LIMIT, folder=root)
    events = [event async for event in LocalEngine(tool).run(task, None)]
    assert isinstance(events[-1], Output)
    return events[-1].path


async def judged(output: Path, preset: Preset, how: How, tool: Path, *, edited: bool = False) -> Verdict:
    """What the judge says of a file."""
    source = await probe(WATER, timeout_s=60)
    limit = max(LIMIT, (await probe(output, timeout_s=60)).size_bytes)
    return await Examiner(ffmpeg=tool).judge(
        source, output, source_file=WATER, preset=preset, limit_bytes=limit, how=how, edited=edited
    )


@pytest.mark.parametrize("codec", [Codec.HEVC, Codec.AV1])
async def test_a_newer_codec_lands_and_is_measured(tmp_path: Path, codec: Codec) -> None:
    """Little under the limit, never over, with figures that say how good it is."""
    preset = replace(PRESET, codec=codec)
    output = await made(tmp_path, preset, ffmpeg())
    assert 0.94 * LIMIT < output.stat().st_size <= LIMIT
    verdict = await judged(output, preset, How.ENCODE, ffmpeg())
    assert isinstance(verdict, Accept), verdict
    assert verdict.quality is not None
    assert 40 < verdict.quality.vmaf_p5 < verdict.quality.vmaf_mean < 99


async def test_only_what_was_made_is_measured() -> None:
    """A copy is what it was, a person's own words may change everything, and most presets do not ask."""
    for preset, how, edited in (
        (PRESET, How.PASS, False),
        (PRESET, How.ENCODE, True),
        (replace(PRESET, measure=False), How.ENCODE, False),
    ):
        verdict = await judged(WATER, preset, how, ffmpeg(), edited=edited)
        assert isinstance(verdict, Accept), verdict
        assert verdict.quality is None


def lean(root: Path, lacking: str) -> Path:
    """The ffmpeg that we bring, as if it had been built without something."""
    tool = root / "ffmpeg"
    tool.write_text(
        f"#!{sys.executable}\n"
        "import subprocess, sys\n"
        f"done = subprocess.run(['{ffmpeg()}', *sys.argv[1:]], capture_output=True)\n"
        f"sys.stdout.buffer.write(done.stdout.replace(b'{lacking}', b'nothing'))\n"
        f"refused = any('{lacking}' in word for word in sys.argv)\n"
        f"sys.stderr.buffer.write(b\"No such filter: '{lacking}'\" if refused else done.stderr)\n"
        "sys.exit(1 if refused else done.returncode)\n"
    )
    tool.chmod(0o755)
    return tool


async def test_without_the_filter_an_output_is_delivered_unmeasured(tmp_path: Path) -> None:
    """How good it is was asked; that nobody can tell is no fault of the output."""
    verdict = await judged(WATER, PRESET, How.REMUX, lean(tmp_path, "libvmaf"))
    assert verdict == Accept(size_bytes=WATER.stat().st_size)


async def test_without_the_encoder_a_job_fails_with_what_to_do(tmp_path: Path) -> None:
    """Only those that need it: the engine itself is ready for all others."""
    tool = lean(tmp_path, "libsvtav1")
    assert not isinstance(await inspect(tool), Failure)
    with pytest.raises(EngineError) as raised:
        await made(tmp_path, replace(PRESET, codec=Codec.AV1), tool)
    assert raised.value.failure.kind is Kind.UNSUPPORTED
    assert "libsvtav1" in raised.value.failure.detail
    assert "h264" in raised.value.failure.hint
