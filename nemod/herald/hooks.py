"""A folder's own programs, run when one of its jobs is done or has failed.

Rules kept here:
- the job is over when its program begins: whatever that does, the job stays as it is;
- it gets the job as `nemod jobs show --json` prints it, with what it needs to know a second telling of the same;
- of our environment it gets what a person's scripts need to run, and no secret.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from nemod.herald.errand import Ended
from nemod.ledger.news import News
from nemod.media.child import ENVIRONMENT
from nemod.text import without_tokens

#: Beside what every child gets: the desktop and its messages, the ways to the network, a person's own places, and ours, so that
#: a script can ask `nemod` for more.
HANDED_ON = (ENVIRONMENT - {"PYTHONPATH", "PYTHONHOME"}) | {
    *(
        "NEMOD_STATE_DIR",
        "NEMOD_CONFIG",
        "SHELL",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "DBUS_SESSION_BUS_ADDRESS",
        "SSH_AUTH_SOCK",
    ),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
}


def handed_on(env: Mapping[str, str]) -> dict[str, str]:
    """What is left of an environment for programs that are not ours."""
    return {key: value for key, value in env.items() if key in HANDED_ON or key.startswith(("LC_", "XDG_"))}


def environment(env: Mapping[str, str], news: News, detail: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a program: for scripts that do not want to read JSON, the most wanted facts are variables."""
    facts = {
        "NEMOD_EVENT": news.event,
        "NEMOD_EVENT_ID": str(news.id),
        "NEMOD_EVENT_TRY": str(news.tries),
        "NEMOD_JOB": str(news.job),
        "NEMOD_FOLDER": news.folder,
        "NEMOD_SOURCE": detail["source"],
        "NEMOD_OUTPUT": detail["output"] or "",
    }
    return {**handed_on(env), **facts}


def told(news: News, detail: Mapping[str, Any]) -> bytes:
    """What a program reads: one JSON object on one line, in plain ASCII."""
    whole = {**detail, "event": news.event, "event_id": news.id, "event_try": news.tries}
    return os.fsencode(without_tokens(json.dumps(whole, allow_nan=False))) + b"\n"


def why(ended: Ended, timeout_s: float) -> str:
    """What to say of a program that did not end well."""
    if ended.unstarted:
        return f"It could not be started: {ended.unstarted}."
    if ended.timed_out:
        return f"It was ended after {timeout_s:g} s."
    if ended.returncode < 0:
        return f"It was killed by signal {-ended.returncode}."
    return f"It ended with exit code {ended.returncode}."
