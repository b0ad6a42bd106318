"""A Containerfile carried out without a container engine: Debian by debootstrap, steps in a chroot, the result in namespaces.

What an engine does beside that (layers, networks, its own seccomp filter) is not here. Only the instructions that ours has are
known; any other is an error.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_TOOLS = ("debootstrap", "unshare", "nsenter", "chroot", "setpriv", "mount")


@dataclass(slots=True, kw_only=True)
class Image:
    """A tree, and what the Containerfile says of running it."""

    tree: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """The instructions of a Containerfile, lines put together and comments left out."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for whole in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = whole.partition(" ")
        yield word, rest.strip()


def build(folder: Path) -> Image:
    """Carry out the Containerfile; skips, with the reason, where that cannot be done."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    stages: dict[str, Image] = {}
    image: Image | None = None
    for word, rest in instructions(ROOT / "container" / "Containerfile"):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            image = Image(tree=folder / f"stage-{len(stages)}")
            stages[name or "last"] = image
            _debian(base, image.tree, folder)
            continue
        assert image is not None
        _carry_out(image, word, rest, stages)
    assert image is not None
    return image


def _carry_out(image: Image, word: str, rest: str, stages: Mapping[str, Image]) -> None:
    match word:
        case "RUN":
            _chroot(image, rest)
        case "COPY":
            _copy(image, shlex.split(rest), stages)
        case "ENV":
            image.env |= dict(part.split("=", 1) for part in shlex.split(rest))
        case "WORKDIR":
            image.workdir = rest
            (image.tree / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            image.user = rest
        case "VOLUME":
            image.volumes = json.loads(rest)
        case "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        case "CMD":
            image.command = json.loads(rest)
        case "HEALTHCHECK":
            image.health = json.loads(rest.partition("CMD ")[2])
        case _:
            raise AssertionError(f"{word} is not known here")


def _copy(image: Image, words: list[str], stages: Mapping[str, Image]) -> None:
    start = ROOT
    if words[0].startswith("--from="):
        start = stages[words.pop(0).removeprefix("--from=")].tree
    *sources, target = words
    folder = target.endswith("/")
    place = image.tree / (target.lstrip("/") if target.startswith("/") else f"{image.workdir.lstrip('/')}/{target}")
    for source in sources:
        found = start / source.lstrip("/")
        aim = place / found.name if folder else place
        aim.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(found, aim, symlinks=True, ignore=shutil.ignore_patterns("__pycache__") if start == ROOT else None)
        else:
            shutil.copy2(found, aim)


def _debian(base: str, tree: Path, folder: Path) -> None:
    """The base image's likeness: a minimal Debian of its suite, from the mirror that this machine uses."""
    found = re.fullmatch(r"debian:(\w+)-slim", base)
    assert found is not None, base
    fresh = folder / found[1]
    if not fresh.exists():
        listed = "".join(path.read_text() for path in Path("/etc/apt").rglob("*") if path.suffix in {".list", ".sources"})
        mirrors = re.findall(r"\b(?:https?|file):\S+debian/?(?=\s|$)", re.sub(r"(?m)^#.*$", "", listed))
        if not mirrors:
            pytest.skip("apt names no mirror of Debian's here")
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", found[1], str(fresh), mirrors[0]], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"Debian cannot be fetched here: {done.stdout[-300:]}")
    # Not by shutil, which reads device files: /dev/zero would fill the disk.
    subprocess.run(["cp", "-a", str(fresh), str(tree)], check=True)


def _chroot(image: Image, command: str) -> None:
    """Carry out a RUN, with the network and the package sources that this machine has."""
    pip = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    wishes = dict(re.findall(r"(?m)^(?:global|install|:env:)\.([\w-]+)='(.*)'$", pip))
    local = [
        part.removeprefix("file://") for value in wishes.values() for part in value.split() if re.match("(file://)?/", part)
    ]
    local = [part.removesuffix("/simple") for part in local]  # an index's files lie beside it
    env = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in wishes.items()}
    binds = {path: path for path in ("/etc/resolv.conf", "/proc", "/dev", *local) if Path(path).exists()}
    if cert := env.get("PIP_CERT"):  # under another name: a package may bring the same file
        del binds[cert]
        binds[cert] = env["PIP_CERT"] = "/mnt/cert.pem"
    steps = []
    for path, seen in binds.items():
        inside = image.tree / seen.lstrip("/")
        made = f"mkdir -p {shlex.quote(str(inside))}" if Path(path).is_dir() else f"touch {shlex.quote(str(inside))}"
        steps += [f"mkdir -p {shlex.quote(str(inside.parent))}", made]
        steps.append(f"mount --rbind {shlex.quote(path)} {shlex.quote(str(inside))}")
    steps.append(f"exec chroot {shlex.quote(str(image.tree))} sh -c {shlex.quote(f'cd {image.workdir} && {command}')}")
    plain = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(steps)],
        env=plain | env | image.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@dataclass(slots=True, kw_only=True)
class Box:
    """A running image: its first process, seen from outside."""

    image: Image
    process: subprocess.Popen[bytes]
    rights: Sequence[str]
    env: Mapping[str, str]
    pid: int = 0

    @property
    def inside(self) -> Path:
        """Its root, as it sees it."""
        return Path(f"/proc/{self.pid}/root")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A further command in it, as `exec` of an engine starts one."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-r", "--", *self.rights, *argv],
            env=dict(self.env),
            capture_output=True,
            text=True,
            check=False,
        )


def start(image: Image, mounts: Mapping[str, str], log: Path, *, user: str, caps: Sequence[str], env: Mapping[str, str]) -> Box:
    """Run the entrypoint as the first process of namespaces of its own: a read-only root, /tmp in memory, and the mounts.

    Args:
        image: what to run.
        mounts: folders of this machine by their places inside; "tmpfs" is a file system of its own, open to the user.
        log: gets what it says.
        user: as `user:` of a compose file.
        caps: capabilities that it keeps; none are gained later.
        env: beside the image's.
    """
    whole = {**image.env, **env}
    uid, _, gid = user.partition(":")
    bound = ",".join(["-all", *(f"+{cap.lower()}" for cap in caps)])
    rights = ["setpriv", "--no-new-privs", f"--bounding-set={bound}", "--inh-caps=-all"]
    rights += [f"--reuid={uid}", f"--regid={gid}", "--clear-groups"] if uid != "0" else []
    tree = shlex.quote(str(image.tree))
    steps = [f"mount --bind {tree} {tree}", f"mount -o remount,bind,ro {tree}", f"mount -t tmpfs none {tree}/tmp"]  # noqa: S108 - its own
    steps += [f"mount -t proc none {tree}/proc", f"mount --rbind /dev {tree}/dev"]
    for place, source in mounts.items():
        inside = f"{tree}{place}"
        if source == "tmpfs":
            steps.append(f"mount -t tmpfs -o uid={uid},gid={gid},mode=755 none {inside}")
        else:
            steps.append(f"mount --bind {shlex.quote(source)} {inside}")
    words = shlex.join([*rights, *image.entrypoint, *image.command])
    steps.append(f"exec {shutil.which('chroot')} {tree} sh -c {shlex.quote(f'cd {image.workdir} && exec {words}')}")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
                "sh",
                "-ec",
                "\n".join(steps),
            ],
            env=whole,
            stdout=out,
            stderr=out,
        )
    return Box(image=image, process=process, rights=rights, env=whole)
