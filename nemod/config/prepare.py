"""The folders of a configuration on the disk: what is missing is made, what cannot work is said.

A missing folder is made only where its parent is there, so that nothing is written into the empty mount point of a disk
that is not plugged in; right below one's home one level more is made, so that `~/Compress/NAME` works on an empty home.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from nemod import ownership
from nemod.config.model import After, Config, Folder
from nemod.config.problem import Problem
from nemod.config.rules import outputs
from nemod.config.sources import read_sources
from nemod.resources import usable_cores
from nemod.threads import patiently


def prepare(config: Config, *, home: Path, away: frozenset[Path] = frozenset()) -> tuple[Problem, ...]:
    """Make the missing inboxes, outboxes and folders for originals and failures; every problem that is left.

    Args:
        config: whose folders.
        home: below which more may be made.
        away: places whose drive is not mounted: they are waited for, not made.
    """
    return tuple(_problems(config, home, make=True, away=away))


def inspect(config: Config, *, home: Path) -> tuple[Problem, ...]:
    """What `prepare` would fail on, as far as can be seen without changing anything."""
    return tuple(_problems(config, home, make=False))


def stops(problem: Problem) -> bool:
    """Whether a daemon cannot start with it; an outbox or a program that is away only holds its folder or engine."""
    return problem.key.endswith(".inbox")


def _problems(config: Config, home: Path, *, make: bool, away: frozenset[Path] = frozenset()) -> Iterator[Problem]:
    program = config.settings.ffmpeg
    if program is not None and shutil.which(program) is None:
        what, hint = f"{program} is not there or cannot be run", "leave it out to use the ffmpeg that nemod brings"
        yield _problem(config.file, ("nemod", "ffmpeg"), what, hint)
    there = len(usable_cores())
    if config.settings.cores is not None and config.settings.cores > there:
        what = f"there {'is' if there == 1 else 'are'} only {there} here, so all of them are used"
        yield _problem(config.file, ("nemod", "cores"), what, "name fewer, or leave it out")
    wanted = ownership.Owner(user=config.settings.owner, group=config.settings.group)
    if refused := ownership.may_give(wanted):
        key = "group" if wanted.user in {None, os.geteuid()} else "owner"
        hint = "videos are delivered all the same, and belong to the account that nemod runs as"
        yield _problem(config.file, ("nemod", key), refused, hint)
    for folder in config.folders:
        for key, words in (("on_done", folder.on_done), ("on_failed", folder.on_failed)):
            if words and not _runs(words[0]):
                what, hint = f"{words[0]} is not there or cannot be run", "name a program that may be run, by its whole path"
                yield _problem(config.file, ("folders", folder.name, key), what, hint)
        faulty: Path | None = None
        for key, path in _places(folder):
            if faulty is not None and faulty in path.parents:
                continue  # it is the inbox that a person must mend
            if path in away:
                continue
            try:
                fault = patiently(partial(_fault, folder, path, home, make=make))
            except TimeoutError:
                faulty = path
                if not make:
                    yield _problem(config.file, ("folders", folder.name, key), *_silent(path))
                continue  # the daemon waits for it
            if fault is not None:
                faulty = path if key == "inbox" else faulty
                yield _problem(config.file, ("folders", folder.name, key), *fault)


def _runs(program: str) -> bool:
    with suppress(TimeoutError):
        return patiently(partial(shutil.which, program)) is not None
    return True  # its disk does not answer now, and may when it is wanted


def _places(folder: Folder) -> Iterator[tuple[str, Path]]:
    yield "inbox", folder.inbox
    for key, path in outputs(folder):
        if key != "originals" or folder.after is After.ARCHIVE or folder.own_trash:
            yield key, path


def _fault(folder: Folder, path: Path, home: Path, *, make: bool) -> tuple[str, str] | None:
    """What is wrong with a place and what to do; None when it can be used, or could be made."""
    if path == folder.inbox and path in (Path(path.anchor), Path(os.path.realpath(home))):
        return (
            f"{path} holds everything, not only videos that were dropped",
            "make a folder of its own, such as ~/Compress/clips",
        )
    missing = _missing(path)
    if missing:
        if not _may_make(folder, path, home):
            around = missing[-1].parent
            return f"{path} is missing; there is nothing below {around}", "make it, or plug in the disk that it lies on"
        if not make:
            above = missing[-1].parent
            usable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
            return None if usable else (f"{path} is missing and cannot be made in {above}", "make it, or name another place")
        try:
            for new in reversed(missing):
                new.mkdir(exist_ok=True)
                ownership.give(new)
        except OSError as error:
            return f"{path} cannot be made: {error.strerror}", "make it, or name another place"
    if not path.is_dir():
        return f"{path} is not a directory", "name a directory"
    if path == folder.inbox and not os.access(path, os.R_OK | os.X_OK):
        return f"{path} cannot be read", "make it readable for the user that runs nemod"
    if (path != folder.inbox or folder.after is not After.KEEP) and not os.access(path, os.W_OK | os.X_OK):
        return f"{path} cannot be written to", "make it writable for the user that runs nemod"
    return None


def _silent(path: Path) -> tuple[str, str]:
    return f"the disk or network share of {path} does not answer", "check its drive or its network"


def _missing(path: Path) -> list[Path]:
    """The place and the folders around it that are not there, the outermost last."""
    return [place for place in (path, *path.parents) if not os.path.lexists(place)]


def _may_make(folder: Folder, path: Path, home: Path) -> bool:
    if folder.inbox in path.parents:  # comes into being with the inbox
        return _may_make(folder, folder.inbox, home)
    match _missing(path):
        case [] | [_]:
            return True
        case [_, above]:
            return above.parent == Path(os.path.realpath(home))
        case _:
            return False


def _problem(config_file: Path, path: tuple[str, ...], what: str, hint: str) -> Problem:
    """A problem with a key, in the file that holds its folder; one that was not written is blamed on the folder."""
    for source in read_sources(config_file)[0]:
        group = source.values.get(path[0])
        if isinstance(group, dict) and path[1] in group:
            return source.problem(path, what, hint)
    return Problem(file=config_file, line=None, key=".".join(path), what=what, hint=hint)
