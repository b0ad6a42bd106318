"""A hundred videos at once through one daemon and the sandbox: memory, polls, seconds. `python benchmarks/hundred_jobs.py [N]`.

Prints the daemon's resident memory at rest, at its largest and over time, how many polls fell into the same tenth of a second,
and how long it all took. Nothing is asserted: figures are for people.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.clips import make_clip
from tests.support.cloud import cloud

CONFIG = """\
[nemod]
settle = "200ms"
log_format = "json"
[nemo]
poll_interval = "3s"
slots = 8
[folders.clips]
inbox = "~/clips"
preset = "tight"
engine = "nemo"
[presets.tight]
base = "compress-video"
limit = 60_000
"""


def resident_kb(pid: int, key: str = "VmRSS") -> int:
    """Kilobytes, from the kernel's own account."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def main(many: int) -> None:
    """Run it and print."""
    with (
        tempfile.TemporaryDirectory() as place,
        cloud(Path(place) / "cloud", "--credits", "1e6", "--render-seconds", "8") as sandbox,
    ):
        home = Path(place) / "home"
        inbox = home / "clips"
        inbox.mkdir(parents=True)
        config = home / ".config" / "nemod" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG)
        clip = make_clip(Path(place) / "clip.mkv", seconds=1, size=(320, 240), extra_args=("-crf", "10"))
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "NEMOD_STATE_DIR": str(home / "state"), **sandbox.env()}
        daemon = subprocess.Popen(
            [sys.executable, "-m", "nemod", "run"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(3)
            rest = resident_kb(daemon.pid)
            began = time.monotonic()
            for number in range(many):
                shutil.copy(clip, inbox / f"clip {number}.mkv")
            samples = []
            while len(list((inbox / "done").glob("*.mp4"))) < many:
                time.sleep(0.5)
                samples.append(resident_kb(daemon.pid))
            took = time.monotonic() - began
            polls = [entry["time"] for entry in sandbox.requests("poll")]
            bunches = Counter(int(at * 10) for at in polls)
            peak = resident_kb(daemon.pid, "VmHWM")
            print(f"{many} jobs in {took:.0f} s; memory at rest {rest / 1000:.0f} MB, peak {peak / 1000:.0f} MB")
            quarter = max(1, len(samples) // 4)
            means = [sum(samples[i : i + quarter]) / quarter / 1000 for i in range(0, 4 * quarter, quarter)]
            print("mean by quarters of the time:", ", ".join(f"{mean:.0f} MB" for mean in means))
            print(f"{len(polls)} polls, at most {max(bunches.values())} within a tenth of a second")
            paid, rendered = len(sandbox.charged()), len(sandbox.journal("submitted"))
            print(f"{paid} messages paid, {rendered} renders, faults: {sandbox.faults()}")
        finally:
            daemon.terminate()
            daemon.wait(20)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
