"""A machine with one folder for the cloud, its daemon in this process, and the sandbox as the cloud."""

import json
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nemod.cli.engines import Workshop
from nemod.config.builtin import builtin_presets
from nemod.config.model import After, Config, EnginePolicy, Folder, Nemo, Preset, Settings
from nemod.daemon.service import Outcome, Service, open_ledger
from nemod.job import Job, JobState
from tests.support.clips import ffmpeg
from tests.support.cloud import Cloud

LIMIT_BYTES = 60_000


def quick(url: str, **settings: Any) -> Nemo:
    """Settings with which nothing takes long."""
    fast: dict[str, Any] = {
        "poll_interval_s": 0.2,
        "recheck_first_s": 0.2,
        "recheck_every_s": 0.1,
        "edit_timeout_s": 8.0,
        "heartbeat_timeout_s": 3.0,
    }
    return Nemo(**{"api_url": url, **fast, **settings})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a test drops into, and where it looks."""

    root: Path
    cloud: Cloud
    began: int  # entries of the cloud's journal that were there before

    @classmethod
    def make(cls, root: Path, cloud: Cloud) -> "Place":
        """An empty machine beside a cloud that behaves and has credits."""
        cloud.behave()
        cloud.credits(1_000_000)
        (root / "inbox").mkdir(parents=True)
        (root / "state").mkdir(mode=0o700)
        return cls(root=root, cloud=cloud, began=len(cloud.journal()))

    @property
    def inbox(self) -> Path:
        """Where videos are dropped."""
        return self.root / "inbox"

    def folder(self, policy: EnginePolicy, preset: Preset | None = None, **rest: Any) -> Folder:
        """The folder of the inbox."""
        return Folder(
            name="clips",
            inbox=self.inbox,
            outbox=self.inbox / "done",
            originals=self.inbox / "originals",
            failed=self.inbox / "failed",
            preset=preset or replace(builtin_presets()["compress-video"], name="tight", limit_bytes=LIMIT_BYTES),
            engine=policy,
            after=After.ARCHIVE,
            **rest,
        )

    def drop(self, source: Path, name: str | None = None) -> None:
        """Put a video into the inbox."""
        shutil.copy(source, self.inbox / (name or source.name))

    async def work(self, *folders: Folder, env: dict[str, str] | None = None, **settings: Any) -> Outcome:
        """One life of the daemon, until nothing is left to do."""
        config = Config(
            file=self.root / "config.toml",
            settings=Settings(settle_s=0.05),
            nemo=quick(self.cloud.url, **settings),
            folders=folders,
        )
        workshop = Workshop(
            self.root / "state", ffmpeg(), env=self.cloud.env() if env is None else env, home=self.root / "home"
        )
        service = Service(
            config,
            self.root / "state",
            workshop.refit,
            ffmpeg(),
            reread=lambda: config,
            available=workshop.available,
            once=True,
        )
        return await service.run(lambda: None)

    def jobs(self) -> list[Job]:
        """All jobs."""
        with closing(open_ledger(self.root / "state")) as ledger:
            return list(ledger.jobs())

    def job(self) -> Job:
        """The only job."""
        (job,) = self.jobs()
        return job

    def delivered(self) -> Path:
        """The output of the only job, which is done and keeps the limit."""
        job = self.job()
        assert job.state is JobState.DONE, job
        assert job.target is not None
        assert job.target.stat().st_size <= LIMIT_BYTES
        assert (self.inbox / "originals").is_dir()
        return job.target

    def happened(self, *events: str) -> list[dict[str, Any]]:
        """What happened in the cloud since this machine was made."""
        return [entry for entry in self.cloud.journal()[self.began :] if entry["event"] in events]

    def messages(self) -> list[str]:
        """The messages that were paid for."""
        return [str(entry["message"]) for entry in self.happened("charged")]

    def engines(self) -> list[str]:
        """Who tried, in order."""
        return [attempt.engine.value for attempt in self.job().attempts]

    def spoken(self) -> str:
        """Everything that lies on this disk of the daemon's own, for looking for secrets."""
        state = self.root / "state"
        return json.dumps([file.read_bytes().decode("latin-1") for file in state.iterdir() if "ledger" in file.name])
