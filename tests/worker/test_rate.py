"""Where the rate comes from when it is ``auto``: through the real SDK, from real servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.gateways import gateway
from support.pools import Answers, running_pool, until

from weighbridge import QueueSettings
from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge_worker.calls import CallError, KeyRefused, PassingFailure
from weighbridge_worker.cli.auto_rate import resolve_rate
from weighbridge_worker.counter import AnthropicCounter, anthropic_counter
from weighbridge_worker.rate import FoundRate, find_rate, probe_body
from weighbridge_worker.sandbox import Fault, SandboxSettings, sandbox
from weighbridge_worker.settings import MAX_RPM, SAFE_RPM, WorkerSettings

pytestmark = pytest.mark.asyncio
SILENT = SandboxSettings(rate_headers=False)
PAGE = '{{"data": [{{"limits": [{}]}}], "next_page": null}}'


@asynccontextmanager
async def asked(base_url: str, **settings: Any) -> AsyncIterator[tuple[AnthropicCounter, Any]]:
    """Open a counter on an endpoint, with the settings that it has."""
    worker = WorkerSettings(**{"rpm": "auto", "base_url": base_url, "api_key": "key", **settings})
    async with anthropic_counter(worker) as counter:
        yield counter, worker


async def found_at(base_url: str, **settings: Any) -> FoundRate:
    """Find out the rate at an endpoint."""
    async with asked(base_url, **settings) as (counter, worker):
        return await find_rate(counter, worker)


async def test_the_admin_api_tells_the_limit_and_no_count_is_made() -> None:
    settings = SandboxSettings(rpm=4321, api_key="key", admin_key="admin")
    async with sandbox(settings) as stand_in:
        found = await found_at(stand_in.base_url, admin_key="admin")
        assert len(stand_in.ledger) == 0
    assert found == FoundRate(4321, "admin_api")


async def test_without_an_admin_key_one_call_tells_the_limit_by_its_headers() -> None:
    async with sandbox(SandboxSettings(rpm=1234)) as stand_in:
        found = await found_at(stand_in.base_url)
        assert [attempt.status for attempt in stand_in.ledger.attempts] == [200]
    assert found == FoundRate(1234, "headers")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (SandboxSettings(rpm=1234, admin_api=False), "forbidden"),
        (SandboxSettings(rpm=1234, admin_key="another"), "key_refused"),
    ],
)
async def test_an_admin_key_that_is_refused_leaves_it_to_the_headers(
    settings: SandboxSettings, code: str
) -> None:
    async with sandbox(settings) as stand_in:
        found = await found_at(stand_in.base_url, admin_key="admin")
    assert found == FoundRate(1234, "headers", (("admin_api", code),))


async def test_where_nobody_tells_the_lowest_published_limit_is_assumed() -> None:
    settings = SandboxSettings(rate_headers=False, admin_api=False)
    async with sandbox(settings) as stand_in:
        found = await found_at(stand_in.base_url, admin_key="admin")
    assert (found.rpm, found.source) == (SAFE_RPM, "assumed")
    assert found.silent == (("admin_api", "forbidden"), ("headers", "no_headers"))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.RATE_LIMITED, "rate_limited"),
        (Fault.UNAUTHORIZED, "key_refused"),
        (Fault.OVERLOADED, "overloaded"),
        (Fault.DROPPED, "connection"),
        (Fault.HTML, "bad_response"),
        (Fault.HANGING, "timeout"),
    ],
)
async def test_a_call_that_fails_is_no_reason_not_to_start(fault: Fault, code: str) -> None:
    async with sandbox(SILENT) as stand_in:
        stand_in.faults.set_next([fault])
        found = await found_at(stand_in.base_url, call_deadline_s=0.5)
    assert found == FoundRate(SAFE_RPM, "assumed", (("headers", code),))


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.SPEND_LIMITED, Fault.SERVER_ERROR])
async def test_an_answer_that_is_no_count_tells_the_limit_as_well(fault: Fault) -> None:
    async with sandbox(SandboxSettings(rpm=1234)) as stand_in:
        stand_in.faults.set_next([fault])
        found = await found_at(stand_in.base_url)
    assert found == FoundRate(1234, "headers")


async def test_an_endpoint_that_is_not_there_is_no_reason_not_to_start() -> None:
    found = await found_at("http://127.0.0.1:1", admin_key="admin")
    assert (found.rpm, found.source) == (SAFE_RPM, "assumed")
    assert found.silent == (("admin_api", "connection"), ("headers", "connection"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>", "text/html"),
        ("[1]", "application/json"),
        ('{"data": 5}', "application/json"),
        ('{"data": []}', "application/json"),
        ('{"dat', "application/json"),
        (PAGE.format(""), "application/json"),
        (PAGE.format('{"type": "requests_per_minute", "value": "x"}'), "application/json"),
        (PAGE.format('{"type": "requests_per_minute", "value": 0}'), "application/json"),
        (PAGE.format('{"type": "input_tokens_per_minute", "value": 9}'), "application/json"),
    ],
)
async def test_an_answer_of_the_admin_api_without_a_limit_is_none(
    body: str, content_type: str
) -> None:
    async with gateway(200, body, content_type) as base_url, asked(base_url) as (counter, _):
        with pytest.raises(PassingFailure, match="without a limit") as caught:
            await counter.organisation_limit("admin")
    assert caught.value.failure_code == "bad_response"


async def test_of_several_limits_the_lowest_counts_and_the_bound_of_the_setting_holds() -> None:
    both = PAGE.format(
        ", ".join(f'{{"type": "requests_per_minute", "value": {n}}}' for n in (10**8, 10**7))
    )
    async with gateway(200, both) as base_url:
        async with asked(base_url) as (counter, _):
            assert await counter.organisation_limit("admin") == 10**7
        assert await found_at(base_url, admin_key="admin") == FoundRate(MAX_RPM, "admin_api")


async def test_a_gateway_that_repeats_a_key_does_not_make_us_repeat_it() -> None:
    body = '{"error": {"type": "authentication_error", "message": "wrong key {key}."}}'
    async with (
        gateway(401, body) as base_url,
        asked(base_url, api_key="sk-canary") as (counter, _),
    ):
        errors: list[CallError | None] = []
        for call in (
            counter.count(probe_body(), ()),
            counter.organisation_limit("sk-admin-canary"),
        ):
            with pytest.raises(KeyRefused) as caught:
                await call
            errors.append(caught.value)
        errors.append((await counter.probe(probe_body())).failure)
    assert [str(error) for error in errors] == ["wrong key …."] * 3


async def test_a_trial_shows_all_that_the_endpoint_answers() -> None:
    settings = SandboxSettings(rpm=1234, depth=9, retry_after="7")
    async with sandbox(settings) as stand_in, asked(stand_in.base_url) as (counter, _):
        counted = await counter.probe(probe_body())
        unknown = await counter.probe(probe_body("claude-does-not-exist"))
        stand_in.faults.set_next([Fault.RATE_LIMITED])
        throttled = await counter.probe(probe_body())
    assert [trial.status for trial in (counted, unknown, throttled)] == [200, 404, 429]
    assert counted.tokens is not None
    assert counted.tokens.source == "estimate"
    assert counted.rate_headers["anthropic-ratelimit-requests-remaining"] == "8"
    assert {trial.limit for trial in (counted, unknown, throttled)} == {1234}
    assert [trial.retry_after for trial in (counted, unknown, throttled)] == ["", "", "7"]
    assert counted.latency_s > 0
    assert isinstance(unknown.failure, CallError)


async def test_of_a_key_and_a_token_the_key_is_used_as_the_sdk_would() -> None:
    settings = SandboxSettings(api_key="key")
    async with (
        sandbox(settings) as stand_in,
        asked(stand_in.base_url, auth_token="token") as (counter, _),
    ):
        assert (await counter.probe(probe_body())).status == 200


async def resolved(url: str, counter: AnthropicCounter, worker: WorkerSettings) -> Any:
    """Resolve the rate as a command does; returns what was told, and the settings."""
    told: list[FoundRate] = []
    queue = QueueSettings(redis_url=url)
    worker = await resolve_rate(queue, worker, counter, told.append)
    return told, worker


async def test_auto_becomes_a_number_and_any_other_setting_stays(redis_url: str) -> None:
    async with (
        sandbox(SandboxSettings(rpm=1234)) as stand_in,
        asked(stand_in.base_url) as (counter, worker),
    ):
        told, settled = await resolved(redis_url, counter, worker)
        assert (told, settled.rate) == ([FoundRate(1234, "headers")], 1234)
        for rpm in (None, 50):
            given = WorkerSettings(rpm=rpm)
            assert await resolved(redis_url, counter, given) == ([], given)


async def test_a_worker_that_learns_nothing_does_not_slow_a_running_fleet(redis_url: str) -> None:
    async with (
        sandbox(SILENT) as stand_in,
        asked(stand_in.base_url) as (counter, worker),
        running_pool(redis_url, Answers(), rpm=7000),
    ):
        await until(lambda: _is_listed(redis_url))
        told, settled = await resolved(redis_url, counter, worker)
    assert told == [FoundRate(7000, "fleet", (("headers", "no_headers"),))]
    assert settled.rate == 7000


async def _is_listed(url: str) -> bool:
    async with connect(url) as redis:
        return bool(await redis.zcard(Keys().workers))


async def test_the_rate_of_a_fleet_that_is_gone_counts_for_nothing(redis_url: str) -> None:
    async with running_pool(redis_url, Answers(), rpm=7000):
        await until(lambda: _is_listed(redis_url))
    async with sandbox(SILENT) as stand_in, asked(stand_in.base_url) as (counter, worker):
        told, settled = await resolved(redis_url, counter, worker)
    assert told[0].source == "assumed"
    assert settled.rate == SAFE_RPM
