"""Hardware encoders under the same law: what they miss is corrected, what they spoil or refuse is made in software."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Codec, Encoder, Preset, Speed
from nemod.daemon.single import compress_file
from nemod.engines.local.engine import LocalEngine
from nemod.engines.local.hardware import candidates
from nemod.job import Job, JobState
from nemod.media.probe import probe
from tests.support.clips import clip, ffmpeg
from tests.support.hardware import calls, with_hardware

slow = pytest.mark.skipif(
    not os.environ.get("NEMOD_SLOW"), reason="encodes for seconds, much as another does; set NEMOD_SLOW=1"
)
WATER = clip("stream-of-water.mp4")
LIMIT = 40_000
PRESET = Preset(name="small", limit_bytes=LIMIT, max_height=144, speed=Speed.FAST, encoder=Encoder.AUTO_HW)


async def pressed(root: Path, tool: Path, preset: Preset = PRESET) -> Job:
    """The job of a clip that was encoded with an ffmpeg; what came out fits and is whole, however it came to be."""
    job = await compress_file(
        WATER, preset, engine=LocalEngine(tool), ffmpeg=ffmpeg(), outbox=root, output_name="out", show=lambda _: None
    )
    assert job.state is JobState.DONE, job.failure
    assert job.target is not None
    assert job.target.stat().st_size <= LIMIT
    made, source = await probe(job.target, timeout_s=60), await probe(WATER, timeout_s=60)
    assert made.video is not None
    assert made.duration_s == pytest.approx(source.duration_s, abs=0.1)
    return job


def note(job: Job) -> str:
    """What is said of how it was made."""
    return job.attempts[-1].note or ""


@pytest.mark.parametrize("habit", ["works", "misses:1.4", pytest.param("misses:0.7", marks=slow)])
async def test_hardware_lands_within_the_limit_however_it_misses_its_rate(tmp_path: Path, habit: str) -> None:
    """A rate that is missed by far is asked for anew until the file is full and fits; nothing is made in software."""
    tool = with_hardware(tmp_path / "tool", habit)
    job = await pressed(tmp_path, tool)
    assert "h264_nvenc" in note(job)
    assert "software" not in note(job)
    assert job.delivered_bytes is not None
    assert job.delivered_bytes >= 0.94 * LIMIT
    assert calls(tool)[0] == "h264_nvenc trial"


@pytest.mark.parametrize(
    ("habit", "why"),
    [
        pytest.param("absent", "does not work here: Cannot open the device", marks=slow),
        ("fails", "h264_nvenc failed"),
        ("ignores", "did not keep to the limit"),
        ("green", "made something else"),
        pytest.param("stops", "made something else", marks=slow),
    ],
)
async def test_what_hardware_cannot_do_is_done_in_software_and_said(tmp_path: Path, habit: str, why: str) -> None:
    """A driver that fails, a rate that is ignored, green pictures and a lost end are no fault of the video."""
    job = await pressed(tmp_path, with_hardware(tmp_path / "tool", habit))
    assert "made in software, since" in note(job)
    assert why in note(job)


async def test_the_first_kind_that_works_is_taken(tmp_path: Path) -> None:
    """What ffmpeg was built with says nothing of the machine: each kind is tried before it is trusted."""
    tool = with_hardware(tmp_path / "tool", "only:amf")
    job = await pressed(tmp_path, tool)
    assert "h264_amf" in note(job)
    assert "h264_nvenc trial" in calls(tool)
    assert "h264_nvenc video" not in calls(tool)


async def test_a_kind_that_is_named_is_the_only_one_that_is_tried(tmp_path: Path) -> None:
    """Whoever names QSV gets QSV or software."""
    tool = with_hardware(tmp_path / "tool", "only:amf")
    job = await pressed(tmp_path, tool, replace(PRESET, encoder=Encoder.QSV))
    assert set(calls(tool)) == {"h264_qsv trial"}
    assert "made in software, since h264_qsv does not work here" in note(job)


async def test_without_any_hardware_the_words_say_so(tmp_path: Path) -> None:
    """The ffmpeg that nemod brings knows many kinds of hardware; where there is none, software does the work."""
    job = await pressed(tmp_path, ffmpeg())
    assert "made in software, since h264_" in note(job)


def test_each_device_is_tried_and_only_macos_has_videotoolbox() -> None:
    """Of two graphics cards the second may be the one that encodes."""
    known = [f"h264_{kind}" for kind in ("nvenc", "vaapi", "videotoolbox")]
    cards = [Path("/dev/dri/renderD128"), Path("/dev/dri/renderD129")]
    found = candidates(Encoder.AUTO_HW, Codec.H264, known=known, devices=cards, platform="linux")
    assert [(driver.name, driver.device) for driver in found] == [
        ("h264_nvenc", None),
        ("h264_vaapi", cards[0]),
        ("h264_vaapi", cards[1]),
    ]
    (found_on_mac,) = candidates(Encoder.AUTO_HW, Codec.H264, known=known, devices=[], platform="darwin")
    assert found_on_mac.name == "h264_videotoolbox"
