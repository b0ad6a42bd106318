"""The contract on the embedded engine with a real ffmpeg, and what it promises beyond: law 1, and honest refusals."""

import filecmp
import shutil
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from nemod.config.model import Preset
from nemod.engines.base import EngineError, Output, Task
from nemod.engines.local.engine import LocalEngine
from nemod.failure import Kind
from nemod.media.probe import probe
from nemod.media.verdict import Accept, How, judge
from tests.contract.contract import EngineContract, World, drive
from tests.support.clips import clip, ffmpeg, make_clip

PRESET = Preset(name="tight")


async def world_of(root: Path, source: Path, limit_bytes: int, how: How = How.ENCODE, preset: Preset = PRESET) -> World:
    """The engine in a world of its own, with a copy of a source."""
    for name in ("work", "source"):
        (root / name).mkdir(parents=True)
    copied = Path(shutil.copy(source, root / "source"))
    media = await probe(copied, timeout_s=60)
    task = Task(job=1, source=copied, media=media, how=how, preset=preset, limit_bytes=limit_bytes, folder=root / "work")
    return World(engine=lambda: LocalEngine(ffmpeg()), task=task, paid=list, price=0)


async def made(world: World) -> Output:
    """The output."""
    last = (await drive(world, None))[-1]
    assert isinstance(last, Output)
    return last


async def accepted(world: World, output: Output) -> bool:
    """Whether the judge takes it."""
    task = world.task
    verdict = judge(
        task.media,
        await probe(output.path, timeout_s=60),
        preset=task.preset,
        limit_bytes=task.limit_bytes,
        decode_error=None,
        how=task.how,
    )
    assert isinstance(verdict, Accept), verdict
    return True


class TestLocalEngine(EngineContract):
    """An encode of a second in two passes."""

    @pytest.fixture
    async def worlds(self, tmp_path: Path, second: Path) -> Callable[[], World]:
        """A folder each."""
        first = await world_of(tmp_path / "first", second, 25_000)
        numbers = count()

        def world() -> World:
            root = tmp_path / str(next(numbers))
            shutil.copytree(tmp_path / "first", root)
            return replace(first, task=replace(first.task, source=root / "source" / second.name, folder=root / "work"))

        return world

    async def test_leftovers_of_an_earlier_run_do_no_harm(self, worlds: Callable[[], World]) -> None:
        """A killed run left files and a half output under every name it uses; the next one starts from nothing."""
        world = worlds()
        done = await made(world)
        for path in done.path.parent.iterdir():
            path.write_bytes(path.read_bytes()[:100])
        (world.task.folder / "out.mp4").write_bytes(b"half")
        assert await accepted(world, await made(world))


async def test_a_missing_ffmpeg_is_tool_missing(tmp_path: Path, second: Path) -> None:
    """Asked, it says so; run all the same, it raises the same failure, with a hint."""
    world = await world_of(tmp_path, second, 25_000)
    engine = LocalEngine(tmp_path / "no" / "ffmpeg")
    failure = await engine.ready()
    assert failure is not None
    assert failure.kind is Kind.TOOL_MISSING
    assert failure.hint
    with pytest.raises(EngineError) as raised:
        await drive(replace(world, engine=lambda: engine), None)
    assert raised.value.failure == failure


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho ffmpeg version 9\n", "no program"])
async def test_something_else_called_ffmpeg_is_tool_missing(tmp_path: Path, script: str) -> None:
    """One that fails, one that can nothing, and one that cannot be run."""
    program = tmp_path / "ffmpeg"
    program.write_text(script)
    program.chmod(0o755)
    failure = await LocalEngine(program).ready()
    assert failure is not None
    assert failure.kind is Kind.TOOL_MISSING


async def test_a_pass_is_a_copy_of_its_own(tmp_path: Path, ready_made: Path) -> None:
    """Byte for byte, and another inode: an archived original never shares one with what was delivered."""
    world = await world_of(tmp_path, ready_made, 1_000_000, How.PASS)
    output = await made(world)
    assert filecmp.cmp(output.path, ready_made, shallow=False)
    assert output.path.stat().st_nlink == 1


async def test_a_remux_keeps_every_frame(tmp_path: Path, second: Path) -> None:
    """The same picture in an MP4 with its index first."""
    world = await world_of(tmp_path, second, 1_000_000, How.REMUX)
    output = await made(world)
    assert await accepted(world, output)
    after = await probe(output.path, timeout_s=60)
    assert after.faststart
    assert after.video is not None
    assert world.task.media.video is not None
    assert after.video.frames == world.task.media.video.frames
    assert after.video.size_bytes == pytest.approx(world.task.media.video.size_bytes, rel=0.01)


async def test_a_limit_that_cannot_be_kept_is_impossible(tmp_path: Path, second: Path) -> None:
    """The failure says what would do, and nothing is handed out."""
    world = await world_of(tmp_path, second, 900)
    with pytest.raises(EngineError) as raised:
        await drive(world, None)
    assert raised.value.failure.kind is Kind.IMPOSSIBLE
    assert raised.value.failure.hint
    assert not list(world.task.folder.rglob("out.mp4"))


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
@pytest.mark.parametrize(
    "name", ["drawn", "silent", "noise", "stream-of-water.mp4", "bear_odd.webm", "flower.gif", "subs_ssa.mkv", "one_frame.mp4"]
)
async def test_a_limit_is_never_exceeded(tmp_path: Path, name: str, share: float) -> None:
    """Law 1 for the engine: a share of the source's size as the limit, and at most that comes out, or an honest refusal."""
    match name:
        case "drawn":
            source = make_clip(tmp_path / "drawn.mkv", seconds=2)
        case "silent":
            source = make_clip(tmp_path / "silent.mkv", seconds=2, audio=False)
        case "noise":  # what no rate control foresees
            noise = ("-vf", "noise=alls=60:allf=t", "-crf", "30")
            source = make_clip(tmp_path / "noise.mkv", seconds=1, size=(160, 120), extra_args=noise)
        case _:
            source = clip(name)
    limit = int(source.stat().st_size * share)
    world = await world_of(tmp_path / "world", source, limit)
    try:
        output = await made(world)
    except EngineError as error:
        assert error.failure.kind is Kind.IMPOSSIBLE  # noqa: PT017 - the other of two good ends
    else:
        assert 0 < output.path.stat().st_size <= limit
        assert await accepted(world, output)


@pytest.mark.parametrize("how", [How.PASS, How.REMUX, How.ENCODE])
async def test_a_work_folder_that_goes_away_is_no_fault_of_the_video(tmp_path: Path, second: Path, how: How) -> None:
    """What cp and ffmpeg say of it would else move a good video to the failed ones, or encode what could pass."""
    world = await world_of(tmp_path, second, 150_000, how)
    away = tmp_path / "away"

    async def drive_until_it_goes() -> None:
        async with aclosing(world.engine().run(world.task, None)) as events:
            async for _ in events:
                if not away.exists():
                    world.task.folder.rename(away)

    with pytest.raises(EngineError) as caught:
        await drive_until_it_goes()
    assert caught.value.failure.kind is Kind.TRANSIENT
