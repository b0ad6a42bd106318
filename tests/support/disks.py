"""Disks in trouble, made of what Linux offers: small ones, without hard links, without case, and one that never answers.

All need the right to mount: root has it, and so has anybody within `unshare -Urm` (a namespace of one's own). What a machine
cannot do is skipped with its reason.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DETACH = 2  # MNT_DETACH of sys/mount.h


@dataclass(slots=True, kw_only=True)
class Disks:
    """What is mounted for a test; all of it is taken away at its end."""

    room: Path  # for the files that disks are made of
    mounted: list[Path] = field(default_factory=list)
    silent: dict[Path, int] = field(default_factory=dict)
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def small(self, point: Path, size: str) -> Path:
        """An empty disk in memory, of a size such as "2m"."""
        return self._mount("tmpfs", point, "tmpfs", f"size={size},mode=0777")

    def resize(self, point: Path, size: str) -> None:
        """Make a `small` disk larger or smaller."""
        _run("mount", "-o", f"remount,size={size}", point)

    def read_only(self, point: Path, *, yes: bool) -> None:
        """Forbid or allow writing."""
        _run("mount", "-o", f"remount,{'ro' if yes else 'rw'}", point)

    def again(self, folder: Path, point: Path) -> Path:
        """A folder under a second path, which is no link."""
        point.mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", folder, point)
        self.mounted.append(point)
        return point

    def fat(self, point: Path) -> Path:
        """A disk without hard links, modes and case, that takes not every name."""
        if shutil.which("mkfs.vfat") is None:
            pytest.skip("mkfs.vfat is not installed, so there is no FAT disk to try")
        return self._image(point, ["mkfs.vfat"], "vfat", "loop,umask=000")

    def stick(self, folder: Path, point: Path) -> Path:
        """What lies in a folder as on a stick or card, with other numbers of files each time; see `tests.support.stick`."""
        point.mkdir(parents=True, exist_ok=True)
        argv: list[str | Path] = [sys.executable, "-m", "tests.support.stick", point, folder]
        server = subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert server.stdout is not None
        if server.stdout.readline() != "mounted\n":
            pytest.skip(f"FUSE cannot be mounted here, so there is no stick to try: {server.communicate()[1].strip()[-200:]}")
        self.mounted.append(point)
        self.servers.append(server)
        return point

    def fault(self, folder: Path, code: int, call: str = "any", *, skip: int = 0, times: int = 1) -> None:
        """Let calls of that kind to the `stick` of a folder fail, so many times, once so many have passed."""
        wish = Path(f"{folder}.wish")
        wish.write_text(f"{call} {skip} {code} {times}")
        wish.rename(f"{folder}.fault")

    def faults(self, folder: Path) -> list[str]:
        """Which calls have failed."""
        hit = Path(f"{folder}.hit")
        return hit.read_text("utf-8").split() if hit.exists() else []

    def caseless(self, point: Path) -> Path:
        """A disk for which `Clip.mov` and `clip.mov` are one name, in a folder that stands for all of it."""
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("mkfs.ext4 is not installed, so there is no disk without case to try")
        self._image(point, ["mkfs.ext4", "-q", "-O", "casefold", "-E", "encoding=utf8"], "ext4", "loop")
        folder = point / "caseless"
        folder.mkdir()
        if subprocess.run(["chattr", "+F", folder], capture_output=True, check=False).returncode:
            pytest.skip("this kernel's ext4 knows no folders without case")
        return folder

    def hang(self, point: Path) -> None:
        """Lay a disk that never answers over a folder, as a share does whose server is gone."""
        try:
            handle = os.open("/dev/fuse", os.O_RDWR)
        except OSError as error:
            pytest.skip(f"no FUSE here ({error.strerror}), so nothing can hang")
        options = f"fd={handle},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"stuck", os.fsencode(point), b"fuse.stuck", 0, options.encode()):
            os.close(handle)
            pytest.skip(f"FUSE cannot be mounted here ({os.strerror(ctypes.get_errno())}), so nothing can hang")
        self.silent[point] = handle

    def answer(self, point: Path) -> None:
        """Take the disk that never answers away again; who waits for it gets an error."""
        os.close(self.silent.pop(point))
        self.pull(point)

    def pull(self, point: Path) -> None:
        """Take a disk away as a hand does: whoever has files open keeps them, nobody else finds any."""
        ctypes.CDLL(None).umount2(os.fsencode(point), _DETACH)
        if point in self.mounted:
            self.mounted.remove(point)

    def crash(self, point: Path) -> None:
        """End the program that answers for a `stick`: its place is there, and every call ends with an error."""
        server = next(one for one in reversed(self.servers) if isinstance(one.args, list) and point in one.args)
        server.kill()
        server.communicate()

    def close(self) -> None:
        """Take all away."""
        for point in list(self.silent):
            self.answer(point)
        for point in reversed(list(self.mounted)):
            self.pull(point)
        for server in self.servers:  # each ends once nobody has a file of it open
            server.terminate()
            server.communicate()

    def _image(self, point: Path, make: list[str], kind: str, options: str) -> Path:
        image = self.room / f"{point.name}.img"
        with image.open("wb") as file:
            file.truncate(32 << 20)
        _run(*make, image)
        return self._mount(image, point, kind, options)

    def _mount(self, what: str | Path, point: Path, kind: str, options: str) -> Path:
        point.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", kind, "-o", options, what, point], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a disk ({kind}) cannot be mounted here, but for root or within `unshare -Urm`: {done.stderr.strip()}")
        self.mounted.append(point)
        return point


@contextmanager
def disks(room: Path) -> Iterator[Disks]:
    """Disks for a test."""
    if sys.platform != "linux":
        pytest.skip("disks in trouble are made with Linux's means")
    made = Disks(room=room)
    try:
        yield made
    finally:
        made.close()


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
