"""What a message says: short, whatever happened, and harmless, whatever it is about."""

from dataclasses import replace
from pathlib import Path

import pytest

from nemod.failure import Failure, Kind
from nemod.herald.words import SHOWN, Happened, Message, message
from nemod.job import Fingerprint, Job, JobId, JobState
from nemod.ledger.beside import HoldRow
from tests.ledger.values import folder

WHY = Failure(kind=Kind.UNSUPPORTED, detail="There is no video in it.", hint="Drop a video.")
HELD = HoldRow(scope="engine:nemo", until=None, failure=replace(WHY, detail="No credits are left."), times=1)
#: The lowest of the limits that services have, less what they add themselves.
MOST = 1_900


def happened(event: str, name: str = "clip.mov", *, number: int = 7, detail: str = WHY.detail) -> Happened:
    """A job that has come so far."""
    state = JobState(event)
    place = folder(Path("/home/me"))
    job = Job(
        id=JobId(number),
        folder=place,
        relpath=name,
        fingerprint=Fingerprint(size_bytes=48_000_000, mtime_ns=5, inode=7),
        present=True,
        state=state,
        source=place.inbox / name,
        due=0.0,
        rank=0,
        tries=0,
        created=0.0,
        failure=None if state is JobState.DONE else replace(WHY, detail=detail),
        delivered_bytes=9_900_000 if state is JobState.DONE else None,
    )
    return Happened(event=event, job=job)


def test_one_event_is_told_with_its_file_its_reason_and_what_to_do() -> None:
    """Nobody has to look anything up to know whether it matters."""
    said = message({"failed": 1}, [happened("failed", "holidays/beach.mov")], [])
    assert said.title == "nemod: beach.mov failed"
    assert said.body.splitlines() == [
        "clips: beach.mov",
        "There is no video in it.",
        "Drop a video.",
        "More: nemod jobs show 7",
    ]
    assert said.grade == "failure"
    said = message({"done": 1}, [happened("done")], [])
    assert (said.title, said.grade) == ("nemod: clip.mov is done", "success")
    assert "48.0 MB became 9.9 MB." in said.body
    said = message({}, [], [HELD])
    assert (said.title, said.grade) == ("nemod: engine nemo is held", "warning")
    assert "No credits are left.\nDrop a video.\nMore: nemod status" in said.body


def test_many_events_are_counts_and_the_first_names() -> None:
    """The worst first; how to see the others stands below."""
    first = [happened("done", f"good {n}.mov") for n in range(SHOWN)] + [
        happened("failed", f"bad {n}.mov") for n in range(SHOWN)
    ]
    said = message({"done": 12, "failed": 200, "parked": 0}, first, [HELD])
    assert said.title == "nemod: 200 failed, 12 are done, 1 held"
    lines = said.body.splitlines()
    assert lines[0] == "200 failed:"
    assert sum(line.startswith("- bad") for line in lines) == SHOWN
    assert f"- and {200 - SHOWN} more" in lines
    assert "More: nemod jobs list --state failed" in lines
    assert lines.index("200 failed:") < lines.index("12 are done:")
    assert lines[-1].startswith("engine nemo is held: No credits are left.")


@pytest.mark.parametrize("count", [1, 4000])
def test_names_and_reasons_of_any_kind_break_nothing(count: int) -> None:
    """No line, no mention, no link, no tag, no emphasis; and no service's limit."""
    evil = [
        "a\nb\r\n\x1b[31m.mov",
        "@everyone @here <@123> <!channel>.mov",
        "<script>alert(1)</script>&amp;.mov",
        "[click](https://evil.example/x) **b** `c` ~~d~~ ||e||.mov",
        "https://evil.example/?token=abc.mov",
        "\N{RIGHT-TO-LEFT OVERRIDE}vom.exe",
        "\udcff\udcfe.mov",
        "\N{CLAPPER BOARD}" * 4000,
        "nmv_usr_0123456789abcdef.mov",
    ]
    for name in evil:
        first = [happened("failed", name, detail=name * 9), happened("parked", name, detail=name * 9), happened("done", name)]
        said = message(dict.fromkeys(("failed", "parked", "done"), count), first * SHOWN, [replace(HELD, failure=WHY)] * 9)
        alone = message({"failed": 1}, first[:1], [])
        for one in (said, alone):
            _is_harmless(one)
        assert "- " in said.body
        assert "\n" not in alone.title
        assert len(alone.body.splitlines()) == 4


def _is_harmless(said: Message) -> None:
    text = f"{said.title}\n{said.body}"
    assert len(text) <= MOST
    text.encode("utf-8")
    assert all(char == "\n" or char.isprintable() or char == "\N{WORD JOINER}" for char in text)
    for mark in ("@e", "@h", "<@", "<!", "<s", "](", "**", "~~", "||", "`c", "://", "&amp;", "0123456789abcdef"):
        assert mark not in text, (mark, text)


def test_a_job_that_has_gone_on_meanwhile_is_told_as_that() -> None:
    """It failed, and somebody has started it again: its reason is gone, and what it is now helps more."""
    now = happened("failed")
    said = message({"failed": 1}, [replace(now, job=replace(now.job, state=JobState.QUEUED, failure=None))], [])
    assert said.title == "nemod: clip.mov failed"
    assert "It is queued by now." in said.body
