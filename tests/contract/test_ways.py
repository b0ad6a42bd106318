"""What a source needs: no encode where wrapping it anew does, none where it is small already, and none too large to play."""

from pathlib import Path

import pytest

from nemod.config.builtin import builtin_presets
from nemod.config.model import Preset
from nemod.failure import Kind
from nemod.job import JobState
from nemod.media.probe import probe
from nemod.media.verdict import LEVEL_MOST, Accept, How
from tests.support.clips import make_clip
from tests.support.press import press, pressed


async def test_a_small_source_of_a_preset_without_a_limit_is_told_so(tmp_path: Path) -> None:
    """There is no limit in such a preset, so nothing is said of one that it breaks or that would do."""
    source = make_clip(tmp_path / "small.mp4", seconds=2, extra_args=("-preset", "slow", "-crf", "40"))
    job = await press(source, builtin_presets()["jpeng-video"])
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.kind is Kind.IMPOSSIBLE
    assert "as small as it can be" in job.failure.detail
    assert "limit" not in job.failure.detail
    assert "smallest limit" not in job.failure.hint
    assert job.target is None


async def test_an_ordinary_source_of_a_preset_without_a_limit_comes_out_smaller(tmp_path: Path) -> None:
    """The promise of `jpeng-video`: smaller than it was, its picture as large."""
    source = make_clip(tmp_path / "ordinary.mp4", seconds=2, extra_args=("-crf", "10"))
    job = await press(source, builtin_presets()["jpeng-video"])
    assert job.state is JobState.DONE, job.failure
    assert job.target is not None
    assert job.target.stat().st_size < source.stat().st_size
    after = await probe(job.target, timeout_s=60)
    assert after.video is not None
    assert after.video.display_size == (320, 180)


async def test_only_the_sound_is_coded_anew_where_only_the_sound_is_at_fault(tmp_path: Path) -> None:
    """H.264 with the PCM of a studio is wrapped anew, and accepted at once."""
    sound = ("-c:a", "pcm_s24le", "-ar", "96000")
    source = make_clip(tmp_path / "studio.mov", seconds=2, size=(160, 120), extra_args=sound)
    job = await press(source, Preset(name="roomy", limit_bytes=source.stat().st_size * 2))
    assert job.state is JobState.DONE, job.failure
    assert job.target is not None
    (attempt,) = job.attempts
    assert attempt.how is How.REMUX
    assert isinstance(attempt.verdict, Accept)
    was, now = await probe(source, timeout_s=60), await probe(job.target, timeout_s=60)
    assert was.video is not None
    assert now.video is not None
    assert now.video.frames == was.video.frames
    assert now.video.size_bytes == pytest.approx(was.video.size_bytes, rel=0.01)
    (audio,) = now.audio
    assert (audio.codec, audio.profile, audio.sample_rate_hz) == ("aac", "LC", 48_000)


async def test_a_picture_larger_than_players_take_is_made_smaller(tmp_path: Path) -> None:
    """5K in, and out comes the largest that phones decode."""
    source = make_clip(tmp_path / "huge.mkv", seconds=0.1, size=(5120, 2880), extra_args=("-crf", "5"))
    after = await probe(await pressed(source, 5_000_000), timeout_s=60)
    assert after.video is not None
    assert after.video.level is not None
    assert after.video.level <= LEVEL_MOST
    assert after.video.width == pytest.approx(4096, rel=0.02)
