"""The log as a person at a terminal reads it: one short line for what happened to a file. Pure.

JSON has every field of every event; here only what somebody who watches wants to know, and quiet steps say nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nemod.config.units import format_duration, format_size
from nemod.text import safe
from nemod.views import tilde

#: Steps that the live lines show anyway, or that are news only to programs; as warnings they are told.
UNTOLD = frozenset(
    {"job.added", "job.examined", "intake.watching", "daemon.started", "delivery.swept", "request.answered"}
    | {"hook.ended", "notify.sent"}
)


def line(event: Mapping[str, Any], *, home: Path) -> str:
    """A log event as a line."""
    name = str(event.get("event", ""))
    moment = datetime.fromisoformat(str(event["timestamp"])).astimezone().strftime("%H:%M:%S")
    word = name.rpartition(".")[2].replace("_", " ") if name.startswith(("job.", "cloud.")) else name
    parts = [f"{moment}  {word:<11}", *_told(name, event, home)]
    return "  ".join(part for part in parts if part)


def _told(name: str, event: Mapping[str, Any], home: Path) -> list[str]:
    file = safe(str(event.get("file", "")))
    match name:
        case "job.delivered":
            sizes = f"{format_size(event['input_bytes'])} -> {format_size(event['output_bytes'])}"
            took = format_duration(event["took_s"])
            return [f"{file} -> {tilde(str(event['output']), home)}", sizes, f"({safe(str(event['made']))}; {took})"]
        case "job.failed":
            return [file, safe(str(event["why"])), safe(str(event["hint"])), f"(now {tilde(str(event['lies']), home)})"]
        case "daemon.stopping" | "daemon.stopped":
            return []
        case "job.paying":
            left = "" if event.get("left_credits") is None else f" of {event['left_credits']:g}"
            return [file, f"about {event['expected_credits']:g}{left} credits"]
        case "job.paid":
            left = "" if event.get("left_credits") is None else f"; {event['left_credits']:g} left"
            return [file, f"it cost {event['credits']:g} credits{left}"]
        case "cloud.session":
            return [file, "goes on in its session" if event.get("continued") else "a session is open"]
        case "cloud.uploaded":
            return [file, f"{format_size(event['size_bytes'])} sent", safe(str(event["made"]))]
        case "cloud.asked":
            return [file, f'"{safe(str(event["message"]))}"']
        case "cloud.answered":
            return [file, f'"{safe(str(event["says"]))}"']
        case "cloud.edited":
            return [file, safe(str(event["changed"])), safe(str(event["timeline"]))]
        case "cloud.render":
            return [file, safe(str(event["timeline"]))]
        case "cloud.downloaded":
            return [file, f"{format_size(event['size_bytes'])}, now looked at"]
        case _:
            skipped = {"event", "level", "logger", "timestamp", "file", "job", "kind", "exception"}
            rest = {key: value for key, value in event.items() if key not in skipped and value not in (None, "")}
            why = [safe(str(rest.pop(key))) for key in ("folder", "why", "says", "problem", "hint") if key in rest]
            if isinstance(until := rest.pop("until", None), float):
                why.append(f"until {datetime.fromtimestamp(until).astimezone():%H:%M:%S}")
            facts = [f"{key}={safe(str(value))}" for key, value in rest.items()]
            return [file, *why, *facts, *([str(event["exception"])] if "exception" in event else [])]
