"""``GET /live`` and ``/ready``: for probes, without a token; neither says anything of the pool."""

import time

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from weighbridge.errors import QueueUnreachable
from weighbridge_worker.gateway.service import Gateway

LOOK_EVERY_S = 1.0
"""Anybody may ask, so that asking must not become the server's load."""

PING_S = 2.0
"""Shorter than a probe's own patience."""


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the public routes."""
    readiness = Readiness(gateway)

    async def live(_request: Request) -> Response:
        return _answer(good=True, why=[])

    async def ready(_request: Request) -> Response:
        good = await readiness.look()
        return _answer(good=good, why=[] if good else ["the queue does not answer"])

    return [Route("/live", live), Route("/ready", ready)]


class Readiness:
    """Whether the queue answers, as of a moment ago."""

    def __init__(self, gateway: Gateway) -> None:
        self._admin = gateway.admin
        self._looked = float("-inf")
        self._good = False

    async def look(self) -> bool:
        """Ask the queue's server, unless somebody just did."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._good = await self._ping()
        return self._good

    async def _ping(self) -> bool:
        try:
            with anyio.fail_after(PING_S):
                await self._admin.ping()
        except (QueueUnreachable, TimeoutError):
            return False
        return True


def _answer(*, good: bool, why: list[str]) -> Response:
    return Response(
        msgspec.json.encode({"ready": good, "why": why}),
        status_code=200 if good else 503,
        media_type="application/json",
    )
