"""Which ffmpeg is used and what it says of itself, asked of real programs."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Codec
from nemod.engines.local.tools import Tools, find_ffmpeg, inspect
from nemod.failure import Failure, Kind
from tests.support.clips import ffmpeg


async def test_the_ffmpeg_that_we_bring_can_do_all() -> None:
    """Encode, scale, and make HDR look right."""
    tools = await inspect(find_ffmpeg(None))
    assert isinstance(tools, Tools), tools
    assert tools.ffmpeg == ffmpeg()
    assert tools.version != "unknown"
    assert tools.tone_maps
    assert not replace(tools, filters=tools.filters - {"zscale"}).tone_maps
    assert tools.scores
    assert all(map(tools.codes, Codec))
    lean = replace(tools, encoders=tools.encoders - {"libx265"})
    assert [codec for codec in Codec if not lean.codes(codec)] == [Codec.HEVC]


def test_one_that_is_named_is_taken(tmp_path: Path) -> None:
    """Even if it is not there: whoever names one hears of it."""
    assert find_ffmpeg(tmp_path / "my-ffmpeg") == tmp_path / "my-ffmpeg"


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be started"),
        ("import sys; sys.exit(3)", "ended with code 3"),
        ("print('ffmpeg version 7.1-lean\\n V....D libx264  H.264\\n ... scale V->V')", "was built without aac, fps"),
    ],
)
async def test_one_that_will_not_do_is_refused_with_its_reason(tmp_path: Path, text: str | None, says: str) -> None:
    """Not there, broken, or built without what is needed; the hint says how to get one that works."""
    path = tmp_path / "ffmpeg"
    failure = await inspect(path if text is None else script(path, text))
    assert isinstance(failure, Failure)
    assert failure.kind is Kind.TOOL_MISSING
    assert says in failure.detail
    assert "Leave `ffmpeg` out" in failure.hint
