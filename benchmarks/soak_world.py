"""What the soak drops, and what must be true of it: at every moment, and when all is worked off.

Every file that is dropped has bytes of its own (a box that no player reads holds its number), so that a digest says which one
it is, wherever it lies and under whatever name.
"""

import hashlib
import random
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nemod.daemon.service import LEDGER
from tests.support.clips import make_clip, run_ffmpeg
from tests.support.daemon import Machine, leftovers

LIMIT_BYTES = 60_000
CONFIG = """\
[nemod]
settle = "100ms"
rescan = "{rescan}s"
workers = 2
log_format = "json"
[nemo]
poll_interval = "500ms"
recheck_first = "300ms"
recheck_every = "300ms"
slots = 3
[presets.tight]
base = "compress-video"
limit = 60_000
speed = "fast"
[folders.here]
inbox = "~/here"
outbox = "~/disk/here"
preset = "tight"
engine = "local"
[folders.keeps]
inbox = "~/keeps"
preset = "tight"
engine = "local"
after = "keep"
[folders.cloud]
inbox = "~/cloud"
preset = "tight"
engine = "auto"
"""
FOLDERS = ("here", "keeps", "cloud")
#: A look at a directory that changes under it may miss a file that moves; who is missed is looked for again.
LOOKS, LOOK_PAUSE_S = 5, 0.2


class Sort(StrEnum):
    """What a dropped file is, and so what must become of it."""

    PASS = "pass"  # noqa: S105 - it is delivered byte for byte
    WRAP = "wrap"  # its index stands at the end
    ENCODE = "encode"  # it is too large
    SOUND = "sound"  # it has no picture, and fails at once
    RUBBISH = "rubbish"  # it may be an unfinished video, and fails after some looks


#: How many of a hundred files are of which sort.
SHARES: Mapping[Sort, int] = {Sort.PASS: 85, Sort.WRAP: 8, Sort.ENCODE: 3, Sort.SOUND: 3, Sort.RUBBISH: 1}
FAILING = frozenset({Sort.SOUND, Sort.RUBBISH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A file as it was dropped; `digest` is that of its content, by which it is known from then on."""

    folder: str
    name: str
    sort: Sort
    size: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A clip of each sort, as bytes."""

    clips: Mapping[Sort, bytes]

    @classmethod
    def make(cls, place: Path) -> "Material":
        """Draw them."""
        place.mkdir(parents=True)
        small = ("-crf", "42", "-b:a", "16k")
        passing = make_clip(place / "pass.mp4", seconds=0.5, size=(96, 64), extra_args=(*small, "-movflags", "+faststart"))
        wrap = make_clip(place / "wrap.mp4", seconds=0.5, size=(96, 64), extra_args=small)
        encode = make_clip(place / "encode.mp4", seconds=1, size=(160, 120), extra_args=("-crf", "1"))
        sound = place / "sound.mp4"
        run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", "-c:a", "aac", sound)
        clips = {Sort.PASS: passing, Sort.WRAP: wrap, Sort.ENCODE: encode, Sort.SOUND: sound}
        assert encode.stat().st_size > LIMIT_BYTES > 2 * passing.stat().st_size
        return cls(clips={**{sort: path.read_bytes() for sort, path in clips.items()}, Sort.RUBBISH: b"no video at all\n" * 9})

    def content(self, sort: Sort, number: int) -> bytes:
        """A clip with a number in it, and so of a size of its own."""
        filling = struct.pack(">I", number) + bytes(number % 1000)
        return self.clips[sort] + struct.pack(">I4s", 8 + len(filling), b"free") + filling


@dataclass(slots=True, kw_only=True)
class World:
    """A machine with three folders, and the memory of all that was dropped there."""

    machine: Machine
    material: Material
    dice: random.Random
    patient: bool  # files that take minutes to fail are among them
    dropped: dict[str, Dropped] = field(default_factory=dict)
    used: list[tuple[str, str]] = field(default_factory=list)
    doubled: int = 0

    def drop(self) -> Dropped:
        """One more file, at times under a name that another one had."""
        number = len(self.dropped)
        folder = self.dice.choices(FOLDERS, (70, 26, 4))[0]
        shares = {sort: share for sort, share in SHARES.items() if self.patient or sort is not Sort.RUBBISH}
        sort = Sort.ENCODE if folder == "cloud" else self.dice.choices(list(shares), list(shares.values()))[0]
        name = f"clip {number}.mp4"
        earlier = [old for where, old in self.used[-60:] if where == folder and not (self.machine.home / folder / old).exists()]
        if earlier and self.dice.random() < 0.1:
            name = self.dice.choice(earlier)
            self.doubled += 1
        content = self.material.content(sort, number)
        made = Dropped(folder=folder, name=name, sort=sort, size=len(content), digest=hashlib.sha256(content).hexdigest())
        self.dropped[made.digest] = made
        self.used.append((folder, name))
        part = self.machine.home / "part"
        part.write_bytes(content)
        part.rename(self.machine.home / folder / name)
        return made

    def rows(self, question: str) -> list[tuple[int | str | bytes | None, ...]]:
        """Ask the ledger, without a lock that anybody would notice."""
        file = self.machine.state / LEDGER
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as db:
            return db.execute(question).fetchall()

    def states(self) -> Counter[str]:
        """How many jobs are in which state."""
        return Counter(
            {str(state): int(number or 0) for state, number in self.rows("SELECT state, COUNT(*) FROM job GROUP BY 1")}
        )

    # -- the laws -----------------------------------------------------------------------------------------------------------

    def broken_now(self) -> list[str]:
        """The laws that hold at every moment: no output over its limit, every original somewhere."""
        over = [f"law 1: {path} has {size} bytes" for path, size in self._outputs() if size > LIMIT_BYTES]
        missing = set(self.dropped)
        for _ in range(LOOKS):
            missing -= {found for _, found in self._originals()}
            if not missing:
                break
            time.sleep(LOOK_PAUSE_S)
        return over + [f"law 2: {self.dropped[digest]} is lost" for digest in missing]

    def broken_at_the_end(self) -> list[str]:
        """All of them, once nothing is left to do: each file ended once, lies where it belongs, and nothing lies about."""
        broken = self.broken_now()
        places: dict[str, list[Path]] = {}
        for path, found in self._originals():
            places.setdefault(found, []).append(path)
        ends = Counter((str(folder), bytes(relpath or b""), size) for folder, relpath, size, _, _ in self._jobs())
        state_of = {(folder, relpath, size): state for folder, relpath, size, state, _ in self._jobs()}
        targets = {target for *_, state, target in self._jobs() if state == "done" and target}
        outputs = {path for path, _ in self._outputs()}
        for one in self.dropped.values():
            key = (one.folder, one.name.encode(), one.size)
            if ends[key] != 1:
                broken.append(f"law 3: {one} ended {ends[key]} times")
            if len(places.get(one.digest, ())) != 1:
                broken.append(f"law 2: {one} lies at {places.get(one.digest)}")
            elif (where := places[one.digest][0].parent) not in (right := self._belongs(one, str(state_of.get(key)))):
                broken.append(f"law 3: {one} is {state_of.get(key)}, and lies in {where} instead of {right[0]}")
            if state_of.get(key) != ("failed" if one.sort in FAILING else "done"):
                broken.append(f"law 3: {one} is {state_of.get(key)}")
        if targets != outputs:
            broken.append(
                f"law 3: outputs that no job knows, or the other way round: {sorted(map(str, targets ^ outputs))[:5]}"
            )
        passed = Counter(_digest(path) for path in outputs)
        for one in self.dropped.values():
            if one.sort is Sort.PASS and passed[one.digest] != 1:
                broken.append(f"law 3: {one} was delivered {passed[one.digest]} times")
        # An empty folder of work that could not be removed at its moment goes at the next start.
        left = [path for path in leftovers(self.machine.home) if path.is_file() or any(path.iterdir())]
        return broken + [f"left over: {path}" for path in left]

    def _belongs(self, one: Dropped, state: str) -> list[Path]:
        """Where an original may lie; one that failed and is done after all stays where it was put, if it is to be kept."""
        inbox = self.machine.home / one.folder
        if state == "failed":
            return [inbox / "failed"]
        return [inbox, inbox / "failed"] if one.folder == "keeps" or state != "done" else [inbox / "originals"]

    def _jobs(self) -> Iterator[tuple[str, bytes, int, str, Path | None]]:
        for folder, relpath, size, state, target in self.rows("SELECT folder_name, relpath, size, state, target FROM job"):
            path = Path(target.decode()) if isinstance(target, bytes) else None
            yield str(folder), bytes(relpath or b""), int(size or 0), str(state), path

    def _outputs(self) -> Iterator[tuple[Path, int]]:
        home = self.machine.home
        for place in (home / "disk" / "here", home / "keeps" / "done", home / "cloud" / "done"):
            for path in _files(place):
                yield path, path.stat().st_size

    def _originals(self) -> Iterator[tuple[Path, str]]:
        for folder in FOLDERS:
            inbox = self.machine.home / folder
            for place in (inbox, inbox / "originals", inbox / "failed"):
                for path in _files(place):
                    try:
                        yield path, _digest(path)
                    except FileNotFoundError:
                        continue  # it moves just now


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return [path for path in place.iterdir() if path.suffix == ".mp4" and not path.name.startswith(".") and path.is_file()]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
