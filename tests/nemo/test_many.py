"""Many videos at once: none is lost, each is paid and rendered once, and every call says whose it is."""

import os
from collections import Counter
from pathlib import Path

from nemod.config.model import EnginePolicy
from nemod.job import JobState
from tests.nemo.place import Place
from tests.support.clips import make_clip
from tests.support.cloud import cloud

MANY = 100 if os.environ.get("NEMOD_SLOW") else 12


async def test_many_jobs_at_once(tmp_path: Path) -> None:
    """Through one daemon and a cloud whose renders take a while, so that many are polled at the same time."""
    source = make_clip(tmp_path / "clip.mkv", seconds=1, size=(320, 240), extra_args=("-crf", "10"))
    with cloud(tmp_path / "cloud", "--credits", "1000000", "--render-seconds", "1") as sandbox:
        place = Place.make(tmp_path / "place", sandbox)
        for number in range(MANY):
            place.drop(source, f"clip {number}.mkv")
        await place.work(place.folder(EnginePolicy.NEMO), slots=6, poll_interval_s=1.0)
        assert Counter(job.state for job in place.jobs()) == {JobState.DONE: MANY}
        assert {job.target for job in place.jobs()} == {place.inbox / "done" / f"clip {n}.mp4" for n in range(MANY)}
        assert len(place.messages()) == MANY
        assert len(place.happened("submitted")) == MANY
        assert len({entry["session"] for entry in place.happened("opened")}) == MANY
        assert place.happened("fault") == []
        of_jobs = [
            e for e in place.happened("request") if e["endpoint"] in {"session", "upload", "ask", "render", "poll", "state"}
        ]
        assert {(e["skill"]["source"], e["skill"]["version"], e["authorised"]) for e in of_jobs} == {
            ("compress-video", "1.0.0", True)
        }
