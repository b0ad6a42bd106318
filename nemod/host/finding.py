"""What `nemod doctor` says of one thing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `todo` is empty when nothing needs doing."""

    what: str
    found: str
    ok: bool = True
    todo: str = ""
