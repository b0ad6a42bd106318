"""Which file system a path lies on."""

import sys
from pathlib import Path

import pytest

from nemod.intake.mounts import UNKNOWN, file_system, holding, parse_mount, parse_mountinfo

LINUX = r"""22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:45 / /mnt/nas rw,relatime shared:20 - nfs4 nas:/volume1 rw,vers=4.2,addr=10.0.0.2
41 22 0:46 / /mnt/My\040Share\134x rw,relatime shared:21 master:3 - cifs //nas/My\040Share rw,vers=3.1.1
42 22 0:47 / /home/a/remote rw,nosuid,nodev,relatime - fuse.sshfs a@host:/ rw,user_id=1000
43 22 8:17 / /media/usb rw,nosuid - fuseblk /dev/sdb1 rw,user_id=0,blksize=4096
44 22 0:48 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\134
45 22 0:49 / /videos rw,relatime - fakeowner /run/host_mark/Users rw,fakeowner
46 22 0:50 / /var/lib/docker/overlay2/x/merged rw,relatime - overlay overlay rw,lowerdir=/a:/b
47 40 0:51 /sub /mnt/nas/local rw - btrfs /dev/sda1 rw,subvol=/sub
48 22 0:52 / /over rw - nfs nas:/old rw
49 22 0:53 / /over rw - tmpfs tmpfs rw
"""

MAC = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//ana@nas._smb._tcp.local/video on /Volumes/video on tour (smbfs, nodev, nosuid, mounted by ana)
nas:/volume1 on /Volumes/nfs (nfs, nodev, nosuid, automounted, nobrowse)
/dev/disk4s2 on /Volumes/STICK (msdos, local, nodev, nosuid, noowners)
ana@host:/ on /Volumes/host (macfuse, local, synchronous, mounted by ana)
"""


@pytest.mark.parametrize(
    ("path", "kind", "remote", "point"),
    [
        ("/home/a/clip.mp4", "ext4", False, "/"),
        ("/mnt/nas/in", "nfs4", True, "/mnt/nas"),
        ("/mnt/nas", "nfs4", True, "/mnt/nas"),
        ("/mnt/nasty", "ext4", False, "/"),
        ("/mnt/nas/local/in", "btrfs", False, "/mnt/nas/local"),
        ("/mnt/My Share\\x/in", "cifs", True, "/mnt/My Share\\x"),
        ("/home/a/remote/x", "fuse.sshfs", True, "/home/a/remote"),
        ("/media/usb/in", "fuseblk", False, "/media/usb"),
        ("/mnt/c/Users", "9p", True, "/mnt/c"),
        ("/videos/in", "fakeowner", True, "/videos"),
        ("/var/lib/docker/overlay2/x/merged/in", "overlay", False, "/var/lib/docker/overlay2/x/merged"),
        ("/over/in", "tmpfs", False, "/over"),
    ],
)
def test_linux_tells_by_its_mount_table(path: str, kind: str, *, remote: bool, point: str) -> None:
    """The longest mount point above the path counts, and the last of several at one place."""
    mount = holding(parse_mountinfo(LINUX), Path(path))
    assert (mount.type, mount.remote, mount.mount_point) == (kind, remote, Path(point))


@pytest.mark.parametrize(
    ("path", "kind", "remote"),
    [
        ("/Users/ana/in", "apfs", False),
        ("/System/Volumes/Data/home/x", "autofs", True),
        ("/Volumes/video on tour/in", "smbfs", True),
        ("/Volumes/nfs/in", "nfs", True),
        ("/Volumes/STICK/in", "msdos", False),
        ("/Volumes/host/in", "macfuse", True),
    ],
)
def test_macos_tells_by_its_mount_command(path: str, kind: str, *, remote: bool) -> None:
    """What is not flagged local is remote, and so is what a FUSE program says of itself."""
    mount = holding(parse_mount(MAC), Path(path))
    assert (mount.type, mount.remote) == (kind, remote)


def test_without_a_table_nothing_is_claimed() -> None:
    """An empty or garbled table gives an unknown type and no error."""
    assert holding(parse_mountinfo("nonsense\n\n"), Path("/x")).type == UNKNOWN
    assert holding(parse_mount("nonsense\n"), Path("/x")).type == UNKNOWN


def test_this_system_knows_where_a_file_lies(tmp_path: Path) -> None:
    """On a real system the answer is a mount point above the path, also through a link and for what is not there yet."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    mount = file_system(link / "not there")
    assert mount == file_system(tmp_path)
    assert mount.type != UNKNOWN
    assert tmp_path.resolve().is_relative_to(mount.mount_point)


@pytest.mark.skipif(sys.platform != "linux", reason="proc is Linux's")
def test_proc_is_found_and_local() -> None:
    """A mount that every Linux has is found by its type."""
    mount = file_system(Path("/proc/self"))
    assert (mount.type, mount.remote) == ("proc", False)


def test_numbers_of_files_are_trusted_only_where_the_disk_keeps_them() -> None:
    """FAT and what programs answer for make them up at each mount; Linux's own file systems and shares with servers do not."""
    steady = {mount.type: mount.steady for mount in (*parse_mountinfo(LINUX), *parse_mount(MAC))}
    made_up = {kind for kind, keeps in steady.items() if not keeps}
    assert made_up == {"fuse.sshfs", "fuseblk", "msdos", "macfuse"}
