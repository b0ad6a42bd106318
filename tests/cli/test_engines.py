"""Nothing leaves the machine by surprise: which engines there are, and which of them a folder may use."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.cli.engines import Workshop
from nemod.config.model import Config, EnginePolicy, Folder
from nemod.config.places import account_file
from nemod.engines.base import EngineName
from nemod.engines.nemo.account import Account
from tests.ledger.values import folder
from tests.support.clips import ffmpeg

NEMO, LOCAL = EngineName.NEMO, EngineName.LOCAL
GIVEN = {"NEMO_TOKEN": "nmv_usr_" + "x" * 43}


def folders(root: Path, *policies: EnginePolicy) -> tuple[Folder, ...]:
    """A folder with each policy."""
    return tuple(replace(folder(root, f"clips{number}"), engine=policy) for number, policy in enumerate(policies))


def names(root: Path, policies: tuple[EnginePolicy, ...], env: Mapping[str, str]) -> tuple[set[EngineName], set[EngineName]]:
    """The engines for folders with these policies, and those that an `auto` folder may use."""
    workshop = Workshop(root, ffmpeg(), env=env, home=root / "home")
    engines = workshop.refit(Config(file=root / "config.toml", folders=folders(root, *policies)))
    for engine in engines.values():
        asyncio.run(engine.close())
    (auto,) = folders(root, EnginePolicy.AUTO)
    return set(engines), set(workshop.available(auto))


@pytest.mark.parametrize(
    ("policies", "env", "engines", "auto"),
    [
        ((), {}, {LOCAL}, {LOCAL}),
        ((EnginePolicy.LOCAL,), GIVEN, {LOCAL}, {LOCAL}),
        ((EnginePolicy.AUTO,), {}, {LOCAL}, {LOCAL}),
        ((EnginePolicy.AUTO,), GIVEN, {LOCAL, NEMO}, {LOCAL, NEMO}),
        ((EnginePolicy.NEMO,), {}, {LOCAL, NEMO}, {LOCAL}),
        ((EnginePolicy.NEMO, EnginePolicy.AUTO), {}, {LOCAL, NEMO}, {LOCAL}),
        ((EnginePolicy.NEMO, EnginePolicy.AUTO), GIVEN, {LOCAL, NEMO}, {LOCAL, NEMO}),
    ],
)
def test_the_cloud_is_there_when_a_folder_may_use_it(
    tmp_path: Path, policies: tuple[EnginePolicy, ...], env: Mapping[str, str], engines: set[EngineName], auto: set[EngineName]
) -> None:
    """`auto` uses it with an account that a person gave; an anonymous one is for folders that name the cloud."""
    assert names(tmp_path, policies, env) == (engines, auto)


def test_a_stored_account_counts_as_given(tmp_path: Path) -> None:
    """From the moment on at which the engines are made again."""
    account = Account(account_file(tmp_path), api_url=Config(file=tmp_path).nemo.api_url, env={}, home=tmp_path)
    assert names(tmp_path, (EnginePolicy.AUTO,), {}) == ({LOCAL}, {LOCAL})
    account.keep_given(GIVEN["NEMO_TOKEN"], now=time.time())
    assert names(tmp_path, (EnginePolicy.AUTO,), {}) == ({LOCAL, NEMO}, {LOCAL, NEMO})


def test_an_account_that_cannot_be_read_leaves_this_machine_its_work(tmp_path: Path) -> None:
    """A folder that may choose does without the cloud; one that names it has its engine, which says what keeps it."""
    account_file(tmp_path).write_text("no account")
    assert names(tmp_path, (EnginePolicy.AUTO,), {}) == ({LOCAL}, {LOCAL})
    assert names(tmp_path, (EnginePolicy.NEMO,), {}) == ({LOCAL, NEMO}, {LOCAL})


def test_a_folder_may_use_what_its_policy_says(tmp_path: Path) -> None:
    """Whatever else there is."""
    workshop = Workshop(tmp_path, ffmpeg(), env=GIVEN, home=tmp_path / "home")
    local, cloud = folders(tmp_path, EnginePolicy.LOCAL, EnginePolicy.NEMO)
    assert workshop.available(local) == {LOCAL}
    assert workshop.available(cloud) == {LOCAL, NEMO}
