"""Takes a message to an address, by a child process of its own (`messenger`)."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nemod.herald import errand
from nemod.herald.hooks import handed_on
from nemod.herald.words import Message

#: How long a service may take in all; Apprise itself waits four seconds for each connection and answer.
TIME_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Whether a message was taken, and if not why, in words that hold nothing of the address."""

    taken: bool
    why: str = ""


async def send(url: str, message: Message) -> Sent:
    """Send a message to an address."""
    answer = await _ask({"urls": [url], "title": message.title, "body": message.body, "type": message.grade})
    error = answer.get("error")
    return Sent(taken=error is None, why="" if error is None else str(error))


async def understood(urls: Sequence[str]) -> tuple[str, ...]:
    """What is wrong with each address, as far as can be known without using it; "": nothing."""
    if not urls:
        return ()
    answer = await _ask({"urls": list(urls)})
    if (error := answer.get("error")) is not None:
        return tuple(f"cannot be checked: {error}" for _ in urls)
    return tuple("" if known else "is no address that Apprise knows" for known in answer["known"])


async def _ask(wanted: dict[str, Any]) -> dict[str, Any]:
    # Its modules are found as ours were: a checkout may be on a path of one's own.
    paths = {key: os.environ[key] for key in ("PYTHONPATH", "PYTHONHOME") if key in os.environ}
    argv = [sys.executable, "-P", "-W", "ignore", "-m", "nemod.herald.messenger"]
    given = json.dumps(wanted).encode()
    try:
        ended = await errand.run(argv, given=given, timeout_s=TIME_S, env={**handed_on(os.environ), **paths})
    except OSError as error:
        return {"error": f"no process can be started ({error.strerror})"}
    if ended.timed_out:
        return {"error": f"no answer within {TIME_S:g} s"}
    for line in reversed(ended.said.splitlines()):  # whatever else a library prints
        with suppress(ValueError):
            if isinstance(answer := json.loads(line), dict):
                return answer
    return {"error": f"the messenger ended with exit code {ended.returncode}"}
