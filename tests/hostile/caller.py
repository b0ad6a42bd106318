"""Calls of the real client in the face of evils: `python -m tests.hostile.caller URL FOLDER TOKEN PATIENCE_S SIDE_BY_SIDE`.

Reads "evil <tab> endpoint" lines, or addresses of results in place of endpoints, and writes for each one JSON line: how the
call ended, the most memory that it took, and whom it has tried to connect to. A process of its own: all this is nobody else's.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import quote

from nemod.config.model import Nemo
from nemod.engines.nemo import draft
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.client import Client, CloudError, Skill
from nemod.engines.nemo.listener import Listener
from nemod.engines.nemo.meaning import meaning

SKILL = Skill(source="compress-video", version="1", platform="test")


def peak_mb(*, anew: bool = False, pid: int | str = "self") -> float | None:
    """The most memory that a process had, since the start or since it was asked `anew`; None where nobody tells."""
    try:
        if anew:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return None


async def listen(client: Client, session: str) -> None:
    """Hear an answer out and make sense of it, as the engine does."""
    listener = Listener()
    try:
        async with aclosing(client.ask(SKILL, session, "Compress it.")) as frames:
            async for frame in frames:
                listener.hear(frame)
    finally:
        meaning(listener, lost=False, changed=False, exportable=True)


async def drain(pieces: AsyncGenerator[object, None]) -> None:
    """Take all of it."""
    async with aclosing(pieces):
        async for _ in pieces:
            pass


async def call(client: Client, endpoint: str, folder: Path, url: str) -> None:
    """One call."""
    file = folder / "fetched.mp4"
    match endpoint:
        case "token":
            await client.credentials()
        case "session":
            await client.open_session(SKILL)
        case "upload":
            await drain(client.upload(SKILL, "1", folder / "clip.mp4", name="clip.mp4"))
        case "ask":
            await listen(client, "1")
        case "state":
            state = await client.state(SKILL, "1")
            _ = (
                state.fingerprint,
                draft.summary(state.draft),
                draft.exportable(state.draft),
                draft.unasked(None, state.draft, own=()),
            )
        case "balance":
            await client.balance(SKILL)
        case "submit":
            await client.submit(SKILL, "1", "render_1", {"t": []})
        case "poll":
            await client.render(SKILL, "render_1")
        case "fetch":
            await drain(client.fetch(SKILL, "render_1", file, most_bytes=20_000_000))
        case "file":
            await drain(client.download(f"{url}/file.mp4", file, most_bytes=20_000_000))
        case _:  # an address of a result
            await drain(client.download(endpoint, file, most_bytes=20_000_000))


async def ended(url: str, folder: Path, token: str, patience_s: float, endpoint: str) -> dict[str, object]:
    """Call, and how it ended."""
    env = {} if endpoint == "token" else {"NEMO_TOKEN": token}
    account = Account(folder / "account.json", api_url=url, env=env, home=folder)
    nemo = Nemo(api_url=url, edit_timeout_s=patience_s, heartbeat_timeout_s=patience_s * 2 / 3)
    client = Client(nemo, account, anonymous=lambda: True, retries_s=(), quota_pause_s=0, tick_s=1)
    try:
        await call(client, endpoint, folder, url)
    except CloudError as error:
        told = f"{error.failure.detail} {error.failure.hint}"
        return {"trouble": error.trouble, "unsure": error.unsure, "told": told, "left": error.failure.retry_at}
    except Exception as error:  # noqa: BLE001 - that there is none is what is asked
        return {"raised": repr(error)[:500]}
    finally:
        await client.close()
    return {}


_NUMBERS = itertools.count()


async def case(url: str, folder: Path, token: str, patience_s: float, line: str) -> None:
    """One line, and what came of it."""
    evil, endpoint = line.rstrip("\n").split("\t")
    peak_mb(anew=True)
    del connected[:]
    place = f"{url}/evil/{quote(evil, safe='')}/{endpoint}" if evil else url
    own = folder / str(next(_NUMBERS))
    own.mkdir()
    (own / "clip.mp4").write_bytes((folder / "clip.mp4").read_bytes())
    found = await ended(place, own, token, patience_s, endpoint)
    found |= {"evil": evil, "endpoint": endpoint, "peak_mb": peak_mb(), "connected": list(connected)}
    sys.stdout.write(f"{json.dumps(found)}\n")


async def main(url: str, folder: Path, token: str, patience_s: float, *, side_by_side: bool) -> None:
    """Do what is asked for, line by line or all at once."""
    work = (case(url, folder, token, patience_s, line) for line in sys.stdin)
    if side_by_side:
        await asyncio.gather(*work)
        return
    for each in work:
        await each


connected: list[str] = []


def overhear(event: str, args: tuple[object, ...]) -> None:
    """Write down whom somebody connects to."""
    if event == "socket.connect":
        connected.append(repr(args[1]))


if __name__ == "__main__":
    sys.addaudithook(overhear)
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]), side_by_side=sys.argv[5] == "yes"))
