"""``GET /v1/organizations/rate_limits``, as the Admin API answers it.

Shapes as https://platform.claude.com/docs/en/manage-claude/rate-limits-api documents them and as
the SDK types them (anthropic 2.12, ``types/organization/organization_rate_limit.py``).
"""

import math
from typing import Final

import msgspec
from aiohttp import web

from weighbridge_worker.sandbox.api_errors import (
    ADMIN_KEY_REQUIRED,
    NO_KEY,
    WRONG_KEY,
    ApiError,
    invalid,
)
from weighbridge_worker.sandbox.endpoint import key_of
from weighbridge_worker.sandbox.settings import SandboxSettings

RATE_LIMITS_PATH: Final = "/v1/organizations/rate_limits"

_REQUEST_ID: Final = "req_sandbox_admin"
_COUNTING: Final = "token_count"
_GROUP_TYPES: Final = ("batch", "files", "model_group", "skills", _COUNTING, "web_search")


class AdminApi:
    """Tells the stand-in's own limit to whoever has a key for that."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings

    async def rate_limits(self, request: web.Request) -> web.Response:
        """List the limits, of one group type or all; there is a group for counting alone."""
        wanted = request.query.get("group_type", _COUNTING)
        error = self._refuse(request)
        if error is None and wanted not in _GROUP_TYPES:
            error = invalid(f"group_type: Input should be one of {', '.join(_GROUP_TYPES)}")
        if error is not None:
            return _json(error.status, error.body(_REQUEST_ID))
        groups = [self._token_count()] if wanted == _COUNTING else []
        return _json(200, msgspec.json.encode({"data": groups, "next_page": None}))

    def _refuse(self, request: web.Request) -> ApiError | None:
        key = key_of(request)
        if not key:
            return NO_KEY
        if not self._settings.admin_api:
            return ADMIN_KEY_REQUIRED
        return None if self._settings.admin_key in (None, key) else WRONG_KEY

    def _token_count(self) -> dict[str, object]:
        value = math.floor(self._settings.rpm)
        return {
            "id": "rl_sandbox_token_count",
            "type": "rate_limit",
            "group": {"id": "rlg_sandbox_token_count", "type": _COUNTING},
            "limits": [{"type": "requests_per_minute", "value": value}],
            "models": None,
        }


def _json(status: int, body: bytes) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        headers={"request-id": _REQUEST_ID},
        content_type="application/json",
    )
