"""What is to be told of jobs, and to whom: the wishes as the config has them, and the news that nobody has been told yet.

Rules kept here:
- news comes into being with the move that it tells of, by a trigger, and only where somebody wished for it at that moment;
- it goes only once it has been told, so that a kill between the two tells it again, and never leaves it untold;
- what nobody wants to hear any more is told to nobody, and forgotten after a week.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from nemod.job import JobId
from nemod.ledger.beside import HoldRow, holds
from nemod.ledger.store import transaction

#: The channel of programs that a folder names; all others are addresses.
HOOK = "hook"
FORGOTTEN_S = 7 * 86400.0
#: A hold that ends by itself is news only when it has lasted so long.
LASTING_S = 900.0

Wish = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A job of a folder came into a state (`event`); `tries` counts how often telling it was begun."""

    id: int
    job: JobId
    folder: str
    event: str
    at: float
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How much an address has still to hear, and since when (epoch seconds)."""

    channel: str
    count: int
    since: float


_WANTED = (
    " FROM news JOIN job ON job.id = news.job"
    " JOIN wish ON wish.folder = job.folder_name AND wish.event = news.event AND wish.channel = news.channel"
)


def keep_wishes(db: sqlite3.Connection, wishes: Iterable[Wish], *, now: float) -> None:
    """Write down who wants to hear what: folder, event and channel."""
    with transaction(db):
        db.execute("DELETE FROM wish")
        db.executemany("INSERT OR IGNORE INTO wish (folder, event, channel) VALUES (?, ?, ?)", wishes)
        old = now - FORGOTTEN_S
        db.execute(f"DELETE FROM news WHERE at < ? AND id NOT IN (SELECT news.id {_WANTED})", (old,))  # noqa: S608 - our own words


def hooks_due(db: sqlite3.Connection) -> tuple[News, ...]:
    """The oldest news of each folder that has a program to hear it."""
    rows = db.execute(
        "SELECT MIN(news.id) AS id, news.job, job.folder_name, news.event, news.at, news.tries"
        f"{_WANTED} WHERE news.channel = ? GROUP BY job.folder_name ORDER BY id",
        (HOOK,),
    )
    return tuple(map(_news, rows.fetchall()))


def begin_telling(db: sqlite3.Connection, news: int) -> int:
    """It is about to be told; returns for the how-manieth time."""
    with transaction(db):
        row = db.execute("UPDATE news SET tries = tries + 1 WHERE id = ? RETURNING tries", (news,)).fetchone()
        return 0 if row is None else int(row["tries"])


def addresses_due(db: sqlite3.Connection) -> tuple[Waiting, ...]:
    """What waits for each address."""
    rows = db.execute(
        f"SELECT news.channel, COUNT(*) AS count, MIN(news.at) AS since{_WANTED} WHERE news.channel <> ? GROUP BY news.channel",
        (HOOK,),
    )
    return tuple(Waiting(channel=r["channel"], count=r["count"], since=r["since"]) for r in rows.fetchall())


def news_for(db: sqlite3.Connection, channel: str) -> tuple[News, ...]:
    """All that an address has still to hear, oldest first."""
    rows = db.execute(
        "SELECT news.id, news.job, job.folder_name, news.event, news.at, news.tries"
        f"{_WANTED} WHERE news.channel = ? ORDER BY news.id",
        (channel,),
    )
    return tuple(map(_news, rows.fetchall()))


def told(db: sqlite3.Connection, news: Iterable[int]) -> None:
    """It has been told, or will never be."""
    with transaction(db):
        db.executemany("DELETE FROM news WHERE id = ?", ((number,) for number in news))


def lasting_holds(db: sqlite3.Connection, channel: str, *, now: float) -> tuple[HoldRow, ...]:
    """Holds that an address has not heard of: those that wait for a person, and those that do not go away."""
    known = {row["scope"] for row in db.execute("SELECT scope FROM hold_told WHERE channel = ?", (channel,))}
    return tuple(h for h in holds(db) if h.scope not in known and _lasts(h, now))


def hold_told(db: sqlite3.Connection, channel: str, scopes: Iterable[str]) -> None:
    """An address has heard of these holds, as far as there still are any."""
    with transaction(db):
        db.executemany(
            "INSERT OR IGNORE INTO hold_told (scope, channel) SELECT scope, ? FROM hold WHERE scope = ?",
            ((channel, scope) for scope in scopes),
        )


def _lasts(hold: HoldRow, now: float) -> bool:
    if hold.until is None and hold.scope.startswith("engine:"):
        return True
    # One that has run out says nothing, but the next one may be just about to follow.
    return hold.since <= now - LASTING_S and (hold.until is None or hold.until > now - 60)


def _news(row: sqlite3.Row) -> News:
    return News(
        id=row["id"],
        job=JobId(row["job"]),
        folder=row["folder_name"],
        event=row["event"],
        at=row["at"],
        tries=row["tries"],
    )
