"""The cloud's way from a drop to a delivery, with everything that the cloud is known to do: one paid message, or a reason."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.config.builtin import builtin_presets
from nemod.config.model import EnginePolicy
from nemod.engines.nemo.message import megabytes
from nemod.failure import Kind
from nemod.job import JobState
from nemod.media.probe import probe
from nemod.media.verdict import inline_faults
from tests.nemo.place import LIMIT_BYTES, Place
from tests.support.clips import clip, make_clip
from tests.support.cloud import TOKEN, Cloud, cloud

SLOW = bool(os.environ.get("NEMOD_SLOW"))
NEMO, AUTO, LOCAL = EnginePolicy.NEMO, EnginePolicy.AUTO, EnginePolicy.LOCAL


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud."""
    with cloud(tmp_path_factory.mktemp("cloud"), "--credits", "1000000") as made:
        yield made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of video that must be made smaller."""
    made = make_clip(tmp_path_factory.mktemp("source") / "clip.mkv", seconds=2, size=(320, 240), extra_args=("-crf", "16"))
    assert made.stat().st_size > LIMIT_BYTES
    return made


@pytest.fixture
def place(tmp_path: Path, sandbox: Cloud, source: Path) -> Place:
    """A machine with the video in its inbox."""
    made = Place.make(tmp_path, sandbox)
    made.drop(source)
    return made


#: Whatever of these happens, one paid message leads to one delivery; by the place in a job's way where it happens.
ON_THE_WAY = (
    ("upload-lost-reply@1", "upload-not-applied", "code:500:upload@1"),
    (
        *("silent-edit", "drop", "heartbeats:comment", "heartbeats:empty", "heartbeats:word", "heartbeats:event"),
        *(
            "heartbeats:braces",
            "heartbeats:typed",
            "error-frame:edit",
            "error-frame-broken:edit",
            "llm-error:edit",
            "no-content",
        ),
        *("temporary-issue", "gui-wording", "gui-wording:zh"),
    ),
    ("draft-string", "draft-absent-before", "state-lag:0.3", "flat-body", "http:503:state@1", "garbage:state@1"),
    ("render-failed@1", "render-slow:1", "render-id-changed", "render-lost-reply@1", "throttle:1@1"),
    ("poll-shape:flat", "poll-shape:wrapped", "http:500:poll@1", "empty-body:poll@1"),
    (
        *("completed-no-url", "url-404", "url-private", "url-file", "url-redirect-private", "url-redirect"),
        *("cut-download@1", "short-length@1", "html-download@1", "moov-at-end"),
    ),
)
#: One of each place in one job, each habit at least once; one at a time takes minutes.
ONE_MESSAGE = (
    [(habit,) for place in ON_THE_WAY for habit in place]
    if SLOW
    else [tuple(place[turn % len(place)] for place in ON_THE_WAY) for turn in range(max(map(len, ON_THE_WAY)))]
)


@pytest.mark.parametrize("habits", ONE_MESSAGE, ids=" ".join)
async def test_one_message_leads_to_one_delivery(place: Place, habits: tuple[str, ...]) -> None:
    """The habits cost time, and neither a second message nor the delivery."""
    place.cloud.misbehave(*habits)
    await place.work(place.folder(NEMO))
    place.delivered()
    assert place.engines() == ["nemo"]
    assert len(place.messages()) == 1
    assert "under 0.06 MB" in place.messages()[0]
    assert place.happened("fault") == []


@pytest.mark.skipif(not SLOW, reason="waits for minutes; set NEMOD_SLOW=1")
async def test_a_download_that_was_only_blocked_is_tried_again_before_anything_is_rendered_anew(place: Place) -> None:
    """That the other way knows no file does not make the first one's trouble the video's."""
    place.cloud.misbehave("http:503:download@4", "http:404:fetch@1")
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len([entry for entry in place.happened("request") if entry["endpoint"] == "render"]) == 1


@pytest.mark.parametrize("habit", ["question@1", "unasked-music@1", "unasked-title@1", "overshoot:2@1"])
async def test_a_second_message_mends_it(place: Place, habit: str) -> None:
    """A question is answered, an unasked track asked away, a result that is too large told so, in the same session."""
    place.cloud.misbehave(habit)
    await place.work(place.folder(NEMO))
    place.delivered()
    assert set(place.engines()) == {"nemo"}
    assert len(place.messages()) == 2
    assert all("under 0.06 MB" in message for message in place.messages())
    assert len(place.happened("opened")) == 1
    assert place.happened("fault") == []


@pytest.mark.parametrize(
    ("habit", "messages"), [("overshoot-always:2", 2), ("wrong-picture", 1), ("hevc", 1), ("undershoot-length", 1)]
)
async def test_what_the_cloud_cannot_mend_is_finished_here(place: Place, habit: str, messages: int) -> None:
    """Too large after the follow-up, or wrong in what costs nothing to mend here: this machine makes the file."""
    place.cloud.misbehave(habit)
    await place.work(place.folder(NEMO))
    place.delivered()
    assert place.engines() == ["nemo"] * messages + ["local"]
    assert len(place.messages()) == messages


@pytest.mark.parametrize(
    ("habit", "kind"),
    [
        ("refuse-words", Kind.REFUSED),
        ("question-always", Kind.REFUSED),
        ("keeps-music", Kind.REFUSED),
        ("silent-nothing", Kind.UNCERTAIN),
        ("drop-cancel", Kind.UNCERTAIN),
        ("heartbeat-only", Kind.UNCERTAIN),
        ("stall", Kind.UNCERTAIN),
        ("error-frame", Kind.UNCERTAIN),
        ("error-frame-broken", Kind.UNCERTAIN),
        ("llm-error", Kind.UNCERTAIN),
        ("render-failed", Kind.REFUSED),
    ],
)
async def test_a_no_of_the_cloud_parks_a_cloud_folder_and_goes_local_otherwise(
    tmp_path: Path, sandbox: Cloud, source: Path, habit: str, kind: Kind
) -> None:
    """With `nemo` the job waits for a person and says what to do; with `auto` this machine does it. Nothing is paid twice."""
    # What `auto` does depends on the kind of failure alone, so that one habit of each kind is enough.
    for policy in (NEMO, AUTO) if SLOW or habit in {"refuse-words", "drop-cancel", "render-failed"} else (NEMO,):
        place = Place.make(tmp_path / policy, sandbox)
        place.drop(source)
        place.cloud.misbehave(*(("unasked-music", habit) if habit == "keeps-music" else (habit,)))
        await place.work(place.folder(policy))
        assert len(place.messages()) <= 2
        if policy is AUTO:
            place.delivered()
            assert place.engines()[-1] == "local"
        else:
            job = place.job()
            assert job.state is JobState.PARKED
            assert job.failure is not None
            assert job.failure.kind is kind
            assert job.failure.hint


async def test_a_message_that_never_arrived_is_sent_again(place: Place) -> None:
    """The balance has not moved and nothing has changed: that is proof, and the only paid message follows."""
    place.cloud.misbehave("drop-unsent@1")
    await place.work(place.folder(NEMO))
    place.delivered()
    assert len(place.messages()) == 1


@pytest.mark.parametrize(
    ("habit", "kind"),
    [
        ("code:2001:ask", Kind.CREDITS),
        ("render-402", Kind.PLAN),
        ("code:1001", Kind.CREDENTIALS),
        ("http:403:render", Kind.PLAN),
    ],
)
async def test_an_account_that_may_not_holds_the_cloud(place: Place, habit: str, kind: Kind) -> None:
    """No job is failed for it: the engine is held, and says what to do."""
    place.cloud.misbehave(habit)
    outcome = await place.work(place.folder(NEMO))
    assert outcome.waiting == 1
    assert place.job().state is JobState.QUEUED
    failure = place.job().failure
    assert failure is None or failure.kind is kind
    assert place.happened("fault") == []


async def test_no_credits_is_no_reason_to_wait_where_this_machine_may_work(place: Place) -> None:
    """`auto` goes local at once, and pays nothing."""
    place.cloud.credits(0)
    await place.work(place.folder(AUTO))
    place.delivered()
    assert place.messages() == []


async def test_a_local_folder_asks_the_cloud_nothing(place: Place) -> None:
    """Law 5: with an account and a cloud at hand, not one request."""
    await place.work(place.folder(LOCAL))
    place.delivered()
    assert place.happened("request") == []


async def test_each_call_carries_its_headers(place: Place) -> None:
    """Source and version of the preset's skill, the platform, and the token everywhere but at the download."""
    await place.work(place.folder(NEMO))
    requests = [entry for entry in place.happened("request") if entry["endpoint"] != "download"]
    job = [entry for entry in requests if entry["endpoint"] in {"session", "upload", "ask", "render", "poll", "state"}]
    assert job
    assert {entry["skill"]["source"] for entry in job} == {"compress-video"}
    assert {entry["skill"]["version"] for entry in job} == {"1.0.0"}
    assert all(entry["authorised"] for entry in requests)


async def test_the_token_is_written_nowhere(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the ledger nor what is said on the way knows it."""
    place.cloud.misbehave("drop")
    await place.work(place.folder(NEMO))
    said = capsys.readouterr()
    for text in (place.spoken(), said.out, said.err):
        assert TOKEN not in text
        assert "nmv_usr_" not in text


#: The five published skills: what their message says, and how large the picture may be.
SKILLS = {
    "jpeng-video": ("without losing quality", 1080),
    "compress-video": ("under 100 MB", 1080),
    "video-compressor-panda": ("under 50 MB", 1080),
    "video-compressor-for-discord-10mb": ("under 10 MB for Discord", 720),
    "video-compressore-parkside": ("under 200 MB", 1080),
}


@pytest.mark.parametrize("name", SKILLS)
async def test_each_skill_works_as_a_preset(tmp_path: Path, sandbox: Cloud, name: str) -> None:
    """A video that no chat plays goes up, and comes back as one that every chat plays, asked for in the skill's own words."""
    words, height = SKILLS[name]
    place = Place.make(tmp_path, sandbox)
    place.drop(clip("bear_odd.webm"))
    await place.work(place.folder(NEMO, builtin_presets()[name]))
    job = place.job()
    assert job.state is JobState.DONE
    assert job.target is not None
    assert job.route is not None
    made = await probe(job.target, timeout_s=60)
    assert made.size_bytes <= job.route.limit_bytes
    assert made.video is not None
    assert made.video.short_side <= height
    assert inline_faults(made) == ()
    (message,) = place.messages()
    assert words in message
    assert f"under {megabytes(job.route.limit_bytes)}" in message
    asked = next(entry for entry in place.happened("request") if entry["endpoint"] == "ask")
    assert (asked["skill"]["source"], asked["skill"]["version"]) == (name, "1.0.0")
