"""A producer's trace goes through the worker to the call."""

from typing import Any

import anyio
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from support.pools import Answers, running_pool, until
from tracing.recorded import Recorded, attributes, ids, parent

from weighbridge import Client, CountFailed
from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge.trace_context import unpack_trace
from weighbridge_worker.calls import PassingFailure, PermanentFailure, Throttled
from weighbridge_worker.spans import COUNT_SPAN

pytestmark = pytest.mark.asyncio
KEYS = Keys()
PROCESS = "process weighbridge"
TEXT = "canary payload text 6093"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def payload(text: str = TEXT) -> dict[str, object]:
    """Make a payload."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": text}]}


async def test_one_trace_goes_from_the_producer_to_the_call(redis_url: str) -> None:
    spans = Recorded()
    async with (
        running_pool(redis_url, Answers(), tracer=spans.tracer()),
        Client.connect(redis_url) as wb,
    ):
        with spans.tracer().start_as_current_span("producer"):
            await wb.count(payload())
        await until(lambda: spans.named(PROCESS))
    [producer] = spans.named("producer")
    [job] = spans.named(PROCESS)
    [call] = spans.named(COUNT_SPAN)
    assert parent(producer) is None
    assert parent(job) == ids(producer)
    assert parent(call) == ids(job)
    assert (job.kind, call.kind) == (SpanKind.CONSUMER, SpanKind.CLIENT)
    assert attributes(job)["weighbridge.outcome"] == "counted"
    assert attributes(call)["http.response.status_code"] == 200
    assert attributes(call)["server.address"] == "api.anthropic.com"


async def test_count_many_carries_the_trace_in_which_it_was_begun(redis_url: str) -> None:
    spans = Recorded()
    async with (
        running_pool(redis_url, Answers(), tracer=spans.tracer()),
        Client.connect(redis_url) as wb,
    ):
        with spans.tracer().start_as_current_span("producer"):
            items = [item async for item in wb.count_many(payload(str(n)) for n in range(3))]
        await until(lambda: len(spans.named(PROCESS)) == 3)
    assert len(items) == 3
    [producer] = spans.named("producer")
    assert {parent(job) for job in spans.named(PROCESS)} == {ids(producer)}


async def test_without_a_producers_trace_each_job_begins_its_own(redis_url: str) -> None:
    spans = Recorded()
    with spans.tracer().start_as_current_span("around the pool"):
        async with (
            running_pool(redis_url, Answers(), tracer=spans.tracer()),
            connect(redis_url) as redis,
        ):
            await redis.xadd(KEYS.inbox, {"payload": INBOX})
            await until(lambda: spans.named(PROCESS))
    [job] = spans.named(PROCESS)
    assert parent(job) is None
    assert attributes(job)["messaging.message.id"]


INBOX = '{"model": "m", "messages": [{"role": "user", "content": "x"}]}'


async def test_an_inbox_entry_carries_its_trace_in_fields(redis_url: str) -> None:
    spans = Recorded()
    async with (
        running_pool(redis_url, Answers(), tracer=spans.tracer()),
        connect(redis_url) as redis,
    ):
        fields = {"payload": INBOX, "traceparent": TRACEPARENT, "tracestate": "vendor=1"}
        await redis.xadd(KEYS.inbox, fields)  # type: ignore[arg-type]
        await until(lambda: spans.named(PROCESS))
    [job] = spans.named(PROCESS)
    assert parent(job) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    context = job.get_span_context()
    assert context is not None
    assert context.trace_state.to_header() == "vendor=1"


@pytest.mark.parametrize("traceparent", ["nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", ""])
async def test_a_context_that_is_none_is_passed_over(redis_url: str, traceparent: str) -> None:
    spans = Recorded()
    async with (
        running_pool(redis_url, Answers(), tracer=spans.tracer()),
        connect(redis_url) as redis,
    ):
        await redis.xadd(KEYS.inbox, {"payload": INBOX, "traceparent": traceparent})
        await until(lambda: spans.named(PROCESS))
    assert parent(spans.named(PROCESS)[0]) is None


async def test_whoever_joins_a_job_is_linked_to(redis_url: str) -> None:
    spans = Recorded()
    async with Client.connect(redis_url) as one, Client.connect(redis_url) as other:
        for name, client in (("maker", one), ("joiner", other), ("late joiner", other)):
            with spans.tracer().start_as_current_span(name):
                await client.submit(payload())
        async with running_pool(redis_url, Answers(), tracer=spans.tracer()):
            await until(lambda: spans.named(PROCESS))
    [job] = spans.named(PROCESS)
    assert parent(job) == ids(spans.named("maker")[0])
    linked = [(link.context.trace_id, link.context.span_id) for link in job.links]
    assert linked == [ids(spans.named(name)[0]) for name in ("joiner", "late joiner")]


async def test_a_jobs_traces_are_bounded_and_each_is_noted_once(redis_url: str) -> None:
    spans = Recorded()
    async with Client.connect(redis_url) as wb, connect(redis_url) as redis:
        ticket = await wb.submit(payload())
        for _ in range(50):
            with spans.tracer().start_as_current_span("joiner"):
                await wb.submit(payload())
                await wb.submit(payload())
        noted: Any = await redis.hget(KEYS.job(ticket.digest), "trace")
        await wb.cancel(ticket)
    assert noted is not None
    assert len(noted) <= 2048
    made, joined = unpack_trace(noted.decode())
    assert made == {}
    assert len(joined) == len({headers["traceparent"] for headers in joined}) == 2048 // 56


async def test_a_call_that_failed_says_so_and_never_in_the_endpoints_words(redis_url: str) -> None:
    spans = Recorded()
    errors = [
        Throttled("rate_limited", TEXT, retry_after_s=0.05),
        PassingFailure("http_500", TEXT),
        PermanentFailure("invalid_request", TEXT),
    ]
    async with (
        running_pool(redis_url, Answers(error=lambda _: errors.pop(0)), tracer=spans.tracer()),
        Client.connect(redis_url) as wb,
    ):
        with pytest.raises(CountFailed):
            await wb.count(payload())
        await until(lambda: len(spans.named(PROCESS)) == 3)
    jobs, calls = spans.named(PROCESS), spans.named(COUNT_SPAN)
    codes = ["rate_limited", "http_500", "invalid_request"]
    assert [attributes(job)["weighbridge.outcome"] for job in jobs] == [
        "released",
        "retried",
        "failed",
    ]
    assert [attributes(job)["error.type"] for job in jobs] == codes
    assert [attributes(call)["error.type"] for call in calls] == codes
    assert {call.status.status_code for call in calls} == {StatusCode.ERROR}
    for span in spans.exporter.get_finished_spans():
        assert TEXT not in span.to_json()


async def test_a_job_that_is_cut_off_ends_its_span(redis_url: str) -> None:
    spans, answers = Recorded(), Answers()
    answers.gate = anyio.Event()
    async with Client.connect(redis_url) as wb:
        async with running_pool(redis_url, answers, tracer=spans.tracer()) as pool:
            await wb.submit(payload())
            await until(lambda: answers.bodies)
            pool.stop()
        assert len(spans.named(PROCESS)) == len(spans.named(COUNT_SPAN)) == 1
        async with running_pool(redis_url, Answers()):
            await wb.count(payload())
