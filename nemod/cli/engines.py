"""Which engines a daemon has: this machine always, the cloud only when a folder may use it.

Rules kept here:
- without a folder that may use the cloud no network client is made at all;
- a folder that may choose (`auto`) uses the cloud only with an account that a person gave, by NEMO_TOKEN or `nemod account
  set-token`: never with an anonymous one, so that nothing leaves the machine by surprise.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from nemod import logs
from nemod.cli.common import existing_ledger
from nemod.config.model import Config, EnginePolicy, Folder
from nemod.config.places import account_file
from nemod.engines.base import Engine, EngineName
from nemod.engines.local.engine import LocalEngine
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.engine import NemoEngine
from nemod.failure import NemodError

log = logs.get(__name__)


class Workshop:
    """Makes the engines for a config, and knows which of them a folder may use."""

    def __init__(self, state: Path, ffmpeg: Path, *, env: Mapping[str, str], home: Path) -> None:
        """Remember where things lie; no engine yet."""
        self._state = state
        self._local = LocalEngine(ffmpeg)
        self._env = env
        self._home = home
        self._given = False
        self._anonymous = False

    def refit(self, config: Config) -> Mapping[EngineName, Engine]:
        """The engines for a config and the account as they are now."""
        engines: dict[EngineName, Engine] = {EngineName.LOCAL: self._local}
        policies = {folder.engine for folder in config.folders}
        self._given, self._anonymous = False, EnginePolicy.NEMO in policies
        if policies <= {EnginePolicy.LOCAL}:
            return engines
        account = Account(account_file(self._state), api_url=config.nemo.api_url, env=self._env, home=self._home)
        try:
            self._given = account.current(now=time.time(), anonymous=False) is not None
        except NemodError as error:
            # The account cannot be read: what needs no cloud goes on, and the rest waits until it is put right.
            log.warning("engine.held", engine=EngineName.NEMO, why=error.failure.detail, hint=error.failure.hint)
        if self._given or self._anonymous:
            engines[EngineName.NEMO] = NemoEngine(
                config.nemo, account, local=self._local, anonymous=lambda: self._anonymous, price=self._price()
            )
        return engines

    def available(self, folder: Folder) -> frozenset[EngineName]:
        """The engines that a folder may use."""
        match folder.engine:
            case EnginePolicy.LOCAL:
                return frozenset({EngineName.LOCAL})
            case EnginePolicy.AUTO:
                return frozenset(EngineName) if self._given else frozenset({EngineName.LOCAL})
            case EnginePolicy.NEMO:
                return frozenset(EngineName)

    def _price(self) -> float | None:
        """What the last edit has cost, as far as is known."""
        with existing_ledger(self._state) as ledger:
            spendings = () if ledger is None else ledger.spendings()
        return next((spending.cost for spending in spendings if spending.cost), None)
