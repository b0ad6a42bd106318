"""A look at everything that nemod stands on: config, folders, the cloud account, ffmpeg, ledger, disks. Changes nothing.

Each finding says what was looked at, what was found, and, where something is wrong, what a person should do. Nothing is
asked over the network: what the cloud says of the account is told by `nemod credits`.
"""

import os
import platform
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from nemod.config.model import Codec, Config, EnginePolicy, Folder
from nemod.config.parse import parse
from nemod.config.places import account_file
from nemod.config.prepare import inspect as inspect_folders
from nemod.config.problem import Problem
from nemod.config.units import format_size
from nemod.daemon.locks import daemon_runs
from nemod.daemon.service import LEDGER, open_ledger
from nemod.engines.local import tools
from nemod.engines.local.codecs import CODERS
from nemod.engines.nemo.account import Account, AccountError, Origin
from nemod.failure import Failure
from nemod.intake.mounts import file_system
from nemod.job import JobState
from nemod.ledger.ledger import LedgerError
from nemod.threads import patiently

#: An outbox with less free space than this is worth a word, whatever its limit: the work lies there too.
FREE_LEAST_BYTES = 200_000_000
#: The ledger grows by some kilobytes a job.
STATE_LEAST_BYTES = 20_000_000
#: Where a token comes from, in words.
ORIGINS = {
    Origin.ENVIRONMENT: "the token in NEMO_TOKEN",
    Origin.STORED: "the token stored by nemod account set-token",
    Origin.ANONYMOUS: 'an anonymous account, used by folders with engine = "nemo"',
}
#: What the extra `sandbox` brings.
SANDBOX = ("python_multipart", "starlette", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `todo` is empty when nothing needs doing."""

    what: str
    found: str
    ok: bool = True
    todo: str = ""


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
    settings_ffmpeg = config.settings.ffmpeg if isinstance(config, Config) else None
    return (
        Finding(what="nemod", found=f"{version('nemod')} with Python {platform.python_version()} ({program})"),
        *_config(config_file, config, home),
        *(_folders(config) if isinstance(config, Config) else ()),
        *(_cloud(config, state, home, env) if isinstance(config, Config) else ()),
        *await _ffmpeg(settings_ffmpeg),
        *_state(state),
        Finding(what="daemon", found="running" if daemon_runs(state) else "not running"),
    )


def _config(file: Path, config: Config | tuple[Problem, ...], home: Path) -> Iterator[Finding]:
    if not file.exists():
        yield Finding(what="config", found=f"{file} is not there yet", todo="nemod run, or nemod init, writes one")
    elif not isinstance(config, Config):
        for problem in config:
            yield Finding(what="config", found=str(problem), ok=False, todo="mend it, then: nemod config check")
    else:
        yield Finding(what="config", found=str(file))
        for problem in inspect_folders(config, home=home):
            if problem.key == "nemod.ffmpeg":
                continue  # it is asked itself below
            yield Finding(what=f"config {problem.key}", found=problem.what, ok=False, todo=problem.hint)


def _folders(config: Config) -> Iterator[Finding]:
    for folder in config.folders:
        try:
            yield from patiently(partial(_folder, folder))
        except TimeoutError:
            continue  # said above: its disk does not answer
        except OSError as error:
            todo = "check its drive, its share or the program that serves it"
            yield Finding(what=f"folder {folder.name}", found=f"{error.filename}: {error.strerror}", ok=False, todo=todo)


def _folder(folder: Folder) -> tuple[Finding, ...]:
    if not folder.inbox.is_dir():
        return ()  # said above when it cannot be made
    mount = file_system(folder.inbox)
    how = "polled, since events of a network share do not tell all" if mount.remote else "watched by events"
    return (Finding(what=f"folder {folder.name}", found=f"{folder.inbox} on {mount.type}, {how}"), _space(folder))


def _space(folder: Folder) -> Finding:
    what = f"free space, {folder.name}"
    place = folder.outbox if folder.outbox.is_dir() else folder.inbox
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding(what=what, found=f"unknown: {error.strerror}", ok=False, todo=f"look at {place}")
    enough = free >= max(FREE_LEAST_BYTES, 2 * (folder.preset.limit_bytes or 0))
    return Finding(what=what, found=format_size(free), ok=enough, todo="" if enough else "free some space there")


def _cloud(config: Config, state: Path, home: Path, env: Mapping[str, str]) -> Iterator[Finding]:
    """What the folders that may use the cloud find there; nothing when there is no such folder."""
    policies = {folder.engine for folder in config.folders} - {EnginePolicy.LOCAL}
    if not policies:
        return
    yield Finding(what="cloud", found=config.nemo.api_url)
    account = Account(account_file(state), api_url=config.nemo.api_url, env=env, home=home)
    needed = EnginePolicy.NEMO in policies
    try:
        yield _account(account, needed=needed)
    except AccountError as error:
        yield Finding(what="cloud account", found=error.failure.detail, ok=False, todo=error.failure.hint)
    lacking = [name for name in SANDBOX if find_spec(name) is None]
    if lacking:
        todo = 'to try the cloud without an account: pip install "nemod[sandbox]"'
        yield Finding(what="sandbox", found=f"not installed (lacks {', '.join(lacking)})", todo=todo)
    else:
        yield Finding(what="sandbox", found="installed")


def _account(account: Account, *, needed: bool) -> Finding:
    now = time.time()
    todo = "set NEMO_TOKEN, or: nemod account set-token"
    found = account.current(now=now, anonymous=needed)
    if found is not None:
        proven = "has rendered" if found.proven else "has not rendered yet"
        return Finding(what="cloud account", found=f"{ORIGINS[found.origin]}, {proven}")
    if not needed:
        return Finding(what="cloud account", found="none: folders work on this machine", todo=f"to use the cloud, {todo}")
    refused = account.refused_until()
    if refused is not None and refused > now:
        until = f"{datetime.fromtimestamp(refused).astimezone():%Y-%m-%d %H:%M}"
        return Finding(what="cloud account", found=f"none, and no anonymous one before {until}", ok=False, todo=todo)
    return Finding(what="cloud account", found="none yet: an anonymous one is asked for when a video needs it")


async def _ffmpeg(named: Path | None) -> tuple[Finding, ...]:
    ffmpeg = tools.find_ffmpeg(named)
    whose = "the one that nemod brings" if named is None else "named in the config"
    found = await tools.inspect(ffmpeg)
    if isinstance(found, Failure):
        return (Finding(what="ffmpeg", found=found.detail, ok=False, todo=found.hint),)
    if found.tone_maps:
        hdr = Finding(what="HDR", found="tone-mapped to ordinary colours")
    else:
        hdr = Finding(
            what="HDR",
            found="this ffmpeg cannot tone-map (it lacks zscale)",
            ok=False,
            todo="leave `ffmpeg` out of the config, or name one that was built with zimg",
        )
    lacking = [codec for codec in Codec if not found.codes(codec)]
    known = {coder.encoder for coder in CODERS.values()} | {"aac", "libfdk_aac"}
    other = "leave `ffmpeg` out of the config, or name one that was built with"
    return (
        Finding(what="ffmpeg", found=f"{found.version} at {ffmpeg}, {whose}"),
        Finding(
            what="encoders",
            found=", ".join(sorted(found.encoders & known)),
            # Nobody needs the newer codecs but presets that ask for them.
            todo=f'for codec = "{lacking[0]}", {other} {CODERS[lacking[0]].encoder}' if lacking else "",
        ),
        hdr,
        Finding(
            what="measuring",
            found="VMAF by libvmaf" if found.scores else "this ffmpeg cannot score pictures (it lacks libvmaf)",
            todo="" if found.scores else f"{other} libvmaf: picture sizes are chosen by a rule until then",
        ),
    )


def _state(state: Path) -> Iterator[Finding]:
    if not state.is_dir():
        yield Finding(what="state", found=f"{state} is not there yet", todo="nemod run makes it")
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    mine = os.access(state, os.R_OK | os.W_OK | os.X_OK)
    private = not mode & 0o077
    todo = "" if mine else "make it writable, or set NEMOD_STATE_DIR"
    if mine and not private:
        todo = f"chmod 700 {state}"
    yield Finding(what="state", found=f"{state}, mode {mode:03o}, on {file_system(state).type}", ok=mine and private, todo=todo)
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
        counts = ledger.counts()
    finally:
        ledger.close()
    open_jobs = sum(counts[s] for s in (JobState.QUEUED, JobState.RUNNING, JobState.PARKED))
    return Finding(what="ledger", found=f"{sum(counts.values())} jobs, {open_jobs} of them open")
