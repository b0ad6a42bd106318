"""A small world for a daemon to die in: what is dropped, its lives and deaths, and the laws that must hold after each.

The first of two videos has a person's words beside it, so it is edited in the cloud; what comes back is too large, and is
finished here. The second passes as it is and wants the same name; a text fails. A world may say otherwise than usual what
becomes of its originals; everything then lies in a sub-folder.
"""

import hashlib
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from nemod.config.model import After
from nemod.daemon.service import open_ledger
from nemod.engines.base import EngineName
from nemod.job import JobState
from tests.crash.victim import AFTER, ELSEWHERE, LIMIT_BYTES, engine, folder, lead
from tests.support.clips import make_clip
from tests.support.daemon import leftovers

TEXT = b"once upon a time\n" * 20
WORDS = b"Make it calmer."
SUB = Path("holiday") / "day 1"
#: Lives begin as forks of a process that has imported all they need and done nothing: that is half of what a short one costs.
LIVES = multiprocessing.get_context("forkserver")
LIVES.set_forkserver_preload(["tests.crash.victim"])
#: A start asks after all other lives, too, and two who ask at once take each other's answer away.
GATE = threading.Lock()
FULL = os.environ.get("NEMOD_CRASH") == "full"
#: Worlds at once; a life mostly waits.
PARALLEL = 5 if FULL else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """What is dropped, and what must come of it."""

    big: Path  # needs an encode, which makes `made` of it; as large is what the cloud makes
    made: Path
    small: Path  # passes as it is
    after: After | None = None
    elsewhere: Path | None = None  # another file system for all but the inbox; each world has a folder of its own there

    @property
    def sub(self) -> Path:
        """Where in the inbox and in each folder things lie."""
        return Path() if self.after is None else SUB

    def fill(self, root: Path) -> Path:
        """A new world with the three in its inbox."""
        root.mkdir()
        if self.after is not None:
            (root / AFTER).write_text(self.after, encoding="utf-8")
        if self.elsewhere is not None:
            (self.elsewhere / root.name).mkdir()
            (root / ELSEWHERE).write_text(os.fspath(self.elsewhere / root.name), encoding="utf-8")
        inbox = folder(root).inbox / self.sub
        inbox.mkdir(parents=True)
        (root / "state").mkdir()
        (root / "home" / "data").mkdir(parents=True)
        shutil.copy(self.made, root / "made.mp4")
        shutil.copy(self.big, root / "heavy.mp4")
        (inbox / "a.mkv.txt").write_bytes(WORDS)
        shutil.copy(self.big, inbox / "a.mkv")
        shutil.copy(self.small, inbox / "a.mp4")
        (inbox / "text.mp4").write_bytes(TEXT)
        return root

    @property
    def originals(self) -> dict[str, str]:
        """The videos that were dropped, and the words, by digest."""
        return {"a.mkv": digest(self.big), "a.mp4": digest(self.small), "a.mkv.txt": hashlib.sha256(WORDS).hexdigest()}

    @property
    def outputs(self) -> list[str]:
        """What must come out, by digest."""
        return sorted((digest(self.made), digest(self.small)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The moment before a side effect: the how-manieth of which kind."""

    label: str
    number: int
    state: str = ""  # what a kill would leave, in a word; where it is known


def make_clips(place: Path) -> Clips:
    """Small real videos."""
    front = ("-movflags", "+faststart")
    big = make_clip(place / "big.mkv", seconds=1, size=(160, 120))
    made = make_clip(place / "made.mp4", seconds=1, size=(160, 120), extra_args=("-crf", "40", "-b:a", "32k", *front))
    small = make_clip(place / "small.mp4", seconds=1, size=(120, 160), extra_args=("-crf", "38", "-b:a", "32k", *front))
    assert max(made.stat().st_size, small.stat().st_size) <= LIMIT_BYTES < big.stat().st_size
    return Clips(big=big, made=made, small=small)


def census(clips: Clips, root: Path) -> list[Death]:
    """Every side effect of an undisturbed run."""
    clips.fill(root)
    met = moments(root)
    hold_laws_at_the_end(clips, root)
    return met


def moments(root: Path) -> list[Death]:
    """The side effects of one life, to its end."""
    assert live(root, None, "--states") == 0
    labels = Path(f"{root}.labels").read_text(encoding="utf-8").splitlines()
    states = Path(f"{root}.states").read_text(encoding="utf-8").splitlines()
    met = [(line.partition(" "), state) for line, state in zip(labels, states, strict=True)]
    return [Death(label=label, number=int(number), state=state) for (number, _, label), state in met]


def live(root: Path, death: Death | None = None, *more: str, meet: bool = False) -> int:
    """One life of the daemon, to its end or its death, or to what it is to `meet` at that moment; the exit code."""
    fate = () if death is None else (*(("--meet",) if meet else ()), death.label, str(death.number))
    life = LIVES.Process(target=lead, args=(root, *fate, *more))
    with GATE:
        life.start()
    wait([life.sentinel], 120)
    with GATE:
        life.join(0)
    assert life.exitcode in {0, -signal.SIGKILL}, f"{life.exitcode}: {Path(f'{root}.said').read_text(encoding='utf-8')}"
    return life.exitcode


def sample(deaths: Sequence[Death]) -> list[Death]:
    """One of every kind, in turns the first and the last; or all that differ."""
    if FULL:
        return different(deaths)
    first = {death.label: death for death in reversed(deaths)}
    last = {death.label: death for death in deaths}
    return [(first, last)[turn % 2][label] for turn, label in enumerate(last)]


def different(deaths: Sequence[Death]) -> list[Death]:
    """One for each state in which a kill may leave the files and the ledger, and one of each kind in any case."""
    chosen = {death.state: death for death in deaths}
    kinds = {death.label: death for death in deaths if death.label not in {one.label for one in chosen.values()}}
    return [death for death in deaths if death in {*chosen.values(), *kinds.values()}]


def hold_laws_at_every_moment(clips: Clips, root: Path) -> None:
    """What must be true of a dead daemon's files."""
    place, sub = folder(root), clips.sub
    outputs = [digest(output) for output in files(place.outbox / sub)]
    for output in files(place.outbox / sub):
        assert output.stat().st_size <= LIMIT_BYTES, "law 1"
        assert digest(output) in clips.outputs, f"{output.name} is visible and not whole"
    gone = clips.after in {After.DELETE, After.TRASH}
    made = {"a.mkv": digest(clips.made), "a.mp4": digest(clips.small), "a.mkv.txt": digest(clips.made)}
    for name, content in {**clips.originals, "text.mp4": hashlib.sha256(TEXT).hexdigest()}.items():
        places = [place.inbox, place.originals, place.failed or place.inbox]
        found = [where / sub / name for where in places if (where / sub / name).exists()]
        safe = any(digest(path) == content for path in found)
        assert safe or (gone and made.get(name) in outputs), f"law 2: {name} is lost"
    assert len(engine(root).paid()) == len(set(engine(root).paid())), "law 4: paid twice"


def hold_laws_at_the_end(clips: Clips, root: Path) -> None:
    """What must be true once all is worked off."""
    place, sub = folder(root), clips.sub
    assert sorted(digest(path) for path in files(place.outbox / sub)) == clips.outputs, "law 3: delivered once"
    assert {path.name for path in files(place.outbox / sub)} == {"a.mp4", "a (2).mp4"}
    assert place.failed is not None
    assert sorted(path.name for path in files(place.failed / sub)) == ["text.mp4", "text.mp4.failed.txt"]
    assert (place.failed / sub / "text.mp4").read_bytes() == TEXT
    assert "What happened: " in (place.failed / sub / "text.mp4.failed.txt").read_text("utf-8")
    where = {After.KEEP: place.inbox, None: place.originals, After.ARCHIVE: place.originals}
    for kept in {place.inbox, place.originals}:
        here = where.get(clips.after) == kept
        assert {path.name: digest(path) for path in files(kept / sub)} == (clips.originals if here else {})
    if clips.after is After.TRASH:
        trash = root / "home" / "data" / "Trash" / "files"
        # Its own note beside a file comes first, so that after a kill the file may get another name, or be there twice.
        assert {digest(path) for path in files(trash)} == {*clips.originals.values()}
    assert leftovers(place.inbox) == []
    assert leftovers(place.outbox) == []
    with closing(open_ledger(root / "state")) as ledger:
        jobs = ledger.jobs()
        assert sorted((job.relpath, job.state) for job in jobs) == [
            (os.fspath(sub / "a.mkv"), JobState.DONE),
            (os.fspath(sub / "a.mp4"), JobState.DONE),
            (os.fspath(sub / "text.mp4"), JobState.FAILED),
        ]
        edited = next(job for job in jobs if job.relpath.endswith("a.mkv"))
        assert [attempt.engine for attempt in edited.attempts] == [EngineName.NEMO, EngineName.LOCAL]
        assert edited.attempts[1].material == edited.attempts[0].staged
        assert [spending.cost for spending in ledger.spendings()] == [42]
        for job in jobs:
            assert [now for _, _, now in ledger.history(job.id)].count(job.state) == 1
    assert len(engine(root).paid()) == 3, "law 4: one edit, and each video made here once"


def digest(path: Path) -> str:
    """A file's content in a word."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(place: Path) -> list[Path]:
    """What a person sees in a folder; work folders are hidden."""
    return [path for path in place.iterdir() if path.is_file()] if place.exists() else []


def die_and_recover(clips: Clips, root: Path, fates: Sequence[Death]) -> int:
    """Die of each fate in turn, then live to the end; how many deaths were met."""
    clips.fill(root)
    died = 0
    for fate in fates:
        died += live(root, fate) == -signal.SIGKILL
        hold_laws_at_every_moment(clips, root)
    assert live(root) == 0
    hold_laws_at_the_end(clips, root)
    return died


def all_hold(clips: Clips, tmp_path: Path, cases: Sequence[Sequence[Death]]) -> int:
    """Try every case; those that break a law are told together. How many deaths were met."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        tried = [pool.submit(die_and_recover, clips, tmp_path / str(n), case) for n, case in enumerate(cases)]
    broken = [f"{case}: {t.exception()}" for case, t in zip(cases, tried, strict=True) if t.exception()]
    assert not broken, "\n\n".join(broken)
    return sum(t.result() for t in tried)
