"""The contract on the cloud engine, against the sandbox over real sockets."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from nemod.config.builtin import builtin_presets
from nemod.config.model import Nemo
from nemod.engines.local.engine import LocalEngine
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.engine import NemoEngine
from tests.contract.contract import EngineContract, World
from tests.contract.test_local import world_of
from tests.support.clips import ffmpeg
from tests.support.cloud import Cloud, cloud

LIMIT_BYTES = 60_000


def quick(url: str, **settings: object) -> Nemo:
    """Settings with which nothing takes long."""
    fast: dict[str, object] = {
        "poll_interval_s": 0.2,
        "recheck_first_s": 0.2,
        "recheck_every_s": 0.2,
        "edit_timeout_s": 20.0,
        "heartbeat_timeout_s": 10.0,
    }
    return Nemo(api_url=url, **{**fast, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with plenty of credits."""
    with cloud(tmp_path_factory.mktemp("cloud"), "--credits", "1000000") as made:
        yield made


class TestNemoEngine(EngineContract):
    """An edit, a render and a download of a second of video."""

    @pytest.fixture
    async def worlds(self, tmp_path: Path, second: Path, sandbox: Cloud) -> Callable[[], World]:
        """Each with a session of its own in the same cloud."""
        numbers = count()
        base = await world_of(tmp_path / "base", second, LIMIT_BYTES, preset=builtin_presets()["compress-video"])

        def make() -> World:
            root = tmp_path / f"world {next(numbers)}"
            (root / "work").mkdir(parents=True)
            (root / "source").mkdir()
            source = root / "source" / base.task.source.name
            source.write_bytes(base.task.source.read_bytes())
            before = len(sandbox.charged())
            task = replace(base.task, source=source, folder=root / "work")

            def engine() -> NemoEngine:
                account = Account(root / "account.json", api_url=sandbox.url, env=sandbox.env(), home=root)
                return NemoEngine(quick(sandbox.url), account, local=LocalEngine(ffmpeg()), anonymous=lambda: False)

            return World(engine=engine, task=task, paid=lambda: sandbox.charged()[before:], price=1)

        return make
