"""A disk like a stick or a card, over FUSE: no hard links, no owners, times in steps of two seconds, and hard to please.

Names that differ in case or in how their letters are composed are one. Refused are those with wildcards, colons, quotes,
backslashes and control characters, with a dot or a space at the end, of old devices, of more than 143 bytes, and bytes that are
no text. Inodes have other numbers each time that it is mounted. Run as `python -m … POINT FOLDER`; it serves what lies in
FOLDER under POINT until it is unmounted (linux/fuse.h, protocol 7.31).

It has faults on demand: a file FOLDER.fault with "CALL SKIP CODE TIMES" lets so many calls of that kind ("any" of all) pass,
answers the next ones with that error, so many times, and tells of each in FOLDER.hit.
"""

import ctypes
import errno
import itertools
import os
import random
import struct
import sys
import unicodedata
from pathlib import Path

_FORBIDDEN = frozenset(':?*"<>|\\') | frozenset(map(chr, range(32)))
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})
_NAME_BYTES = 143
#: Calls that may fail; of the others nobody hears whether they did.
_CALLS = {
    1: "lookup",
    3: "getattr",
    4: "setattr",
    9: "mkdir",
    10: "unlink",
    11: "rmdir",
    12: "rename",
    13: "link",
    14: "open",
    15: "read",
    16: "write",
    20: "fsync",
    25: "flush",
    27: "opendir",
    28: "readdir",
    30: "fsyncdir",
    35: "create",
}
_SIZE, _MTIME, _MTIME_NOW = 8, 32, 256  # FATTR_*


class Stick:
    """What is known of the files of one mount."""

    def __init__(self, root: Path) -> None:
        """Serve a folder."""
        self.paths = {1: root}
        self.root = root
        self.unsynced: dict[Path, list[tuple[int, int, bytes]]] = {}  # what writes have replaced: size, offset, bytes
        self.call, self.skip, self.code, self.times = "any", 0, 0, 0
        self.numbers = itertools.count(random.randrange(1_000, 1_000_000_000, 1_000))  # noqa: S311 - only other ones

    def serve(self, fd: int) -> None:
        """Answer until it is unmounted."""
        while True:
            try:
                said = os.read(fd, 1 << 20)
            except OSError:
                return
            _, opcode, unique, node = struct.unpack_from("=IIQQ", said)
            if opcode in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET
                continue
            code, body = 0, b""
            try:
                self.fail(opcode, self.paths.get(node, Path()))
                body = self.answer(opcode, node, said[40:])
            except OSError as error:
                code = error.errno or errno.EIO
            os.write(fd, struct.pack("=IiQ", 16 + len(body), -code, unique) + body)

    def fail(self, opcode: int, path: Path) -> None:
        """Answer with the error that was asked for, when its turn has come; what could not be synced then is lost."""
        wish = Path(f"{self.root}.fault")
        if opcode not in _CALLS:
            return
        if wish.exists():
            self.call, *numbers = wish.read_text("utf-8").split()
            self.skip, self.code, self.times = map(int, numbers)
            wish.unlink()
        if self.call not in {"any", _CALLS[opcode]}:
            return
        if self.skip > 0 or not self.times:
            self.skip -= 1
            return
        self.times -= 1
        with Path(f"{self.root}.hit").open("a", encoding="utf-8") as hit:
            hit.write(f"{_CALLS[opcode]}\n")
        for size, offset, old in reversed(self.unsynced.pop(path, []) if _CALLS[opcode] == "fsync" else []):
            with path.open("r+b") as file:
                file.seek(offset)
                file.write(old)
                file.truncate(size)
        raise OSError(self.code, "as it was asked for")

    def answer(self, opcode: int, node: int, data: bytes) -> bytes:
        """Carry out a call."""
        path = self.paths.get(node, Path())
        match opcode:
            case 26:  # INIT
                return struct.pack("=IIIIHHIIHHI7I", 7, 31, 65536, 0, 12, 10, 131072, 1, 0, 0, 0, *([0] * 7))
            case 1:  # LOOKUP
                return self.entry(_found(path, data))
            case 3:  # GETATTR
                return struct.pack("=QII", 0, 0, 0) + _attr(node, path.lstat())
            case 4:  # SETATTR
                valid, _, _, size, _, _, mtime = struct.unpack_from("=IIQQQQQ", data)
                if valid & _SIZE:
                    os.truncate(path, size)
                if valid & _MTIME and not valid & _MTIME_NOW:
                    os.utime(path, (mtime, mtime))
                return struct.pack("=QII", 0, 0, 0) + _attr(node, path.lstat())
            case 9:  # MKDIR
                made = _fresh(path, data[8:])
                made.mkdir()
                return self.entry(made)
            case 35:  # CREATE
                made = _fresh(path, data[16:])
                flags = struct.unpack_from("=I", data)[0] & (os.O_ACCMODE | os.O_EXCL | os.O_TRUNC)
                handle = os.open(made, flags | os.O_CREAT, 0o666)
                return self.entry(made) + struct.pack("=QII", handle, 0, 0)
            case 14:  # OPEN
                return struct.pack("=QII", os.open(path, struct.unpack_from("=I", data)[0] & os.O_ACCMODE), 0, 0)
            case 15:  # READ
                handle, offset, size = struct.unpack_from("=QQI", data)
                return os.pread(handle, size, offset)
            case 16:  # WRITE
                handle, offset, size = struct.unpack_from("=QQI", data)
                with path.open("rb") as file:
                    file.seek(offset)
                    self.unsynced.setdefault(path, []).append((path.stat().st_size, offset, file.read(size)))
                return struct.pack("=II", os.pwrite(handle, data[40 : 40 + size], offset), 0)
            case 18:  # RELEASE
                os.close(struct.unpack_from("=Q", data)[0])
            case 10:  # UNLINK
                _found(path, data).unlink()
            case 11:  # RMDIR
                _found(path, data).rmdir()
            case 12:  # RENAME
                old, new, _ = data[8:].split(b"\0")
                self.rename(_found(path, old), _fresh(self.paths[struct.unpack_from("=Q", data)[0]], new))
            case 28:  # READDIR
                return _listing(path, *struct.unpack_from("=QQI", data)[1:])
            case 17:  # STATFS
                return struct.pack("=QQQQQIIII6I", 9999, 9999, 9999, 9999, 9999, 4096, 255, 4096, 0, *([0] * 6))
            case 13:  # LINK
                raise OSError(errno.EPERM, "no hard links")
            case 20:  # FSYNC
                self.unsynced.pop(path, None)
            case 25 | 27 | 29 | 30:  # FLUSH, OPENDIR, RELEASEDIR, FSYNCDIR
                return struct.pack("=QII", 0, 0, 0) if opcode == 27 else b""
            case _:
                raise OSError(errno.ENOSYS, "not known")
        return b""

    def entry(self, path: Path) -> bytes:
        """What the kernel is to know of a file."""
        seen = path.lstat()
        node = next((n for n, known in self.paths.items() if known == path), 0) or next(self.numbers)
        self.paths[node] = path
        return struct.pack("=QQQQII", node, 0, 0, 0, 0, 0) + _attr(node, seen)

    def rename(self, old: Path, new: Path) -> None:
        """Move a file or a folder with all that is known below it."""
        old.rename(new)
        for node, path in list(self.paths.items()):
            if path == new:
                del self.paths[node]
            elif path.is_relative_to(old):
                self.paths[node] = new / path.relative_to(old)


def _found(folder: Path, name: bytes) -> Path:
    """A file by its name in whatever case; as it is asked for, when there is none."""
    asked = os.fsdecode(name.rstrip(b"\0"))
    if len(os.fsencode(asked)) > _NAME_BYTES:
        raise OSError(errno.ENAMETOOLONG, "too long")
    return next((folder / one for one in _names(folder) if _folded(one) == _folded(asked)), folder / asked)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _fresh(folder: Path, name: bytes) -> Path:
    path = _found(folder, name)
    if any("\ud800" <= char <= "\udfff" for char in path.name):
        raise OSError(errno.EILSEQ, "no text")
    if _FORBIDDEN & set(path.name) or path.name[-1] in ". " or path.name.partition(".")[0].strip().lower() in _DEVICES:
        raise OSError(errno.EINVAL, "no such names here")
    return path


def _attr(node: int, seen: os.stat_result) -> bytes:
    time = int(seen.st_mtime) // 2 * 2
    mode = seen.st_mode | 0o777
    return struct.pack("=6Q10I", node, seen.st_size, seen.st_blocks, time, time, time, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _listing(folder: Path, offset: int, size: int) -> bytes:
    said = b""
    for number, name_ in enumerate(_names(folder)[offset:], offset + 1):
        name = os.fsencode(name_)
        one = struct.pack("=QQII", 1, number, len(name), 0) + name
        one += bytes(-len(one) % 8)
        if len(said) + len(one) > size:
            break
        said += one
    return said


def main(point: str, folder: str) -> None:
    """Mount and serve."""
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"stick", os.fsencode(point), b"fuse.stick", 0, options.encode()):
        raise SystemExit(os.strerror(ctypes.get_errno()))
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    Stick(Path(folder)).serve(fd)


if __name__ == "__main__":
    main(*sys.argv[1:])
