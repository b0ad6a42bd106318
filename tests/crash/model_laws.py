"""What must hold in the model test: after every step, and once nothing is left to do.

After every step: whatever was dropped lies somewhere, the outboxes show whole files of exactly one job and within its limit,
strangers' files are untouched, states follow the table, facts are not undone, nothing is paid twice. At the end: every file
that lies at rest is known, every job has come to an end that a person can understand, and no work is left lying around.
"""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemod.daemon.service import LEDGER, open_ledger
from nemod.daemon.source import fingerprint_of
from nemod.delivery.publish import WORK
from nemod.job import TRANSITIONS, Job, JobState
from tests.crash.model_house import House
from tests.crash.model_world import serial_of

Row = Mapping[str, Any]

#: Facts of a job that stay as they are within a round, once they are filled.
_FACTS = ("media", "delivered_bytes", "disposed", "failing")
_CLOSED = ("token", "staged", "verdict", "failure", "closed", "engine", "folder")


@dataclass(slots=True, kw_only=True)
class Laws:
    """Watches one house; what was seen at the step before is compared with what is there now."""

    house: House
    _jobs: dict[int, Row] = field(default_factory=dict)
    _tries: dict[int, Row] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        """The number of the newest job; 0: there is none."""
        return max(self._jobs, default=0)

    def hold_now(self) -> None:
        """After every step."""
        with closing(sqlite3.connect(self.house.root / "state" / LEDGER)) as db:
            db.row_factory = sqlite3.Row
            jobs: dict[int, Row] = {row["id"]: dict(row) for row in db.execute("SELECT * FROM job")}
            tries: dict[int, Row] = {row["id"]: dict(row) for row in db.execute("SELECT * FROM attempt")}
            events = db.execute("SELECT job, was, now FROM job_event ORDER BY id").fetchall()
        self._nothing_is_lost()
        self._outboxes(jobs)
        self._history(jobs, events)
        self._facts_stay(jobs, tries)
        self._nothing_is_paid_twice()
        self._jobs, self._tries = jobs, tries

    def _nothing_is_lost(self) -> None:
        here = Counter(serial_of(path.read_bytes()) for path in self._files() if ".nemod-work" not in path.parts)
        for serial in self.house.dropped:
            if serial not in self.house.destroyed:
                assert here[serial], f"video {serial} is lost"

    def _files(self) -> Iterator[Path]:
        for place in ("in", "out", "outside"):
            for path in (self.house.root / place).rglob("*"):
                if path.is_file():
                    yield path

    def _shown(self) -> Iterator[Path]:
        for folder in self.house.folders.values():
            for path in folder.outbox.rglob("*"):
                if path.is_file() and WORK not in path.parts:
                    yield path

    def _outboxes(self, jobs: Mapping[int, Row]) -> None:
        for path, content in self.house.foreign.items():
            if path.parent.is_dir():
                assert path.read_bytes() == content, f"{path} was overwritten"
        # One that was cancelled before it was published has aimed at a name that is free again.
        aims = [
            row for row in jobs.values() if row["delivered_bytes"] is not None or row["state"] not in ("cancelled", "failed")
        ]
        for path in self._shown():
            if path in self.house.foreign:
                continue
            content = path.read_bytes()
            owners = [row for row in aims if os.fsencode(path) == row["target"]]
            assert len(owners) == 1, f"{path} belongs to the jobs {[row['id'] for row in owners]}"
            assert serial_of(content) is not None, f"{path} is not whole"
            limit = json.loads(owners[0]["route"])["limit_bytes"]
            assert len(content) <= limit, f"{path} is over its limit of {limit}"

    def _history(self, jobs: Mapping[int, Row], events: list[sqlite3.Row]) -> None:
        state: dict[int, str] = {}
        for event in events:
            assert event["was"] == state.get(event["job"]), f"job {event['job']} changed its state unseen"
            if event["was"] is not None:
                after = TRANSITIONS[JobState(event["was"])].values()
                assert event["now"] in after, f"job {event['job']} went from {event['was']} to {event['now']}"
            state[event["job"]] = event["now"]
        assert state == {number: row["state"] for number, row in jobs.items()}

    def _facts_stay(self, jobs: Mapping[int, Row], tries: Mapping[int, Row]) -> None:
        for number, was in self._jobs.items():
            now = jobs[number]
            if (now["size"], now["mtime_ns"]) != (was["size"], was["mtime_ns"]):  # a retry of other bytes is another video
                self.house.paying[number] = self.house.paying.get(number, 0) + 1
            if now["round"] == was["round"]:
                for fact in _FACTS:
                    assert was[fact] is None or now[fact] == was[fact], f"job {number}: {fact} was undone"
                if was["delivered_bytes"] is not None:
                    assert now["target"] == was["target"], f"job {number}: its delivery was renamed"
            assert was["state"] != "done" or now == {**was, "present": now["present"]}, f"job {number} is over"
        for number, was in self._tries.items():
            assert number in tries, f"try {number} was forgotten"
            if was["closed"] is not None:
                for fact in _CLOSED:
                    assert tries[number][fact] == was[fact], f"try {number}: {fact} was changed after its end"

    def _nothing_is_paid_twice(self) -> None:
        sessions: dict[int, set[int]] = {}
        for payment in self.house.cloud.payments:
            sessions.setdefault(payment.job, set()).add(payment.session)
        for job, paid in sessions.items():
            assert len(paid) <= 1 + self.house.paying.get(job, 0), f"job {job} was paid for in the sessions {paid}"

    # -- the end ----------------------------------------------------------------------------------------------------------

    def hold_at_the_end(self) -> None:
        """When nothing is left to do and nothing stands in the way."""
        self.hold_now()
        with closing(open_ledger(self.house.root / "state")) as ledger:
            jobs = ledger.jobs()
            holds = ledger.holds()
        for job in jobs:
            assert job.state not in {JobState.QUEUED, JobState.RUNNING}, f"job {job.id} is {job.state}; holds: {holds}"
            self._ended(job)
        self._inboxes(jobs)
        self.work_is_cleared()
        owned = [job.target for job in jobs if job.state is JobState.DONE]
        shown = {path for path in self._shown() if path not in self.house.foreign}
        assert shown == set(owned), "what is delivered is in the outbox, and nothing else"
        assert len(owned) == len(set(owned))

    def _ended(self, job: Job) -> None:
        match job.state:
            case JobState.DONE:
                assert job.target is not None
                assert job.target.stat().st_size == job.delivered_bytes, f"job {job.id}: its output is not what was delivered"
            case JobState.FAILED | JobState.PARKED:
                assert job.failure is not None, f"job {job.id} is {job.state} without a reason"
                if job.state is JobState.FAILED and job.source.is_file() and job.folder.failed in job.source.parents:
                    reason = job.source.with_name(f"{job.source.name}.failed.txt")
                    assert reason.is_file(), f"job {job.id} failed without a word"
            case JobState.CANCELLED if job.present:
                assert job.id in self.house.cancelled, f"job {job.id} was cancelled by nobody, and its file lies there"
            case _:
                pass

    def _inboxes(self, jobs: tuple[Job, ...]) -> None:
        present = {(job.folder.inbox / job.relpath, job.fingerprint) for job in jobs if job.present}
        lying = {(path, fingerprint_of(path)) for folder in self.house.folders.values() for path in self.house.videos(folder)}
        assert present == lying, f"unknown: {lying - present}; not there: {present - lying}"

    def work_is_cleared(self) -> None:
        """No folder of a try is left but those that a parked job goes on in."""
        with closing(open_ledger(self.house.root / "state")) as ledger:
            jobs = ledger.jobs()
        needed = {job.attempt.folder for job in jobs if job.state is JobState.PARKED and job.attempt is not None}
        for folder in self.house.folders.values():
            for path in folder.outbox.glob(f"{WORK}/*"):
                assert path in needed, f"{path} is left over"
