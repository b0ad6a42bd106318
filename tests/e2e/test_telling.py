"""Programs and people hear of jobs, whatever happens to the daemon meanwhile, and no job minds what they do."""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemod.cli.exits import ExitCode
from nemod.job import JobState
from tests.e2e.conftest import slow
from tests.support.daemon import Machine, eventually, processes
from tests.support.ears import Ears, ears

#: For how long a program hangs: a number of our own, since others may run these tests beside us.
LONG = str(10_000_000 + os.getpid())
#: Says what it finds when it begins, keeps what it reads, and hangs if it should.
PROGRAM = f"""\
#!/bin/sh
cd "$HOME" || exit 9
settled=settled
[ -f "$NEMOD_OUTPUT" ] && [ -f "$NEMOD_SOURCE" ] || settled=early
cat > "given.$NEMOD_JOB.$NEMOD_EVENT_TRY"
echo "$NEMOD_JOB $NEMOD_EVENT $NEMOD_EVENT_ID $NEMOD_EVENT_TRY $settled" >> told
[ -e hang ] && exec sleep {LONG}
exit 7
"""


@pytest.fixture
def listener() -> Iterator[Ears]:
    """Somebody who hears messages."""
    with ears() as made:
        yield made


def told(own: Machine) -> list[list[str]]:
    """What the program has said so far, a list of words for each time that it began."""
    file = own.home / "told"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def hanging() -> list[int]:
    """Programs that hang."""
    return [pid for pid, words in processes() if words[:2] == [b"sleep", LONG.encode()]]


def notify(own: Machine, *urls: str, digest: str) -> None:
    """Write down who hears of it."""
    addresses = ", ".join(f'"{url}"' for url in urls)
    own.folders["-"] = f'[notify]\nurls = [{addresses}]\non = ["failed", "done"]\ndigest = "{digest}"\n'


def test_a_program_hears_of_each_result_through_kills_stops_and_reloads(own: Machine, tiny: Path) -> None:
    """It fails each time, and every job is done all the same; what was cut off is told again, as the same event."""
    program = own.home / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    inbox = own.folder("in", 'on_done = ["~/program"]')
    own.start()
    odd = "odd \udcff.mp4" if sys.platform == "linux" else "odd.mp4"
    shutil.copy(tiny, inbox / odd)
    eventually(lambda: own.count("hook.failed") == 1, own.told)
    given = json.loads((own.home / "given.1.1").read_bytes())
    assert (given["event"], given["state"], given["output"]) == ("done", "done", str(inbox / "done" / odd))

    for number, name in ((2, "killed.mp4"), (3, "stopped.mp4")):
        (own.home / "hang").touch()
        shutil.copy(tiny, inbox / name)
        eventually(lambda: hanging() and len(told(own)) >= 2 * number - 2, own.told)  # noqa: B023 - asked at once
        assert own.states(name) == [JobState.DONE]
        if number == 2:
            own.send(signal.SIGKILL)
            own.ended()
        else:
            assert own.stop() == 0
        if sys.platform == "linux":
            eventually(lambda: not hanging())
        (own.home / "hang").unlink()
        own.start()
        eventually(lambda: own.count("hook.failed") == number, own.told)  # noqa: B023 - asked at once

    own.folder("in", 'on_done = ["/no/such/program"]')
    own.send(signal.SIGHUP)
    eventually(lambda: own.count("config.reloaded"), own.told)
    shutil.copy(tiny, inbox / "d.mp4")
    eventually(lambda: own.count("hook.failed", program="/no/such/program"), own.told)
    assert own.stop() == 0
    assert [(job, event, at, how) for job, event, _, at, how in told(own)] == [
        ("1", "done", "1", "settled"),
        *((job, "done", at, "settled") for job in "23" for at in "12"),
    ]
    assert len({number for _, _, number, _, _ in told(own)}) == 3
    assert set(own.states()) == {JobState.DONE}
    assert "Traceback" not in own.told()


def test_people_hear_of_failures_and_nothing_of_folders_that_keep_to_themselves(
    own: Machine, listener: Ears, tiny: Path
) -> None:
    """After a kill, too; a single run sends what there is before it ends, and its exit code tells of jobs alone."""
    notify(own, listener.url("s3cret"), digest="1h")
    public = own.folder("public", 'on_done = ["false"]')
    private = own.folder("private", 'engine = "local"')
    asked = own.folder("asked", 'engine = "local"', "notify = true")
    own.start()
    for inbox in (private, public, asked):
        (inbox / f"{inbox.name}.mp4").write_text("no video")
    for name in ("private", "public", "asked"):
        own.wait_for(JobState.FAILED, f"{name}.mp4")
    own.send(signal.SIGKILL)
    own.ended()
    assert listener.calls == 0
    notify(own, listener.url("s3cret"), digest="200ms")
    own.folder("asked", 'engine = "local"', "notify = true")
    own.start()
    eventually(lambda: own.count("notify.sent"), own.told)
    assert own.stop() == 0
    shutil.copy(tiny, public / "good.mp4")
    assert own.nemod("once").returncode == ExitCode.OK
    assert [message["title"] for message in listener.heard] == ["nemod: 2 failed", "nemod: good.mp4 is done"]
    first, second = listener.bodies
    assert "- public.mp4 (public" in first
    assert "- asked.mp4 (asked" in first
    assert "private" not in first + second
    assert b"s3cret" not in b"".join(path.read_bytes() for path in own.state.iterdir())
    assert "s3cret" not in own.told()
    assert os.path.lexists(private / "failed" / "private.mp4")


@slow
def test_no_event_is_lost_whenever_the_daemon_dies(own: Machine, tiny: Path) -> None:
    """Killed sixty times, at any moment, while results arrive: each is told of at least once, and only when it is there."""
    program = own.home / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    inbox = own.folder("in", 'on_done = ["~/program"]')
    wheel = random.Random(6)  # noqa: S311 - nothing secret
    for life in range(60):
        shutil.copy(tiny, inbox / f"{life}.mp4")
        own.start()
        time.sleep(wheel.uniform(0, 1.5))
        own.send(signal.SIGKILL)
        own.ended()
    own.start()
    own.until_done("in", 60)
    eventually(lambda: {job for job, *_ in told(own)} >= {str(n) for n in range(1, 61)}, own.told)
    assert own.stop() == 0
    assert {how for *_, how in told(own)} == {"settled"}
    assert {event for _, event, *_ in told(own)} == {"done"}
    assert max(int(at) for *_, at, _ in told(own)) <= 3
