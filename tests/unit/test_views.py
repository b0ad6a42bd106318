"""What people see of jobs: every state has its words, and the diagram is the table of transitions."""

from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import Folder, Preset
from nemod.daemon.board import Running
from nemod.engines.base import EngineName
from nemod.failure import Failure, Kind
from nemod.job import TRANSITIONS, Attempt, AttemptId, Fingerprint, Job, JobId, JobState, Route
from nemod.ledger.ledger import HoldRow, Spending, engine_scope, folder_scope
from nemod.media.info import Window
from nemod.media.quality import Quality
from nemod.media.verdict import Accept, How, Reason, Refuse
from nemod.views import Scene, clock, doing, fields, job_detail, job_view, jobs_sheet, quality_text, state_diagram, tilde
from tests.ledger.values import MEDIA

NOW = 1_790_000_000.0
INBOX = Path("/home/ann/clips")
FOLDER = Folder(
    name="clips",
    inbox=INBOX,
    outbox=INBOX / "done",
    originals=INBOX / "originals",
    failed=INBOX / "failed",
    preset=Preset(name="discord", limit_bytes=20_000_000),
)
QUIET = Scene(board={}, holds=(), alive=True, now=NOW)
WHY = Failure(kind=Kind.TRANSIENT, detail="It broke.", hint="Mend it.")


def job(state: JobState, **facts: object) -> Job:
    """A job in a state with some of its facts."""
    blank = Job(
        id=JobId(7),
        folder=FOLDER,
        relpath="a.mov",
        fingerprint=Fingerprint(size_bytes=30_000_000, mtime_ns=0, inode=1),
        present=True,
        state=state,
        due=NOW,
        rank=0,
        tries=0,
        source=INBOX / "a.mov",
        created=NOW - 60,
    )
    return replace(blank, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "stage"),
    [
        (job(JobState.QUEUED), "waiting for its turn"),
        (job(JobState.QUEUED, failure=WHY), "waiting for its turn"),
        (job(JobState.QUEUED, due=NOW + 60, failure=WHY), f"waiting until {clock(NOW + 60, now=NOW)}: It broke."),
        (job(JobState.RUNNING), "starting"),
        (job(JobState.PARKED, failure=WHY), "waits for you: It broke."),
        (job(JobState.DONE), "delivered"),
        (job(JobState.FAILED, failure=WHY), "failed: It broke."),
        (job(JobState.CANCELLED), "cancelled"),
    ],
)
def test_each_state_has_its_words(seen: Job, stage: str) -> None:
    """The stage says what a job does or waits for, and why."""
    assert job_view(seen, QUIET).stage == stage


def test_a_running_job_shows_how_far_it_is() -> None:
    """Progress comes from the board, and only while a daemon is there to write it."""
    scene = replace(QUIET, board={JobId(7): Running(stage="pass 2", fraction=0.456, speed=3.14, left_s=12.0)})
    view = job_view(job(JobState.RUNNING), scene)
    assert (view.stage, view.percent, view.speed, view.left_s) == ("pass 2", 45.6, 3.14, 12.0)
    assert doing(view) == "pass 2, 46 %, 3.1x, 0:12 left"
    assert job_view(job(JobState.QUEUED), scene).percent is None
    assert job_view(job(JobState.RUNNING), replace(QUIET, alive=False)).stage.startswith("interrupted")


@pytest.mark.parametrize("scope", [folder_scope("clips"), engine_scope(EngineName.LOCAL)])
def test_a_held_job_says_what_holds_it(scope: str) -> None:
    """A hold on its folder or its engine counts while its time is not over; others do not."""
    route = Route(how=How.ENCODE, engines=(EngineName.LOCAL,), limit_bytes=1)
    waiting = job(JobState.QUEUED, route=route)
    hold = HoldRow(scope=scope, until=None, failure=WHY, times=1)
    for until, stage in (
        (None, "waiting: It broke."),
        (NOW + 60, f"waiting until {clock(NOW + 60, now=NOW)}: It broke."),
        (NOW - 60, "waiting for its turn"),
    ):
        assert job_view(waiting, replace(QUIET, holds=(replace(hold, until=until),))).stage == stage
    other = replace(QUIET, holds=(replace(hold, scope="folder:other"),))
    assert job_view(waiting, other).stage == "waiting for its turn"


CLOUD = Route(how=How.ENCODE, engines=(EngineName.NEMO, EngineName.LOCAL), limit_bytes=1)


def test_a_job_that_polls_says_when_it_looks_again() -> None:
    """And what for, as far as this daemon has seen it; seconds count there."""
    polls = job(JobState.QUEUED, due=NOW + 30, polling=True, route=CLOUD)
    moment = clock(NOW + 30, now=NOW, seconds=True)
    assert len(moment) == len("10:42:30")
    assert job_view(polls, QUIET).stage == f"made in the cloud, next look at {moment}"
    scene = replace(QUIET, board={JobId(7): Running(stage="rendering in the cloud", rests=True)})
    assert job_view(polls, scene).stage == f"rendering in the cloud, next look at {moment}"
    assert job_view(polls, scene).percent is None
    due = replace(polls, due=NOW - 1)
    assert job_view(due, scene).stage == "waiting for its turn"


def test_who_has_paid_does_not_wait_for_credits() -> None:
    """A hold for credits stops those who would pay; any other stops all."""
    hold = HoldRow(scope=engine_scope(EngineName.NEMO), until=None, failure=replace(WHY, kind=Kind.CREDITS), times=1)
    polls = job(JobState.QUEUED, due=NOW + 30, polling=True, route=CLOUD)
    assert "next look" in job_view(polls, replace(QUIET, holds=(hold,))).stage
    assert job_view(replace(polls, polling=False), replace(QUIET, holds=(hold,))).stage == "waiting: It broke."
    assert job_view(polls, replace(QUIET, holds=(replace(hold, failure=WHY),))).stage == "waiting: It broke."


def test_a_job_waits_for_the_engine_that_works_on_it() -> None:
    """Not for the one that its plan began with."""
    attempt = Attempt(id=AttemptId(1), engine=EngineName.LOCAL, how=How.ENCODE, folder=Path("/work"))
    fallen = job(JobState.QUEUED, route=CLOUD, attempts=(attempt,))
    hold = HoldRow(scope=engine_scope(EngineName.NEMO), until=None, failure=WHY, times=1)
    assert job_view(fallen, replace(QUIET, holds=(hold,))).stage == "waiting for its turn"


def test_a_detail_tells_what_a_job_has_cost_and_where_it_comes_from() -> None:
    """What is not known counts as expected; nothing paid is no number."""
    asked = job(JobState.DONE, parent=JobId(3), instruction="Cut it.")
    spendings = [
        Spending(job=JobId(7), at=NOW, expected=50, cost=None),
        Spending(job=JobId(7), at=NOW, expected=50, cost=42.5),
    ]
    detail = job_detail(asked, QUIET, [], spendings=spendings)
    assert (detail["credits"], detail["parent"], detail["instruction"]) == (92.5, 3, "Cut it.")
    detail = job_detail(job(JobState.DONE), QUIET, [])
    assert (detail["credits"], detail["parent"], detail["instruction"]) == (None, None, None)


def test_an_output_is_shown_once_it_is_delivered() -> None:
    """A name that was only aimed at is no output; the limit is the route's once there is one."""
    aimed = job(JobState.RUNNING, target=INBOX / "done" / "a.mp4")
    assert job_view(aimed, QUIET).output is None
    route = Route(how=How.REMUX, engines=(EngineName.LOCAL,), limit_bytes=29_999_999)
    view = job_view(replace(aimed, delivered_bytes=5, route=route), QUIET)
    assert (view.output, view.output_bytes, view.limit_bytes) == (str(INBOX / "done" / "a.mp4"), 5, 29_999_999)
    assert (view.engine, view.due) == ("local", None)


def test_what_was_measured_is_shown_once_it_is_delivered() -> None:
    """In JSON whole, for people in one line; of an output that was refused nothing is told."""
    quality = Quality(vmaf_mean=93.06, vmaf_p5=88.01, ssim=0.9834, frames=72)
    tried = Attempt(id=AttemptId(1), engine=EngineName.LOCAL, how=How.ENCODE, folder=Path("/work"))
    accepted = replace(tried, verdict=Accept(size_bytes=5, quality=quality))
    done = job(JobState.DONE, target=INBOX / "a.mp4", delivered_bytes=5, attempts=(accepted,))
    detail = job_detail(done, QUIET, [])
    assert detail["quality"] == {"vmaf_mean": 93.06, "vmaf_p5": 88.01, "ssim": 0.9834, "frames": 72}
    assert quality_text(quality) == "VMAF 93.1, 5th percentile 88.0, SSIM 0.983"
    refused = replace(tried, verdict=Refuse(reason=Reason.OVER_LIMIT, detail="Too many bytes."), closed=True)
    assert job_view(replace(done, attempts=(refused,)), QUIET).quality is None
    assert job_view(replace(done, delivered_bytes=None), QUIET).quality is None


@pytest.mark.parametrize(("window", "times"), [(None, (0.0, 30.0)), (Window(start_s=10.0, end_s=12.5), (10.0, 12.5))])
def test_one_output_tells_what_it_shows(window: Window | None, times: tuple[float, float]) -> None:
    """All of its source, or the part that was wanted of it; of a person's own edit nobody knows."""
    media = MEDIA if window is None else MEDIA.cut(window.start_s, window.end_s)
    done = job(JobState.DONE, target=INBOX / "a.mp4", delivered_bytes=5, media=media)
    (output,) = job_view(done, QUIET).outputs
    assert (output.path, output.bytes, (output.start_s, output.end_s)) == (str(INBOX / "a.mp4"), 5, times)
    (edited,) = job_view(replace(done, instruction="Cut it."), QUIET).outputs
    assert (edited.start_s, edited.end_s) == (None, None)


def test_names_are_kept_in_values_and_made_safe_in_tables() -> None:
    """JSON carries the bytes of a name, a table carries nothing that moves a cursor."""
    view = job_view(job(JobState.QUEUED, source=INBOX / "\x1b[2J\udcff.mov"), QUIET)
    assert fields(view)["source"].endswith("\x1b[2J\udcff.mov")
    (row,) = jobs_sheet([view]).rows
    assert row[2] == r"\x1b[2J\xff.mov"


def test_only_what_lies_in_the_home_is_shortened() -> None:
    """The home itself and a neighbour of a similar name keep their paths."""
    home = Path("/home/ann")
    assert [tilde(p, home) for p in ("/home/ann/x", "/home/ann", "/home/anna/x")] == ["~/x", "/home/ann", "/home/anna/x"]


def test_a_moment_of_another_day_carries_its_date() -> None:
    """Today's moments are a time of day."""
    assert len(clock(NOW, now=NOW)) == len("10:42")
    assert len(clock(NOW + 3 * 86_400, now=NOW)) == len("2026-01-01 10:42")


def test_the_diagram_draws_every_move() -> None:
    """One arrow for each transition, one in, and one out of the state that nothing leaves."""
    lines = state_diagram().splitlines()
    arrows = [line.strip() for line in lines if "-->" in line]
    wanted = [f"{was} --> {now}: {move}" for was, moves in TRANSITIONS.items() for move, now in moves.items()]
    assert sorted(arrows) == sorted([*wanted, "[*] --> queued: file at rest", "done --> [*]"])
    assert lines[0] == "stateDiagram-v2"
