"""`make demo`: the sandbox and the daemon on one machine, a real clip dropped, every step told, the result shown.

Everything happens in a temporary home: no account, no credits, no config and no network are needed or touched.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 300.0
CONFIG = """\
[nemod]
settle = "1s"
log_format = "console"

[nemo]
poll_interval = "2s"

[folders.demo]
inbox = "~/Compress/demo"
preset = "demo"
engine = "nemo"

[presets.demo]
base = "video-compressor-for-discord-10mb"
limit = "{limit}"
"""


def main(clip: Path) -> int:
    """Show the way of a clip through the cloud, such as it is here; the exit code."""
    with tempfile.TemporaryDirectory(prefix="nemod-demo-") as place:
        home = Path(place)
        limit = max(100_000, clip.stat().st_size // 3)
        config = home / ".config" / "nemod" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG.format(limit=limit), encoding="utf-8")
        port, token = _free_port(), f"nmv_usr_{secrets.token_urlsafe(32)}"
        env = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR", "TERM") if key in os.environ}
        env |= {
            "HOME": place,
            "NEMOD_STATE_DIR": str(home / "state"),
            "NEMO_API_URL": f"http://127.0.0.1:{port}",
            "NEMO_TOKEN": token,
            "PYTHONUNBUFFERED": "1",
        }
        say(f"A sandbox that speaks the cloud's language, and a daemon with one folder: at most {limit:,} bytes.\n")
        sandbox = _start(env, "sandbox", "--port", str(port), "--token", token, "--cost", "50", quiet=True)
        daemon: subprocess.Popen[bytes] | None = None
        try:
            _until_up(port, sandbox)
            daemon = _start(env, "run")
            inbox = home / "Compress" / "demo"
            _until(inbox.is_dir, daemon)
            time.sleep(2)  # for people: first what nemod says of itself, then the drop
            say(f"\n$ cp {clip.name} ~/Compress/demo/      ({clip.stat().st_size:,} bytes)\n")
            shutil.copyfile(clip, inbox / clip.name)
            result = inbox / "done" / f"{clip.stem}.mp4"
            _until((inbox / "originals" / clip.name).exists, daemon)
            say(f"\n$ ls -l ~/Compress/demo/done\n{result.stat().st_size:>12,} bytes  {result.name}\n")
            say("$ nemod credits")
            subprocess.run([sys.executable, "-m", "nemod", "credits"], env=env, check=False)
            return 0 if result.stat().st_size <= limit else 1
        except TimeoutError as error:
            say(str(error))
            return 1
        finally:
            for child in (daemon, sandbox):
                if child is not None:
                    child.terminate()
                    child.wait(20)


def say(line: str) -> None:
    """Tell a person, in the order in which the children do."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _start(env: dict[str, str], *words: str, quiet: bool = False) -> subprocess.Popen[bytes]:
    out = subprocess.DEVNULL if quiet else None
    return subprocess.Popen([sys.executable, "-m", "nemod", *words], env=env, stdout=out, stderr=out)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_up(port: int, child: subprocess.Popen[bytes]) -> None:
    def up() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/sandbox/journal", timeout=2):
                return True
        except OSError:
            return False

    _until(up, child)


def _until(holds: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if child.poll() is not None or time.monotonic() > end:
            message = "The demo did not come to its end."
            raise TimeoutError(message)
        time.sleep(0.1)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("Name a video: make demo CLIP=holiday.mov")
    sys.exit(main(Path(sys.argv[1])))
