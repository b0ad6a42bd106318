"""The engines of this daemon: made for the config of the moment, asked whether they can work, held when they cannot.

Rules kept here:
- an engine is asked outside the work: the cloud may take its time to be away;
- a job keeps the engine that it began with, so every engine that was ever made is closed only at the end.
"""

import time
from collections.abc import Callable, Mapping

from nemod import logs
from nemod.config.model import Config, Folder
from nemod.engines.base import Engine, EngineName
from nemod.failure import Failure, Hold, Kind, NemodError, decide
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, engine_scope

log = logs.get(__name__)

Refit = Callable[[Config], Mapping[EngineName, Engine]]
#: Failures that a person may have mended without telling: credits were bought, a program was installed.
MENDABLE = frozenset({Kind.CREDITS, Kind.CREDENTIALS, Kind.TOOL_MISSING})
#: An engine that cannot say when it may be asked again is held so long.
HOLD_S = 60.0


class Fleet:
    """The engines by name; none before `equip`."""

    def __init__(self, refit: Refit, available: Callable[[Folder], frozenset[EngineName]] | None) -> None:
        """Remember who makes engines, and who knows which of them a folder may use (None: any)."""
        self._refit = refit
        self._available = available
        self._engines: Mapping[EngineName, Engine] = {}
        self._made: list[Engine] = []

    @property
    def engines(self) -> Mapping[EngineName, Engine]:
        """Those for new work."""
        return self._engines

    @property
    def careful(self) -> bool:
        """Whether only one job may be under way in the cloud."""
        cloud = self._engines.get(EngineName.NEMO)
        return cloud is not None and cloud.careful

    def available(self, folder: Folder) -> frozenset[EngineName]:
        """Those that a folder may use."""
        return frozenset(self._engines) if self._available is None else self._available(folder)

    def equip(self, config: Config) -> None:
        """Make the engines for a config; when that fails the old ones stay."""
        self._engines = self._refit(config)
        for engine in self._engines.values():
            if engine not in self._made:
                self._made.append(engine)

    async def close(self) -> None:
        """Let go of all that were ever made."""
        for engine in self._made:
            await engine.close()

    async def check(self, desk: Desk, *names: EngineName) -> None:
        """Ask engines whether they can work: one that can is held no more, one that cannot before a job meets it."""
        for name in names:
            if (engine := self._engines.get(name)) is not None:
                await _check(desk, engine)

    async def check_held(self, desk: Desk) -> None:
        """Ask those again that wait for a person."""
        holds = [h for h in await desk(Ledger.holds) if h.failure.kind in MENDABLE]
        # A hold for credits that has an end is the day's budget, of which no engine knows.
        held = {h.scope for h in holds if h.until is None or h.failure.kind is Kind.TOOL_MISSING}
        await self.check(desk, *(name for name in self._engines if engine_scope(name) in held))


async def _check(desk: Desk, engine: Engine) -> None:
    scope = engine_scope(engine.name)
    failure = await _ready(engine)
    known = next((h for h in await desk(Ledger.holds) if h.scope == scope), None)
    if failure is None:
        # Whether a plan allows it shows only after an edit was paid: that is for a person to say.
        if known is not None and known.failure.kind is not Kind.PLAN and await desk(Ledger.unhold, scope):
            log.info("engine.back", engine=engine.name)
        return
    now = time.time()
    decision = decide(failure, tries=0 if known is None else known.times, looks=(), now=now, jitter=0)
    until = decision.until if isinstance(decision, Hold) else now + HOLD_S
    if known is None or known.failure != failure:
        log.error("engine.held", engine=engine.name, why=failure.detail, hint=failure.hint, until=until)
    await desk(Ledger.hold, scope, until=until, failure=failure, now=now)


async def _ready(engine: Engine) -> Failure | None:
    try:
        return await engine.ready()
    except NemodError as error:
        return error.failure
    except Exception:
        # Whatever an engine meets when it is asked, the others go on.
        log.exception("engine.bug", engine=engine.name)
        return Failure(kind=Kind.BUG, detail=f"The engine {engine.name} met an error of its own; the log has the traceback.")
