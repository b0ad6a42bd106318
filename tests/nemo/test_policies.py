"""Accounts, budgets, files that the cloud does not take, and what a person may say afterwards."""

import asyncio
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import EnginePolicy, Finish, SessionScope
from nemod.daemon.inlets import Inlets
from nemod.daemon.mailbox import Verb, apply
from nemod.daemon.service import Service, open_ledger
from nemod.failure import Kind
from nemod.job import JobId, JobState
from nemod.ledger.desk import Desk
from nemod.media.probe import probe
from tests.nemo.place import LIMIT_BYTES, Place
from tests.support.clips import clip, make_clip
from tests.support.cloud import Cloud, cloud

NEMO, AUTO = EnginePolicy.NEMO, EnginePolicy.AUTO


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that takes no more than 400 kB at once."""
    with cloud(tmp_path_factory.mktemp("cloud"), "--credits", "1000000", "--upload-limit", "400KB") as made:
        yield made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video that must be made smaller."""
    made = make_clip(tmp_path_factory.mktemp("source") / "clip.mkv", seconds=1, size=(320, 240), extra_args=("-crf", "10"))
    assert made.stat().st_size > LIMIT_BYTES
    return made


@pytest.fixture
def place(tmp_path: Path, sandbox: Cloud) -> Place:
    """An empty machine."""
    return Place.make(tmp_path, sandbox)


def say(place: Place, verb: Verb, job: JobId) -> str:
    """What a person says to a job while no daemon runs, and the answer."""
    with closing(open_ledger(place.root / "state")) as ledger:
        answer = apply(ledger, verb, job, {}, now=time.time())
        assert answer.done, answer.says
        return answer.says


async def test_an_anonymous_account_is_asked_for_once(place: Place, source: Path) -> None:
    """Only for a folder of the cloud's, kept in a file for its owner alone, and used again by the next daemon."""
    for number in range(2):
        place.drop(source, f"clip {number}.mkv")
        await place.work(place.folder(NEMO), env={})
    assert [job.state for job in place.jobs()] == [JobState.DONE, JobState.DONE]
    assert len(place.happened("granted")) == 1
    kept = place.root / "state" / "account.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "anonymous" in json.loads(kept.read_text())["origins"][place.cloud.url]


async def test_a_folder_that_may_choose_asks_for_no_account(place: Place, source: Path) -> None:
    """Without an account of a person's own nothing leaves the machine."""
    place.drop(source)
    await place.work(place.folder(AUTO), env={})
    place.delivered()
    assert place.happened("request") == []


async def test_a_refused_account_is_not_asked_for_again_and_again(place: Place, source: Path) -> None:
    """Seven days for one token: whoever lost it waits, and says so; a restart asks nobody, and no new client id is made."""
    place.drop(source)
    place.cloud.misbehave("throttle:1:token")
    ids = set()
    for _ in range(2):
        outcome = await place.work(place.folder(NEMO), env={})
        assert outcome.waiting == 1
        ids.add((place.root / "home" / ".config" / "nemovideo" / "client_id").read_text())
    assert len(ids) == 1
    assert len([entry for entry in place.happened("request") if entry["endpoint"] == "token"]) <= 2


async def test_a_file_above_the_clouds_limit_is_made_smaller_first(place: Place) -> None:
    """Whether the limit is known here or only told by the cloud; the person's file is untouched."""
    big = make_clip(place.root / "big.mp4", seconds=3, size=(640, 480), extra_args=("-crf", "8"))
    assert big.stat().st_size > 1_500_000
    for number, known in enumerate((400_000, 500_000_000)):
        place.drop(big, f"big {number}.mp4")
        await place.work(place.folder(NEMO), upload_limit_bytes=known)
    assert [job.state for job in place.jobs()] == [JobState.DONE, JobState.DONE]
    assert len(place.messages()) == 2
    assert (place.inbox / "originals" / "big 0.mp4").read_bytes() == big.read_bytes()


@pytest.mark.parametrize("name", ["interlaced.mpg", "flower.gif"])
async def test_a_kind_that_the_cloud_does_not_take_is_made_one_that_it_takes(place: Place, name: str) -> None:
    """A container that is not on its list travels as an MP4."""
    shutil.copy(clip(name), place.inbox / name)
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len(place.messages()) == 1


async def test_a_kind_that_the_cloud_refuses_is_made_another(place: Place, source: Path) -> None:
    """4001 for a container that should have done."""
    place.drop(source)
    place.cloud.misbehave("code:4001:upload@1")
    await place.work(place.folder(NEMO))
    place.delivered()
    assert place.engines() == ["nemo"]


async def test_a_days_budget_is_never_passed(place: Place, source: Path) -> None:
    """Two edits of 50 do not fit into 60 credits: with `nemo` the second video waits for tomorrow, `auto` does it here."""
    for number in range(2):
        place.drop(source, f"clip {number}.mkv")
    outcome = await place.work(place.folder(NEMO), max_credits_per_day=60)
    assert outcome.waiting == 1
    assert len(place.messages()) == 1
    place.drop(source, "clip 2.mkv")
    await place.work(place.folder(AUTO), max_credits_per_day=60)
    assert len(place.messages()) == 1
    assert (place.inbox / "done" / "clip 2.mp4").is_file()


async def test_an_account_that_has_not_rendered_yet_pays_one_edit(place: Place, source: Path) -> None:
    """A 402 comes at the export, after the edit was paid: three videos, one payment; nothing is lost."""
    for number in range(3):
        place.drop(source, f"clip {number}.mkv")
    place.cloud.misbehave("render-402")
    outcome = await place.work(place.folder(NEMO))
    assert outcome.waiting == 3
    assert len(place.messages()) == 1
    place.cloud.behave()
    for job in place.jobs():
        say(place, Verb.RELEASE, job.id)
    await place.work(place.folder(NEMO))
    assert [job.state for job in place.jobs()] == [JobState.DONE] * 3
    assert len(place.messages()) == 3


async def test_only_a_person_pays_again(place: Place, source: Path) -> None:
    """Released, a job whose edit may have been paid only looks again; told to pay again it asks anew."""
    place.drop(source)
    place.cloud.misbehave("silent-nothing@1")
    await place.work(place.folder(NEMO))
    job = place.job()
    assert job.state is JobState.PARKED
    assert job.failure is not None
    assert job.failure.kind is Kind.UNCERTAIN
    say(place, Verb.RELEASE, job.id)
    await place.work(place.folder(NEMO))
    assert place.job().state is JobState.PARKED
    assert len(place.messages()) == 1
    say(place, Verb.PAY_AGAIN, job.id)
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len(place.messages()) == 2


async def test_an_edit_that_shows_later_is_found_by_a_release(place: Place, source: Path) -> None:
    """The state tells at last that the paid message has arrived: on it goes, without another one."""
    place.drop(source)
    place.cloud.misbehave("state-lag:4")
    await place.work(place.folder(NEMO))
    assert place.job().state is JobState.PARKED
    place.cloud.behave()
    await asyncio.sleep(4)
    say(place, Verb.RELEASE, place.job().id)
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len(place.messages()) == 1


@pytest.mark.parametrize("endpoint", ["upload", "ask"])
async def test_a_session_that_is_lost_before_anything_was_paid_is_begun_again(
    place: Place, source: Path, endpoint: str
) -> None:
    """Uploads are free: a new session, the video once more, one payment."""
    place.drop(source)
    place.cloud.misbehave(f"session-lost:{endpoint}@1")
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len(place.happened("opened")) == 2
    assert len(place.messages()) == 1


async def test_a_session_that_is_lost_after_the_payment_is_not_paid_again(place: Place, source: Path) -> None:
    """Where the edit was is gone: a person must say what now, or this machine does it."""
    place.drop(source)
    place.cloud.misbehave("session-lost:render@1")
    await place.work(place.folder(NEMO))
    assert place.job().state is JobState.PARKED
    assert len(place.messages()) == 1
    place.cloud.behave()


async def test_a_cloud_that_is_away_holds_its_folder_and_nobody_elses(place: Place, source: Path) -> None:
    """`nemo` waits with its reason; `auto` is done here, at once."""
    place.drop(source)
    settings = {"api_url": "http://127.0.0.1:9"}
    env = {"NEMO_TOKEN": place.cloud.token}
    await place.work(place.folder(NEMO), env=env, **settings)
    assert place.job().state is JobState.QUEUED
    with closing(open_ledger(place.root / "state")) as ledger:
        (hold,) = ledger.holds()
    assert hold.failure.kind is Kind.UNREACHABLE
    other = Place.make(place.root / "other", place.cloud)
    other.drop(source)
    await other.work(other.folder(AUTO), env=env, **settings)
    other.delivered()
    assert other.engines()[-1] == "local"


async def test_a_video_of_a_shared_session_never_becomes_anothers(place: Place, source: Path) -> None:
    """One that parked is not gone on with after another was edited there: the timeline is the other's by now."""
    red = make_clip(place.root / "red.mkv", seconds=2, size=(240, 320), extra_args=("-crf", "14"))
    folder = place.folder(NEMO, session=SessionScope.FOLDER)
    place.cloud.misbehave("silent-nothing@1")
    place.drop(source, "a.mkv")
    await place.work(folder)
    assert place.jobs()[0].state is JobState.PARKED
    place.drop(red, "b.mkv")
    await place.work(folder)
    assert [job.state for job in place.jobs()] == [JobState.PARKED, JobState.DONE]
    say(place, Verb.RELEASE, place.jobs()[0].id)
    await place.work(folder)
    assert place.jobs()[0].state is JobState.PARKED
    assert not (place.inbox / "done" / "a.mp4").exists()
    say(place, Verb.PAY_AGAIN, place.jobs()[0].id)
    await place.work(folder)
    media = await probe(place.inbox / "done" / "a.mp4", timeout_s=60)
    assert media.video is not None
    assert media.video.display_size == (320, 240)
    assert 'This is about the video "a.mkv"' in place.messages()[-1]
    assert len(place.happened("opened")) == 1


async def test_a_plain_retry_pays_nothing(place: Place, source: Path) -> None:
    """Finishing is switched off: the job rests; cancelled and tried again it fetches, and asks nothing."""
    place.drop(source)
    place.cloud.misbehave("overshoot-always:2")
    await place.work(place.folder(NEMO), finish=Finish.OFF)
    assert place.job().state is JobState.PARKED
    assert len(place.messages()) == 2
    say(place, Verb.CANCEL, place.job().id)
    say(place, Verb.RETRY, place.job().id)
    await place.work(place.folder(NEMO), finish=Finish.OFF)
    assert place.job().state is JobState.PARKED
    assert len(place.messages()) == 2
    say(place, Verb.RELEASE, place.job().id)
    await place.work(place.folder(NEMO), finish=Finish.LOCAL)  # what the hint says
    place.delivered()
    assert len(place.messages()) == 2


async def test_a_wish_in_a_shared_session_is_about_its_own_video(place: Place, source: Path) -> None:
    """Another video was edited there since: the message names the right one, and a bare export is refused."""
    other = make_clip(place.root / "other.mkv", seconds=2, size=(240, 320), extra_args=("-crf", "14"))
    folder = place.folder(NEMO, session=SessionScope.FOLDER)
    place.drop(source, "a.mkv")
    await place.work(folder)
    place.drop(other, "b.mkv")
    await place.work(folder)
    for wish in (None, "make it brighter"):
        with closing(open_ledger(place.root / "state")) as ledger:
            answer = apply(ledger, Verb.ASK, place.jobs()[0].id, {"clips": folder}, now=time.time(), text=wish)
            assert answer.done
        await place.work(folder)
    first, _, export, edit = place.jobs()
    assert (first.state, export.state, edit.state) == (JobState.DONE, JobState.PARKED, JobState.DONE)
    assert 'This is about the video "a.mkv"' in place.messages()[-1]
    assert edit.target is not None
    made = await probe(edit.target, timeout_s=60)
    assert made.video is not None
    assert made.video.display_size == (320, 240)


async def test_a_folder_set_to_local_keeps_what_still_waits(place: Place, source: Path) -> None:
    """The cloud is away and its job waits; the folder becomes `local`: not one request more, and this machine does it."""
    place.drop(source)
    place.cloud.misbehave("code:2001:ask")
    await place.work(place.folder(NEMO))
    assert place.job().state is JobState.QUEUED
    before = len(place.happened("request"))
    other = place.root / "other"
    other.mkdir()
    elsewhere = replace(place.folder(AUTO), name="other", inbox=other, outbox=other / "done", originals=other / "originals")
    await place.work(place.folder(EnginePolicy.LOCAL), elsewhere)
    place.delivered()
    sent = [entry for entry in place.happened("request")[before:] if entry["endpoint"] != "credits"]
    assert sent == []


async def test_a_refused_job_goes_local_when_its_folder_may(place: Place, source: Path) -> None:
    """What the hint says: set the folder to auto, release the job."""
    place.drop(source)
    place.cloud.misbehave("refuse-words")
    await place.work(place.folder(NEMO))
    assert place.job().state is JobState.PARKED
    say(place, Verb.RELEASE, place.job().id)
    await place.work(place.folder(AUTO))
    place.delivered()
    assert place.engines()[-1] == "local"


async def test_a_job_whose_account_is_gone_is_done_here_where_that_is_allowed(place: Place, source: Path) -> None:
    """An edit was under way when the account went; `auto` does not wait for one for ever."""
    place.drop(source)
    place.cloud.misbehave("code:2001:ask")
    await place.work(place.folder(AUTO), patience_s=3600.0)
    place.delivered()
    place.drop(source, "second.mkv")
    await place.work(place.folder(AUTO), env={})
    assert [job.state for job in place.jobs()] == [JobState.DONE, JobState.DONE]


async def test_one_that_is_held_while_a_turn_goes_on_still_goes_elsewhere(
    place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nothing is left to do is only believed in a turn in which nothing has happened."""
    at_once = Service._worked_off

    async def later(service: Service, desk: Desk, inlets: Inlets) -> bool:
        await asyncio.sleep(2)
        return await at_once(service, desk, inlets)

    monkeypatch.setattr(Service, "_worked_off", later)
    place.drop(source)
    place.cloud.misbehave("code:2001:ask")
    await place.work(place.folder(AUTO), patience_s=3600.0)
    place.delivered()


async def test_a_name_that_is_no_text_travels(place: Place, source: Path) -> None:
    """Bytes that are not UTF-8, as old disks have them."""
    place.drop(source, os.fsdecode(b"caf\xe9 \xff.mkv"))
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len(place.messages()) == 1


async def test_a_cancelled_video_of_a_shared_session_is_not_retried_into_anothers(place: Place, source: Path) -> None:
    """Cancelled with its edit paid, and another video edited there since: a plain retry takes nothing of that for its own."""
    other = make_clip(place.root / "other.mkv", seconds=2, size=(240, 320), extra_args=("-crf", "14"))
    folder = place.folder(NEMO, session=SessionScope.FOLDER)
    place.cloud.misbehave("silent-nothing@1")
    place.drop(source, "a.mkv")
    await place.work(folder)
    say(place, Verb.CANCEL, place.jobs()[0].id)
    place.drop(other, "b.mkv")
    await place.work(folder)
    say(place, Verb.RETRY, place.jobs()[0].id)
    await place.work(folder)
    assert [job.state for job in place.jobs()] == [JobState.PARKED, JobState.DONE]
    assert len(place.messages()) == 2


async def test_a_second_message_counts_beside_the_first(place: Place, source: Path) -> None:
    """Asking unasked music away is another edit to pay: with a budget for one it is not sent."""
    place.drop(source)
    place.cloud.misbehave("unasked-music")
    outcome = await place.work(place.folder(NEMO), max_credits_per_day=60)
    assert outcome.waiting == 1
    assert len(place.messages()) == 1
