"""Rows of the ledger to values and back: the border where file names are bytes and nested values are JSON."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from nemod.config.model import Folder
from nemod.engines.base import EngineName, Part, Token
from nemod.failure import Failure
from nemod.job import Attempt, AttemptId, Fingerprint, Job, JobId, JobState, Route
from nemod.media.info import MediaInfo
from nemod.media.verdict import Accept, How, Refuse, Verdict

T = TypeVar("T", Failure, Folder, MediaInfo, Route, Accept, Refuse)
_PARTS = TypeAdapter(tuple[Part, ...])
_PATHS = TypeAdapter(tuple[Path, ...])

_WRAP = 1 << 64


def signed(number: int) -> int:
    """An unsigned 64-bit number (inodes on some network file systems) as SQLite can hold it."""
    return number - _WRAP if number >= _WRAP // 2 else number


def unsigned(number: int) -> int:
    """The inverse of `signed`, for inodes."""
    return number + _WRAP if number < 0 else number


def dump(value: Failure | Folder | MediaInfo | Route | Accept | Refuse) -> str:
    """A frozen value as JSON; ASCII only, so that names which are not UTF-8 survive as escapes."""
    return json.dumps(asdict(value), default=os.fspath)


_ADAPTERS: Mapping[Any, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Failure, Folder, MediaInfo, Route, Accept, Refuse)
}


def load(kind: type[T], text: str) -> T:
    """The inverse of `dump`; `sqlite3.DataError` when it is not what was written, so that the file must be damaged."""
    with _written_by_us():
        value: T = _ADAPTERS[kind].validate_python(json.loads(text))
        return value


@contextmanager
def _written_by_us() -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError) as error:  # LookupError: even the names of columns can be damaged
        raise sqlite3.DataError("a value in it is not what was written") from error


def maybe(kind: type[T], text: str | None) -> T | None:
    """`load`, or None for an empty fact."""
    return None if text is None else load(kind, text)


@_written_by_us()
def verdict(text: str | None) -> Verdict | None:
    """A verdict; only a refusal has a reason."""
    if text is None:
        return None
    return load(Refuse, text) if "reason" in json.loads(text) else load(Accept, text)


def dump_parts(parts: Sequence[Part]) -> str | None:
    """Parts as JSON; none as an empty fact."""
    return json.dumps([asdict(part) for part in parts], default=os.fspath) if parts else None


def dump_paths(paths: Sequence[Path]) -> str | None:
    """Paths as JSON; none as an empty fact."""
    return json.dumps([os.fspath(path) for path in paths]) if paths else None


def _parts(text: str | None) -> tuple[Part, ...]:
    return () if text is None else _PARTS.validate_python(json.loads(text))


def _paths(text: str | None) -> tuple[Path, ...]:
    return () if text is None else _PATHS.validate_python(json.loads(text))


def path(blob: bytes | None) -> Path | None:
    """A path from its bytes."""
    return None if blob is None else Path(os.fsdecode(blob))


def fingerprint_of(row: sqlite3.Row) -> Fingerprint:
    """Which file a row of `job` is about."""
    return Fingerprint(size_bytes=row["size"], mtime_ns=row["mtime_ns"], inode=unsigned(row["inode"]))


@_written_by_us()
def attempt_of(row: sqlite3.Row) -> Attempt:
    """A row of `attempt`, with `spent`."""
    return Attempt(
        id=AttemptId(row["id"]),
        engine=EngineName(row["engine"]),
        how=How(row["how"]),
        folder=Path(os.fsdecode(row["folder"])),
        material=path(row["material"]),
        token=None if row["token"] is None else Token(row["token"]),
        spent=bool(row["spent"]),
        staged=path(row["staged"]),
        parts=_parts(row["parts"]),
        note=row["note"],
        verdict=verdict(row["verdict"]),
        failure=maybe(Failure, row["failure"]),
        closed=row["closed"] is not None,
    )


@_written_by_us()
def job_of(row: sqlite3.Row, attempts: tuple[Attempt, ...]) -> Job:
    """A row of `job` with its attempts of the present round, oldest first."""
    plain: dict[str, Any] = {
        name: row[name] for name in ("due", "rank", "tries", "created", "started", "finished", "delivered_bytes", "disposed")
    } | {name: row[name] for name in ("instruction", "session_key")}
    return Job(
        id=JobId(row["id"]),
        folder=load(Folder, row["folder"]),
        relpath=os.fsdecode(row["relpath"]),
        fingerprint=fingerprint_of(row),
        present=bool(row["present"]),
        state=JobState(row["state"]),
        source=Path(os.fsdecode(row["source"])),
        polling=bool(row["polling"]),
        parent=None if row["parent"] is None else JobId(row["parent"]),
        media=maybe(MediaInfo, row["media"]),
        route=maybe(Route, row["route"]),
        attempts=attempts,
        target=path(row["target"]),
        targets=_paths(row["targets"]),
        failing=maybe(Failure, row["failing"]),
        quarantine=path(row["quarantine"]),
        quarantined=bool(row["quarantined"]),
        failure=maybe(Failure, row["failure"]),
        **plain,
    )
