"""Calls through the real SDK: shapes, classes of errors, headers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic

from weighbridge_worker.sandbox import Fault, Sandbox, SandboxSettings, sandbox

MODEL = "claude-opus-4-8"
PATH = "/v1/messages/count_tokens"


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[tuple[Sandbox, AsyncAnthropic]]:
    """A stand-in and a client of it."""
    async with (
        sandbox(SandboxSettings(**settings)) as server,
        AsyncAnthropic(api_key="key", base_url=server.base_url, max_retries=0) as client,
    ):
        yield server, client


async def count(client: AsyncAnthropic, text: str = "Hello", model: str = MODEL) -> int:
    answer = await client.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": text}]
    )
    return answer.input_tokens


async def failure(client: AsyncAnthropic, **body: Any) -> anthropic.APIStatusError:
    """The error of a call that must fail with a status."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.count_tokens(
            **{"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], **body}
        )
    return caught.value


@pytest.mark.asyncio
async def test_a_count_says_that_it_is_an_estimate() -> None:
    async with served() as (_, client):
        raw = await client.messages.with_raw_response.count_tokens(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
        assert (await raw.json()) == {"input_tokens": 8}
        assert raw.headers["weighbridge-sandbox"] == "estimate"
        assert raw.headers["request-id"].startswith("req_")


@pytest.mark.asyncio
async def test_stored_bytes_count_as_the_same_dict_does() -> None:
    async with served() as (_, client):
        response = await client.post(
            PATH,
            content=b'{"model":"claude-opus-4-8","messages":[{"role":"user","content":"Hello"}]}',
            cast_to=httpx2.Response,
            options={"headers": {"content-type": "application/json"}},
        )
        assert response.json() == {"input_tokens": await count(client)}


@pytest.mark.asyncio
async def test_a_bad_body_is_a_bad_request_with_its_id() -> None:
    async with served() as (_, client):
        error = await failure(client, messages=[])
        assert isinstance(error, anthropic.BadRequestError)
        assert error.type == "invalid_request_error"
        assert error.body == {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "messages: at least one message is required",
            },
            "request_id": error.response.headers["request-id"],
        }
        assert "weighbridge-sandbox" not in error.response.headers


@pytest.mark.asyncio
async def test_a_missing_model_and_a_missing_path_are_not_found() -> None:
    async with served() as (_, client):
        error = await failure(client, model="claude-does-not-exist")
        assert isinstance(error, anthropic.NotFoundError)
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(
                model=MODEL, max_tokens=1, messages=[{"role": "user", "content": "Hello"}]
            )


@pytest.mark.asyncio
async def test_another_method_is_not_allowed() -> None:
    async with served() as (_, client):
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.get(PATH, cast_to=httpx2.Response)
        assert caught.value.status_code == 405
        assert caught.value.type == "invalid_request_error"


@pytest.mark.asyncio
async def test_only_the_given_key_is_accepted_where_one_is_given() -> None:
    async with served(api_key="right") as (server, client):
        error = await failure(client)
        assert isinstance(error, anthropic.AuthenticationError)
        assert error.api_message == "invalid x-api-key"
        assert await count(client.copy(api_key="right")) > 0
        assert [attempt.status for attempt in server.ledger.attempts] == [401, 200]


@pytest.mark.asyncio
async def test_an_empty_bucket_is_a_rate_limit_with_headers() -> None:
    async with served(rpm=30, depth=1) as (_, client):
        assert await count(client) > 0
        error = await failure(client)
        assert isinstance(error, anthropic.RateLimitError)
        headers = error.response.headers
        assert headers["retry-after"] == "2"
        assert headers["anthropic-ratelimit-requests-limit"] == "30"
        assert headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")


@pytest.mark.asyncio
async def test_rate_headers_can_be_left_out() -> None:
    async with served(rate_headers=False) as (_, client):
        raw = await client.messages.with_raw_response.count_tokens(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
        assert not [name for name in raw.headers if name.startswith("anthropic-ratelimit")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("setting", "sent"), [("absent", None), ("-1", "-1"), ("soon", "soon"), ("1e9", "1e9")]
)
async def test_retry_after_is_what_the_setting_says(setting: str, sent: str | None) -> None:
    async with served(retry_after=setting) as (server, client):
        server.faults.set_next([Fault.RATE_LIMITED])
        error = await failure(client)
        assert error.response.headers.get("retry-after") == sent


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "status", "error_class", "code"),
    [
        (Fault.RATE_LIMITED, 429, anthropic.RateLimitError, None),
        (Fault.RAMP_LIMITED, 429, anthropic.RateLimitError, "ramp_limit_exceeded"),
        (Fault.SPEND_LIMITED, 429, anthropic.RateLimitError, "enforced_spend_limit_reached"),
        (Fault.SERVER_ERROR, 500, anthropic.InternalServerError, None),
        (Fault.OVERLOADED, 529, anthropic.InternalServerError, None),
        (Fault.UNAUTHORIZED, 401, anthropic.AuthenticationError, None),
        (Fault.FORBIDDEN, 403, anthropic.PermissionDeniedError, None),
    ],
)
async def test_an_injected_error_has_the_sdks_class_and_code(
    fault: Fault, status: int, error_class: type[anthropic.APIStatusError], code: str | None
) -> None:
    async with served() as (server, client):
        server.faults.set_next([fault])
        error = await failure(client)
        assert isinstance(error, error_class)
        assert (error.status_code, error.error_code) == (status, code)
        assert ("retry-after" in error.response.headers) == (status == 429 and "spend" not in fault)
        assert await count(client) > 0


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.CUT_BODY])
async def test_a_broken_connection_is_a_connection_error(fault: Fault) -> None:
    async with served() as (server, client):
        server.faults.set_next([fault])
        with pytest.raises(anthropic.APIConnectionError):
            await count(client)
        assert await count(client) > 0


@pytest.mark.asyncio
async def test_a_large_body_is_counted_too() -> None:
    text = "The bridge weighs every lorry. " * 20_000
    async with served() as (server, client):
        assert await count(client, text) > 100_000
        assert server.ledger.attempts[0].bytes > len(text)
