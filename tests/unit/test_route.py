"""Which engines a job may use: the folder's word counts, and what needs no encode never leaves the machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import EnginePolicy
from nemod.daemon.route import limit_of, route
from nemod.engines.base import EngineName
from nemod.media.verdict import How
from tests.ledger.values import MEDIA, VIDEO, folder

LOCAL, NEMO = EngineName.LOCAL, EngineName.NEMO
FOLDER = folder(Path("/home/ann"))
READY = replace(MEDIA, size_bytes=9_000_000, video=replace(VIDEO, width=1280, height=720))


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
def test_the_folder_chooses_the_engines(policy: EnginePolicy, there: set[EngineName], wanted: tuple[EngineName, ...]) -> None:
    """`local` never names the cloud, `nemo` never falls back, `auto` takes the cloud when there is an account."""
    made = route(replace(FOLDER, engine=policy), MEDIA, engines=frozenset(there))
    assert (made.how, made.engines, made.limit_bytes) == (How.ENCODE, wanted, 10_000_000)


@pytest.mark.parametrize("policy", EnginePolicy)
def test_what_needs_no_encode_stays_on_the_machine(policy: EnginePolicy) -> None:
    """Nothing to pay and nothing to upload, whatever the policy."""
    here = replace(FOLDER, engine=policy)
    both = frozenset(EngineName)
    assert (route(here, READY, engines=both).how, route(here, READY, engines=both).engines) == (How.PASS, (LOCAL,))
    late_index = route(here, replace(READY, faststart=False), engines=both)
    assert (late_index.how, late_index.engines) == (How.REMUX, (LOCAL,))


def test_without_a_limit_the_promise_is_smaller_than_the_source() -> None:
    """By a byte at least, so it can never be passed through."""
    free = replace(FOLDER, preset=replace(FOLDER.preset, limit_bytes=None))
    assert limit_of(free, READY) == READY.size_bytes - 1
    assert route(free, READY, engines=frozenset({LOCAL})).how is How.ENCODE
    assert limit_of(FOLDER, READY) == 10_000_000
