"""Around every request: its id, the tally, and an answer in the API's shape whatever happens."""

import itertools
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from weighbridge.errors import WeighbridgeError
from weighbridge_worker.gateway.api_errors import ApiError, error_of
from weighbridge_worker.gateway.tally import Tally

SERVER_ERROR = ApiError(500, "Internal server error")


class Frame:
    """The outermost of our own layers."""

    def __init__(self, app: ASGIApp, *, tally: Tally, log: FilteringBoundLogger) -> None:
        self._app = app
        self._tally = tally
        self._log = log
        self._prefix = f"req_wb{secrets.token_hex(6)}"
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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

        try:
            await self._app(scope, receive, framed)
        except ClientDisconnect:
            self._tally.statuses[CLIENT_GONE] += 1
        except Exception as error:
            # Its text may hold anything, also a payload.
            self._log.error("request_broke", error=type(error).__name__, request_id=request_id)
            if started:
                raise
            await error_response(SERVER_ERROR, request_id)(scope, receive, framed)


CLIENT_GONE = 499
"""What the tally notes where nobody was left to answer."""


def error_response(error: ApiError, request_id: str) -> Response:
    """Make the answer that says what went wrong."""
    return Response(
        error.body(request_id),
        status_code=error.status,
        headers=error.headers,
        media_type="application/json",
    )


def exception_handlers(log: FilteringBoundLogger) -> dict[type[Exception], ExceptionHandler]:
    """Return what turns exceptions of the endpoints into answers."""

    def answer(request: Request, error: ApiError) -> Response:
        state = request.scope["state"]
        tenant = state.get("tenant")
        log.info(
            "refused",
            status=error.status,
            code=error.code or error.kind,
            path=request.url.path[:100],
            tenant=tenant.name if tenant else None,
            request_id=state["request_id"],
        )
        return error_response(error, state["request_id"])

    async def of_api(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101 - as registered
        return answer(request, error)

    async def of_ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, WeighbridgeError)  # noqa: S101 - as registered
        return answer(request, error_of(error))

    async def of_routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as registered
        return answer(
            request,
            ApiError(error.status_code, error.detail, headers=error.headers),
        )

    return {ApiError: of_api, WeighbridgeError: of_ours, HTTPException: of_routing}
