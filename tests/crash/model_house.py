"""The folders of the model test and what people do in them; it keeps account of every video that was ever dropped.

Rules kept here:
- a video whose last known copy a person destroyed is not looked for any more, every other one must lie somewhere;
- what a person does where a folder is away is nothing.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path

from nemod.config.model import Config, EnginePolicy, Folder, Nemo, Preset, Settings
from nemod.intake.names import NameKind, kind_of
from tests.crash.model_world import LIMIT_BYTES, WIDE_BYTES, Clips, Cloud, Script, serial_of, tagged

START_S = 1_700_000_000.0
NAMES = ("a.mp4", "b.mp4", "a.mov")
PRESETS = {
    "tight": Preset(name="tight", limit_bytes=LIMIT_BYTES),
    "wide": Preset(name="wide", limit_bytes=WIDE_BYTES),
    "smaller": Preset(name="smaller"),
}


class Deed(Enum):
    """What people do to files."""

    REWRITE = auto()
    DROP_AGAIN = auto()
    RENAME = auto()
    REMOVE = auto()
    TAKE_OUT = auto()
    BRING_BACK = auto()
    SAY = auto()
    OCCUPY = auto()
    VANISH = auto()
    COME_BACK = auto()


@dataclass(slots=True)
class Clock:
    """Epoch seconds, as the daemon is told."""

    now: float = START_S

    def __call__(self) -> float:
        """The time."""
        return self.now


@dataclass(slots=True, kw_only=True)
class House:
    """Two folders, one with its outbox within, a place outside of both, and the people who use them."""

    root: Path
    clips: Clips
    clock: Clock
    cloud: Cloud = field(init=False)
    folders: dict[str, Folder] = field(init=False)
    used: dict[str, bool] = field(default_factory=lambda: {"in": True, "out": True})
    dropped: dict[int, bytes] = field(default_factory=dict)  # by serial number
    destroyed: set[int] = field(default_factory=set)
    foreign: dict[Path, bytes] = field(default_factory=dict)  # what people put into an outbox
    cancelled: set[int] = field(default_factory=set)  # jobs of which it was asked
    paying: dict[int, int] = field(default_factory=dict)  # how often a job was told to pay again

    def __post_init__(self) -> None:
        """Build it."""
        self.cloud = Cloud(clips=self.clips, clock=self.clock)
        inside, beside = self.root / "in" / "inbox", self.root / "out"
        preset = PRESETS["tight"]
        self.folders = {
            "in": Folder(
                name="in",
                inbox=inside,
                outbox=inside / "done",
                originals=inside / "originals",
                failed=inside / "failed",
                preset=preset,
            ),
            "out": Folder(
                name="out",
                inbox=beside / "inbox",
                outbox=beside / "done",
                originals=beside / "originals",
                failed=beside / "failed",
                preset=preset,
                recursive=True,
                engine=EnginePolicy.NEMO,
            ),
        }
        for folder in self.folders.values():
            folder.inbox.mkdir(parents=True)
        for name in ("outside", "state"):
            (self.root / name).mkdir()

    def config(self) -> Config:
        """As it stands now."""
        folders = tuple(folder for name, folder in self.folders.items() if self.used[name])
        settings = Settings(settle_s=0, workers=2)
        return Config(file=self.root / "config.toml", settings=settings, nemo=Nemo(patience_s=600), folders=folders)

    # -- people -----------------------------------------------------------------------------------------------------------

    def do(self, deed: Deed, number: int, where: str, name: str, what: str, script: Script) -> None:
        """Do this with one of the videos, or in one of the folders."""
        match deed:
            case Deed.REWRITE:
                self.rewrite(number, what, script)
            case Deed.DROP_AGAIN:
                self.drop_again(1 + number % len(self.dropped), where, name)
            case Deed.RENAME:
                self.rename(number, name)
            case Deed.REMOVE:
                self.remove(number)
            case Deed.TAKE_OUT:
                self.take_out(number)
            case Deed.BRING_BACK:
                self.bring_back(number)
            case Deed.SAY:
                self.say(number, "Make it calmer.")
            case Deed.OCCUPY:
                self.occupy(where, "a.mp4")
            case Deed.VANISH:
                self.vanish(where)
            case Deed.COME_BACK:
                self.come_back()

    def lie(self, number: int) -> Path | None:
        """One of the videos in the inboxes."""
        found = sorted(path for folder in self.folders.values() for path in self.videos(folder))
        return found[number % len(found)] if found else None

    def videos(self, folder: Folder) -> Iterator[Path]:
        """What lies in an inbox by way of videos."""
        ours = (folder.outbox, folder.originals, folder.failed)
        for path in folder.inbox.rglob("*"):
            seen = (folder.recursive or path.parent == folder.inbox) and not any(one in path.parents for one in ours)
            if seen and path.is_file() and kind_of(path.name) is NameKind.VIDEO:
                yield path

    def drop(self, where: str, name: str, what: str, script: Script, *, old: bool) -> None:
        """A new video, written elsewhere and moved in; with a time of long ago, or now. What has the name is replaced."""
        path = self.folders[where].inbox / name
        if not path.parent.is_dir():
            return
        self._forget(path)
        self._write(self.root / "outside" / "new", what, script)
        if old:
            os.utime(self.root / "outside" / "new", (1_500_000_000, 1_500_000_000))
        (self.root / "outside" / "new").replace(path)

    def rewrite(self, number: int, what: str, script: Script) -> None:
        """Other bytes in a file that lies there."""
        if (path := self.lie(number)) is not None:
            self._forget(path)
            self._write(path, what, script)

    def drop_again(self, serial: int, where: str, name: str) -> None:
        """The same bytes once more, with their old time."""
        path = self.folders[where].inbox / name
        if path.parent.is_dir() and not path.exists() and serial in self.dropped:
            path.write_bytes(self.dropped[serial])
            os.utime(path, (1_500_000_000, 1_500_000_000))
            self.destroyed.discard(serial)

    def rename(self, number: int, name: str) -> None:
        """Another name in the same folder, perhaps another video's."""
        if (path := self.lie(number)) is not None and (to := path.with_name(name)) != path:
            self._forget(to)
            path.rename(to)

    def remove(self, number: int) -> None:
        """Thrown away."""
        if (path := self.lie(number)) is not None:
            self._forget(path)
            path.unlink()

    def take_out(self, number: int) -> None:
        """Moved elsewhere, to be brought back some time."""
        if (path := self.lie(number)) is not None:
            to = self.root / "outside" / f"{'out' if 'out' in path.parts else 'in'} {path.name}"
            self._forget(to)
            path.rename(to)

    def bring_back(self, number: int) -> None:
        """What was taken out, or what failed, moved into the inbox."""
        found = sorted(self.root.joinpath("outside").glob("* *")) + sorted(self.root.rglob("failed/*.m*"))
        found = [path for path in found if path.suffix in {".mp4", ".mov"}]
        if not found:
            return
        path = found[number % len(found)]
        where = self.folders["out" if path.name.startswith("out ") or "out" in path.parts else "in"]
        to = where.inbox / path.name.rpartition(" ")[2]
        if where.inbox.is_dir():
            self._forget(to)
            path.rename(to)

    def say(self, number: int, words: str) -> None:
        """Words beside a video."""
        if (path := self.lie(number)) is not None:
            path.with_name(f"{path.name}.txt").write_text(words, encoding="utf-8")

    def occupy(self, where: str, name: str) -> None:
        """A person's own file under a name in the outbox."""
        path = self.folders[where].outbox / name
        if path.parent.is_dir() and not path.exists():
            self.foreign[path] = b"mine"
            path.write_bytes(b"mine")

    def vanish(self, where: str) -> None:
        """The inbox is away."""
        inbox = self.folders[where].inbox
        if inbox.is_dir():
            inbox.rename(inbox.with_name("away"))

    def come_back(self) -> None:
        """Every inbox is there again."""
        for folder in self.folders.values():
            away = folder.inbox.with_name("away")
            if away.is_dir():
                if folder.inbox.exists():  # somebody has made it anew
                    shutil.rmtree(folder.inbox)
                away.rename(folder.inbox)

    def settings(self, where: str, **changes: object) -> None:
        """Other words for a folder in the config."""
        self.folders[where] = replace(self.folders[where], **changes)  # type: ignore[arg-type]

    def _write(self, path: Path, what: str, script: Script) -> None:
        serial = len(self.dropped) + 1
        content = tagged(self.clips.droppable[what], serial)
        self.dropped[serial] = content
        self.cloud.scripts[serial] = script
        path.write_bytes(content)

    def _forget(self, path: Path) -> None:
        if path.is_file() and (serial := serial_of(path.read_bytes())) is not None:
            self.destroyed.add(serial)
