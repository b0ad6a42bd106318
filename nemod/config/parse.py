"""From TOML to a `Config`, or to every problem at once. Reads files and follows links, changes nothing.

The keys of each table stand here, and nowhere else; the example config is held against them by a test.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from nemod.config import naming, shapes
from nemod.config.builtin import builtin_presets, parse_limit
from nemod.config.cloud import env_problem, read_nemo
from nemod.config.encoders import parse_encoder
from nemod.config.hours import parse_hours
from nemod.config.model import (
    After,
    Codec,
    Config,
    EnginePolicy,
    Folder,
    OnImpossible,
    Preset,
    SessionScope,
    Settings,
    Span,
    Speed,
    Tracks,
)
from nemod.config.owners import parse_group, parse_umask, parse_user
from nemod.config.prepare import inspect
from nemod.config.problem import Problem, did_you_mean
from nemod.config.rules import check_folders
from nemod.config.shapes import Table
from nemod.config.skills import Skill, platform_of, sendable, skill_in
from nemod.config.sources import Source, read_sources
from nemod.config.telling import command, read_notify, told_of
from nemod.config.units import UnitError, parse_bitrate, parse_duration, parse_retention, parse_size, parse_time

SETTINGS_KEYS = (
    *("settle", "rescan", "workers", "cores", "niceness", "umask", "owner", "group"),
    *("log_format", "log_level", "ffmpeg", "encoder", "hook_timeout"),
)
FOLDER_KEYS = (
    "inbox",
    "preset",
    "encoder",
    "outbox",
    "originals",
    "failed",
    "engine",
    "after",
    "recursive",
    "ignore",
    "session",
    "output_name",
    "hours",
    "retention",
    "keep_free",
    "on_done",
    "on_failed",
    "notify",
)
PRESET_KEYS = (
    *("base", "limit", "max_height", "max_fps", "codec", "encoder", "speed", "audio", "audio_bitrate"),
    *("start", "end", "on_impossible", "measure"),
    *("message", "keep_location", "skill", "summary"),
)
_TABLES = ("nemod", "nemo", "notify", "folders", "presets")
#: These say how nemod runs, not what a folder does.
_MAIN_ONLY = ("nemod", "nemo", "notify")
_NO_ENV: Mapping[str, str] = MappingProxyType({})


def parse(file: Path, *, home: Path, env: Mapping[str, str] = _NO_ENV) -> Config | tuple[Problem, ...]:
    """The configuration in a file and in `folders.d` beside it, or all problems, in the order in which they were written."""
    sources, unreadable = read_sources(file)
    return unreadable or understand(file, sources, home=home, env=env)


def check(file: Path, *, home: Path, env: Mapping[str, str] = _NO_ENV) -> Config | tuple[Problem, ...]:
    """As `parse`, but its folders and programs must be there, too: faults of the text hide none of the disk."""
    sources, unreadable = read_sources(file)
    if unreadable:
        return unreadable
    config, problems = _read(file, sources, home=home, env=env)
    return _sorted([*problems, *inspect(config, home=home)], sources) or config


def understand(
    file: Path, sources: Sequence[Source], *, home: Path, env: Mapping[str, str] = _NO_ENV
) -> Config | tuple[Problem, ...]:
    """What sources say, the main one first; `file` is the main one's path, against which relative inboxes count."""
    config, problems = _read(file, sources, home=home, env=env)
    return _sorted(problems, sources) or config


def _sorted(problems: list[Problem], sources: Sequence[Source]) -> tuple[Problem, ...]:
    order = {source.file: number for number, source in enumerate(sources)}
    return tuple(sorted(problems, key=lambda p: (order[p.file], p.line or 0)))


def _read(file: Path, sources: Sequence[Source], *, home: Path, env: Mapping[str, str]) -> tuple[Config, list[Problem]]:
    """What can be understood, and every problem."""
    problems: list[Problem] = []
    tops = [Table(source=source, path=(), values=source.values, problems=problems) for source in sources]
    for number, top in enumerate(tops):
        top.only(_TABLES)
        for key in _MAIN_ONLY if number else ():
            if key in top.values:
                top.fault(key, "settings stand in the main file only", f"move them to {file}")
    main = tops[0]
    base = Path(os.path.abspath(file)).parent  # noqa: PTH100 - not resolved: a linked file counts where the link lies
    general = main.table("nemod")
    settings = _settings(general, base, home) if general is not None else Settings()
    # The environment counts without a table as well.
    nemo = read_nemo(main.table("nemo") or replace(main, path=("nemo",), values={}), env)
    named = env.get("SKILL_SOURCE", "").strip()
    if named and not sendable(named):
        problems.append(env_problem(main, "SKILL_SOURCE", "cannot be sent to the cloud", 'write it like "clawhub"'))
        named = ""
    here = platform_of(Path(__file__).resolve(), named)
    builtin = {
        name: replace(preset, skill_platform=here, encoder=settings.encoder) for name, preset in builtin_presets().items()
    }
    own = _unique("preset", (table for top in tops for table in top.tables("presets")))
    blank = Preset(name="", skill_platform=here, encoder=settings.encoder)
    presets = {**builtin, **_own_presets(own, builtin, skill_in(base, home, here=here, named=named), blank)}
    folders = []
    for table in _unique("folder", (table for top in tops for table in top.tables("folders"))).values():
        folder = _folder(table, presets, base, home)
        if folder is not None:
            folders.append((folder, table))
    check_folders(folders)
    whole = Config(
        file=file,
        settings=settings,
        nemo=nemo,
        notify=read_notify(main, env, base, home),
        folders=tuple(folder for folder, _ in folders),
        presets=MappingProxyType(presets),
    )
    return whole, problems


def _unique(what: str, tables: Iterable[Table]) -> dict[str, Table]:
    """The tables by name; a name that was used before, which takes two files, is a problem."""
    unique: dict[str, Table] = {}
    for table in tables:
        first = unique.setdefault(table.name, table)
        if first is not table:
            table.fault(None, f"there is a {what} of this name at {first.place} already", "choose another name")
    return unique


def _settings(table: Table, base: Path, home: Path) -> Settings:
    table.only(SETTINGS_KEYS)
    default = Settings()
    return Settings(
        settle_s=table.take("settle", parse_duration, default.settle_s),
        rescan_s=table.take("rescan", parse_duration, default.rescan_s),
        workers=table.take("workers", shapes.whole(1, 64), default.workers),
        cores=table.take("cores", shapes.maybe(shapes.whole(1, 1024)), default.cores),
        niceness=table.take("niceness", shapes.whole(0, 19), default.niceness),
        umask=table.take("umask", shapes.maybe(parse_umask), default.umask),
        owner=table.take("owner", shapes.maybe(parse_user), default.owner),
        group=table.take("group", shapes.maybe(parse_group), default.group),
        log_format=table.take("log_format", shapes.one_of(("auto", "json", "console")), default.log_format),
        log_level=table.take("log_level", shapes.one_of(("debug", "info", "warning", "error")), default.log_level),
        ffmpeg=table.take("ffmpeg", _program(base, home), default.ffmpeg),
        encoder=table.take("encoder", parse_encoder, default.encoder),
        hook_timeout_s=table.take("hook_timeout", parse_duration, default.hook_timeout_s),
    )


def _program(base: Path, home: Path) -> Callable[[object], Path | None]:
    """A path, or a bare name, which is left for the system to find."""

    def read(value: object) -> Path:
        name = shapes.text(value)
        return Path(name) if "/" not in name and name[0] not in "~$" else shapes.path_in(base, home)(name)

    return read


def _own_presets(
    tables: Mapping[str, Table], builtin: Mapping[str, Preset], read_skill: Callable[[object], Skill], blank: Preset
) -> dict[str, Preset]:
    """Every preset of one's own, built after the one that it is based on."""
    done: dict[str, Preset] = {}
    own = {name: table for name, table in tables.items() if name not in builtin}

    def build(table: Table) -> Preset:
        return _preset(table, {**builtin, **done}, own, replace(blank, name=table.name), read_skill)

    for start in own:
        chain: list[str] = []
        name: object = start
        while isinstance(name, str) and name in own and name not in done and name not in chain:
            chain.append(name)
            name = own[name].values.get("base")
        if isinstance(name, str) and name in chain:
            ring = [*chain[chain.index(name) :], name]
            own[name].fault("base", f"presets are based on each other: {' -> '.join(ring)}", "break the ring")
        for link in reversed(chain):
            done[link] = build(own[link])
    for name in tables.keys() - own.keys():
        tables[name].fault(None, "is the name of a built-in preset", f'choose another name and write base = "{name}"')
        build(tables[name])  # for what else is wrong with it
    return done


def _preset(
    table: Table,
    ready: Mapping[str, Preset],
    own: Mapping[str, Table],
    blank: Preset,
    read_skill: Callable[[object], Skill],
) -> Preset:
    table.only(PRESET_KEYS)
    named = table.values.get("base")
    # A base of one's own that is not ready is in a ring, which has been reported.
    in_ring = isinstance(named, str) and named in own and named not in ready
    base = blank if in_ring else table.take("base", _known(ready), blank)
    limit = table.take("limit", parse_limit, base.limit_bytes)
    # The words of a base speak of its figure; under another limit they would mislead people and the cloud agent.
    words = base if limit == base.limit_bytes else blank
    message = base.message if base.message is not None and "{limit}" in base.message else words.message
    inherited = Skill(name=base.skill, version=base.skill_version, platform=base.skill_platform, file=base.skill_file)
    skill = table.take("skill", read_skill, inherited)
    start_s = table.take("start", parse_time, base.start_s)
    end_s = table.take("end", parse_time, base.end_s)
    if end_s is not None and end_s <= (start_s or 0.0):
        table.fault("end" if "end" in table.values else "start", "nothing lies between start and end", "end must be later")
    codec = table.take("codec", shapes.member(Codec), base.codec)
    return Preset(
        name=table.name,
        limit_bytes=limit,
        max_height=table.take("max_height", shapes.whole(16, 16384), base.max_height),
        max_fps=table.take("max_fps", shapes.rate, base.max_fps),
        codec=codec,
        encoder=table.take("encoder", partial(parse_encoder, codec=codec), base.encoder),
        speed=table.take("speed", shapes.member(Speed), base.speed),
        audio=table.take("audio", shapes.member(Tracks), base.audio),
        audio_bitrate_bps=table.take("audio_bitrate", parse_bitrate, base.audio_bitrate_bps),
        start_s=start_s,
        end_s=end_s,
        on_impossible=table.take("on_impossible", shapes.member(OnImpossible), base.on_impossible),
        measure=table.take("measure", shapes.flag, base.measure),
        keep_location=table.take("keep_location", shapes.flag, base.keep_location),
        message=table.take("message", shapes.text, message),
        skill=skill.name,
        skill_version=skill.version,
        skill_platform=skill.platform,
        skill_file=skill.file,
        summary=table.take("summary", shapes.text, words.summary),
        note=words.note,
    )


def _known(presets: Mapping[str, Preset]) -> Callable[[object], Preset]:
    def read(value: object) -> Preset:
        name = shapes.text(value)
        if name not in presets:
            raise UnitError(f'no preset named "{name}"', did_you_mean(name, presets, otherwise='see "nemod presets"'))
        return presets[name]

    return read


def _folder(table: Table, presets: Mapping[str, Preset], base: Path, home: Path) -> Folder | None:
    """A folder; None when it has no inbox to speak of. What else is wrong is reported and has its default."""
    table.only(FOLDER_KEYS)
    for key, hint in (("inbox", "where do the videos arrive?"), ("preset", 'what should they become? See "nemod presets"')):
        if key not in table.values:
            table.fault(key, "is missing", hint)
    preset = table.take("preset", _known(presets), Preset(name=""))
    encoder = table.take("encoder", partial(parse_encoder, codec=preset.codec), preset.encoder)
    engine = table.take("engine", shapes.member(EnginePolicy), EnginePolicy.AUTO)
    after = table.take("after", shapes.member(After), After.ARCHIVE)
    recursive = table.take("recursive", shapes.flag, False)
    nothing: tuple[str, ...] = ()
    ignore = table.take("ignore", shapes.texts, nothing)
    session = table.take("session", shapes.member(SessionScope), SessionScope.JOB)
    no_hours: tuple[Span, ...] = ()
    hours = table.take("hours", parse_hours, no_hours)
    for key in ("retention", "keep_free"):
        if key in table.values and after is not After.TRASH:
            table.fault(key, f'means nothing with after = "{after.value}"', 'write after = "trash", or leave it out')
    output_name = table.take("output_name", naming.parse_template, naming.PLAIN)
    inbox = table.take("inbox", shapes.path_in(base, home), Path())
    if inbox == Path():
        return None
    below = shapes.path_in(inbox, home)
    return Folder(
        name=table.name,
        inbox=inbox,
        outbox=table.take("outbox", below, below("done")),
        originals=table.take("originals", below, below("originals")),
        failed=table.take("failed", below, below("failed")),
        preset=replace(preset, encoder=encoder),
        engine=engine,
        after=after,
        recursive=recursive,
        ignore=ignore,
        session=session,
        output_name=output_name,
        hours=hours,
        retention_s=table.take("retention", shapes.maybe(parse_retention), None),
        keep_free_bytes=table.take("keep_free", shapes.maybe(parse_size), None),
        on_done=table.take("on_done", command(base, home), nothing),
        on_failed=table.take("on_failed", command(base, home), nothing),
        # What the name of a video says must not leave this machine unless a person wants that.
        notify=table.take("notify", told_of, engine is not EnginePolicy.LOCAL),
    )
