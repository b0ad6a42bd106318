"""Whether the cloud's address answers at all: one request without a token, which any reply is an answer to."""

import asyncio
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from nemod.config.model import Nemo
from nemod.engines.nemo.faults import CloudError
from nemod.engines.nemo.line import FOREIGN, Line, skill_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """It did, after so many seconds; `date` is its clock in epoch seconds, if it tells."""

    took_s: float
    date: float | None


async def answers(nemo: Nemo, *, timeout_s: float) -> Answered | str:
    """Ask; a sentence when there is no answer."""
    line = Line(nemo, clock=time.time)
    began = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            reply = await line.http.send(line.request("GET", "/", skill_of(None), None), stream=True)
            await reply.aclose()
            if reply.status_code >= 500:
                return f"The cloud answers that it cannot work now (status {reply.status_code})."
            return Answered(took_s=time.monotonic() - began, date=_epoch(reply.headers.get("date", "")))
    except CloudError as error:
        return error.failure.detail
    except TimeoutError:
        return f"The cloud did not answer within {timeout_s:g} s."
    except FOREIGN as error:
        return line.lost(error, None).failure.detail
    finally:
        await line.close()


def _epoch(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
