"""Each foreign thing has one home, so that it can be changed in one place; and what is local stays local."""

import ast

import pytest

from tests.architecture.source import FOREIGN, MODULES, OWN, TREES

#: Package → the modules, or packages of ours, that may import it.
HOMES: dict[str, tuple[str, ...]] = {
    "watchdog": ("intake.watch",),
    "apscheduler": ("daemon.timers",),
    "sqlite3": ("ledger",),
    "av": ("media.probe_child",),
    "send2trash": ("delivery.originals",),
    "imageio_ffmpeg": ("engines.local.tools",),
    "structlog": ("logs",),
    "tomllib": ("config",),
    "tomli_w": ("config", "cli.config"),
    "typer": ("cli",),
    "rich": ("cli",),
    "yaml": ("config.skills",),
    "httpx": ("engines.nemo",),
    "httpx_sse": ("engines.nemo",),
    "apprise": ("herald.messenger",),
    "starlette": ("sandbox",),
    "uvicorn": ("sandbox",),
}
#: What opens a connection to anywhere.
NETWORK = frozenset({"httpx", "httpx_sse", "socket", "ssl", "urllib", "http", "ftplib", "smtplib", "socketserver", "requests"})
#: Calls of asyncio that open one, too.
CONNECTING = frozenset({"open_connection", "create_connection", "start_server", "create_server", "create_datagram_endpoint"})


def within(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)


@pytest.mark.parametrize("package", HOMES)
def test_a_package_is_imported_at_home_only(package: str) -> None:
    """And if it has a home, it is used there."""
    users = {module for module, found in FOREIGN.items() if package in found}
    assert {module for module in users if not within(module, HOMES[package])} == set()
    assert bool(users) is bool(HOMES[package])


def closure(start: set[str]) -> set[str]:
    """The modules and all that they import, directly or not."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += OWN[module]
    return found


def test_nothing_that_the_local_engine_uses_can_open_a_connection() -> None:
    """A folder with `engine = "local"` never does: neither the engine nor anything that it stands on."""
    local = closure({module for module in MODULES if module.startswith("engines.local.")})
    assert "engines.local.encode" in local
    assert {module: FOREIGN[module] & NETWORK for module in local if FOREIGN[module] & NETWORK} == {}
    named = {
        node.attr
        for module in local
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Attribute) and node.attr in CONNECTING
    }
    assert named == set()


def test_the_runner_knows_no_engine_by_name() -> None:
    """It knows the protocol; only who puts the daemon together knows who keeps it."""
    assert not [module for module in OWN if module.startswith("daemon.") and "engines.local" in str(OWN[module])]
