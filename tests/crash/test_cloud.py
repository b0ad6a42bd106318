"""kill -9 of the daemon at every request to the cloud; whatever the moment: one paid message, one render, one output.

It dies before the request is passed on, or when it is answered and before the answer arrives. By default it dies of
the requests that change something, and once in the recovery, too; NEMOD_CRASH=full takes them all.
"""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.conftest import DEATHS, Record
from tests.support.clips import make_clip
from tests.support.cloud import Cloud
from tests.support.daemon import leftovers
from tests.support.relay import Relay

LIMIT_BYTES = 60_000
FULL = os.environ.get("NEMOD_CRASH") == "full"
CONFIG = """\
[nemod]
settle = "100ms"
[nemo]
poll_interval = "300ms"
recheck_first = "300ms"
recheck_every = "300ms"
[folders.clips]
inbox = "~/clips"
preset = "tight"
engine = "nemo"
[presets.tight]
base = "compress-video"
limit = 60_000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A person's machine with one folder for the cloud, and a clip in its inbox."""

    root: Path
    cloud: Cloud
    way: Relay

    def life(self) -> int:
        """One life of the daemon, to its end or its death; the exit code."""
        env = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        env |= {"HOME": str(self.root), "NEMOD_STATE_DIR": str(self.root / "state"), **self.cloud.env()}
        env["NEMO_API_URL"] = self.way.url
        argv = [sys.executable, "-m", "nemod", "once"]
        process = subprocess.Popen(argv, env=env, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.way.victim = process.kill
        _, said = process.communicate(timeout=120)
        assert process.returncode in {0, -signal.SIGKILL}, said.decode()
        return process.returncode


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video, too large for the limit."""
    made = make_clip(tmp_path_factory.mktemp("source") / "clip.mkv", seconds=1, size=(320, 240), extra_args=("-crf", "10"))
    assert made.stat().st_size > LIMIT_BYTES
    return made


def home(root: Path, sandbox: Cloud, way: Relay, source: Path) -> Home:
    """A fresh machine."""
    (root / "clips").mkdir(parents=True)
    (root / ".config" / "nemod").mkdir(parents=True)
    (root / ".config" / "nemod" / "config.toml").write_text(CONFIG, encoding="utf-8")
    shutil.copy(source, root / "clips" / "clip.mkv")
    way.seen.clear()
    way.fatal, way.answered = None, False
    return Home(root=root, cloud=sandbox, way=way)


def hold_laws(made: Home, before: int, source: Path, told: str) -> None:
    """One paid message, one render, one output within the limit, the original safe, and nothing else left."""
    journal = made.cloud.journal()[before:]
    assert len([entry for entry in journal if entry["event"] == "charged"]) == 1, f"law 4: paid once, {told}, {journal}"
    assert len([entry for entry in journal if entry["event"] == "submitted"]) == 1, f"law 4: rendered once, {told}, {journal}"
    assert [entry["what"] for entry in journal if entry["event"] == "fault"] == []
    inbox = made.root / "clips"
    assert [path.name for path in (inbox / "done").iterdir()] == ["clip.mp4"], "law 3: delivered once"
    assert (inbox / "done" / "clip.mp4").stat().st_size <= LIMIT_BYTES, "law 1"
    assert (inbox / "originals" / "clip.mkv").read_bytes() == source.read_bytes(), "law 2"
    assert leftovers(inbox) == []


@pytest.mark.timeout(3600)
def test_a_daemon_killed_at_any_request_pays_once_renders_once_delivers_once(
    tmp_path: Path, sandbox: Cloud, way: Relay, source: Path, record_property: Record
) -> None:
    """Each request of an undisturbed run, before and after, then a second life to the end."""
    undisturbed = home(tmp_path / "undisturbed", sandbox, way, source)
    before = len(sandbox.journal())
    assert undisturbed.life() == 0
    hold_laws(undisturbed, before, source, "undisturbed")
    deaths = [(number, answered) for number in range(len(way.seen)) for answered in (False, True)]
    assert "POST /run_sse" in way.seen
    if not FULL:  # what changes something there
        deaths = [(number, answered) for number, answered in deaths if way.seen[number].startswith("POST ")]
    met = 0
    for number, answered in deaths:
        made = home(tmp_path / f"{number} {answered}", sandbox, way, source)
        before = len(sandbox.journal())
        way.fatal, way.answered = number, answered
        first = made.life()
        met += bool(first)
        told = f"death at request {number} ({'after' if answered else 'before'}): {way.seen[-1:]}"
        way.fatal = None
        if first and (FULL or number % 5 == 0):  # again, at one of the first requests of the life that recovers
            way.fatal, way.answered = len(way.seen) + number % 4, not answered
            second = made.life()
            met += bool(second)
            first = second or first
            way.fatal = None
        if first:  # polls come as they come: a run may end before the request at which it was to die
            assert made.life() == 0, told
        hold_laws(made, before, source, told)
    record_property(DEATHS, met)
