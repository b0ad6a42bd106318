"""The container's recipe: what its files promise, and its steps carried out as far as that goes without a container engine."""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import eventually
from tests.support.image import ROOT, Box, Image, build, instructions, start

FOLDER = ROOT / "container"
HEALTH = ["/opt/nemod/bin/nemod", "health"]


def service(*files: str) -> dict[str, Any]:
    """The compose files' one service, the later file's words over the earlier one's."""
    whole: dict[str, Any] = {}
    for file in files:
        (name, said), *more = yaml.safe_load((FOLDER / file).read_text("utf-8"))["services"].items()
        assert (name, more) == ("nemod", [])
        whole |= {key: {**whole.get(key, {}), **value} if isinstance(value, dict) else value for key, value in said.items()}
    return whole


def test_the_recipe_says_what_it_promises() -> None:
    """Built in a first stage, without a tool for building in the last; an ordinary user, three volumes, a health check."""
    said = list(instructions(FOLDER / "Containerfile"))
    stages = [number for number, (word, _) in enumerate(said) if word == "FROM"]
    assert len(stages) == 2
    last = said[stages[1] :]
    assert not [rest for word, rest in last if word == "RUN" and ("pip" in rest or "venv" in rest or "build-essential" in rest)]
    assert ("USER", "1000:1000") in last
    assert ("VOLUME", '["/config", "/watch", "/output"]') in last
    assert [rest for word, rest in last if word == "HEALTHCHECK" and rest.endswith(str(HEALTH).replace("'", '"'))]


def test_the_compose_files_say_what_they_promise() -> None:
    """Read-only, without capabilities, nobody's root; as root only with the three that it takes to become somebody."""
    plain = service("compose.yaml")
    assert plain["user"] == "1000:1000"
    assert plain["read_only"] is True
    assert plain["tmpfs"] == ["/tmp"]  # noqa: S108 - its own
    assert plain["cap_drop"] == ["ALL"]
    assert plain["security_opt"] == ["no-new-privileges:true"]
    assert plain["init"] is True
    assert {volume.rpartition(":")[2] for volume in plain["volumes"]} == {"/config", "/watch", "/output"}
    assert set(plain["environment"]) == {"TZ", "UMASK"}
    assert "cap_add" not in plain
    assert (FOLDER / plain["build"]["context"] / plain["build"]["dockerfile"]).resolve() == FOLDER / "Containerfile"
    powerful = service("compose.yaml", "compose.puid.yaml")
    assert powerful["user"] == "0:0"
    assert powerful["cap_add"] == ["SETUID", "SETGID", "CHOWN"]
    assert set(powerful["environment"]) == {"TZ", "UMASK", "PUID", "PGID"}
    assert powerful["read_only"] is True


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The recipe, carried out."""
    if os.environ.get("NEMOD_SLOW") != "1":
        pytest.skip("takes minutes and fetches packages; set NEMOD_SLOW=1")
    if os.geteuid() != 0:
        pytest.skip("only root may make trees of a system and namespaces")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces can be made here")
    folder = tmp_path_factory.mktemp("image")
    folder.parent.chmod(0o755)
    try:
        yield build(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def first_process(box: Box, log: Path) -> None:
    """Wait until the entrypoint runs in its namespaces; who it is, seen from outside."""
    children = Path(f"/proc/{box.process.pid}/task/{box.process.pid}/children")

    def runs() -> bool:
        found = children.read_text().split() if children.exists() else []
        box.pid = int(found[0]) if found else 0
        return bool(box.pid) and b"nemod" in Path(f"/proc/{box.pid}/cmdline").read_bytes().split(b"\0")[1:2].__repr__().encode()

    eventually(lambda: box.process.poll() is not None or runs(), log.read_text)
    assert box.process.poll() is None, log.read_text()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("files", "owner"),
    [(("compose.yaml",), (1000, 1000)), (("compose.yaml", "compose.puid.yaml"), (99, 100))],
    ids=["user", "puid"],
)
def test_the_image_delivers_as_its_user(
    image: Image, tmp_path: Path, tiny: Path, files: tuple[str, ...], owner: tuple[int, int]
) -> None:
    """Its first start on empty folders: a config, a video delivered to another file system, healthy, and a polite end."""
    said = service(*files)
    log = tmp_path / "log"
    log.touch()
    watch, config = tmp_path / "watch", tmp_path / "config"
    watch.mkdir()
    config.mkdir()
    if said["user"] != "0:0":  # else they are empty and root's, as an engine makes them
        for folder in (watch, config):
            os.chown(folder, *owner)
    env = {**said["environment"], "TZ": "Asia/Tokyo", "UMASK": "002"}
    mounts = {"/config": str(config), "/watch": str(watch), "/output": "tmpfs"}
    box = start(image, mounts, log, user=said["user"], caps=said.get("cap_add", ()), env=env)
    try:
        first_process(box, log)
        eventually(lambda: '"daemon.started"' in log.read_text(), log.read_text)
        assert box.run(*image.health).returncode == 0
        assert (config / "config.toml").stat().st_uid == owner[0]
        shutil.copy(tiny, watch / "a.part")
        os.chown(watch / "a.part", *owner)
        (watch / "a.part").rename(watch / "discord" / "a.mp4")
        output = box.inside / "output" / "discord" / "a.mp4"
        eventually(output.exists, log.read_text)
        found = output.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (*owner, 0o664)
        assert found.st_dev != watch.stat().st_dev
        eventually((watch / "discord" / "originals" / "a.mp4").exists, log.read_text)
        status = dict(line.split(":", 1) for line in Path(f"/proc/{box.pid}/status").read_text().splitlines())
        assert set(status["Uid"].split()) == {str(owner[0])}
        assert set(status["Gid"].split()) == {str(owner[1])}
        assert int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"
        assert box.run("touch", "/opt/nemod/x").returncode != 0
        assert box.run("/opt/nemod/bin/python", "-c", "import time; print(time.tzname[0])").stdout.strip() == "JST"
        assert box.run("/opt/nemod/bin/python", "-m", "pip", "--version").returncode != 0
        assert box.run("/opt/nemod/bin/nemod", "status").returncode == 0
        assert box.run("sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status").stdout == "", "no dead child is left"
        os.kill(box.pid, signal.SIGTERM)
        assert box.process.wait(60) == 0
        assert '"daemon.stopped"' in log.read_text()
    finally:
        box.process.kill()
        box.process.wait()
