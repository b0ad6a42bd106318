"""Writes configuration: the default one for a first start, and one more folder in a file of its own, or one less.

Nothing that a person wrote is ever changed: TOML writers lose comments, so every file here is a new one, written whole
or not at all.
"""

import itertools
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import tomli_w

from nemod import durable
from nemod.config.model import After, Config, EnginePolicy
from nemod.config.parse import understand
from nemod.config.problem import Problem
from nemod.config.sources import Source, folders_dir, parse_text, read_sources
from nemod.resources import shared_file

#: How a file is called that is being written, and after how many seconds nobody writes it any more.
_PART, _PART_S = ".nemod-", 3600.0
_NO_ENV: Mapping[str, str] = MappingProxyType({})
#: What the machine's first config says aloud.
_SHARED = '#umask = "002"'
#: An inbox of the default configuration.
_INBOX = re.compile(r'^inbox = "~/Compress/(?P<name>[^"]+)"$', re.MULTILINE)


def write_default(file: Path, env: Mapping[str, str] = _NO_ENV) -> None:
    """Write the commented default configuration, for its owner's eyes only; FileExistsError when there is one already.

    In a container its folders lie where NEMOD_WATCH_DIR and NEMOD_OUTPUT_DIR say.
    """
    text = shared_file("config/nemod.toml").read_text(encoding="utf-8")

    def placed(found: re.Match[str]) -> str:
        places = default_places(found["name"], env)
        return "\n".join(f"{key} = {json.dumps(str(place))}" for key, place in places.items())

    _write_new(file, _INBOX.sub(placed, text).encode("utf-8"))


def write_shared(file: Path) -> None:
    """Write the same for the machine's service, for everybody to read: what it makes is its group's to tidy up."""
    text = shared_file("config/nemod.toml").read_text(encoding="utf-8")
    _write_new(file, text.replace(_SHARED, _SHARED.lstrip("#"), 1).encode("utf-8"))
    file.chmod(0o644)


def default_places(name: str, env: Mapping[str, str]) -> Mapping[str, Path]:
    """Where the inbox of a new folder lies unless somebody says otherwise, and in a container its outbox."""
    watch, output = env.get("NEMOD_WATCH_DIR"), env.get("NEMOD_OUTPUT_DIR")
    if not watch:
        return {"inbox": Path("~", "Compress", name)}
    return {"inbox": Path(watch, name), **({"outbox": Path(output, name)} if output else {})}


def add_folder(
    config_file: Path,
    name: str,
    preset: str,
    inbox: Path,
    *,
    home: Path,
    env: Mapping[str, str],
    outbox: Path | None = None,
    engine: EnginePolicy = EnginePolicy.AUTO,
    after: After = After.ARCHIVE,
    recursive: bool = False,
) -> Path | tuple[Problem, ...]:
    """Write `folders.d/NAME.toml` beside the configuration, or say why the whole would then be wrong, and write nothing.

    Give absolute paths, or ones that start with "~". The file's path is the answer when all is well.
    """
    file = folders_dir(config_file) / f"{name}.toml"
    wanted: dict[str, str | bool] = {"inbox": str(inbox), "preset": preset}
    if outbox is not None:
        wanted["outbox"] = str(outbox)
    if engine is not EnginePolicy.AUTO:
        wanted["engine"] = engine.value
    if after is not After.ARCHIVE:
        wanted["after"] = after.value
    if recursive:
        wanted["recursive"] = True
    text = tomli_w.dumps({"folders": {name: wanted}})
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        return (_problem(file, name, "TOML is UTF-8 and cannot hold this path", "rename the folder"),)
    sources, problems = read_sources(config_file)
    added = parse_text(file, text)
    if isinstance(added, Problem):
        problems = (*problems, added)
    if problems or isinstance(added, Problem):
        return problems
    taken = _problem(file, name, "there is a file of this name already", "edit it, or choose another name")
    if any(source.file == file for source in sources):
        return (taken,)
    judged = understand(config_file, (*sources, added), home=home, env=env)
    if not isinstance(judged, Config):
        return judged
    try:
        _write_new(file, content)
    except FileExistsError:  # by another command, since we looked
        return (taken,)
    return file


def remove_folder(config_file: Path, name: str) -> Path | tuple[Problem, ...]:
    """Take a folder out of the configuration by giving its file in `folders.d` a name that is not read; that is the answer.

    A file that says more than that, or the main one, is a person's to edit: the problem says where. Nothing else is touched.
    """
    sources, problems = read_sources(config_file)
    unknown = _problem(config_file, name, "there is no such folder", 'see "nemod folders list"')
    found = [source for source in sources if name in _tables(source)]
    if not found:
        return problems or (unknown,)
    source = found[0]
    if source.file.parent != folders_dir(config_file) or source.values.keys() != {"folders"} or len(_tables(source)) > 1:
        return (source.problem(("folders", name), "stands among other things", "take it out there by hand"),)
    names = (source.file.with_name(f"{source.file.name}.removed{n or ''}") for n in itertools.count())
    aside = next(path for path in names if not path.exists())
    try:
        source.file.replace(aside)
    except FileNotFoundError:  # another command was faster
        return (unknown,)
    durable.sync_folder(aside.parent)
    return aside


def _tables(source: Source) -> Mapping[str, object]:
    tables = source.values.get("folders")
    return tables if isinstance(tables, dict) else {}


def _problem(file: Path, name: str, what: str, hint: str) -> Problem:
    return Problem(file=file, line=None, key=f"folders.{name}", what=what, hint=hint)


def _write_new(file: Path, content: bytes) -> None:
    """Write a file that was not there, mode 0600: whole and on the disk, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _clear_parts(file.parent)
    handle, name = tempfile.mkstemp(prefix=_PART, dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(part, file)
        except FileExistsError:
            raise
        except OSError:
            # No hard links here (exFAT, some network shares): claim the name first, then fill it at once.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            part.replace(file)
        durable.sync_way(file.parent)
    finally:
        part.unlink(missing_ok=True)


def _clear_parts(folder: Path) -> None:
    """Remove what commands that were killed have left; nobody writes for so long."""
    for part in folder.glob(f"{_PART}{'?' * 8}"):
        with suppress(OSError):
            if time.time() - part.lstat().st_mtime > _PART_S:
                part.unlink()
