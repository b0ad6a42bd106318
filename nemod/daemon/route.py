"""Which engines may make a job's output, in which order. Pure."""

from dataclasses import replace

from nemod.config.model import EnginePolicy, Finish, Folder, Nemo
from nemod.engines.base import EngineName
from nemod.job import Job, Route, at_home
from nemod.media.info import MediaInfo
from nemod.media.verdict import How, how


def limit_of(folder: Folder, media: MediaInfo) -> int:
    """The limit in bytes; a preset without one promises an output smaller than its source."""
    limit = folder.preset.limit_bytes
    return media.size_bytes - 1 if limit is None else limit


def route(
    folder: Folder,
    media: MediaInfo,
    *,
    engines: frozenset[EngineName],
    nemo: Nemo,
    instruction: str | None = None,
    asked: bool = False,
) -> Route:
    """The plan for a source.

    Args:
        folder: its policy and preset.
        media: the source.
        engines: those that may be used for this folder; for `auto` the cloud is among them only when there is an account.
        nemo: how often the cloud is told what was wrong, and who finishes what it could not make small enough.
        instruction: a person's own words for this file; only the cloud can follow them.
        asked: it goes on in the session of another job, so only the cloud can make it.
    """
    limit = limit_of(folder, media)
    finish = nemo.finish is Finish.LOCAL and EngineName.LOCAL in engines
    cloud = Route(how=How.ENCODE, engines=(EngineName.NEMO,), limit_bytes=limit, follow_ups=nemo.follow_ups, finish=finish)
    if asked:
        return cloud
    if media.window is not None:  # the cloud is sent whole files only
        return Route(how=How.ENCODE, engines=(EngineName.LOCAL,), limit_bytes=limit)
    wanted = _wanted(folder.engine, engines)
    way = how(media, folder.preset, limit)
    follows = instruction is not None and EngineName.NEMO in wanted
    if way is not How.ENCODE and not follows:
        # Nothing to pay and nothing to wait for: it never leaves the machine, whatever the policy.
        return Route(how=way, engines=(EngineName.LOCAL,), limit_bytes=limit)
    if EngineName.NEMO not in wanted:
        return Route(how=way, engines=wanted, limit_bytes=limit)
    return cloud if EngineName.LOCAL not in wanted else replace(cloud, engines=wanted, finish=False)


def replanned(job: Job, route: Route, *, policy: EnginePolicy, engines: frozenset[EngineName], nemo: Nemo) -> Route | None:
    """A plan that knows the cloud, as the folder's policy, `finish` and the account are now; None when nothing has changed.

    Everything else of a job in flight stays as it was when its file came. But a folder that has been set to `local` means it.
    """
    wanted = route.engines if job.asked else _wanted(policy, engines)
    finish = EngineName.LOCAL not in wanted and nemo.finish is Finish.LOCAL and EngineName.LOCAL in engines
    if EngineName.NEMO not in route.engines or (wanted, finish) == (route.engines, route.finish):
        return None
    if EngineName.NEMO in wanted:
        return replace(route, engines=wanted, finish=finish)
    return at_home(job, route)


def _wanted(policy: EnginePolicy, engines: frozenset[EngineName]) -> tuple[EngineName, ...]:
    match policy:
        case EnginePolicy.LOCAL:
            return (EngineName.LOCAL,)
        case EnginePolicy.NEMO:
            return (EngineName.NEMO,)
        case EnginePolicy.AUTO:
            return tuple(e for e in (EngineName.NEMO, EngineName.LOCAL) if e in engines)
