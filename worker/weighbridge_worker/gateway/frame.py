"""Around every request: its id, the tally, and an answer in the API's shape whatever happens."""

import itertools
import secrets
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from weighbridge.errors import WeighbridgeError
from weighbridge_worker.gateway.api_errors import ApiError, error_of
from weighbridge_worker.gateway.tally import Tally

SERVER_ERROR = ApiError(500, "Internal server error")

CLIENT_GONE = 499
"""What the tally notes where nobody was left to answer."""


class Frame:
    """The outermost of our own layers.

    Args:
        direct: apps by the path of their POST requests; found without the router's detour, which
            takes as long as a look into the cache.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        direct: Mapping[str, ASGIApp],
        tally: Tally,
        log: FilteringBoundLogger,
    ) -> None:
        self._app = app
        self._direct = direct
        self._tally = tally
        self._log = log
        self._prefix = f"req_wb{secrets.token_hex(6)}"
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request_id = f"{self._prefix}{next(self._numbers):08x}"
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def framed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._tally.statuses[message["status"]] += 1
                message["headers"].append((b"request-id", request_id.encode()))
            await send(message)

        app = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        try:
            await (app or self._app)(scope, receive, framed)
        except ClientDisconnect:
            self._tally.statuses[CLIENT_GONE] += 1
        except Exception as error:
            if started:
                raise
            await self._explain(error, scope)(scope, receive, framed)

    def _explain(self, error: Exception, scope: Scope) -> Response:
        """Log what went wrong and make the answer that says so."""
        state = scope["state"]
        if isinstance(error, WeighbridgeError):
            error = error_of(error)
        if isinstance(error, ApiError):
            tenant = state.get("tenant")
            self._log.info(
                "request_refused",
                status=error.status,
                code=error.code or error.kind,
                path=scope["path"][:100],
                tenant=tenant.name if tenant else None,
                request_id=state["request_id"],
            )
            return error_response(error, state["request_id"])
        # Its text may hold anything, also a payload.
        self._log.error("request_broke", error=type(error).__name__, request_id=state["request_id"])
        return error_response(SERVER_ERROR, state["request_id"])


def error_response(error: ApiError, request_id: str) -> Response:
    """Make the answer that says what went wrong."""
    return Response(
        error.body(request_id),
        status_code=error.status,
        headers=error.headers,
        media_type="application/json",
    )
