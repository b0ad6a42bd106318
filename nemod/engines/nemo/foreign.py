"""Foreign JSON made safe to read. Pure.

Types are never trusted: a value of a wrong one counts as absent, and `Garbled` is the only exception that leaves this module.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

#: Deeper than any timeline, and shallow enough that nobody who walks the value runs out of stack.
_DEPTH_MOST = 100
#: More values than any timeline has: each may take two hundred bytes for the few that it came in.
_MARKS_MOST = 300_000
#: Ids have 19 digits, or are addresses; what is longer would only fill the ledger, and every request.
_NAME_CHARS_MOST = 2_000
_AMOUNT_MOST = 1e12
#: The year 9999 ends there (epoch seconds): a later moment has no name.
_LATEST = 253_402_000_000.0
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Garbled(ValueError):  # noqa: N818 - a name that reads well where it is raised
    """A reply that is not JSON, or not of any documented shape."""


def loads(text: str) -> object:
    """Decode JSON: numbers beyond floats become null, lone surrogates "?"; raises Garbled, also for absurd depth or number."""
    if crowded(text):
        raise Garbled("It holds too many values.")
    try:
        value: object = json.loads(text, strict=False, parse_constant=_nothing, parse_float=_finite)
        if _LONE_SURROGATE.search(text):  # pairs have become one character by now; the rest could never be sent or stored
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Garbled("It is not JSON.") from None
    if text.count("[") + text.count("{") > _DEPTH_MOST and _too_deep(value):
        raise Garbled("It is nested too deep.")
    return value


def crowded(text: str) -> bool:
    """Whether a text of JSON would fill the memory when it is decoded."""
    return text.count("{") + text.count("[") + text.count(",") > _MARKS_MOST


def words_of(body: Mapping[str, object]) -> str:
    """The server's own words in a body that tells of an error; "" when there are none."""
    for key in ("message", "msg", "detail", "error", "reason", "errorMessage", "error_message", "error_msg"):
        if found := said(body.get(key)):
            return found
    return ""


def number(value: object, *, least: float | None = None) -> float | None:
    """A finite number from a number or from digits; None for all else and for what is below `least`."""
    if isinstance(value, str):
        value = value.strip().replace(",", "").removesuffix("%")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and (least is None or found >= least) else None


def _nothing(_: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    found = float(digits)
    return found if math.isfinite(found) else None


def _too_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(_DEPTH_MOST):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def unsigned(value: object) -> object:
    """A value whose addresses have lost their query: what signs them is another at each read."""
    match value:
        case str() if "://" in value:
            return value.partition("?")[0]
        case dict():
            return {key: unsigned(inner) for key, inner in value.items()}
        case list() | tuple():
            return [unsigned(inner) for inner in value]
        case _:
            return value


def mapping(value: object) -> dict[str, object]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def unpacked(value: object) -> object:
    """What stands in a string of JSON, once or twice; anything else as it is."""
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = loads(value)
        except Garbled:
            return None
    return value


def first(layers: Sequence[Mapping[str, object]], *keys: str) -> object:
    """The first value that is not null, by layer and then by key; None when there is none."""
    return next((layer[key] for layer in layers for key in keys if layer.get(key) is not None), None)


def said(value: object) -> str:
    """Words in whatever form errors carry them; FastAPI lists them."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return words_of(value)
    if isinstance(value, list):
        return "; ".join(
            found for each in value[:5] if (found := each if isinstance(each, str) else identity(mapping(each).get("msg")))
        )
    return ""


def identity(value: object) -> str:
    """An id or a name as text, a number as its digits; "" for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    return str(value).strip()


def name_of(value: object) -> str:
    """An id or a name that may be written down; "" for anything else, and for what is absurdly long."""
    found = identity(value)
    return found if len(found) <= _NAME_CHARS_MOST else ""


def amount(value: object) -> float | None:
    """A number with which one can still calculate."""
    found = number(value)
    return None if found is None or abs(found) > _AMOUNT_MOST else found


def fraction(value: object) -> float | None:
    """Progress is told in percent; what lies between 0 and 1 can only be a share."""
    percent = number(value, least=0.0)
    if percent is None:
        return None
    return percent if percent < 1 else min(percent / 100, 1.0)


def true(value: object) -> bool:
    """Whether it says yes, as a boolean or in words."""
    return value is True or (isinstance(value, str) and value.strip().casefold() == "true")


def false(value: object) -> bool:
    """Whether it says no, as a boolean or in words; absent is not no."""
    return value is False or (isinstance(value, str) and value.strip().casefold() == "false")


def moment(value: object) -> float | None:
    """Epoch seconds from a date in ISO 8601, or from epoch seconds or milliseconds."""
    stamp = number(value, least=1.0)
    if stamp is not None:
        stamp = stamp / 1000 if stamp > 1e11 else stamp
        return stamp if stamp <= _LATEST else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
