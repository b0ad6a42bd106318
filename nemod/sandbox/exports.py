"""Renders as the API shows them: submit, poll, cancel, the file's own address and the fallback for it.

The letters are those of the list of endpoints in the API's documents.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from nemod.sandbox.calls import PAGE, SKILL_HEADERS, Calls, body_of
from nemod.sandbox.faults import Endpoint
from nemod.sandbox.renders import ENCODED, Renders
from nemod.sandbox.replies import Refusal, RenderRefusal, polled, submitted
from nemod.sandbox.server import base_url
from nemod.sandbox.wire import Cut, Raw
from nemod.sandbox.world import Account, Render, Session, World

_ID = re.compile(r"[\w.-]{1,100}")
#: Decided when a render is submitted, seen while it runs.
_LATER = (*sorted(ENCODED), "render-slow", "render-failed", "render-queued", "render-stuck")
_PRIVATE = "http://169.254.169.254/latest/meta-data/render.mp4"
_FILE = "file:///etc/passwd"


@dataclass(slots=True, kw_only=True)
class Exports:
    """Answers them."""

    calls: Calls
    world: World
    renders: Renders

    def routes(self) -> list[Route]:
        """Every path with its handler; the first that fits answers."""
        route = self.calls.route
        return [
            route("/api/render/proxy/lambda", Endpoint.RENDER, self.submit, "POST"),  # G
            route("/api/render/proxy/lambda/{id}", Endpoint.POLL, self.poll, "GET"),  # H
            route("/api/render/proxy/lambda/{id}/cancel", Endpoint.CANCEL, self.cancel, "POST"),  # J
            route("/api/render/proxy/draft", Endpoint.RENDER, self.submit, "POST"),  # L, the old names of G and H
            route("/api/render/proxy/{id}/download", Endpoint.FETCH, self.fetch, "GET"),  # I
            route("/api/render/proxy/{id}", Endpoint.POLL, self.poll_old, "GET"),
            route("/render-result/{id}.mp4", Endpoint.DOWNLOAD, self.download, "GET"),
        ]

    async def submit(self, request: Request) -> Response:
        """G: a render under an id of the client's choice."""
        account = self.calls.account(request)
        self._allowed(request, account)
        body: dict[str, Any] = await body_of(request)
        session = self.calls.session(body.get("sessionId"), account, Endpoint.RENDER)
        chosen = body.get("id")
        if not isinstance(chosen, str) or not _ID.fullmatch(chosen):
            raise RenderRefusal(400, "id must be a text of letters, digits, points, dashes and underscores.")
        if any(chosen in {render.id, render.chosen} for render in self.world.renders.values()):
            raise RenderRefusal(409, f"Duplicate render id: {chosen} already exists.")
        if body.get("output", {}).get("format", "mp4") != "mp4":
            raise RenderRefusal(400, "Only mp4 can be rendered.")
        self._verbatim(session, body.get("draft"))
        render = self._begin(session, account, chosen)
        if self.calls.faults.take("render-lost-reply") is not None:
            return Cut()
        return submitted(render)

    def _allowed(self, request: Request, account: Account) -> None:
        if not all(request.headers.get(name) for name in SKILL_HEADERS):
            raise RenderRefusal(402, "Export is blocked for this plan. Subscribe or upgrade your plan to unlock export.")
        whom = self.calls.faults.peek("render-402")
        if whom is not None and (account.anonymous or whom != "anonymous"):
            self.calls.faults.take("render-402")
            raise RenderRefusal(402, "Export is blocked for this plan. Subscribe or upgrade your plan to unlock export.")

    def _verbatim(self, session: Session, draft: object) -> None:
        if not session.draft or draft != session.draft:
            self.world.note("fault", session=session.id, what="A render was asked for with another draft than the session's.")
            raise RenderRefusal(400, "The draft is not the present draft of the session.")

    def _begin(self, session: Session, account: Account, chosen: str) -> Render:
        assert session.draft is not None  # noqa: S101 - checked just now
        take = self.calls.faults.take
        habits = {name: arg for name in _LATER if (arg := take(name)) is not None}
        render = Render(
            id=chosen if take("render-id-changed") is None else f"srv-{chosen}",
            chosen=chosen,
            session=session.id,
            user=account.user,
            draft=session.draft,
            created_ms=round(time.time() * 1000),
            habits=habits,
        )
        self.world.renders[render.id] = render
        self.world.note("submitted", render=render.id, session=session.id)
        self.renders.begin(render)
        return render

    async def poll(self, request: Request) -> Response:
        """H: how far it is."""
        shape = self.calls.faults.take("poll-shape")
        return self._polled(request, shape or "wrapped")

    async def poll_old(self, request: Request) -> Response:
        """L: the same under its old name, in its old shape."""
        return self._polled(request, "old")

    def _polled(self, request: Request, shape: str) -> Response:
        render = self._render(request)
        url = self._url(request, render) if render.status == "completed" else ""
        return polled(render, url=url, shape=shape)

    def _url(self, request: Request, render: Render) -> str:
        take = self.calls.faults.take
        if take("completed-no-url") is not None:
            return ""
        if take("url-private") is not None:
            return _PRIVATE
        if take("url-file") is not None:
            return _FILE
        return f"{base_url(request)}/render-result/{render.id}.mp4"

    def _render(self, request: Request) -> Render:
        account = self.calls.account(request)
        render = self.world.renders.get(request.path_params["id"])
        if render is None or render.user != account.user:
            raise RenderRefusal(404, "Render not found.")
        return render

    async def cancel(self, request: Request) -> Response:
        """J: a pending render is given up."""
        render = self._render(request)
        if render.status != "pending":
            raise RenderRefusal(400, "Only a pending render can be cancelled.")
        render.status, render.error = "failed", "Cancelled."
        return submitted(render)

    async def fetch(self, request: Request) -> Response:
        """I: the file itself, to whoever may have it."""
        file = _file(self._render(request))
        if self.calls.faults.take("fetch-json") is not None:
            url = f"{base_url(request)}/render-result/{request.path_params['id']}.mp4"
            return JSONResponse({"output": {"url": url, "size": file.stat().st_size}})
        return FileResponse(file, media_type="video/mp4")

    async def download(self, request: Request) -> Response:
        """The file at its public address, where credentials have no business."""
        number = request.path_params["id"]
        if "authorization" in request.headers:
            self.world.note("fault", what="Credentials were sent to the download address.", render=number)
            raise Refusal(400, "This address takes no credentials.")
        render = self.world.renders.get(number)
        if render is None:
            raise Refusal(404, "There is no such file.")
        file = _file(render)
        return self._misdirected(request) or self._spoilt(file) or FileResponse(file, media_type="video/mp4")

    def _misdirected(self, request: Request) -> Response | None:
        take = self.calls.faults.take
        here = f"{base_url(request)}{request.url.path}"
        if take("url-404") is not None:
            return Response(b"Not found", status_code=404)
        if "followed" not in request.query_params and take("url-redirect") is not None:
            return RedirectResponse(f"{here}?followed=1", status_code=302)
        if take("url-redirect-private") is not None:
            return RedirectResponse(_PRIVATE, status_code=302)
        if take("url-redirect-loop") is not None:
            return RedirectResponse(here, status_code=302)
        return None

    def _spoilt(self, file: Path) -> Response | None:
        take = self.calls.faults.take
        size = file.stat().st_size
        if take("cut-download") is not None:
            return Raw(file, says=size, sends=size // 2)
        if take("short-length") is not None:
            return Raw(file, says=size // 2, sends=size)
        if take("html-download") is not None:
            return HTMLResponse(PAGE.format("Your file is on its way"))
        return None


def _file(render: Render) -> Path:
    if render.status != "completed" or render.file is None:
        raise RenderRefusal(404, "The render is not completed.")
    return render.file
