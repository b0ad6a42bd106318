"""What people see of folders that begin nothing new."""

from dataclasses import dataclass
from typing import assert_never

from nemod.ledger.pauses import EVERY, Pause, Why


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseView:
    """A folder (None: every one) that begins nothing new until then (epoch seconds; None: until a person says so)."""

    folder: str | None
    why: str  # asked | hours
    until: float | None
    detail: str
    hint: str


def pause_view(pause: Pause) -> PauseView:
    """A pause as people see it."""
    named = f" {pause.folder}" if pause.folder else ""
    hint = f"Go on with: nemod resume{named}" if pause.why is Why.ASKED else ""
    return PauseView(folder=pause.folder or None, why=pause.why.value, until=pause.until, detail=_detail(pause), hint=hint)


def _detail(pause: Pause) -> str:
    match pause.why:
        case Why.ASKED if pause.folder == EVERY:
            return "All folders are paused."
        case Why.ASKED:
            return "The folder is paused."
        case Why.HOURS:
            return "It is outside the hours of the folder."
        case _ as never:
            assert_never(never)
