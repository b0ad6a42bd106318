"""Chapters and titles on their way into an MP4 of picture and sound alone."""

import subprocess
from dataclasses import replace
from pathlib import Path

import av
import pytest

from nemod.engines.local import tags
from nemod.engines.local.ffmpeg import mux_argv
from nemod.media import chapters
from nemod.media.chapters import ChaptersError
from nemod.media.info import Chapter, MediaInfo
from nemod.media.probe import probe
from tests.support.clips import ffmpeg, make_clip, run_ffmpeg

LIST = """;FFMETADATA1
title=Größer
[CHAPTER]
TIMEBASE=1/1000
START=0
END=700
title=Anfang 🎬
[CHAPTER]
TIMEBASE=1/1000
START=700
END=2000
title=終わり
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds without chapters."""
    return make_clip(tmp_path_factory.mktemp("clips") / "plain.mp4", size=(64, 48))


def muxed(plain: Path, out: Path, media: MediaInfo, *, keep_location: bool = False) -> Path:
    """The clip with what `media` says of itself."""
    argv = mux_argv(ffmpeg(), plain, plain, out, media=media, keep_location=keep_location)
    subprocess.run(argv, check=True, capture_output=True)
    chapters.write(out, media.chapter_marks)
    return out


@pytest.mark.parametrize(("kind", "place"), [("mkv", False), ("mp4", True)])
async def test_chapters_survive_without_a_track(plain: Path, tmp_path: Path, kind: str, place: bool) -> None:  # noqa: FBT001
    """Titles and times are read back by the probe, beside picture and sound there is nothing, and every frame decodes."""
    (tmp_path / "list.txt").write_text(LIST, encoding="utf-8")
    source = tmp_path / f"source.{kind}"
    told = ["-map_metadata", "1", "-map_chapters", "1", "-metadata", "location=+52.5200+013.4050/"]
    run_ffmpeg("-i", plain, "-i", tmp_path / "list.txt", "-map", "0", *told, "-c", "copy", source)
    media = await probe(source, timeout_s=60)
    assert [mark.title for mark in media.chapter_marks] == ["Anfang 🎬", "終わり"]

    out = muxed(plain, tmp_path / "out.mp4", media, keep_location=place)
    result = await probe(out, timeout_s=60)
    assert (result.others, result.faststart, result.title) == ((), True, "Größer")
    assert [(mark.start_s, mark.title) for mark in result.chapter_marks] == [(0.0, "Anfang 🎬"), (0.7, "終わり")]
    assert result.has_location is place
    run_ffmpeg("-i", out, "-f", "null", "-")
    with av.open(out) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["Anfang 🎬", "終わり"]
        assert dict(container.metadata).keys().isdisjoint({"keywords"})

    silent = muxed(plain, tmp_path / "silent.mp4", replace(media, title=None, chapter_marks=(), location=None))
    assert out.stat().st_size - silent.stat().st_size <= tags.bytes_of(media)


async def test_more_than_fits_is_cut(plain: Path, tmp_path: Path) -> None:
    """At most 255 chapters, titles of at most 255 bytes, and never half a character."""
    media = await probe(plain, timeout_s=60)
    many = tuple(Chapter(start_s=n / 1000, end_s=(n + 1) / 1000, title="é" * 200) for n in range(300))
    result = await probe(muxed(plain, tmp_path / "out.mp4", replace(media, chapter_marks=many)), timeout_s=60)
    assert len(result.chapter_marks) == 255
    assert {mark.title for mark in result.chapter_marks} == {"é" * 127}


def test_a_file_without_the_place_is_left_alone(plain: Path, tmp_path: Path) -> None:
    """Rather than written over."""
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(plain.read_bytes())
    with pytest.raises(ChaptersError):
        chapters.write(copy, [Chapter(start_s=0.0, end_s=1.0, title="")])
    chapters.write(copy, [])
    assert copy.read_bytes() == plain.read_bytes()
