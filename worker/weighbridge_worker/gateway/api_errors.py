"""The API's errors in the API's shapes, and the one place where ours become them.

Statuses and types as https://platform.claude.com/docs/en/api/errors documents them;
``details.error_code`` as the SDK reads it (anthropic 2.12, ``_exceptions.py``): there stands our
own stable code.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from weighbridge.errors import (
    CountFailed,
    PayloadError,
    PayloadTooLarge,
    QueueFull,
    QueueUnreachable,
    ResultTimeout,
    UnknownDeadLetter,
    UnknownJob,
    WeighbridgeError,
)

MAX_RETRY_AFTER_S: Final = 86_400

KINDS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """An answer other than what was asked for.

    Args:
        kind: the error's ``type``.
        code: a stable word of ours, sent as ``details.error_code``.
        retry_after_s: when asking again makes sense; None where it never does, or nobody knows.
        headers: more of the answer's headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        kind: str = "",
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind or KINDS.get(status) or _kind_by_class(status)
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["retry-after"] = str(whole_seconds(retry_after_s))

    def body(self, request_id: str) -> bytes:
        """Return the JSON that the API would send."""
        error: dict[str, object] = {"type": self.kind, "message": self.message}
        if self.code:
            error["details"] = {"error_code": self.code}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def whole_seconds(wait_s: float) -> int:
    """Round a wait up to what ``retry-after`` can say: 1 to 86,400 seconds."""
    return max(1, math.ceil(min(wait_s, MAX_RETRY_AFTER_S)))


def error_of(error: WeighbridgeError) -> ApiError:
    """Map what the client raised; how long to wait after a time-out is for the caller to say."""
    if isinstance(error, CountFailed):
        status = FAILURES.get(error.failure_code, 500)
        return ApiError(status, str(error), code=error.failure_code)
    if isinstance(error, QueueFull):
        # The first places are free long before the last job is done.
        return ApiError(529, str(error), code=error.code, retry_after_s=error.eta_s / 10)
    if isinstance(error, QueueUnreachable):
        # Its own text tells of the server behind, which is nothing for callers.
        message = "the queue behind this gateway cannot be reached; try again"
        return ApiError(503, message, code=error.code, retry_after_s=1)
    for kind, status in OURS.items():
        if isinstance(error, kind):
            return ApiError(status, str(error), code=error.code)
    return ApiError(500, "Internal server error", code=error.code)


OURS: Final[Mapping[type[WeighbridgeError], int]] = {
    PayloadTooLarge: 413,
    PayloadError: 400,
    ResultTimeout: 429,
    UnknownDeadLetter: 404,
    UnknownJob: 404,
}
"""The statuses of errors whose text is for the caller; the first that fits."""

FAILURES: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "not_countable": 400,
    "not_found": 404,
    "payload_too_large": 413,
    "expired": 504,
    "timeout": 504,
    "overloaded": 529,
}
"""The statuses of jobs that ended without a count, by their code; any other is a 500."""


def _kind_by_class(status: int) -> str:
    return "api_error" if status >= 500 else "invalid_request_error"


NO_TOKEN: Final = ApiError(401, "x-api-key header is required", code="no_token")
WRONG_TOKEN: Final = ApiError(401, "invalid x-api-key", code="wrong_token")
OPERATORS_ONLY: Final = ApiError(403, "this takes an operator's token", code="operators_only")
FOREIGN_PAGE: Final = ApiError(
    403, "requests of other sites' pages are refused", code="foreign_origin"
)
BODY_TOO_LARGE: Final = ApiError(
    413, "Request exceeds the maximum size of 33,554,432 bytes", code="payload_too_large"
)
NO_MEMORY: Final = ApiError(
    529,
    "the gateway holds as many bytes of requests as it may; try again",
    code="gateway_full",
    retry_after_s=1,
)
