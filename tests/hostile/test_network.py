"""The network against us: whatever answers in the cloud's place, calls end, memory stays bounded, and nobody else waits.

By default each evil is met once, at one endpoint; NEMOD_SLOW=1 tries every evil at every endpoint, those that take their time
among them.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nemod.job import JobState
from tests.hostile.caller import SKILL, peak_mb
from tests.hostile.evil import ENDPOINTS, Cloud, evil_cloud
from tests.hostile.evils import PRIVATE, QUICK, SLOW, reply
from tests.nemo.server import client_of, listening
from tests.support.clips import make_clip
from tests.support.daemon import Machine, eventually, machine

FULL = bool(os.environ.get("NEMOD_SLOW"))
TOKEN = "nmv_usr_" + "n" * 43
#: A daemon with nothing to do has half of it.
MOST_MB = 150
DAEMON_MOST_MB = 200
CONFIG = """\
[nemo]
slots = 8
poll_interval = "300ms"
recheck_first = "300ms"
recheck_every = "300ms"
recheck_times = 1
"""
#: What lasts, and where: in the slow run everywhere.
LASTING = [("ask", "hang between events"), ("ask", "storm"), ("file", "hang in file")]
if FULL:
    LASTING += [(each, "hang in body") for each in ENDPOINTS if each not in {"token", "fetch", "ask", "file"}]
#: These tell that the message was not taken, so that it may be sent again.
_TOLD = ("status 4", "retry after")
#: What becomes of the answer to a message, and whether it was taken.
LOST = [("reset", True), ("redirect /" + "a" * 39, False)]
if FULL:
    LOST = [(evil, works) for evil in QUICK if not evil.startswith(_TOLD) for works in (True, False)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video that is too large for the preset."""
    made = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=1, size=(320, 240), extra_args=("-crf", "4"))
    assert made.stat().st_size > 100_000
    return made


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as a good cloud renders it."""
    how = ("-crf", "30", "-movflags", "+faststart")
    made = make_clip(tmp_path_factory.mktemp("result") / "clip.mp4", seconds=1, size=(320, 240), extra_args=how)
    assert made.stat().st_size < 100_000
    return made


@pytest.fixture
def cloud(result: Path) -> Iterator[Cloud]:
    """A cloud of its own for each test."""
    with evil_cloud(result) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, cloud: Cloud) -> Iterator[Machine]:
    """A machine with a folder for the cloud and one that must not go there."""
    with machine(tmp_path) as made:
        made.more_env = {"NEMO_API_URL": cloud.url, "NEMO_TOKEN": TOKEN}
        made.folders["nemo"] = CONFIG
        made.folder("far", 'engine = "nemo"', preset="tight")
        made.folder("near", 'engine = "local"', preset="roomy")
        yield made


def called(
    cloud: Cloud, folder: Path, clip: Path, cases: list[tuple[str, str]], *, side_by_side: bool = False
) -> list[dict[str, Any]]:
    """Have these calls made in a process of their own; how each ended."""
    folder.mkdir()
    shutil.copy(clip, folder / "clip.mp4")
    patience_s = "30" if FULL else "1.5"
    argv = [
        sys.executable,
        "-m",
        "tests.hostile.caller",
        cloud.url,
        str(folder),
        TOKEN,
        patience_s,
        "yes" if side_by_side else "no",
    ]
    lines = "".join(f"{evil}\t{endpoint}\n" for evil, endpoint in cases)
    done = subprocess.run(argv, input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases)
    return found


def held(cloud: Cloud, found: list[dict[str, Any]]) -> None:
    """What holds, however a call has ended."""
    here = repr(("127.0.0.1", int(cloud.url.rpartition(":")[2])))
    for each in found:
        told = f"{each['evil']} at {each['endpoint']}: {each}"
        assert "raised" not in each, told
        # A cloud on this machine may name any of its ports for a result, and for nothing else.
        near = each["endpoint"] in {"file", "fetch"}
        assert all(whom == here or (near and whom.startswith("('127.0.0.1',")) for whom in each["connected"]), told
        assert each["peak_mb"] is None or each["peak_mb"] < MOST_MB, told
        assert TOKEN not in each.get("told", ""), told
        assert len(each.get("told", "")) < 1_000, told
    for asked in cloud.asked:
        assert asked.token in {"", f"Bearer {TOKEN}"}
        # Only a result is followed to where it was redirected to, and without a token.
        assert asked.endpoint in ENDPOINTS or asked.evil.endswith(("/file", "/fetch")), asked
        assert not asked.token or asked.endpoint in set(ENDPOINTS) - {"file", "token"}, asked


def test_every_evil_ends_in_words_and_in_bounded_memory(cloud: Cloud, tmp_path: Path, clip: Path) -> None:
    """No call raises what nobody expects, none is sent twice by itself, and the token goes nowhere else."""
    if FULL:
        cases = [(evil, endpoint) for evil in QUICK for endpoint in ENDPOINTS]
    else:
        cases = [(evil, "ask" if "event" in evil else ENDPOINTS[number % len(ENDPOINTS)]) for number, evil in enumerate(QUICK)]
    held(cloud, called(cloud, tmp_path / "calls", clip, cases))
    met = [(asked.evil, asked.endpoint) for asked in cloud.asked if asked.evil.endswith(f"/{asked.endpoint}")]
    repeated = {each for each in met if met.count(each) > 1}
    # An anonymous account is asked for once more after a pause; redirects in circles are followed some times.
    assert {(evil, where) for evil, where in repeated if where != "token" and "redirect" not in evil} == set()
    assert {where for _, where in met} == set(ENDPOINTS)


async def test_a_reply_behind_a_reply_is_nobodys(tmp_path: Path) -> None:
    """A server that sends two at once on a connection that stays open: the second is not taken for the next call's."""
    numbers = iter(range(100, 200))

    def balance() -> bytes:
        return reply(json.dumps({"code": 0, "data": {"available": next(numbers), "frozen": 0, "total": 0}}).encode())

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(balance() + balance())
            await writer.drain()

    async with listening(handle) as url, client_of(tmp_path, url) as client:
        found = [(await client.balance(SKILL)).available for _ in range(3)]
    assert found == [100, 102, 104]


@pytest.mark.skipif(not FULL, reason="waits for minutes; set NEMOD_SLOW=1")
@pytest.mark.timeout(900)
def test_every_slow_evil_ends_as_well(cloud: Cloud, tmp_path: Path, clip: Path) -> None:
    """Hangs and drips at every point of every endpoint, side by side."""
    cases = [(evil, endpoint) for evil in SLOW for endpoint in ENDPOINTS]
    found = called(cloud, tmp_path / "calls", clip, cases, side_by_side=True)
    for each in found:
        each["connected"], each["peak_mb"] = [], None  # of all together
    held(cloud, found)
    assert all("trouble" in each for each in found if each["evil"] != "drip"), found


def test_no_address_of_a_private_network_is_knocked_at(cloud: Cloud, tmp_path: Path, clip: Path) -> None:
    """Whatever spelling the cloud names it in: nobody connects there."""
    found = called(cloud, tmp_path / "calls", clip, [("", address) for address in PRIVATE])
    for each in found:
        assert each.get("trouble") == "refused", each
        assert each["connected"] == [], each


@pytest.mark.timeout(900)
def test_a_cloud_that_hangs_keeps_nobody_else_waiting(own: Machine, cloud: Cloud, clip: Path) -> None:
    """The other folder is delivered and `nemod status` answers while it goes on, memory is bounded, SIGTERM ends it."""
    own.start()
    for number, (endpoint, evil) in enumerate(LASTING):
        cloud.evils.clear()
        cloud.at(endpoint, evil)
        before = cloud.count(endpoint)
        shutil.copy(clip, own.home / "far" / f"{number}.mp4")
        eventually(partial(_asked, cloud, endpoint, before), own.told)
        shutil.copy(clip, own.home / "near" / f"{number}.mp4")
        own.delivered(f"{number}.mp4", folder="near")
        assert own.nemod("status", "--json").returncode == 0
        (job,) = own.jobs(f"{number}.mp4", folder="far")
        assert job.state is JobState.RUNNING, (endpoint, evil)
        most_mb = peak_mb(pid=own.pid)
        assert most_mb is None or most_mb < DAEMON_MOST_MB, (endpoint, evil)
        if number + 1 < len(LASTING):
            own.nemod("jobs", "cancel", str(job.id))
            own.wait_for(JobState.CANCELLED, f"{number}.mp4", folder="far")
    assert own.stop() == 0
    sane(own)


def test_a_name_that_is_looked_up_for_ever_holds_nobody(tmp_path: Path, clip: Path) -> None:
    """The other folder is delivered, SIGTERM ends the daemon, and a command ends by itself, all while the look-up hangs."""
    with machine(tmp_path) as own:
        deaf, asked = tmp_path / "deaf", tmp_path / "asked"
        deaf.mkdir()
        (deaf / "sitecustomize.py").write_text(_DEAF.format(asked=str(asked)), encoding="utf-8")
        own.more_env = {"PYTHONPATH": str(deaf), "NEMO_API_URL": "https://cloud.example", "NEMO_TOKEN": TOKEN}
        far = own.folder("far", 'engine = "nemo"', preset="tight")
        near = own.folder("near", 'engine = "local"', preset="roomy")
        own.start()
        for inbox in (far, near):
            shutil.copy(clip, inbox / "a.mp4")
        own.delivered("a.mp4", folder="near")
        eventually(asked.exists, own.told)
        assert own.stop() == 0
        sane(own)
        told = own.nemod("credits")
        assert told.returncode == 1
        assert "no connection came about in time" in told.stderr


_DEAF = """\
import socket
import time

real = socket.getaddrinfo


def deaf(host, *args, **kwargs):
    if host in ("cloud.example", b"cloud.example"):
        open({asked!r}, "a").close()
        time.sleep(86_400)
    return real(host, *args, **kwargs)


socket.getaddrinfo = deaf
"""


@pytest.mark.parametrize(("evil", "works"), LOST)
def test_a_message_whose_answer_was_lost_is_never_sent_again(
    own: Machine, cloud: Cloud, clip: Path, evil: str, *, works: bool
) -> None:
    """It was paid: what it edited is fetched, and where it edited nothing a person has to say what now."""
    cloud.works = works
    cloud.at("ask", evil)
    shutil.copy(clip, own.home / "far" / "a.mp4")
    own.nemod("once")
    assert cloud.count("ask") == 1
    assert own.states("a.mp4") == [JobState.DONE if works else JobState.PARKED], own.jobs()
    assert (own.home / "far" / "a.mp4").exists() is not works


def _asked(cloud: Cloud, endpoint: str, before: int) -> bool:
    return cloud.count(endpoint) > before


def sane(own: Machine) -> None:
    """The log holds words and no secret, and nobody met what he did not expect."""
    told = own.told()
    assert TOKEN not in told
    assert "Traceback" not in told
    assert not own.events("job.bug", "engine.bug")


def test_a_folder_of_this_machine_never_opens_a_connection(tmp_path: Path, clip: Path) -> None:
    """Law 5: neither the daemon nor a child of it connects, looks up a name or listens, though an account is there."""
    with evil_cloud(clip) as cloud, machine(tmp_path) as own:
        ear, heard = tmp_path / "ear", tmp_path / "heard"
        ear.mkdir()
        (ear / "sitecustomize.py").write_text(_EAR.format(heard=str(heard)), encoding="utf-8")
        own.folders["nemo"] = CONFIG
        own.more_env = {"PYTHONPATH": str(ear), "NEMO_API_URL": cloud.url, "NEMO_TOKEN": TOKEN}
        near = own.folder("near", 'engine = "local"', preset="roomy")
        own.start()
        for name in ("a", "b"):
            shutil.copy(clip, near / f"{name}.mp4")
            own.delivered(f"{name}.mp4")
        assert own.stop() == 0
        assert heard.read_text("utf-8").split("\n")[0] == "listening"  # or the silence would say nothing
        assert set(heard.read_text("utf-8").split("\n")) <= {"listening", ""}
        assert cloud.asked == []
        far = own.folder("far", 'engine = "nemo"', preset="tight")
        shutil.copy(clip, far / "c.mp4")
        own.nemod("once")
        assert "socket.connect" in heard.read_text("utf-8")


_EAR = """\
import sys

heard = open({heard!r}, "a", buffering=1)
print("listening", file=heard)
EVENTS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")


def ear(event, args):
    if event in EVENTS and not (event != "socket.getaddrinfo" and isinstance(args[1], (str, bytes))):
        print(event, args[1:], file=heard)


sys.addaudithook(ear)
"""
