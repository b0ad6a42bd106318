"""A child process that speaks to the network for us: sends one message to one address, or says which addresses mean something.

Run as `python -m nemod.herald.messenger`; one JSON object on standard input, one on standard output. It is a process of its
own because Apprise's ways to some hundred services wait as they like, import much and may fail in any way: none of that belongs
into a daemon. Rules kept here:
- addresses come by standard input, never by arguments or the environment, which others may see;
- nothing that Apprise or a server says is handed on as it is: it may hold the address. What it comes to is.
"""

import json
import logging
import re
import sys
from typing import Any

_STATUS = re.compile(r"\berror=(\d{3})\b")


class Listener(logging.Handler):  # logging takes no other kind
    """Remembers what Apprise complains of, as far as it can be told."""

    def __init__(self) -> None:
        """Nothing is heard yet."""
        super().__init__(logging.WARNING)
        self.why = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first complaint."""
        said = record.getMessage()
        if found := _STATUS.search(said):
            self.why = self.why or f"the service answered with status {found[1]}"
        elif "onnection error" in said:
            self.why = self.why or "the service cannot be reached, or does not answer"


def main() -> int:
    """Do what standard input says."""
    wanted: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    try:
        import apprise  # noqa: PLC0415 - whoever lacks it should hear that
    except ImportError:
        return _say({"error": "the package apprise is not installed"})
    logging.getLogger("apprise").addHandler(listener := Listener())
    logging.getLogger("apprise").propagate = False
    asset = apprise.AppriseAsset(
        app_id="nemod", app_desc="nemod", app_url="", async_mode=False, secure_logging=True, storage_mode="memory"
    )
    # Apprise splits a text at commas, where each part looks like an address; ours is one.
    services: list[Any] = [_service(apprise, url, asset) for url in wanted["urls"]]
    if "body" not in wanted:
        return _say({"known": [service is not None for service in services]})
    if services[0] is None:
        return _say({"error": "this is no address that Apprise knows"})
    try:
        taken = apprise.Apprise(asset=asset, services=services).notify(
            body=wanted["body"], title=wanted["title"], notify_type=wanted["type"], body_format=apprise.NotifyFormat.TEXT
        )
    except Exception as error:  # noqa: BLE001 - a plugin's; its words may hold the address
        return _say({"error": f"Apprise met an error of its own ({type(error).__name__})"})
    return _say({} if taken else {"error": listener.why or "it was not taken"})


def _service(apprise: Any, url: str, asset: object) -> object | None:
    try:
        service: object | None = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - as above
        return None
    return service


def _say(answer: dict[str, object]) -> int:
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
