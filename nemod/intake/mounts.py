"""Which file system a path lies on, and whether others can change it behind the kernel's back.

Rules kept here:
- reading the system's list is one thin function; understanding it is pure and tested on recorded samples;
- `remote` means that neither change events nor leases tell the whole truth: network shares, what is shared into a virtual
  machine or container, and everything that a FUSE program answers for. FUSE on a local disk (`fuseblk`) is local.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: The type when the system says nothing.
UNKNOWN = "unknown"

# Networks; what is shared into a virtual machine or a container; what a program answers for.
_REMOTE = frozenset(
    """
    9p acfs afpfs afs beegfs ceph cifs coda davfs fhgfs ftp glusterfs gpfs lustre ncpfs nfs nfs3 nfs4 ocfs2 orangefs panfs
    pvfs2 smb2 smb3 smbfs webdav
    drvfs fakeowner prl_fs vboxsf virtiofs vmhgfs
    autofs fuse macfuse osxfuse
    """.split()  # noqa: SIM905 - a list would lose the groups
)

# Sticks and cards, what programs answer for, folders of a host: no numbers of files on the disk, so they are made up.
_RENUMBERED = frozenset("msdos vfat exfat fuse fuseblk macfuse osxfuse drvfs prl_fs vboxsf vmhgfs".split())  # noqa: SIM905 - as above

_MAC_LINE = re.compile(r"^.+? on (?P<point>/.*) \((?P<flags>[^()]*)\)$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mounted file system; `type` is the system's word for it, or UNKNOWN; `whole`: it is not only a folder of one."""

    type: str
    remote: bool
    mount_point: Path
    whole: bool = True

    @property
    def steady(self) -> bool:
        """Whether a file keeps its inode's number when the file system is mounted again."""
        return self.type not in _RENUMBERED and not self.type.startswith("fuse.")


def file_system(path: Path) -> Mount:
    """The file system that holds a path, links resolved; the path need not exist."""
    return holding(mounts(), Path(os.path.realpath(path)))


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Read Linux's `/proc/self/mountinfo`, in its order (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.split("\n"):
        # id parent dev root POINT options [optional …] - TYPE source options
        fields = line.split(" ")
        if "-" in fields[6:]:
            kind = fields[fields.index("-", 6) + 1]
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            remote = kind in _REMOTE or kind.startswith("fuse.")
            mounts.append(Mount(type=kind, remote=remote, mount_point=Path(point), whole=fields[3] == "/"))
    return tuple(mounts)


def parse_mount(text: str) -> tuple[Mount, ...]:
    """Read the output of macOS's `mount`: `SOURCE on POINT (TYPE, flag, …)`; what is not flagged `local` is remote."""
    mounts = []
    for line in text.split("\n"):
        if found := _MAC_LINE.match(line):
            kind, *flags = found["flags"].split(", ")
            mounts.append(Mount(type=kind, remote=kind in _REMOTE or "local" not in flags, mount_point=Path(found["point"])))
    return tuple(mounts)


def holding(mounts: Iterable[Mount], path: Path) -> Mount:
    """The mount with the longest mount point above an absolute path; of several at one point the last, on top."""
    best = Mount(type=UNKNOWN, remote=False, mount_point=Path("/"))
    for mount in mounts:
        if path.is_relative_to(mount.mount_point) and len(mount.mount_point.parts) >= len(best.mount_point.parts):
            best = mount
    return best


def mounts() -> tuple[Mount, ...]:
    """All that is mounted now, as far as the system says."""
    try:
        # As bytes: mount points are file names, and universal newlines would break one that holds a carriage return.
        if sys.platform == "linux":
            found = parse_mountinfo(os.fsdecode(Path("/proc/self/mountinfo").read_bytes()))
        else:
            said = subprocess.run(["/sbin/mount"], capture_output=True, check=True, timeout=10).stdout
            found = parse_mount(os.fsdecode(said))
    except (OSError, subprocess.SubprocessError):
        return ()
    return found
