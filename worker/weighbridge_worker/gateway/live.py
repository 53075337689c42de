"""``GET /v1/live``: the pool as a stream of server-sent events, a snapshot a second.

It begins with the last minutes, for charts. ``GET /v1/snapshot`` is a single look.
"""

from typing import Any, Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from weighbridge_worker.gateway.access import require_operator
from weighbridge_worker.gateway.api_errors import ApiError
from weighbridge_worker.gateway.lookout import Lookout
from weighbridge_worker.gateway.service import Gateway

SLOW_S: Final = 10.0
"""A viewer that takes nothing for so long is cut; it would hold its place for ever."""

STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
    (b"x-content-type-options", b"nosniff"),
]


class LiveStream:
    """The endpoint; a viewer that is slow misses snapshots, and none are kept for it."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the viewer goes, or the gateway does."""
        require_operator(Request(scope))
        with self._lookout.watching():
            async with anyio.create_task_group() as tasks:

                async def leave() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                tasks.start_soon(leave)
                with anyio.CancelScope() as slow:
                    await self._stream(send, slow)
                tasks.cancel_scope.cancel()

    async def _stream(self, send: Send, slow: anyio.CancelScope) -> None:
        async def push(message: Any) -> None:
            slow.deadline = anyio.current_time() + SLOW_S
            await send(message)
            slow.deadline = float("inf")

        await push({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS]})
        await push(_part(self._lookout.history()))
        shown = 0
        while (seen := await self._lookout.newer(shown)) is not None:
            snapshot, event = seen
            shown = snapshot.number
            await push(_part(event))
        await push({"type": "http.response.body", "body": b"", "more_body": False})


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the guarded routes."""
    lookout = gateway.lookout

    async def snapshot(request: Request) -> Response:
        require_operator(request)
        with lookout.watching():
            seen = await lookout.newer(lookout.number)
        if seen is None:
            raise ApiError(503, "the gateway is going", code="closing", retry_after_s=1)
        return Response(
            msgspec.json.encode(seen[0]),
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    return [
        Route("/v1/live", LiveStream(lookout), methods=["GET"]),
        Route("/v1/snapshot", snapshot, methods=["GET"]),
    ]


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}
