"""A job whose output is a part of its source, or comes in parts: made here, judged part by part, told with its times."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from nemod.config.model import EnginePolicy
from nemod.engines.base import EngineName
from nemod.failure import Kind
from nemod.job import JobState
from nemod.media.verdict import Accept, Refuse
from nemod.views import Scene, job_detail, job_view, part_text
from tests.daemon.conftest import FRONT, LIMIT_BYTES, Clips, Works
from tests.support.clips import make_clip
from tests.support.fake_engine import Deliver

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL
SCENE = Scene(board={}, holds=(), alive=True, now=0)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Two halves of a second."""
    place, coded = tmp_path_factory.mktemp("halves"), ("-crf", "40", "-b:a", "32k", *FRONT)
    return tuple(make_clip(place / f"{n}.mp4", seconds=0.5, size=(160, 120), extra_args=coded) for n in (1, 2))


@pytest.mark.parametrize("policy", [EnginePolicy.AUTO, EnginePolicy.NEMO])
async def test_a_part_of_a_video_is_made_here_whatever_the_policy(
    works: Works, clips: Clips, halves: tuple[Path, ...], policy: EnginePolicy
) -> None:
    """The cloud cannot cut: it is not asked, nor told a person's words, and the log says so. The judge wants the part only."""
    works.folder = replace(works.folder, engine=policy, preset=replace(works.folder.preset, start_s=0.25, end_s=0.75))
    (works.folder.inbox / "big.mkv.txt").write_text("Make it short.", encoding="utf-8")
    cloud, local = works.engine(NEMO, Deliver(file=clips.made)), works.engine(LOCAL, Deliver(file=halves[0]))
    job = await works.drop(clips.big)
    await works.go()
    done = await works.read(job)
    assert (done.state, cloud.tasks, len(local.tasks)) == (JobState.DONE, [], 1)
    assert done.media is not None
    assert done.media.window is not None
    assert (done.media.window.start_s, done.media.window.end_s) == (0.25, 0.75)
    assert "does not cut" in works.told("job.stays_here")[0]["why"]
    assert "does not cut" in works.told("job.instruction_ignored")[0]["why"]
    (output,) = job_view(done, SCENE).outputs
    assert (output.path, output.start_s, output.end_s) == (str(works.folder.outbox / "big.mp4"), 0.25, 0.75)


async def test_outputs_are_named_as_the_folder_says(works: Works, clips: Clips, halves: tuple[Path, ...]) -> None:
    """With the picture that came out and the limit that was kept; names that are taken get a number, parts their own."""
    works.folder = replace(works.folder, output_name="{stem} {preset} {height}p {limit}")
    works.engine(LOCAL, Deliver(file=clips.made))
    for name in ("a {b}.mkv", "A {b}.mkv", "a {b}.mov"):
        await works.drop(clips.big, name)
    await works.go()
    limit = f"{LIMIT_BYTES // 1000}KB"
    preset = works.folder.preset.name
    assert sorted(path.name for path in works.folder.outbox.glob("*.mp4")) == [
        f"A {{b}} {preset} 120p {limit}.mp4",
        f"a {{b}} {preset} 120p {limit} (2).mp4",
        f"a {{b}} {preset} 120p {limit}.mp4",
    ]
    works.engine(LOCAL, Deliver(file=clips.made, parts=halves))
    job = await works.drop(clips.big, "c.mkv")
    await works.go()
    day = datetime.fromtimestamp((await works.read(job)).created).astimezone().date()
    works.folder = replace(works.folder, output_name="{date}")
    assert [path.name for path in (await works.read(job)).targets] == [
        f"c {preset} 120p {limit} part {n} of 2.mp4" for n in (1, 2)
    ]
    other = await works.drop(clips.big, "d.mkv")
    await works.go()
    assert [path.name for path in (await works.read(other)).targets] == [f"{day} part {n} of 2.mp4" for n in (1, 2)]


async def test_an_end_behind_the_end_is_the_end(works: Works, clips: Clips) -> None:
    """What leaves nothing out is no part at all."""
    works.folder = replace(works.folder, preset=replace(works.folder.preset, start_s=0.0, end_s=3600.0))
    works.engine(LOCAL, Deliver(file=clips.made))
    job = await works.drop(clips.big)
    await works.go()
    done = await works.read(job)
    assert done.state is JobState.DONE
    assert done.media is not None
    assert done.media.window is None


async def test_a_start_behind_the_end_fails_with_the_length(works: Works, clips: Clips) -> None:
    """Told as what the video is, not as a broken file."""
    works.folder = replace(works.folder, preset=replace(works.folder.preset, start_s=3600.0))
    works.engine(LOCAL, Deliver(file=clips.made))
    job = await works.drop(clips.big)
    await works.go()
    failed = await works.read(job)
    assert (failed.state, failed.failure and failed.failure.kind) == (JobState.FAILED, Kind.UNSUPPORTED)
    assert failed.failure is not None
    assert "1:00:00" in failed.failure.detail
    assert "1.0 s long" in failed.failure.detail


async def test_parts_are_judged_delivered_and_told_one_by_one(works: Works, clips: Clips, halves: tuple[Path, ...]) -> None:
    """Each against its own part of the source; the list of outputs has their names, bytes and times."""
    works.engine(LOCAL, Deliver(file=clips.made, parts=halves))
    job = await works.drop(clips.big)
    await works.go()
    done = await works.read(job)
    assert done.state is JobState.DONE
    sizes = [half.stat().st_size for half in halves]
    assert done.made is not None
    assert done.made.verdict == Accept(size_bytes=sum(sizes))
    view = job_view(done, SCENE)
    assert [(Path(o.path).name, o.bytes) for o in view.outputs] == [
        ("big part 1 of 2.mp4", sizes[0]),
        ("big part 2 of 2.mp4", sizes[1]),
    ]
    made = [works.folder.outbox / f"big part {number} of 2.mp4" for number in (1, 2)]
    assert [path.read_bytes() for path in made] == [half.read_bytes() for half in halves]
    assert (view.output, view.output_bytes) == (view.outputs[0].path, sum(sizes))
    assert view.outputs[0].end_s == view.outputs[1].start_s
    assert part_text(view.outputs[0]).startswith("0:00 to 0:0")
    assert len(job_detail(done, SCENE, ())["outputs"]) == 2
    (line,) = works.told("job.delivered")
    assert line["outputs"] == [o.path for o in view.outputs]


async def test_one_part_over_the_limit_refuses_the_whole(works: Works, clips: Clips, halves: tuple[Path, ...]) -> None:
    """The refusal says which part it is, and nothing is delivered."""
    works.engine(LOCAL, Deliver(file=clips.made, parts=(halves[0], clips.heavy)))
    job = await works.drop(clips.big)
    await works.go()
    failed = await works.read(job)
    assert failed.state is JobState.FAILED
    verdict = failed.attempts[0].verdict
    assert isinstance(verdict, Refuse)
    assert verdict.detail.startswith("Part 2 of 2: ")
    assert list(works.folder.outbox.glob("*.mp4")) == []
