"""Which engines may make a job's output, in which order. Pure."""

from nemod.config.model import EnginePolicy, Folder
from nemod.engines.base import EngineName
from nemod.job import Route
from nemod.media.info import MediaInfo
from nemod.media.verdict import How, how


def limit_of(folder: Folder, media: MediaInfo) -> int:
    """The limit in bytes; a preset without one promises an output smaller than its source."""
    limit = folder.preset.limit_bytes
    return media.size_bytes - 1 if limit is None else limit


def route(folder: Folder, media: MediaInfo, *, engines: frozenset[EngineName]) -> Route:
    """The plan for a source.

    Args:
        folder: its policy and preset.
        media: the source.
        engines: those that this daemon has; the cloud is among them only when there is an account.
    """
    limit = limit_of(folder, media)
    way = how(media, folder.preset, limit)
    if way is not How.ENCODE:
        # Nothing to pay and nothing to wait for: it never leaves the machine, whatever the policy.
        return Route(how=way, engines=(EngineName.LOCAL,), limit_bytes=limit)
    match folder.engine:
        case EnginePolicy.LOCAL:
            wanted: tuple[EngineName, ...] = (EngineName.LOCAL,)
        case EnginePolicy.NEMO:
            wanted = (EngineName.NEMO,)
        case EnginePolicy.AUTO:
            wanted = tuple(e for e in (EngineName.NEMO, EngineName.LOCAL) if e in engines)
    return Route(how=way, engines=wanted, limit_bytes=limit)
