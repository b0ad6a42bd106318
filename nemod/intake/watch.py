"""Tells that something moved in an inbox, and nothing else.

Rules kept here:
- a poke carries a folder's name: no path, no work; what happened is found out by scanning, so a lost event costs time only;
- mere reading is no news: `opened` and `closed_no_write` are not even asked for, else our own probing would wake us for ever;
- each folder has an observer of its own, so that a share that hangs takes nobody along, and forgetting one is stopping it;
- folders that events do not reach (network, FUSE, the system's watch limit) are polled.

A call that hangs may be given up: what it finds later is not watched. Every call may wait for the file system, so make it off
the event loop.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Lock, Thread
from types import MappingProxyType

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserverVFS

from nemod.intake.scan import InboxUnavailable, identity, unavailable

#: Where Linux tells its limits, and what they are raised to, at least.
LIMITS = Path("/proc/sys/fs/inotify")
ENOUGH: Mapping[str, int] = MappingProxyType({"max_user_instances": 1024, "max_user_watches": 524_288})
#: Seconds that stopping an observer may take before it is left to die with the process; a hung mount takes for ever.
_STOP_S = 3.0


class Method(StrEnum):
    """How a folder is watched."""

    EVENTS = "events"
    POLLING = "polling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a folder is watched now; `note` tells a person why it is not by events and what to do, else it is empty."""

    method: Method
    note: str = ""


class Watcher:
    """Watches inboxes and calls `poke(name)`, from threads of its own, when something moved in one."""

    def __init__(self, poke: Callable[[str], None], *, poll_s: float = 2.0) -> None:
        """Watch nothing yet; `poke` must be quick and thread-safe, `poll_s` are the seconds between polls."""
        self._poke = poke
        self._poll_s = poll_s
        self._watches: dict[str, _Watch] = {}
        self._wanted: dict[str, object] = {}  # by whose call; one that comes back late is not wanted any more
        self._one = Lock()

    def watch(
        self, name: str, inbox: Path, *, recursive: bool, remote: bool, exclude: frozenset[Path] = frozenset()
    ) -> Watching:
        """Watch a folder from now on, instead of the one that had this name.

        Args:
            name: what to poke with.
            inbox: an existing folder.
            recursive: with its sub-folders.
            remote: poll it, because events do not tell what others do there.
            exclude: sub-folders whose events are nobody's business; absolute.

        Raises:
            InboxUnavailable: it cannot be read now.
        """
        self.unwatch(name)
        mine = self._wanted[name] = object()
        found = identity(inbox)
        # Resolved, because inotify would watch a link and not the folder behind it.
        root = os.path.realpath(inbox)
        handler = _Handler(lambda: self._poke(name), frozenset(os.path.realpath(path) for path in exclude))
        watching = Watching(method=Method.POLLING)
        observer: BaseObserver | None = None
        if not remote:
            try:
                observer = _observe_events(handler, root, recursive=recursive)
                watching = Watching(method=Method.EVENTS)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EMFILE):
                    raise unavailable(error) from error
                watching = Watching(method=Method.POLLING, note=_limit_note(error.errno, self._poll_s))
        if observer is None:
            try:
                observer = _observe_polling(handler, root, recursive=recursive, poll_s=self._poll_s)
            except OSError as error:
                raise unavailable(error) from error
        with self._one:
            late = self._wanted.get(name) is not mine
            if not late:
                self._watches[name] = _Watch(inbox=inbox, identity=found, observer=observer)
        if late:
            _stop([observer])
        return watching

    def unwatch(self, name: str) -> None:
        """Stop watching a folder; one that is not watched is none the worse."""
        with self._one:
            self._wanted.pop(name, None)
            watch = self._watches.pop(name, None)
        if watch is not None:
            _stop([watch.observer])

    def alive(self, name: str) -> bool:
        """Whether the folder that its path leads to now is the one under watch; if not, watch it anew."""
        watch = self._watches.get(name)
        if watch is None or not all(emitter.is_alive() for emitter in watch.observer.emitters):
            return False
        with suppress(InboxUnavailable):
            return identity(watch.inbox) == watch.identity
        return False

    def close(self) -> None:
        """Stop all watches."""
        with self._one:
            observers = [watch.observer for watch in self._watches.values()]
            self._watches.clear()
            self._wanted.clear()
        _stop(observers)


class _Handler(FileSystemEventHandler):
    """Turns events into pokes."""

    def __init__(self, poke: Callable[[], None], exclude: frozenset[str]) -> None:
        self.exclude = exclude
        self._poke = poke

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
        if not all(self._excluded(path) for path in paths):
            self._poke()

    def _excluded(self, path: str) -> bool:
        return any(path == folder or path.startswith(f"{folder}/") for folder in self.exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    inbox: Path
    identity: tuple[int, int]
    observer: BaseObserver


def _observe_events(handler: _Handler, root: str, *, recursive: bool) -> BaseObserver:
    observer = Observer()
    try:
        _start(observer, handler, root, recursive=recursive)
        if recursive and sys.platform == "linux":
            # watchdog keeps silent about sub-folders that the limit left unwatched; room for one more says there are none.
            observer.unschedule(observer.schedule(FileSystemEventHandler(), Path(root).parent))
    except OSError:
        _stop([observer])
        raise
    return observer


def _observe_polling(handler: _Handler, root: str, *, recursive: bool, poll_s: float) -> BaseObserver:
    def listing(path: str | None) -> Iterator[os.DirEntry[str]]:
        return iter(()) if path in handler.exclude else os.scandir(path)

    # lstat: with watchdog's own choice, stat, a link to a folder above would be walked round and round.
    observer = PollingObserverVFS(os.lstat, listing, polling_interval=poll_s)
    _start(observer, handler, root, recursive=recursive)
    return observer


def _start(observer: BaseObserver, handler: _Handler, root: str, *, recursive: bool) -> None:
    wanted: list[type[FileSystemEvent]] = [
        DirCreatedEvent,
        DirDeletedEvent,
        DirMovedEvent,
        FileAttribEvent,
        FileClosedEvent,
        FileCreatedEvent,
        FileDeletedEvent,
        FileModifiedEvent,
        FileMovedEvent,
    ]
    observer.schedule(handler, root, recursive=recursive, event_filter=wanted)
    observer.start()


def _stop(observers: list[BaseObserver]) -> None:
    """Stop them side by side: watchdog joins its own threads without a limit."""
    stoppers = [Thread(target=_stop_one, args=(observer,), daemon=True) for observer in observers]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join(_STOP_S)


def _stop_one(observer: BaseObserver) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join()


def _limit_note(code: int, poll_s: float) -> str:
    name, key = ("watches", "max_user_watches") if code == errno.ENOSPC else ("instances", "max_user_instances")
    return (
        f"The system's limit of inotify {name} is reached, so this folder is polled every {poll_s:g} seconds; "
        f"to have it watched by events: sudo sysctl fs.inotify.{key}={max(ENOUGH[key], 2 * (limit_of(key) or 0))}"
    )


def limit_of(key: str) -> int | None:
    """One of Linux's limits of inotify, for each user (inotify(7)); None where it is not told."""
    try:
        return int((LIMITS / key).read_text("ascii"))
    except (OSError, ValueError):
        return None
