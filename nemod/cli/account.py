"""`nemod account` and `nemod credits`: who pays in the cloud, and what was paid.

Rules kept here:
- a token comes in by a hidden prompt or by standard input, never by an argument, and never goes out again;
- looking asks for no account and makes no client id; only `nemod credits` talks to the cloud.
"""

import asyncio
import getpass
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

import typer

from nemod.cli.common import (
    ConfigOption,
    JsonOption,
    Places,
    existing_ledger,
    places,
    print_json,
    print_sheet,
    say,
    tell,
    tell_daemon,
)
from nemod.cli.exits import ExitCode, Stop
from nemod.config.model import Nemo
from nemod.config.places import SYSTEM_HOME, SYSTEM_TOKEN, account_file
from nemod.daemon.mailbox import Verb
from nemod.daemon.purse import day_of
from nemod.engines.nemo import client
from nemod.engines.nemo.account import Account, Credentials, Origin
from nemod.engines.nemo.client import Client, CloudError, skill_of
from nemod.engines.nemo.wire import Balance, Trouble
from nemod.failure import Kind
from nemod.host.cloud import ORIGINS
from nemod.ledger.ledger import Ledger
from nemod.text import safe
from nemod.threads import Threads
from nemod.views import Sheet

#: More than any token has; what is piped in by mistake may have no end.
TOKEN_MOST = 4096
#: A claim token opens a page in the browser and nothing else.
CLAIM = "clm_"
#: So many jobs in the table; JSON has all of them.
ROWS_MOST = 30
#: A person waits for the answer, and can ask again.
RETRIES_S = (0.5,)
HOW = "Set NEMO_TOKEN, or store a token with: nemod account set-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCost:
    """What a job has cost in `edits` paid messages, the last one `at`; not `sure`: some of it is only expected."""

    job: int
    file: str
    at: float
    edits: int
    credits: float
    sure: bool


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="See, store or forget the account in the NemoVideo cloud.")
    group.command(epilog="\b\nExamples:\n  nemod account status\n  nemod account status --json | jq .origin")(status)
    group.command(
        "set-token",
        # Taken so that they can be refused in words.
        context_settings={"allow_extra_args": True},
        epilog="\b\nExamples:\n"
        "  nemod account set-token                    asks for it and shows nothing\n"
        "  nemod account set-token < token.txt        for scripts",
    )(set_token)
    group.command(epilog="\b\nExamples:\n  nemod account forget\n  nemod account forget && nemod account status")(forget)
    app.add_typer(group, name="account", epilog="\b\nExample:\n  nemod account status")
    app.command("credits", epilog="\b\nExamples:\n  nemod credits\n  nemod credits --json | jq .available")(show_credits)


def account_at(where: Places, nemo: Nemo) -> Account:
    """The account for the cloud that the config names."""
    return Account(account_file(where.state), api_url=nemo.api_url, env=where.env, home=where.home)


def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show which account is used, and how long it lasts.

    It asks nobody: what the cloud itself says of the account is told by nemod credits.
    """
    where = places(config)
    nemo = where.load_or_default().nemo
    account = account_at(where, nemo)
    now = time.time()
    found = account.current(now=now, anonymous=True)
    refused = account.refused_until()
    refused = refused if found is None and refused is not None and refused > now else None
    known = account.has_client_id()
    if as_json:
        print_json(
            {
                "origin": None if found is None else found.origin.value,
                "api_url": nemo.api_url,
                "user": None if found is None else found.user or None,
                "expires_at": None if found is None else found.expires_at,
                "proven": found is not None and found.proven,
                "client_id_known": known,
                "refused_until": refused,
            }
        )
        return
    say(f"Cloud:     {safe(nemo.api_url)}")
    if found is None:
        say('Account:   none; folders with engine = "auto" work on this machine')
        if refused is not None:
            say(f"           The cloud gives no anonymous account before {_moment(refused)}.")
    else:
        say(f"Account:   {ORIGINS[found.origin]}")
        say(f"Ends:      {_ends(found, now)}")
        say(f"Rendered:  {'yes' if found.proven else 'not yet; until it has, one video at a time goes there'}")
    say(f"Client id: {'known' if known else 'none yet'}")
    if where.home == SYSTEM_HOME and SYSTEM_TOKEN.exists() and "CREDENTIALS_DIRECTORY" not in where.env:
        tell(f"The service itself uses the token in {SYSTEM_TOKEN}; ask it with: nemod doctor --service")
    elif found is None:
        say(HOW)
    elif found.origin is Origin.ANONYMOUS and found.user:
        say(f"Keep it by registering: {safe(nemo.web_url)}/register?bind={safe(found.user)}")


def set_token(ctx: typer.Context, config: ConfigOption = None) -> None:
    """Store a token of your own for the cloud.

    It is asked for, or read from standard input, and kept in a file that only you can read.
    """
    if ctx.args:
        raise Stop(
            ExitCode.USAGE,
            "A token is not taken as an argument: the shell's history and the list of processes would show it.",
            hint="Run it without one and type the token when you are asked. What has been shown already should be revoked.",
        )
    where = places(config)
    nemo = where.load_or_default().nemo
    token = _typed()
    if not token:
        raise Stop(ExitCode.USAGE, "There was no token to read; nothing has changed.")
    if token.startswith(CLAIM):
        hint = "The account's token begins with nmv_usr_ as a rule."
        raise Stop(ExitCode.USAGE, "This is a claim token, which only opens a page in the browser.", hint=hint)
    account_at(where, nemo).keep_given(token, now=time.time())
    tell_daemon(where.state, Verb.ACCOUNT)
    say(f"Stored, for {safe(nemo.api_url)} only. See what it is worth with: nemod credits")
    if where.env.get("NEMO_TOKEN", "").strip():
        tell("NEMO_TOKEN is set and wins over the stored token wherever it is set.")


def forget(config: ConfigOption = None) -> None:
    """Forget the stored account.

    Only this machine forgets it; the account itself stays as it is.
    """
    where = places(config)
    nemo = where.load_or_default().nemo
    if account_at(where, nemo).forget():
        tell_daemon(where.state, Verb.ACCOUNT)
        say(f"Forgotten, for {safe(nemo.api_url)}.")
    else:
        say(f"Nothing is stored for {safe(nemo.api_url)}.")
    if where.env.get("NEMO_TOKEN", "").strip():
        tell("NEMO_TOKEN is set and still used; unset it to use no account.")


def show_credits(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Ask the cloud what is left, and show what jobs have cost."""
    where = places(config)
    nemo = where.load_or_default().nemo
    account = account_at(where, nemo)
    if not has_account(account):
        raise Stop(ExitCode.FAILED, "There is no account in the cloud, so there are no credits to ask for.", hint=HOW)
    balance = asyncio.run(_balance(nemo, account))
    with existing_ledger(where.state) as ledger:
        costs = () if ledger is None else job_costs(ledger)
        today = 0.0 if ledger is None else ledger.spent_since(day_of(time.time())[0])
    if as_json:
        print_json(
            {
                **asdict(balance),
                "spent_today": today,
                "max_credits_per_day": nemo.max_credits_per_day,
                "jobs": [asdict(cost) for cost in costs],
            }
        )
        return
    say(balance_line(balance))
    budget = "" if nemo.max_credits_per_day is None else f" of {_amount(nemo.max_credits_per_day)} (max_credits_per_day)"
    say(f"Spent today: {_amount(today)}{budget}")
    if costs:
        say()
        print_sheet(_costs_sheet(costs[:ROWS_MOST]))
    if len(costs) > ROWS_MOST:
        say(f"And {len(costs) - ROWS_MOST} more jobs: nemod credits --json")


def balance_line(balance: Balance) -> str:
    """What an account holds, in a line."""
    available, frozen, total = map(_amount, (balance.available, balance.frozen, balance.total))
    return f"Credits: {available} available, {frozen} frozen for work under way, {total} in total"


def job_costs(ledger: Ledger) -> tuple[JobCost, ...]:
    """What every job has cost so far, the one that paid last first."""
    costs: dict[int, JobCost] = {}
    for one in ledger.spendings():
        known = costs.get(one.job)
        if known is None:
            job = ledger.job(one.job)
            known = JobCost(job=one.job, file="" if job is None else job.relpath, at=one.at, edits=0, credits=0.0, sure=True)
        costs[one.job] = JobCost(
            job=known.job,
            file=known.file,
            at=known.at,
            edits=known.edits + 1,
            credits=known.credits + one.counted,
            sure=known.sure and one.cost is not None,
        )
    return tuple(costs.values())


def has_account(account: Account) -> bool:
    """Whether there is one to use: an anonymous one, too, if somebody has asked for it before."""
    return account.current(now=time.time(), anonymous=True) is not None


@asynccontextmanager
async def cloud(nemo: Nemo, account: Account, *, retries_s: tuple[float, ...] = client.RETRIES_S) -> AsyncIterator[Client]:
    """The cloud for a command: an anonymous token that it no longer takes is not replaced by just looking."""
    # A look-up of a name that hangs must not keep the command from its end.
    asyncio.get_running_loop().set_default_executor(Threads())
    asking = Client(nemo, account, anonymous=lambda: has_account(account), retries_s=retries_s)
    try:
        yield asking
    finally:
        await asking.close()


async def _balance(nemo: Nemo, account: Account) -> Balance:
    async with cloud(nemo, account, retries_s=RETRIES_S) as asking:
        try:
            return await asking.balance(skill_of(None))
        except CloudError as error:
            if error.failure.kind is not Kind.UNREACHABLE or error.trouble is Trouble.UNTRUSTED:
                raise
            # A daemon's work would go on by itself; a command has ended.
            hint = "Check the network and api_url, then ask again."
            raise Stop(ExitCode.FAILED, error.failure.detail, hint=hint) from error


def _typed() -> str:
    """A token as it is typed, unseen, or as it comes in from a file or a program."""
    try:
        if sys.stdin is not None and not sys.stdin.isatty():
            return sys.stdin.readline(TOKEN_MOST).strip()
        return getpass.getpass("Token (not shown): ").strip()
    except (EOFError, UnicodeDecodeError):
        return ""


def _costs_sheet(costs: Sequence[JobCost]) -> Sheet:
    return Sheet(
        columns=("JOB", "FILE", "LAST PAID", "EDITS", "CREDITS"),
        rows=tuple(
            (str(c.job), safe(c.file), _moment(c.at), str(c.edits), f"{'' if c.sure else 'about '}{_amount(c.credits)}")
            for c in costs
        ),
    )


def _amount(credits_: float) -> str:
    return f"{credits_:,.2f}".rstrip("0").rstrip(".")


def _ends(found: Credentials, now: float) -> str:
    """When a token ends, in words."""
    if found.expires_at is None:
        return "not known here"
    left_s = found.expires_at - now
    days, hours = divmod(int(left_s // 3600), 24)
    parts = [f"{n} {word if n == 1 else word + 's'}" for n, word in ((days, "day"), (hours, "hour")) if n]
    return f"{_moment(found.expires_at)}, in {' '.join(parts) or 'less than an hour'}"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"
