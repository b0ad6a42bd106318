"""The SQLite database of jobs: the only durable truth. What can be asked of it, in one place.

Rules kept by the modules that do the work:
- every function that writes is one transaction; every change of state is compare-and-set;
- what must always hold is in schema.sql, not in Python.

Methods block: the daemon calls them through `Desk`, commands call them directly.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Self

from nemod.ledger import beside, facts, inbox, keeping, news, pauses, places, reading, spending, states, ways
from nemod.ledger.beside import HoldRow, Request, engine_scope, folder_scope
from nemod.ledger.inbox import Reconciled
from nemod.ledger.spending import Spending
from nemod.ledger.store import (
    PATIENCE_S,
    VERSION,
    LedgerError,
    check,
    connect,
    file_of,
    removed,
    save_copy,
    speaking,
    transaction,
)
from nemod.ledger.ways import Fallen

__all__ = [
    "VERSION",
    "Fallen",
    "HoldRow",
    "Ledger",
    "LedgerError",
    "Reconciled",
    "Request",
    "Spending",
    "engine_scope",
    "folder_scope",
    "speaking",
]


class Ledger(sqlite3.Connection):
    """One connection to the ledger, from `open`; use it from one thread at a time. `identity`: device and inode of its file."""

    identity: tuple[int, int]

    @classmethod
    def open(cls, file: Path, *, wal: bool = True, patience_s: float = PATIENCE_S) -> Self:
        """Open or create the ledger and bring it to the present version.

        Args:
            file: where it lies; its folder must exist.
            wal: write-ahead log; must be off on network file systems, where its shared memory does not work.
            patience_s: how long another program's lock is waited for, here and later.

        Raises:
            LedgerError: it is damaged, newer than this program, locked for good or not writable.
        """
        ledger = connect(file, cls, wal=wal, patience_s=patience_s)
        found = file.stat()
        ledger.identity = (found.st_dev, found.st_ino)
        return ledger

    def still_there(self) -> None:
        """Make sure that the file under the ledger's name is the one that is open: facts must not go where nobody finds them.

        Raises:
            LedgerError: it is not; what was open is saved beside it, if that can be done.
        """
        file = file_of(self)
        with suppress(OSError):
            found = file.stat()
            if (found.st_dev, found.st_ino) == self.identity:
                return
        copy = None
        with suppress(OSError, LedgerError, sqlite3.Error):
            copy = save_copy(self)
        raise removed(file, copy)

    check = check
    transaction = transaction

    # an inbox was looked at
    reconcile = inbox.reconcile

    # states
    recover = states.recover
    claim = states.claim
    move = states.move
    retry = states.retry
    release = states.release
    hurry = states.hurry
    first = states.first
    clock_set_back = states.clock_set_back

    # other ways than planned
    add_child = ways.add_child
    fall_back = ways.fall_back

    # facts of a job and its attempts, in the order in which they are filled
    examined = facts.examined
    replanned = facts.replanned
    open_attempt = facts.open_attempt
    staged = facts.staged
    unstaged = facts.unstaged
    judged = facts.judged
    close_attempt = facts.close_attempt
    aim = facts.aim
    delivered = facts.delivered
    disposed = facts.disposed
    failing = facts.failing
    aim_quarantine = facts.aim_quarantine
    quarantined = facts.quarantined
    lost = facts.lost

    # what an engine notes before it acts, and what that costs
    checkpoint = spending.checkpoint
    rest = spending.rest
    spent_since = spending.spent_since
    spendings = spending.spendings
    overtaken = spending.overtaken
    paid_before = spending.paid_before
    own_token = spending.own_token
    session_token = spending.session_token

    # reading
    job = reading.job
    jobs = reading.jobs
    counts = reading.counts
    history = reading.history
    answered = reading.answered
    open_folders = reading.open_folders
    work_folders = reading.work_folders
    outboxes = reading.outboxes
    present = reading.present
    next_due = reading.next_due
    data_version = reading.data_version

    # originals that are kept for a while
    count_time = keeping.count_time
    keep_for = keeping.keep_for
    kept = keeping.kept
    kept_no_more = keeping.kept_no_more

    # drives
    drives = places.drives
    note_drive = places.note_drive

    # folders that begin nothing new
    pause = pauses.pause
    resume = pauses.resume
    keep_hours = pauses.keep_hours
    pauses = pauses.pauses

    # what is to be told of jobs
    keep_wishes = news.keep_wishes
    hooks_due = news.hooks_due
    begin_telling = news.begin_telling
    addresses_due = news.addresses_due
    news_for = news.news_for
    told = news.told
    lasting_holds = news.lasting_holds
    hold_told = news.hold_told

    # holds and the mailbox
    hold = beside.hold
    unhold = beside.unhold
    proved = beside.proved
    holds = beside.holds
    request = beside.request
    requests = beside.requests
    strike = beside.strike
