"""A look at everything that nemod stands on: config, folders, the cloud, ffmpeg, ledger, disks, the machine. Changes nothing.

Each finding says what was looked at, what was found, and, where something is wrong, what a person should do. It is made where
nemod runs: a service sees other folders and has other rights than a terminal, so the daemon can be asked to look for itself.
"""

import os
import platform
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import assert_never

from nemod.config.model import Config, Folder
from nemod.config.parse import parse
from nemod.config.prepare import inspect as inspect_folders
from nemod.config.problem import Problem
from nemod.config.units import format_size
from nemod.daemon.health import State, ask
from nemod.daemon.service import LEDGER, open_ledger
from nemod.delivery.publish import WORK
from nemod.host.addresses import addresses
from nemod.host.cloud import cloud
from nemod.host.encoders import encoders
from nemod.host.finding import Finding
from nemod.host.machine import clock, watches
from nemod.host.services import services
from nemod.intake.mounts import file_system
from nemod.job import JobState
from nemod.ledger.ledger import LedgerError
from nemod.threads import patiently

#: An outbox with less free space than this is worth a word, whatever its limit: the work lies there too.
FREE_LEAST_BYTES = 200_000_000
#: The ledger grows by some kilobytes a job.
STATE_LEAST_BYTES = 20_000_000


async def examine(config_file: Path, state: Path, *, home: Path, env: Mapping[str, str], program: Path) -> tuple[Finding, ...]:
    """Everything, in the order in which one thing needs the other.

    Args:
        config_file: the config, which may not exist yet.
        state: the state folder, which may not exist yet.
        home: the home directory, for `~` in the config.
        env: the environment, which wins over the config.
        program: the Python that runs.
    """
    config = parse(config_file, home=home, env=env)
    known = config if isinstance(config, Config) else None
    faults = () if known is None else inspect_folders(known, home=home)
    return (
        Finding(what="nemod", found=f"{version('nemod')} with Python {platform.python_version()} ({program})"),
        *_config(config_file, config, faults),
        *(() if known is None else _folders(known, frozenset(fault.key for fault in faults))),
        *(() if known is None else watches(known)),
        *(() if known is None else [finding async for finding in cloud(known, state, home, env)]),
        *await encoders(known),
        *(() if known is None else [finding async for finding in addresses(known)]),
        *_state(state),
        clock(),
        *services(known, home=home, env=env),
        _daemon(state),
    )


def _config(file: Path, config: Config | tuple[Problem, ...], faults: Iterable[Problem]) -> Iterator[Finding]:
    if not file.exists():
        yield Finding(what="config", found=f"{file} is not there yet", todo="nemod run, or nemod init, writes one")
    elif not isinstance(config, Config):
        for problem in config:
            yield Finding(what="config", found=str(problem), ok=False, todo="mend it, then: nemod config check")
    else:
        yield Finding(what="config", found=str(file))
        for problem in faults:
            if problem.key == "nemod.ffmpeg":
                continue  # it is asked itself below
            yield Finding(what=f"config {problem.key}", found=problem.what, ok=False, todo=problem.hint)


def _folders(config: Config, faulty: frozenset[str]) -> Iterator[Finding]:
    for folder in config.folders:
        try:
            yield from patiently(partial(_folder, folder, told=f"folders.{folder.name}.inbox" in faulty))
        except TimeoutError:
            continue  # said above: its disk does not answer
        except OSError as error:
            todo = "check its drive, its share or the program that serves it"
            yield Finding(what=f"folder {folder.name}", found=f"{error.filename}: {error.strerror}", ok=False, todo=todo)


def _folder(folder: Folder, *, told: bool) -> tuple[Finding, ...]:
    """What is found of a folder; `told`: what is wrong with its inbox was said above."""
    if not folder.inbox.is_dir():
        missing = Finding(what=f"folder {folder.name}", found=f"{folder.inbox} is not there yet", todo="nemod run makes it")
        return () if told else (missing,)
    mount = file_system(folder.inbox)
    how = "polled, since events of a network share do not tell all" if mount.remote else "watched by events"
    return (
        Finding(what=f"folder {folder.name}", found=f"{folder.inbox} on {mount.type}, {how}"),
        *_outbox(folder),
        _space(folder),
    )


def _outbox(folder: Folder) -> Iterator[Finding]:
    """What it costs to put files where they belong: a rename, where all lies on one file system."""
    if not folder.outbox.is_dir():
        return  # it is made at the start
    mount = file_system(folder.outbox)
    works = folder.outbox / WORK
    device = folder.outbox.stat().st_dev
    what, found = f"outbox, {folder.name}", f"{folder.outbox} on {mount.type}"
    if works.is_dir() and works.stat().st_dev != device:
        todo = f"unmount what is mounted at {works}: an output appears by a rename, which needs one file system"
        yield Finding(what=what, found=f"{found}; the work beside it lies on another file system", ok=False, todo=todo)
        return
    apart = [
        name
        for name, place in (("the originals", folder.originals), ("what failed", folder.failed))
        if place is not None and place.is_dir() and place.stat().st_dev != folder.inbox.stat().st_dev
    ]
    moved = f"; {' and '.join(apart)} lie on another file system than the inbox, so they are copied there" if apart else ""
    yield Finding(what=what, found=f"{found}, one file system with the work{moved}")


def _space(folder: Folder) -> Finding:
    what = f"free space, {folder.name}"
    place = folder.outbox if folder.outbox.is_dir() else folder.inbox
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding(what=what, found=f"unknown: {error.strerror}", ok=False, todo=f"look at {place}")
    enough = free >= max(FREE_LEAST_BYTES, 2 * (folder.preset.limit_bytes or 0))
    return Finding(what=what, found=format_size(free), ok=enough, todo="" if enough else "free some space there")


def _state(state: Path) -> Iterator[Finding]:
    if not os.path.lexists(state):
        above = next(place for place in state.parents if os.path.lexists(place))
        if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
            yield Finding(what="state", found=f"{state} is not there yet", todo="nemod run makes it")
        else:
            todo = "make it, or set NEMOD_STATE_DIR"
            yield Finding(what="state", found=f"{state} is not there and cannot be made in {above}", ok=False, todo=todo)
        return
    if not state.is_dir():
        todo = "move it away, or set NEMOD_STATE_DIR"
        yield Finding(what="state", found=f"{state} is not a folder", ok=False, todo=todo)
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    mine = os.access(state, os.R_OK | os.W_OK | os.X_OK)
    private = not mode & 0o077
    todo = "" if mine else "make it writable, or set NEMOD_STATE_DIR"
    if mine and not private:
        todo = f"chmod 700 {state}"
    yield Finding(what="state", found=f"{state}, mode {mode:03o}, on {file_system(state).type}", ok=mine and private, todo=todo)
    if not mine:
        return  # what lies in it cannot be seen
    free = shutil.disk_usage(state).free
    enough = free >= STATE_LEAST_BYTES
    yield Finding(what="free space, state", found=format_size(free), ok=enough, todo="" if enough else "free some space there")
    yield _ledger(state)


def _ledger(state: Path) -> Finding:
    if not (state / LEDGER).exists():
        return Finding(what="ledger", found="none yet", todo="nemod run makes it")
    try:
        ledger = open_ledger(state)
    except LedgerError as error:
        return Finding(what="ledger", found=error.failure.detail, ok=False, todo=error.failure.hint)
    try:
        ledger.check()
        counts = ledger.counts()
    except LedgerError as error:
        return Finding(what="ledger", found=error.failure.detail, ok=False, todo=error.failure.hint)
    finally:
        ledger.close()
    open_jobs = sum(counts[s] for s in (JobState.QUEUED, JobState.RUNNING, JobState.PARKED))
    return Finding(what="ledger", found=f"sound: {sum(counts.values())} jobs, {open_jobs} of them open")


def _daemon(state: Path) -> Finding:
    """Whether it is there, and does anything."""
    restart = "restart it: nemod service restart, or end it (its jobs go on at the next start) and: nemod run"
    match ask(state).state:
        case State.WORKING:
            return Finding(what="daemon", found="running")
        case State.ABSENT:
            return Finding(what="daemon", found="not running")
        case State.STUCK:
            return Finding(what="daemon", found="running, but its work stands still", ok=False, todo=restart)
        case State.SILENT:
            found = "running, but it does not answer: it is paused or hangs"
            return Finding(what="daemon", found=found, ok=False, todo=restart)
        case State.UNKNOWN:
            return Finding(what="daemon", found="cannot be known from this account", todo="ask as the one that it runs as")
        case State.STARTING | State.STOPPING as passing:
            return Finding(what="daemon", found=passing.value)
        case _ as never:
            assert_never(never)
