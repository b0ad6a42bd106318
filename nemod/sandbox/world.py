"""What the sandbox knows: accounts, sessions, renders, and a journal of all that happened.

It lies in memory, its files in one folder; `save` and `load` carry it over a restart. Tokens never enter the journal.
"""

import copy
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

WEEK_S = 7 * 24 * 3600.0
PER_ADDRESS = 10
FILE = "world.json"
#: How many earlier states are kept for a state that lags behind.
HISTORY = 50


@dataclass(slots=True, kw_only=True)
class Account:
    """Who may call, and with how many credits; `frozen` ones belong to a message under way."""

    token: str = field(repr=False)
    user: str
    available: float
    frozen: float = 0.0
    expires_at: float | None = None
    client: str = field(default="", repr=False)
    calls: int = 0
    void: bool = False

    @property
    def anonymous(self) -> bool:
        """Whether nobody registered it."""
        return bool(self.client)


@dataclass(slots=True, kw_only=True)
class Asset:
    """An uploaded file: where it lies, and what the API says of it."""

    path: Path
    shown: dict[str, object]
    frames_per_s: float = 30.0
    hdr: bool = False
    has_sound: bool = False


@dataclass(slots=True, kw_only=True)
class Session:
    """A conversation about some files; `draft` is its timeline, `marks` the habits that have shown once."""

    id: str
    task: str
    name: str
    language: str
    user: str
    assets: list[Asset] = field(default_factory=list)
    draft: dict[str, object] | None = None
    busy: bool = False
    paid: bool = False
    question: str | None = None
    marks: set[str] = field(default_factory=set)
    reads: int = 0
    history: list[tuple[float, dict[str, object]]] = field(default_factory=list)

    def visible(self) -> dict[str, object]:
        """What the state shows of it: the parts that change by uploads and edits."""
        return {"draft": self.draft, "video_infos": [asset.shown for asset in self.assets]}

    def changed(self, now: float) -> None:
        """Note the new state, so that the state can be shown late."""
        self.history = [*self.history[1 - HISTORY :], (now, copy.deepcopy(self.visible()))]


@dataclass(slots=True, kw_only=True)
class Render:
    """An export; `chosen` is the client's id, times are epoch milliseconds, `habits` the misbehaviours that its file shows."""

    id: str
    chosen: str
    session: str
    user: str
    draft: dict[str, object]
    created_ms: int
    habits: dict[str, str] = field(default_factory=dict)
    status: str = "pending"
    progress: int = 5
    completed_ms: int | None = None
    file: Path | None = None
    seconds: float = 0.0
    error: str = ""


@dataclass(slots=True, kw_only=True)
class World:
    """Everything; `folder` holds the files."""

    folder: Path
    credits: float
    accounts: dict[str, Account] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    renders: dict[str, Render] = field(default_factory=dict)
    grants: dict[str, list[float]] = field(default_factory=dict)
    journal: list[dict[str, object]] = field(default_factory=list)

    def note(self, event: str, **facts: object) -> dict[str, object]:
        """Write a line into the journal; it may be filled in later."""
        entry: dict[str, object] = {"n": len(self.journal), "time": time.time(), "event": event, **facts}
        self.journal.append(entry)
        return entry

    def enrol(self, token: str, *, client: str = "", user: str = "", expires_at: float | None = None) -> Account:
        """Open an account; one with a client id is anonymous."""
        user = user or (f"anon_{secrets.token_hex(6)}" if client else f"user_{secrets.token_hex(6)}")
        account = Account(token=token, user=user, available=self.credits, expires_at=expires_at, client=client)
        self.accounts[token] = account
        return account

    def grant(self, client: str, address: str, now: float) -> Account | None:
        """A token for a client without an account; None when its quota, or its address's, is used up.

        An account whose token is void may ask again: renewal is by the same client id.
        """
        earlier = [a for a in self.accounts.values() if a.client == client]
        if any(not a.void and (a.expires_at or 0) > now for a in earlier):
            return None
        recent = self.grants[address] = [at for at in self.grants.get(address, []) if at > now - WEEK_S]
        if len(recent) >= PER_ADDRESS:
            return None
        recent.append(now)
        user = earlier[-1].user if earlier else ""
        return self.enrol(new_token(), client=client, user=user, expires_at=now + WEEK_S)

    def open_session(self, account: Account, *, name: str, language: str) -> Session:
        """A new session with a new task."""
        number = str(5_500_000_000_000_000_000 + secrets.randbelow(10**17))
        session = Session(id=number, task=f"task_{secrets.token_hex(8)}", name=name, language=language, user=account.user)
        session.changed(0.0)
        self.sessions[session.id] = session
        return session

    def save(self) -> None:
        """Write it down, readable to nobody else: tokens are in it."""
        raw = TypeAdapter(World).dump_json(self)
        with os.fdopen(os.open(self.folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(raw)


def load(folder: Path, credits_: float) -> World:
    """The world of a folder, a new one if there is none; what was under way when it ended has failed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("uploads", "renders"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)  # somebody's videos lie there
    file = folder / FILE
    if not file.exists():
        return World(folder=folder, credits=credits_)
    world = TypeAdapter(World).validate_json(file.read_bytes())
    for session in world.sessions.values():
        session.busy = False
    for render in world.renders.values():
        if render.status in {"pending", "processing"}:
            render.status, render.error = "failed", "The server was restarted."
    return world


def new_token() -> str:
    """A token as the API makes them."""
    return f"nmv_usr_{secrets.token_urlsafe(32)}"
