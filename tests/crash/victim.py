"""A daemon that kills itself at a side effect: `python -m tests.crash.victim ROOT [LABEL NUMBER]`.

Or, with `ROOT --meet LABEL NUMBER`, one under whose hands the script ROOT.trick changes its folders just then.

Or, with `ROOT --states`, one that lives and tells in ROOT.states, for each moment, what a kill would leave.
Or, with `ROOT --disks`, one that lives and keeps, of the moments in ROOT.wishes, what a power cut would leave, in ROOT.disks.

It is the product's own service over real files and a real ledger; only the engines are quick. Nothing of it is replaced: the
interpreter itself reports each file that is about to be changed (audit events), SQLite each transaction that is about to be
committed (a trace). Each gets a label, written to ROOT.labels; at the given occurrence of the given one the process dies, so
that what came before has happened and this has not.
"""

import asyncio
import hashlib
import importlib
import os
import random
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from nemod.cli.main import app
from nemod.config.model import After, Config, EnginePolicy, Folder, Nemo, Preset, Settings
from nemod.daemon.service import Service
from nemod.engines.base import EngineName, Progress
from nemod.engines.local.engine import LocalEngine
from tests.crash.disk import LEDGER, Cut, Disk
from tests.support.clips import ffmpeg
from tests.support.fake_engine import Deliver, FakeEngine, Pause, Pay

LIMIT_BYTES = 30_000
#: Audit events of what changes files, and how many of their arguments are paths.
CHANGES = {"os.rename": 2, "os.link": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.utime": 1, "os.chmod": 1}
#: A world may say in these files what becomes of its originals (it then looks into sub-folders), and where its folders are.
AFTER, ELSEWHERE = "after", "elsewhere"
#: A world with this file has the real engine of this machine. A child's start is a moment, and so is one in its life.
REAL, RUNNING, WHILE_S = "real", " running", 0.03
#: A world with this file has no daemon: one video is compressed by the command, into the name that stands in it.
ALONE = "alone"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Reaper:
    """Labels what is about to happen, and tells of each; who listens may let the process die of it."""

    def __init__(self, root: Path, met: Callable[[str, int], None]) -> None:
        """Count what happens below `root`; `met` hears the label and which one of it this is."""
        self._places = (os.fspath(root) + "/", os.fspath(base(root)) + "/")
        self._labels = os.open(f"{root}.labels", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._met = met
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._statement = ""
        self._fresh: list[sqlite3.Connection] = []

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        """An audit event."""
        if event == "sqlite3.connect/handle" and isinstance(args[0], sqlite3.Connection):
            self._fresh.append(args[0])
            return
        while self._fresh:  # a connection is announced a moment before it can be traced, and used later than the next event
            # One that is closed again was not the daemon's, and another thread may be faster.
            with suppress(sqlite3.ProgrammingError, IndexError):
                self._fresh.pop().set_trace_callback(self.trace)
        if event == "subprocess.Popen":
            words = [os.fsdecode(word) for word in args[1]] if isinstance(args[1], list | tuple) else []
            self._meet(f"start {'ffmpeg' if any('ffmpeg' in Path(word).name for word in words[:4]) else 'probe'}")
        elif event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            self._paths("open", args[:1])
        elif event == "ctypes.dlsym" and args[1] == "renameat2":
            self._meet("renameat2")  # it is called next, and tells nobody
        elif event in CHANGES:
            self._paths(event, args[: CHANGES[event]])

    def trace(self, sql: str) -> None:
        """A statement that SQLite is about to run."""
        if sql == "COMMIT":
            self._meet(f"commit {self._statement}")
        elif found := re.match(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+)(?: SET (\w+ = (?:'\w+'|NULL)|\w+))?", sql):
            self._statement = " ".join(word for word in found.groups() if word)

    def _paths(self, event: str, paths: tuple[object, ...]) -> None:
        names = [_named(path) for path in paths if isinstance(path, str | bytes | os.PathLike | int)]
        # A name that is not absolute is relative to a folder that is being removed.
        near = [
            name.removeprefix(self._places[0]).removeprefix(self._places[1])
            for name in names
            if name.startswith(self._places) or not name.startswith("/")
        ]
        if near and not any(name.startswith("state/") for name in near):
            self._meet(f"{event} {' '.join(re.sub(r'[0-9a-f]{8,}|[0-9]+', '#', name) for name in near)}")

    def _meet(self, label: str) -> None:
        with self._lock:
            self._seen[label] += 1
            os.write(self._labels, f"{self._seen[label]} {label}\n".encode())
            self._met(label, self._seen[label])


def _named(path: str | bytes | os.PathLike[str] | int) -> str:
    """A path as it is, also where a held file or folder stands for it."""
    name = f"/proc/self/fd/{path}" if isinstance(path, int) else os.fsdecode(path)
    held = re.match(r"/proc/self/fd/[0-9]+", name)
    try:
        return name if held is None else f"{Path(held[0]).readlink()}{name[held.end() :]}"
    except OSError:
        return name


def die_of(label: str, number: int) -> Callable[[str, int], None]:
    """Let the process die of one moment."""

    def met(now: str, count: int) -> None:
        if (now, count) == (label.removesuffix(RUNNING), number):
            if label.endswith(RUNNING):
                threading.Timer(WHILE_S, os.kill, (os.getpid(), signal.SIGKILL)).start()
                return
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # a signal to oneself may take a moment; not one more effect until then

    return met


def suffer(root: Path, label: str, number: int) -> Callable[[str, int], None]:
    """Run a script at one moment; a life that is told to wait after that has nothing more to show, and ends."""
    over = False

    def met(now: str, count: int) -> None:
        nonlocal over
        if (now, count) == (label, number):
            over = True
            child = os.posix_spawn("/bin/sh", ["sh", f"{root}.trick"], os.environ)  # of which nobody is told
            assert os.waitpid(child, 0)[1] == 0
        elif over and now.startswith("commit INSERT INTO hold"):
            os.kill(os.getpid(), signal.SIGKILL)

    return met


def tell_states(root: Path) -> Callable[[str, int], None]:
    """Write a digest of what lies there at each moment: where it is the same, so is what a kill leaves."""
    states = os.open(f"{root}.states", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def met(_label: str, _count: int) -> None:
        os.write(states, f"{state(root)}\n".encode())

    return met


def state(root: Path) -> str:
    """All files with their names and bytes, and the ledger, in a word; but for times and random names."""
    told = []
    for top in {root, base(root)}:
        for where, _, names in os.walk(top):
            if not where.startswith(os.fspath(root / "state")):
                told += [f"{where} {name} {_content(Path(where) / name)}" for name in names] or [where]
    ledger = root / LEDGER
    if ledger.exists():
        with closing(sqlite3.connect(ledger)) as db:
            rows = [row for row in db.iterdump() if not row.startswith('INSERT INTO "job_event"')]
        told += [re.sub(r"\b[0-9]+\.[0-9]+(e[+-]?[0-9]+)?\b", "#", row) for row in rows]
    # Inodes and random names have eight digits and more.
    return hashlib.sha256("\n".join(sorted(re.sub(r"[0-9a-f]{8,}", "#", line) for line in told)).encode()).hexdigest()


def _content(path: Path) -> str:
    try:
        return f"{path.stat().st_mode:o} {hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()[:7]}"
    except FileNotFoundError:
        return "gone"


def keep_disks(root: Path) -> Callable[[str, int], None]:
    """Keep the wished disks, by the line of their wish: which cut, the how-manieth moment, of which label."""
    wishes: dict[tuple[str, int], list[tuple[int, Cut]]] = {}
    for line, wish in enumerate(Path(f"{root}.wishes").read_text(encoding="utf-8").splitlines()):
        cut, count, label = wish.split(" ", 2)
        wishes.setdefault((label, int(count)), []).append((line, Cut(cut)))
    place = Path(f"{root}.disks")
    place.mkdir()
    disk = Disk(root=root)
    disk.begin()

    def met(now: str, count: int) -> None:
        for line, cut in wishes.get((now, count), ()):
            disk.leave(cut, place / str(line), random.Random(line))  # noqa: S311 - the same each time

    return met


def base(root: Path) -> Path:
    """Where the other folders of an inbox are."""
    return Path((root / ELSEWHERE).read_text("utf-8")) if (root / ELSEWHERE).exists() else root / "inbox"


def folder(root: Path) -> Folder:
    """The inbox below a root."""
    inbox = root / "inbox"
    after = After((root / AFTER).read_text("utf-8")) if (root / AFTER).exists() else None
    return Folder(
        name="clips",
        inbox=inbox,
        outbox=base(root) / "done",
        originals=base(root) / "originals",
        failed=base(root) / "failed",
        preset=Preset(name="tight", limit_bytes=LIMIT_BYTES),
        engine=EnginePolicy.LOCAL if halves(root) or (root / REAL).exists() else EnginePolicy.NEMO,
        after=after or After.ARCHIVE,
        recursive=after is not None,
    )


def halves(root: Path) -> tuple[Path, ...]:
    """The parts that the engine makes of every video, in a world that has them."""
    return tuple(sorted((root / "halves").glob("*.mp4")))


def cloud(root: Path) -> FakeEngine:
    """Asks, pays, is polled, and delivers what is too large."""
    edit, poll = Pay(what="the edit", expects=50, cost=42), Pause(seconds=0.05, polling=True)
    script = (Progress(stage="asking"), edit, poll, Deliver(file=root / "heavy.mp4"))
    return FakeEngine(script, root / "journal", name=EngineName.NEMO)


def engine(root: Path) -> FakeEngine:
    """Pays, waits outside, and delivers what lies ready, in parts where those lie there."""
    ready = Deliver(file=root / "made.mp4", parts=halves(root))
    script = (Progress(stage="working"), Pay(what="the work"), Pause(seconds=0.05), ready)
    return FakeEngine(script, root / "journal")


def main(root: Path, met: Callable[[str, int], None]) -> None:
    """Work off the inbox, or compress its one video, or die of it."""
    if (root / ALONE).exists():
        sys.addaudithook(Reaper(root, met).hook)
        source, output = root / "inbox" / "a.mkv", root / "inbox" / (root / ALONE).read_text("utf-8")
        app(["compress", os.fspath(source), "--limit", str(LIMIT_BYTES), "--output", os.fspath(output)])
    nemo = Nemo(follow_ups=0, max_credits_per_day=100)
    config = Config(file=root / "config.toml", settings=Settings(settle_s=0.05), nemo=nemo, folders=(folder(root),))
    here = LocalEngine(ffmpeg()) if (root / REAL).exists() else engine(root)
    makers = {made.name: made for made in (here, cloud(root))}
    service = Service(config, root / "state", lambda _: makers, ffmpeg(), reread=lambda: config, once=True)
    sys.addaudithook(Reaper(root, met).hook)
    asyncio.run(service.run(lambda: None))


def lead(root: Path, *fate: str) -> None:
    """One life in a world of its own, with what it says in ROOT.said."""
    os.environ |= {"HOME": f"{root}/home", "TMPDIR": f"{root}/home", "XDG_DATA_HOME": f"{root}/home/data"}
    if trash := sys.modules.get("send2trash.plat_other"):
        importlib.reload(trash)  # it decides where the trash is when it is imported, which was before the fork
    for stream in (1, 2):
        os.dup2(os.open(f"{root}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
    match fate:
        case ():
            main(root, lambda _label, _count: None)
        case ("--states",):
            main(root, tell_states(root))
        case ("--disks",):
            main(root, keep_disks(root))
        case ("--meet", label, number):
            main(root, suffer(root, label, int(number)))
        case (str() as label, str() as number):
            main(root, die_of(label, int(number)))
        case _:
            sys.exit("usage: python -m tests.crash.victim ROOT [LABEL NUMBER | --meet LABEL NUMBER | --states | --disks]")


if __name__ == "__main__":
    lead(Path(sys.argv[1]), *sys.argv[2:])
