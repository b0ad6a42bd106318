"""Accounts, sessions, uploads, messages and the state: the API's endpoints up to the export.

The letters are those of the list of endpoints in the API's documents.
"""

import asyncio
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nemod.sandbox import agent, uploads
from nemod.sandbox.calls import Calls, body_of
from nemod.sandbox.faults import Endpoint
from nemod.sandbox.replies import Refusal, envelope
from nemod.sandbox.turns import Turns
from nemod.sandbox.wire import Cut
from nemod.sandbox.world import Asset, Session, World, new_token

_MOST_CLIENT_ID = 64
_CLAIM_S = 604_800


@dataclass(slots=True, kw_only=True)
class Server:
    """Answers them."""

    calls: Calls
    world: World
    turns: Turns
    upload_limit: int
    known: dict[str, Asset] = field(default_factory=dict)
    issued: dict[str, str] = field(default_factory=dict)
    #: Looking into a file takes a process.
    turnstile: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    def routes(self) -> list[Route]:
        """Every path with its handler."""
        route = self.calls.route
        return [
            route("/api/auth/anonymous-token", Endpoint.TOKEN, self.anonymous_token, "POST"),  # A
            route("/api/tasks/me/with-session/nemo_agent", Endpoint.SESSION, self.open_session, "POST"),  # B
            route("/run_sse", Endpoint.ASK, self.ask, "POST"),  # C
            route("/api/upload-video/nemo_agent/me/{session}", Endpoint.UPLOAD, self.upload, "POST"),  # D
            route("/api/state/nemo_agent/me/{session}/latest", Endpoint.STATE, self.state, "GET"),  # E
            route("/api/credits/balance/simple", Endpoint.CREDITS, self.credits, "GET"),  # F
            route("/api/auth/claim-token", Endpoint.CLAIM, self.claim_token, "POST"),  # K
            route("/api/tokens", Endpoint.TOKENS, self.create_token, "POST"),  # M
            route("/api/tokens", Endpoint.TOKENS, self.list_tokens, "GET"),
            route("/api/tokens/{number}/revoke", Endpoint.TOKENS, self.revoke_token, "POST"),
        ]

    async def anonymous_token(self, request: Request) -> Response:
        """A: one token per client in a week, ten per address."""
        client = request.headers.get("x-client-id", "").strip()
        if not client or len(client) > _MOST_CLIENT_ID:
            raise Refusal(400, "The header X-Client-Id is missing or too long.")
        address = request.client.host if request.client else ""
        account = self.world.grant(client, address, time.time())
        if account is None:
            raise Refusal(429, "Anonymous token quota exceeded: 1 per client and 10 per IP in 7 days.")
        self.world.note("granted", user=account.user)
        expires = datetime.fromtimestamp(account.expires_at or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return envelope({"token": account.token, "credits": account.available, **self._ids(account.user, expires_at=expires)})

    def _ids(self, user: str, **more: str) -> dict[str, str]:
        return {} if self.calls.faults.take("bare-ids") is not None else {"user_id": user, **more}

    async def open_session(self, request: Request) -> Response:
        """B: a task with a session."""
        account = self.calls.account(request)
        body = await body_of(request)
        name, language = str(body.get("task_name", "project")), str(body.get("language", "en"))
        session = self.world.open_session(account, name=name, language=language)
        self.world.note("opened", session=session.id, user=account.user)
        number: str | int = session.id if self.calls.faults.take("session-number") is None else int(session.id)
        return envelope({"task_id": session.task, "session_id": number, **self._ids(account.user)})

    async def ask(self, request: Request) -> Response:
        """C: a message to the agent, answered by a stream."""
        account = self.calls.account(request)
        body: dict[str, Any] = await body_of(request)
        if body.get("app_name") != "nemo_agent" or body.get("user_id") != "me":
            raise Refusal(400, "app_name must be nemo_agent and user_id must be me.")
        session = self.calls.session(body.get("session_id"), account, Endpoint.ASK)
        try:
            parts = body["new_message"]["parts"]
            message = "\n".join(part["text"] for part in parts)
        except (KeyError, TypeError) as error:
            raise Refusal(400, "new_message.parts must be a list of texts.") from error
        if not message.strip():
            raise Refusal(400, "new_message is empty.")
        return self.turns.begin(session, account, message)

    async def upload(self, request: Request) -> Response:
        """D: files in a multipart body, or URLs in a JSON one."""
        account = self.calls.account(request)
        session = self.calls.session(request.path_params["session"], account, Endpoint.UPLOAD)
        folder = Path(tempfile.mkdtemp(dir=self.world.folder / "uploads"))
        try:
            assets = [await self._asset(part, request) for part in await self._parts(request, folder)]
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        late = self.calls.faults.take("upload-not-applied")
        if late is None:
            self._attach(session, assets)
        else:
            asyncio.get_running_loop().call_later(float(late or 0.5), self._attach, session, assets)
        shown = [{key: value for key, value in asset.shown.items() if key != "size"} for asset in assets]
        if self.calls.faults.take("upload-lost-reply") is not None:
            return Cut()
        return envelope({"files": shown, "session_state_applied": late is None})

    async def _parts(self, request: Request, folder: Path) -> list[uploads.Part]:
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            receiver = uploads.Receiver(folder=folder, limit=self.upload_limit)
            parts = await receiver.receive(content_type, request.stream())
        else:
            urls = (await body_of(request)).get("urls")
            named = urls if isinstance(urls, list) else []
            parts = [
                await asyncio.to_thread(uploads.fetch, str(url), folder, n, limit=self.upload_limit)
                for n, url in enumerate(named)
            ]
        if not parts:
            raise Refusal(400, "There is no file in the field files, and no URL in urls.")
        return parts

    async def _asset(self, part: uploads.Part, request: Request) -> Asset:
        cdn_url = f"{base_url(request)}/cdn/{secrets.token_hex(8)}/{quote(part.name)}"
        async with self.turnstile:
            return await uploads.asset_of(part, cdn_url=cdn_url, known=self.known)

    def _attach(self, session: Session, assets: list[Asset]) -> None:
        session.assets += assets
        videos = [asset for asset in assets if asset.shown["file_type"] == "video"]
        if videos and session.draft is None and self.calls.faults.take("draft-on-upload") is not None:
            session.draft = agent.timeline(videos[0])
        session.changed(time.time())
        for asset in assets:
            self.world.note("uploaded", session=session.id, bytes=asset.shown["size"], hash=asset.shown["hash"])

    async def state(self, request: Request) -> Response:
        """E: the timeline and the files of a session."""
        account = self.calls.account(request)
        session = self.calls.session(request.path_params["session"], account, Endpoint.STATE)
        session.reads += 1
        shown = self._shown(session)
        draft: Any = shown.pop("draft")
        inner: dict[str, object] = {
            **shown,
            "canvas_config": agent.canvas(draft),
            # Fills in by itself, edit or no edit.
            "video_analyses": {"progress": min(100, 10 * session.reads)},
            "generated_media": [],
        }
        take = self.calls.faults.take
        if draft is not None:
            inner["draft"] = draft if take("draft-string") is None else agent.as_text(draft)
        elif take("draft-absent-before") is None:
            inner["draft"] = {} if take("draft-null-before") is None else None
        outer = {"session_id": session.id, "task_id": session.task, "task_name": session.name, **self._ids(account.user)}
        return envelope({**outer, "state": inner})

    def _shown(self, session: Session) -> dict[str, object]:
        lag = self.calls.faults.take("state-lag")
        if lag is None:
            return session.visible()
        until = time.time() - float(lag or 1)
        return dict(next((seen for at, seen in reversed(session.history) if at <= until), session.history[0][1]))

    async def credits(self, request: Request) -> Response:
        """F: the balance."""
        account = self.calls.account(request)
        total = account.available + account.frozen
        return envelope({"available": account.available, "frozen": account.frozen, "total": total})

    async def claim_token(self, request: Request) -> Response:
        """K: a token for a link to the workspace, good for nothing else."""
        account = self.calls.account(request)
        body = await body_of(request)
        session = self.calls.session(body.get("session_id"), account, Endpoint.CLAIM)
        if body.get("task_id") != session.task:
            raise Refusal(1002, "Task not found.")
        return envelope({"claim_token": f"clm_{secrets.token_urlsafe(24)}", "expires_in": _CLAIM_S})

    async def create_token(self, request: Request) -> Response:
        """M: another token for the same account."""
        account = self.calls.account(request)
        name = str((await body_of(request)).get("name", ""))
        number, token = f"tok_{secrets.token_hex(6)}", new_token()
        self.issued[number], self.world.accounts[token] = token, account
        return envelope({"id": number, "name": name, "token": token})

    async def list_tokens(self, request: Request) -> Response:
        """M: the tokens of an account, without themselves."""
        account = self.calls.account(request)
        mine = [number for number, token in self.issued.items() if self.world.accounts.get(token) is account]
        return envelope([{"id": number} for number in mine])

    async def revoke_token(self, request: Request) -> Response:
        """M: end a token."""
        account = self.calls.account(request)
        number = request.path_params["number"]
        if self.world.accounts.get(self.issued.get(number, "")) is not account:
            raise Refusal(404, "There is no such token.")
        del self.world.accounts[self.issued.pop(number)]
        return envelope({"id": number})


def base_url(request: Request) -> str:
    """The server's address as the client wrote it."""
    return f"http://{request.headers.get('host', '127.0.0.1')}"
