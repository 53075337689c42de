"""The SDK's errors as ours: every answer of the endpoint, through the real SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from weighbridge.submitter import LASTING_FAILURES
from weighbridge_worker.calls import KeyRefused, PassingFailure, PermanentFailure, Throttled
from weighbridge_worker.counter import AnthropicCounter, anthropic_counter
from weighbridge_worker.sandbox import Fault, Sandbox, SandboxSettings, sandbox
from weighbridge_worker.settings import WorkerSettings

pytestmark = pytest.mark.asyncio
BODY = b'{"messages":[{"content":"hello","role":"user"}],"model":"claude-sonnet-5-5"}'


@asynccontextmanager
async def counter(
    settings: SandboxSettings | None = None, *, key: str = "test", deadline_s: float = 5.0
) -> AsyncIterator[tuple[AnthropicCounter, Sandbox]]:
    """Make a counter that calls a stand-in of its own."""
    async with sandbox(settings) as stand_in:
        worker = WorkerSettings(base_url=stand_in.base_url, api_key=key, call_deadline_s=deadline_s)
        async with anthropic_counter(worker) as made:
            yield made, stand_in


async def test_a_count_of_the_stand_in_is_an_estimate() -> None:
    async with counter() as (made, stand_in):
        tokens = await made.count(BODY, ())
    assert tokens.source == "estimate"
    assert tokens.input_tokens > 0
    assert stand_in.ledger.attempts[0].bytes == len(BODY)


async def test_betas_are_passed_on() -> None:
    async with counter() as (made, stand_in):
        await made.count(BODY, ("interleaved-thinking-2025-05-14",))
        assert [attempt.status for attempt in stand_in.ledger.attempts] == [200]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.SERVER_ERROR, "http_500"),
        (Fault.OVERLOADED, "overloaded"),
        (Fault.DROPPED, "connection"),
        (Fault.CUT_BODY, "connection"),
        (Fault.TRUNCATED, "bad_response"),
        (Fault.HTML, "bad_response"),
        (Fault.NULL_COUNT, "bad_response"),
        (Fault.NEGATIVE_COUNT, "bad_response"),
        (Fault.STRING_COUNT, "bad_response"),
        (Fault.EXPONENT_COUNT, "bad_response"),
        (Fault.BOOLEAN_COUNT, "bad_response"),
        (Fault.NO_COUNT, "bad_response"),
        (Fault.LIST_ANSWER, "bad_response"),
    ],
)
async def test_a_passing_fault_is_one_attempt_and_one_code(fault: Fault, code: str) -> None:
    async with counter() as (made, stand_in):
        stand_in.faults.set_next([fault])
        with pytest.raises(PassingFailure) as caught:
            await made.count(BODY, ())
        assert caught.value.failure_code == code
        assert len(stand_in.ledger) == 1, "the SDK must not repeat a call: it needs a permit"
        assert (await made.count(BODY, ())).input_tokens > 0


@pytest.mark.parametrize("fault", [Fault.SLOW_BODY, Fault.HANGING])
async def test_a_call_has_a_deadline_in_all(fault: Fault) -> None:
    async with counter(deadline_s=0.3) as (made, stand_in):
        stand_in.faults.set_next([fault])
        with pytest.raises(PassingFailure) as caught:
            await made.count(BODY, ())
    assert caught.value.failure_code == "timeout"


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ("7", 7.0),
        ("0.2", 1.0),
        ("1000000000", 60.0),
        ("-5", 1.0),
        ("soon", 1.0),
        ("nan", 1.0),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 1.0),
        ("absent", 1.0),
    ],
)
async def test_retry_after_is_clamped(header: str, pause_s: float) -> None:
    async with counter(SandboxSettings(retry_after=header)) as (made, stand_in):
        stand_in.faults.set_next([Fault.RATE_LIMITED])
        with pytest.raises(Throttled) as caught:
            await made.count(BODY, ())
    assert caught.value.retry_after_s == pause_s


async def test_a_spend_limit_is_no_failure_of_the_job() -> None:
    async with counter() as (made, stand_in):
        stand_in.faults.set_next([Fault.SPEND_LIMITED, Fault.RAMP_LIMITED])
        for _ in range(2):
            with pytest.raises(Throttled):
                await made.count(BODY, ())


async def test_a_refused_key_is_the_workers_fault_not_the_jobs() -> None:
    async with counter(SandboxSettings(api_key="right"), key="wrong") as (made, _):
        with pytest.raises(KeyRefused) as caught:
            await made.count(BODY, ())
    assert caught.value.failure_code == "key_refused"
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"messages":[],"model":"claude-sonnet-5-5"}', "invalid_request"),
        (BODY.replace(b"claude-sonnet-5-5", b"claude-does-not-exist"), "not_found"),
    ],
)
async def test_a_payload_at_fault_fails_for_good_in_the_endpoints_words(
    body: bytes, code: str
) -> None:
    async with counter() as (made, _):
        with pytest.raises(PermanentFailure, match=r"message|model") as caught:
            await made.count(body, ())
    assert caught.value.failure_code == code
    assert caught.value.__cause__ is None


async def test_a_base_url_with_a_wrong_path_is_told_by_a_code_that_is_not_cached() -> None:
    async with sandbox() as running:
        worker = WorkerSettings(base_url=f"{running.base_url}/wrong", api_key="test")
        async with anthropic_counter(worker) as made:
            with pytest.raises(PermanentFailure) as caught:
                await made.count(BODY, ())
    assert caught.value.failure_code not in LASTING_FAILURES


async def test_an_endpoint_that_is_not_there_is_a_passing_failure() -> None:
    worker = WorkerSettings(base_url="http://127.0.0.1:1", api_key="test")
    async with anthropic_counter(worker) as made:
        with pytest.raises(PassingFailure) as caught:
            await made.count(BODY, ())
    assert caught.value.failure_code == "connection"
