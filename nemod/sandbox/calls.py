"""What every call goes through: the journal, the misbehaviours, and who may call.

Rules kept here:
- every request is a line in the journal and one for people, without its token;
- misbehaviours of a connection act before anything is done, those of a reply after all is done.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from nemod.sandbox.faults import Endpoint, Faults
from nemod.sandbox.replies import Refusal, RenderRefusal, refused
from nemod.sandbox.wire import Cut, Never, Slow
from nemod.sandbox.world import Account, Session, World
from nemod.text import safe

SKILL_HEADERS = ("x-skill-source", "x-skill-version", "x-skill-platform")
PAGE = "<!doctype html><html><body><h1>{}</h1><p>nginx</p></body></html>"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True, kw_only=True)
class Calls:
    """Puts handlers behind all of that."""

    world: World
    faults: Faults

    def route(self, path: str, endpoint: Endpoint, handler: Handler, *methods: str) -> Route:
        """A route whose handler only does the thing itself."""

        async def serve(request: Request) -> Response:
            entry = self._noted(request, endpoint)
            response = self._before(endpoint)
            if response is None:
                try:
                    response = await handler(request)
                except Refusal as refusal:
                    response = self._refused(refusal)
                except ClientDisconnect:
                    response = Cut()
                if (late := self.faults.take("late-reply", endpoint)) is not None:
                    await asyncio.sleep(float(late or 5))
                response = self._after(endpoint, response)
            entry["status"] = response.status_code
            _say(request, endpoint, response)
            return response

        return Route(path, serve, methods=list(methods))

    def account(self, request: Request) -> Account:
        """Who calls.

        Raises:
            Refusal: the token is missing, unknown or void.
        """
        account = self._known(request)
        if account is None:
            raise Refusal(1001, "Token is invalid or has expired.")
        account.calls += 1
        calls = self.faults.peek("token-expires")
        if not account.void and calls is not None and account.calls > int(calls or 0):
            self.faults.take("token-expires")
            account.void = True
        if account.void or (account.expires_at is not None and account.expires_at <= time.time()):
            raise Refusal(1001, "Token is invalid or has expired.")
        return account

    def session(self, number: object, account: Account, endpoint: Endpoint) -> Session:
        """A session of the caller's.

        Raises:
            Refusal: there is none, or it is another's.
        """
        session = self.world.sessions.get(str(number))
        if session is None or session.user != account.user:
            raise Refusal(1002, "Session not found.")
        if self.faults.take("session-lost", endpoint) is not None:
            del self.world.sessions[session.id]
            raise Refusal(1002, "Session not found.")
        return session

    def _known(self, request: Request) -> Account | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return self.world.accounts.get(token.strip()) if kind.lower() == "bearer" else None

    def _noted(self, request: Request, endpoint: Endpoint) -> dict[str, object]:
        account = self._known(request)
        return self.world.note(
            "request",
            method=request.method,
            path=request.url.path,
            endpoint=endpoint.value,
            headers=sorted(request.headers.keys()),
            skill={name.removeprefix("x-skill-"): request.headers.get(name) for name in SKILL_HEADERS},
            session=request.path_params.get("session"),
            authorised=account is not None and not account.void,
        )

    def _refused(self, refusal: Refusal) -> Response:
        as_200 = isinstance(refusal, RenderRefusal) and self.faults.take("render-errors-200") is not None
        return refused(refusal, http_statuses=self.faults.take("http-statuses") is not None, always_200=as_200)

    def _before(self, endpoint: Endpoint) -> Response | None:
        def take(name: str) -> str | None:
            return self.faults.take(name, endpoint)

        if take("reset") is not None:
            return Cut(reset=True)
        if take("close") is not None or (endpoint is Endpoint.ASK and take("drop-unsent") is not None):
            return Cut()
        if endpoint is not Endpoint.ASK and take("stall") is not None:
            return Never()
        if (code := take("code")) is not None:
            return JSONResponse({"code": int(code), "message": f"The sandbox was told to answer with code {code}."})
        if (status := take("http")) is not None:
            words = f"The sandbox was told to answer with status {status}."
            return JSONResponse({"code": int(status), "message": words}, status_code=int(status))
        if (status := take("detail")) is not None:
            return JSONResponse({"detail": f"The sandbox was told to answer with {status}."}, status_code=int(status))
        if (seconds := take("throttle")) is not None:
            headers = {"Retry-After": seconds} if seconds else None
            return JSONResponse({"code": 429, "message": "Too frequent."}, status_code=429, headers=headers)
        if take("html-error") is not None:
            return HTMLResponse(PAGE.format("502 Bad Gateway"), status_code=502)
        return None

    def _after(self, endpoint: Endpoint, response: Response) -> Response:
        def take(name: str) -> str | None:
            return self.faults.take(name, endpoint)

        if take("lost-reply") is not None:
            return Cut()
        if take("garbage") is not None:
            return Response(b"{\xff\x00" + os.urandom(200), media_type="application/json")
        if take("empty-body") is not None:
            return Response(b"", media_type="application/json")
        if isinstance(response, JSONResponse) and take("flat-body") is not None:
            body = json.loads(bytes(response.body))
            response = JSONResponse(body["data"]) if body.get("code") == 0 and isinstance(body.get("data"), dict) else response
        if (pace := take("slow")) is not None:
            return Slow(response, bytes_per_s=int(pace))
        return response


async def body_of(request: Request) -> dict[str, object]:
    """A JSON object.

    Raises:
        Refusal: the body is none.
    """
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise Refusal(400, "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return body


def _say(request: Request, endpoint: Endpoint, response: Response) -> None:
    status = response.status_code or "no reply"
    line = f"{time.strftime('%H:%M:%S')}  {request.method:<4} {safe(request.url.path)}  {endpoint}  {status}"
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the server's own log, one line per request
