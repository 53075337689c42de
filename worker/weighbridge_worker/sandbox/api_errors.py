"""The API's errors, in its shapes.

Statuses, types and messages as https://platform.claude.com/docs/en/api/errors documents them and
as public bug reports quote them; ``details.error_code`` as the SDK reads it (anthropic 2.12,
``_exceptions.py``).
"""

import msgspec

MAX_BODY_BYTES = 32 * 2**20


class ApiError(Exception):
    """An answer other than a count.

    Args:
        kind: the error's ``type``.
        code: ``details.error_code``, where the API gives one.
    """

    def __init__(self, status: int, kind: str, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code

    def body(self, request_id: str) -> bytes:
        """Return the JSON that the API would send."""
        error: dict[str, object] = {"type": self.kind, "message": self.message}
        if self.code:
            error["details"] = {"error_code": self.code}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def invalid(message: str) -> ApiError:
    """The body is at fault."""
    return ApiError(400, "invalid_request_error", message)


def rate_limited(rpm: float) -> ApiError:
    """The bucket is empty."""
    return ApiError(
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of"
        f" {rpm:,.0f} token counting requests per minute.",
    )


NO_KEY = ApiError(401, "authentication_error", "x-api-key header is required")
WRONG_KEY = ApiError(401, "authentication_error", "invalid x-api-key")
FORBIDDEN = ApiError(
    403,
    "permission_error",
    "Your API key does not have permission to use the specified resource.",
)
ADMIN_KEY_REQUIRED = ApiError(
    403, "permission_error", "This endpoint requires an Admin API key of an organization."
)
NOT_FOUND = ApiError(404, "not_found_error", "Not Found")
NOT_ALLOWED = ApiError(405, "invalid_request_error", "Method Not Allowed")
TOO_LARGE = ApiError(413, "request_too_large", "Request exceeds the maximum size")
RAMP_LIMIT = ApiError(
    429,
    "rate_limit_error",
    "Your organization's usage grows faster than its ramp limit allows.",
    "ramp_limit_exceeded",
)
SPEND_LIMIT = ApiError(
    429,
    "rate_limit_error",
    "Your organization has reached its monthly spend limit.",
    "enforced_spend_limit_reached",
)
SERVER_ERROR = ApiError(500, "api_error", "Internal server error")
OVERLOADED = ApiError(529, "overloaded_error", "Overloaded")
