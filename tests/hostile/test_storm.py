"""Storms around the real daemon: commands, reloads, signals, closed streams, hung disks in odd places, paused children.

Whatever comes when: it ends as it promises, says what is true, loses nothing and does nothing twice.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.clips import make_clip
from tests.support.daemon import CONFIG, PATIENCE_S, Machine, eventually, leftovers
from tests.support.disks import Disks

SLOW = bool(os.environ.get("NEMOD_SLOW"))
#: How a shell starts something without a stream, with one that is full, and with one that nobody reads.
STREAMS = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "> >(true)", "2> >(true)")
#: What every command may end with; see `nemod --help`.
DOCUMENTED = {0, 1, 2, 3, 75, 130}
LOOKING = ("status", "status --json", "jobs list --all", "folders list", "config check", "config show", "once", "run", "doctor")


@pytest.fixture(scope="module")
def needy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video, over the limit."""
    made = make_clip(tmp_path_factory.mktemp("clips") / "needy.mkv", seconds=1, size=(160, 120), extra_args=("-crf", "1"))
    assert made.stat().st_size > 100_000
    return made


@pytest.fixture(scope="module")
def lengthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose encode takes a while."""
    return make_clip(tmp_path_factory.mktemp("clips") / "lengthy.mkv", seconds=20, size=(640, 360))


def shell(own: Machine, streams: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run nemod with its streams as a shell's redirection says."""
    argv = ["bash", "-c", f'exec "$@" {streams}', "bash", sys.executable, "-m", "nemod", *words]
    return subprocess.run(argv, env=own.env(), cwd=own.home, capture_output=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("streams", STREAMS if SLOW else ("<&- >&- 2>&-", ">/dev/full"))
def test_streams_that_are_closed_full_or_unread_spoil_nothing(own: Machine, needy: Path, tiny: Path, streams: str) -> None:
    """Videos are encoded and delivered, files of ours do not take the streams' numbers, and no command shows a traceback."""
    inbox = own.folder("in", preset="tight")
    for clip in (needy, tiny):
        shutil.copy(clip, inbox / clip.name)
    done = shell(own, streams, "once")
    assert done.returncode in ({0, 1} if ">" in streams and "2>" not in streams else {0})
    assert own.states() == [JobState.DONE] * 2
    for words in ("status", "jobs list --all --json", "jobs show 9"):
        ended = shell(own, streams, *words.split())
        assert ended.returncode in DOCUMENTED, words
        assert b"Traceback" not in done.stderr + ended.stderr, words
    assert leftovers(inbox) == []


def test_commands_reloads_and_broken_configs_at_once(own: Machine, needy: Path, lengthy: Path) -> None:
    """Twenty commands at a time, reloads of sound, broken, half and missing configs: true words, and each video once."""
    inbox, chance = own.folder("in", preset="tight"), random.Random(5)  # noqa: S311 - no secret
    own.folder("long", preset="roomy")
    sound = own.config.read_text()
    own.start()
    rounds = 6 if SLOW else 1
    for turn in range(rounds):
        for number in range(3):
            shutil.copy(needy, inbox / f"{turn}-{number}.mkv")
        shutil.copy(lengthy, own.home / "long" / f"{turn}.mkv")
        eventually(lambda turn=turn: len(own.jobs()) >= 4 * (turn + 1), own.told)  # type: ignore[misc]
        jobs = [str(job.id) for job in own.jobs()]
        verbs = [f"jobs {verb} {chance.choice(jobs)}" for verb in ("cancel", "retry", "release", "first", "show")]
        words = [*(LOOKING if SLOW else chance.sample(LOOKING, 3)), *verbs, *verbs[: 6 if SLOW else 0]]
        with ThreadPoolExecutor(len(words)) as pool:
            under_way = [pool.submit(own.nemod, *word.split()) for word in words]
            while not all(one.done() for one in under_way):
                match chance.randrange(5):
                    case 0:
                        own.configure("broken [")
                    case 1:
                        own.configure(sound[: chance.randrange(len(sound))])
                    case 2:
                        own.config.unlink(missing_ok=True)
                    case _:
                        own.configure(sound)
                own.send(signal.SIGHUP)
                eventually(lambda: True)
        for word, one in zip(words, under_way, strict=True):
            ended = one.result()
            assert ended.returncode in DOCUMENTED, (word, ended)
            assert "Traceback" not in ended.stderr, (word, ended)
            assert "locked" not in ended.stderr, (word, ended)
        own.configure(sound)  # half of it may have been a sound config without any folder
        own.send(signal.SIGHUP)
    for job in own.jobs(folder="long"):
        if job.state not in {JobState.DONE, JobState.CANCELLED}:
            own.nemod("jobs", "cancel", str(job.id))
    for job in own.jobs(folder="in"):
        if job.state is JobState.CANCELLED:
            own.nemod("jobs", "retry", str(job.id))
    own.until_done("in", 3 * rounds)
    assert own.stop() == 0
    assert len(own.jobs()) == 4 * rounds
    assert len(list((inbox / "done").iterdir())) == 3 * rounds
    assert leftovers(own.home) == []
    assert not own.events("job.bug", "ledger.failed")
    assert "Traceback" not in own.told()


def test_a_reload_that_comes_while_it_starts_is_heard(own: Machine, tiny: Path) -> None:
    """SIGHUP in the middle of the start does not end it; the config as it is then counts."""
    first, second = own.folder("first"), own.folder("second")
    whole = own.config.read_text()
    own.configure(CONFIG + own.folders["first"])
    with (own.home / "log").open("ab") as log:
        argv = [sys.executable, "-m", "nemod", "run"]
        own.process = subprocess.Popen(argv, env=own.env(), cwd=own.home, stdout=subprocess.DEVNULL, stderr=log)
    eventually((own.state / "daemon.lock").exists, own.told)
    own.configure(whole)
    own.send(signal.SIGHUP)
    for inbox in (first, second):
        shutil.copy(tiny, inbox / "a.mp4")
        own.delivered("a.mp4", folder=inbox.name)
    assert own.stop() == 0


def test_an_outbox_that_hangs_keeps_no_other_word_waiting(own: Machine, hands: Disks, lengthy: Path, tiny: Path) -> None:
    """Who cancels a job in it is told the truth; other jobs are cancelled, put first and delivered meanwhile."""
    stuck, free = own.folder("stuck", 'outbox = "~/out"', preset="roomy"), own.folder("free", preset="roomy")
    (own.home / "out").mkdir()
    own.start()
    shutil.copy(lengthy, stuck / "l.mkv")
    eventually(own.encoding, own.told)
    (hung,) = own.jobs("l.mkv")
    hands.hang(own.home / "out")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(own.nemod, "jobs", "cancel", str(hung.id))
        eventually(lambda: own.count("request.answered", job=hung.id), own.told)
        shutil.copy(lengthy, free / "m.mkv")
        eventually(lambda: JobState.RUNNING in own.states("m.mkv"), own.told)
        (other,) = own.jobs("m.mkv")
        assert "is cancelled" in own.nemod("jobs", "cancel", str(other.id)).stdout
        shutil.copy(tiny, free / "a.mp4")
        own.delivered("a.mp4")
        assert f"job {hung.id} is still running" in asked.result().stdout
    hands.answer(own.home / "out")
    own.wait_for(JobState.CANCELLED, "l.mkv")
    assert own.stop() == 0
    assert leftovers(own.home) == []


def test_a_state_folder_that_hangs_is_told_of_and_stops_no_end(own: Machine, hands: Disks, lengthy: Path) -> None:
    """A daemon at work is ended by one SIGTERM, a second one and the commands say whose disk does not answer."""
    inbox = own.folder("in", preset="roomy")
    own.start()
    shutil.copy(lengthy, inbox / "l.mkv")
    eventually(own.encoding, own.told)
    hands.hang(own.state)
    for words in ("status", "jobs list", "run") if SLOW else ("status",):
        said = own.nemod(*words.split())
        assert said.returncode == 1, words
        assert f"{own.state}" in said.stderr, words
        assert "does not answer" in said.stderr, words
    assert own.stop() == 128 + signal.SIGTERM
    assert own.encoding() == []
    hands.answer(own.state)
    own.start()
    eventually(own.encoding, own.told)
    own.nemod("jobs", "cancel", "1")
    assert own.stop() == 0
    assert (inbox / "l.mkv").is_file()
