"""``GET /v1/organizations/rate_limits``, as the Admin API answers it."""

from typing import Any

import aiohttp
import pytest

from weighbridge_worker.sandbox import SandboxSettings, sandbox

pytestmark = pytest.mark.asyncio
PATH = "/v1/organizations/rate_limits"
KEY = {"authorization": "Bearer admin"}


async def get(
    settings: SandboxSettings, query: str = "", headers: dict[str, str] = KEY
) -> tuple[int, Any]:
    """Ask a stand-in for its limits."""
    async with (
        sandbox(settings) as server,
        aiohttp.ClientSession(server.base_url) as client,
        client.get(PATH + query, headers=headers) as answer,
    ):
        assert answer.content_type == "application/json"
        assert len(server.ledger) == 0, "only counting calls are attempts"
        return answer.status, await answer.json()


@pytest.mark.parametrize("query", ["", "?group_type=token_count"])
async def test_it_tells_the_stand_ins_own_limit_in_the_apis_shape(query: str) -> None:
    status, page = await get(SandboxSettings(rpm=1234.9), query)
    assert status == 200
    assert page["next_page"] is None
    [entry] = page["data"]
    assert (entry["type"], entry["models"], entry["group"]["type"]) == (
        "rate_limit",
        None,
        "token_count",
    )
    assert entry["limits"] == [{"type": "requests_per_minute", "value": 1234}]


async def test_other_groups_have_no_limits_here() -> None:
    status, page = await get(SandboxSettings(), "?group_type=model_group")
    assert (status, page["data"]) == (200, [])


@pytest.mark.parametrize(
    ("settings", "query", "headers", "status", "kind"),
    [
        (SandboxSettings(), "", {}, 401, "authentication_error"),
        (SandboxSettings(admin_key="other"), "", KEY, 401, "authentication_error"),
        (SandboxSettings(admin_api=False), "", KEY, 403, "permission_error"),
        (SandboxSettings(), "?group_type=all", KEY, 400, "invalid_request_error"),
    ],
)
async def test_the_rest_is_refused_in_the_apis_shape(
    settings: SandboxSettings, query: str, headers: dict[str, str], status: int, kind: str
) -> None:
    answered, body = await get(settings, query, headers)
    assert (answered, body["type"], body["error"]["type"]) == (status, "error", kind)


async def test_the_admin_key_opens_no_count_and_the_other_no_limits() -> None:
    settings = SandboxSettings(api_key="key", admin_key="admin")
    body = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}
    async with sandbox(settings) as server, aiohttp.ClientSession(server.base_url) as client:
        for key, statuses in (("admin", (401, 200)), ("key", (200, 401))):
            headers = {"authorization": f"Bearer {key}"}
            async with (
                client.post("/v1/messages/count_tokens", json=body, headers=headers) as count,
                client.get(PATH, headers=headers) as limits,
            ):
                assert (count.status, limits.status) == statuses
