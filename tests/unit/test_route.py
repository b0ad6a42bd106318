"""Which engines a job may use: the folder's word counts, and what needs no encode never leaves the machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import EnginePolicy, Finish, Folder, Nemo
from nemod.daemon.route import limit_of, route
from nemod.engines.base import EngineName
from nemod.job import Route
from nemod.media.info import MediaInfo
from nemod.media.verdict import How
from tests.ledger.values import MEDIA, VIDEO, folder

LOCAL, NEMO = EngineName.LOCAL, EngineName.NEMO
FOLDER = folder(Path("/home/ann"))
READY = replace(MEDIA, size_bytes=9_000_000, video=replace(VIDEO, width=1280, height=720))


WORDS = "Cut the first ten seconds."
NEMO_CONFIG = Nemo(follow_ups=2)
BOTH = frozenset(EngineName)


def plan(
    folder: Folder = FOLDER,
    media: MediaInfo = MEDIA,
    *,
    engines: frozenset[EngineName] = BOTH,
    nemo: Nemo = NEMO_CONFIG,
    instruction: str | None = None,
    asked: bool = False,
) -> Route:
    """A route, with plain values for what a test does not care about."""
    return route(folder, media, engines=engines, nemo=nemo, instruction=instruction, asked=asked)


@pytest.mark.parametrize(
    ("policy", "there", "wanted"),
    [
        (EnginePolicy.LOCAL, {LOCAL, NEMO}, (LOCAL,)),
        (EnginePolicy.LOCAL, {LOCAL}, (LOCAL,)),
        (EnginePolicy.NEMO, {LOCAL, NEMO}, (NEMO,)),
        (EnginePolicy.NEMO, {LOCAL}, (NEMO,)),
        (EnginePolicy.AUTO, {LOCAL, NEMO}, (NEMO, LOCAL)),
        (EnginePolicy.AUTO, {LOCAL}, (LOCAL,)),
    ],
)
@pytest.mark.parametrize("instruction", [None, WORDS])
def test_the_folder_chooses_the_engines(
    policy: EnginePolicy, there: set[EngineName], wanted: tuple[EngineName, ...], instruction: str | None
) -> None:
    """`local` never names the cloud, `nemo` never falls back, `auto` takes the cloud when there is an account."""
    made = plan(replace(FOLDER, engine=policy), engines=frozenset(there), instruction=instruction)
    assert (made.how, made.engines, made.limit_bytes) == (How.ENCODE, wanted, 10_000_000)
    assert made.follow_ups == (2 if NEMO in wanted else 0)


@pytest.mark.parametrize("policy", EnginePolicy)
def test_what_needs_no_encode_stays_on_the_machine(policy: EnginePolicy) -> None:
    """Nothing to pay and nothing to upload, whatever the policy."""
    here = replace(FOLDER, engine=policy)
    assert plan(here, READY) == Route(how=How.PASS, engines=(LOCAL,), limit_bytes=10_000_000)
    assert plan(here, replace(READY, faststart=False)) == Route(how=How.REMUX, engines=(LOCAL,), limit_bytes=10_000_000)


@pytest.mark.parametrize(
    ("policy", "there", "wanted"),
    [
        (EnginePolicy.LOCAL, BOTH, (How.PASS, (LOCAL,))),
        (EnginePolicy.AUTO, frozenset({LOCAL}), (How.PASS, (LOCAL,))),
        (EnginePolicy.AUTO, BOTH, (How.ENCODE, (NEMO, LOCAL))),
        (EnginePolicy.NEMO, BOTH, (How.ENCODE, (NEMO,))),
    ],
)
def test_a_persons_words_take_a_file_to_the_cloud_though_it_fits(
    policy: EnginePolicy, there: frozenset[EngineName], wanted: tuple[How, tuple[EngineName, ...]]
) -> None:
    """Only the cloud can follow them; where it may not be asked, they change nothing."""
    made = plan(replace(FOLDER, engine=policy), READY, engines=there, instruction=WORDS)
    assert (made.how, made.engines) == wanted


@pytest.mark.parametrize("policy", EnginePolicy)
@pytest.mark.parametrize("media", [MEDIA, READY])
@pytest.mark.parametrize("instruction", [None, WORDS])
def test_what_goes_on_in_a_session_is_made_there(policy: EnginePolicy, media: MediaInfo, instruction: str | None) -> None:
    """Whether or not the first output would have fitted."""
    made = plan(replace(FOLDER, engine=policy), media, instruction=instruction, asked=True)
    assert made == Route(how=How.ENCODE, engines=(NEMO,), limit_bytes=10_000_000, follow_ups=2, finish=True)


@pytest.mark.parametrize("asked", [False, True])
def test_this_machine_finishes_only_when_it_may(*, asked: bool) -> None:
    """Where it is among the engines anyway, or is not there, or a person switched it off, there is nothing to finish."""
    cloud, auto = replace(FOLDER, engine=EnginePolicy.NEMO), replace(FOLDER, engine=EnginePolicy.AUTO)
    assert plan(cloud, asked=asked).finish
    assert not plan(cloud, asked=asked, nemo=Nemo(finish=Finish.OFF)).finish
    assert not plan(cloud, asked=asked, engines=frozenset({NEMO})).finish
    assert not plan(auto).finish


def test_without_a_limit_the_promise_is_smaller_than_the_source() -> None:
    """By a byte at least, so it can never be passed through."""
    free = replace(FOLDER, preset=replace(FOLDER.preset, limit_bytes=None))
    assert limit_of(free, READY) == READY.size_bytes - 1
    assert plan(free, READY, engines=frozenset({LOCAL})).how is How.ENCODE
    assert limit_of(FOLDER, READY) == 10_000_000
