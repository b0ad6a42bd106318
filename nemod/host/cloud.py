"""What there is to be said of the cloud: its account, whether it answers, whose clock is right.

Nothing is connected unless a folder would use the cloud: with an account of a person's own, or because it must.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from nemod.config.model import Config, EnginePolicy
from nemod.config.places import account_file
from nemod.engines.nemo.account import Account, AccountError, Origin
from nemod.engines.nemo.client import Client
from nemod.engines.nemo.faults import CloudError
from nemod.engines.nemo.line import skill_of
from nemod.engines.nemo.reach import Answered, answers
from nemod.host.finding import Finding

#: Where a token comes from, in words.
ORIGINS = {
    Origin.ENVIRONMENT: "the token in NEMO_TOKEN",
    Origin.CREDENTIAL: "the token that the service manager hands over",
    Origin.STORED: "the token stored by nemod account set-token",
    Origin.ANONYMOUS: 'an anonymous account, used by folders with engine = "nemo"',
}
#: What the extra `sandbox` brings.
SANDBOX = ("python_multipart", "starlette", "uvicorn")
#: How long the cloud may take to answer, and how far its clock and ours may be apart before tokens end at the wrong time.
ANSWER_S, APART_S = 15.0, 300.0


async def cloud(config: Config, state: Path, home: Path, env: Mapping[str, str]) -> AsyncIterator[Finding]:
    """What the folders that may use the cloud find there; nothing when there is no such folder."""
    policies = {folder.engine for folder in config.folders} - {EnginePolicy.LOCAL}
    if not policies:
        return
    yield Finding(what="cloud", found=config.nemo.api_url)
    account = Account(account_file(state), api_url=config.nemo.api_url, env=env, home=home)
    needed = EnginePolicy.NEMO in policies
    try:
        yield _account(account, needed=needed)
        has_account = account.current(now=time.time(), anonymous=needed) is not None
    except AccountError as error:
        yield Finding(what="cloud account", found=error.failure.detail, ok=False, todo=error.failure.hint)
        has_account = False
    if has_account or needed:
        answered = await answers(config.nemo, timeout_s=ANSWER_S)
        yield _answer(answered)
        if isinstance(answered, Answered):
            if answered.date is not None:
                yield _clock(answered.date)
            if has_account:
                yield await _credits(config, account)
    lacking = [name for name in SANDBOX if find_spec(name) is None]
    if lacking:
        todo = 'to try the cloud without an account: pip install "nemod[sandbox]"'
        yield Finding(what="sandbox", found=f"not installed (lacks {', '.join(lacking)})", todo=todo)
    else:
        yield Finding(what="sandbox", found="installed")


def _answer(answered: Answered | str) -> Finding:
    if isinstance(answered, str):
        todo = "check the network and api_url; folders that may, go on without the cloud"
        return Finding(what="cloud answers", found=answered, ok=False, todo=todo)
    return Finding(what="cloud answers", found=f"after {answered.took_s:.1f} s")


def _clock(date: float) -> Finding:
    apart = time.time() - date
    if abs(apart) <= APART_S:
        return Finding(what="clock, cloud", found="the cloud's clock agrees")
    found = f"this machine is {abs(apart) / 60:,.0f} minutes {'ahead of' if apart > 0 else 'behind'} the cloud"
    return Finding(what="clock, cloud", found=found, ok=False, todo="set the clock, best by NTP: sudo timedatectl set-ntp true")


async def _credits(config: Config, account: Account) -> Finding:
    asking = Client(config.nemo, account, anonymous=lambda: False, retries_s=())
    try:
        async with asyncio.timeout(ANSWER_S):
            balance = await asking.balance(skill_of(None))
    except CloudError as error:
        return Finding(what="credits", found=error.failure.detail, ok=False, todo=error.failure.hint or "try again later")
    except TimeoutError:
        return Finding(what="credits", found="the cloud did not tell in time", ok=False, todo="try again later: nemod credits")
    finally:
        await asking.close()
    return Finding(
        what="credits", found=f"{balance.available:g} available, {balance.frozen:g} frozen, {balance.total:g} in total"
    )


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
