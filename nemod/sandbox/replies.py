"""What replies look like: the envelope, the errors with their codes, and every documented shape of a render's progress."""

from collections.abc import Mapping
from typing import assert_never

from starlette.responses import JSONResponse, Response

from nemod.sandbox.world import Render

#: Body code → the HTTP status that goes with it when statuses are told too.
STATUSES = {1001: 401, 1002: 404, 2001: 402, 4001: 415, 4002: 413}


class Refusal(Exception):  # noqa: N818 - an answer, not an accident
    """Ends a request with an error of the API. `code` is a body code from 1000 on, an HTTP status below."""

    def __init__(self, code: int, words: str) -> None:
        """Keep both."""
        super().__init__(words)
        self.code, self.words = code, words


class RenderRefusal(Refusal):
    """The same in the shape of the render endpoints, which have no envelope."""


def envelope(data: object) -> Response:
    """A success."""
    return JSONResponse({"code": 0, "data": data})


def refused(refusal: Refusal, *, http_statuses: bool = False, always_200: bool = False) -> Response:
    """An error: body codes come under HTTP 200 unless statuses are wanted, statuses as themselves."""
    status = refusal.code
    if always_200 or (refusal.code >= 1000 and not http_statuses):
        status = 200
    elif refusal.code >= 1000:
        status = STATUSES.get(refusal.code, 400)
    match refusal:
        case RenderRefusal():
            return JSONResponse({"success": False, "error": refusal.words}, status_code=status)
        case Refusal():
            return JSONResponse({"code": refusal.code, "message": refusal.words}, status_code=status)
        case _:
            assert_never(refusal)


def submitted(render: Render) -> Response:
    """The answer to a render that was taken."""
    return JSONResponse({"success": True, "data": {"id": render.id, "status": render.status, "progress": render.progress}})


def polled(render: Render, *, url: str, shape: str) -> Response:
    """How far a render is, in one of the documented shapes; an empty URL is left out.

    Raises:
        Refusal: there is no such shape.
    """
    core: dict[str, object] = {"status": render.status, "progress": render.progress}
    if render.error:
        core["error"] = render.error
    file = {"url": url, "duration": render.seconds, "size": render.file.stat().st_size if render.file else 0}
    full = {"id": render.id, **core, "createdAt": render.created_ms}
    if render.completed_ms is not None:
        full["completedAt"] = render.completed_ms
    ends: Mapping[str, Mapping[str, object]] = {
        "outputUrl": {"outputUrl": url} if url else {},
        "output": {"output": file} if url else {},
        "output_url": {"output_url": url} if url else {},
        "url": {"url": url} if url else {},
    }
    body: object
    match shape:
        case "" | "wrapped":
            body = {"success": True, "data": {**full, **ends["outputUrl"]}}
        case "flat":
            body = {**full, **ends["output"]}
        case "old":
            body = {"taskId": render.id, **core, **ends["output"]}
        case "output-url":
            body = {**full, **ends["outputUrl"]}
        case "code":
            body = {"code": 0, "data": {**full, **ends["outputUrl"]}}
        case "nested-old":
            body = {"code": 0, "data": {"taskId": render.id, **core, **ends["output"]}}
        case "underscore":
            body = {"render_id": render.id, **core, **ends["output_url"]}
        case "url":
            body = {**full, **ends["url"]}
        case _:
            raise Refusal(500, f'The sandbox knows no poll shape "{shape}".')
    return JSONResponse(body)
