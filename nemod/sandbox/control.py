"""The sandbox's own addresses, below /sandbox/: what happened, who has how many credits, and how to misbehave."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nemod.sandbox.calls import body_of
from nemod.sandbox.faults import FaultError, Faults
from nemod.sandbox.replies import Refusal, refused
from nemod.sandbox.world import World


@dataclass(slots=True, kw_only=True)
class Control:
    """Answers them; nothing of it is written into the journal."""

    world: World
    faults: Faults

    def routes(self) -> list[Route]:
        """Every path with its handler."""
        return [
            Route("/sandbox/journal", self.journal, methods=["GET"]),
            Route("/sandbox/accounts", self.accounts, methods=["GET"]),
            Route("/sandbox/credits", self.credits, methods=["POST"]),
            Route("/sandbox/misbehave", self.misbehaving, methods=["GET"]),
            Route("/sandbox/misbehave", self.misbehave, methods=["POST"]),
            Route("/sandbox/misbehave", self.behave, methods=["DELETE"]),
        ]

    async def journal(self, request: Request) -> Response:
        """All that happened, in order."""
        del request
        return JSONResponse(self.world.journal)

    async def accounts(self, request: Request) -> Response:
        """Who has how many credits; no tokens."""
        del request
        return JSONResponse(
            [
                {
                    "user": account.user,
                    "anonymous": account.anonymous,
                    "available": account.available,
                    "frozen": account.frozen,
                    "calls": account.calls,
                }
                for account in self.world.accounts.values()
            ]
        )

    async def credits(self, request: Request) -> Response:
        """Give every account, and every one to come, so many credits."""
        try:
            available = (await body_of(request)).get("available")
        except Refusal as refusal:
            return refused(refusal)
        if isinstance(available, bool) or not isinstance(available, int | float):
            return refused(Refusal(400, "available must be a number."))
        self.world.credits = available
        for account in self.world.accounts.values():
            account.available = available
        return JSONResponse({"available": available})

    async def misbehaving(self, request: Request) -> Response:
        """What is switched on."""
        del request
        return JSONResponse({"names": self.faults.names()})

    async def misbehave(self, request: Request) -> Response:
        """Switch some on."""
        try:
            names = (await body_of(request)).get("names")
            self.faults.switch_on(map(str, names if isinstance(names, list) else []))
        except Refusal as refusal:
            return refused(refusal)
        except FaultError as error:
            return refused(Refusal(400, str(error)))
        return await self.misbehaving(request)

    async def behave(self, request: Request) -> Response:
        """Switch all off."""
        self.faults.clear()
        return await self.misbehaving(request)
