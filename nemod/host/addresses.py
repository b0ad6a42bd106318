"""What `nemod doctor` finds about the addresses that hear of what happened; nothing is sent."""

from collections.abc import AsyncIterator

from nemod.config.model import Config
from nemod.config.telling import address_text
from nemod.herald.courier import understood
from nemod.host.finding import Finding


async def addresses(config: Config) -> AsyncIterator[Finding]:
    """Each address, by its kind alone."""
    for number, (url, fault) in enumerate(zip(config.notify.urls, await understood(config.notify.urls), strict=True), 1):
        todo = "mend it in [notify]; the README has examples" if fault else ""
        kind = f"{address_text(url)}{f' {fault}' if fault else ', tried by: nemod notify test'}"
        yield Finding(what=f"notify {number}", found=kind, ok=not fault, todo=todo)
