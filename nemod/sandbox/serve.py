"""Starts the sandbox: the world, the routes, the socket, and its end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from nemod.sandbox.calls import Calls
from nemod.sandbox.control import Control
from nemod.sandbox.exports import Exports
from nemod.sandbox.faults import Faults
from nemod.sandbox.renders import Renders
from nemod.sandbox.server import Server
from nemod.sandbox.stream import Dialect
from nemod.sandbox.turns import Turns
from nemod.sandbox.wire import OpenProtocol
from nemod.sandbox.world import load, new_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the sandbox is set up; sizes in bytes, times in seconds."""

    state: Path
    ffmpeg: Path
    token: str
    credits: float
    cost: float
    upload_limit: int
    dialect: Dialect
    edit_s: float
    render_s: float
    misbehave: tuple[str, ...]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`: uvicorn raises them again at its end, which would skip our cleaning up."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises:
        OSError: the address is taken or cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)


def serve(settings: Settings, listening: socket.socket, *, ready: Callable[[str], None]) -> None:
    """Serve until a signal comes; `ready` gets the token of the one registered account.

    Raises:
        FaultError: there is no such misbehaviour.
    """
    faults = Faults()
    faults.switch_on(settings.misbehave)
    world = load(settings.state, settings.credits)
    token = settings.token or next((a.token for a in world.accounts.values() if not a.anonymous), "") or new_token()
    if token not in world.accounts:
        world.enrol(token)
    calls = Calls(world=world, faults=faults)
    turns = Turns(world=world, faults=faults, dialect=settings.dialect, cost=settings.cost, edit_s=settings.edit_s)
    renders = Renders(world=world, ffmpeg=settings.ffmpeg, render_s=settings.render_s)
    server = Server(calls=calls, world=world, turns=turns, upload_limit=settings.upload_limit)
    exports = Exports(calls=calls, world=world, renders=renders)
    control = Control(world=world, faults=faults)
    app = Starlette(routes=[*server.routes(), *exports.routes(), *control.routes()])
    asyncio.run(_run(app, listening, lambda: ready(token)))
    world.save()


async def _run(app: Starlette, listening: socket.socket, ready: Callable[[], None]) -> None:
    config = uvicorn.Config(
        app,
        http=OpenProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    ready()
    await server.serve(sockets=[listening])
