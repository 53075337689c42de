"""Payloads of up to 32 MB pass end to end as they are; larger ones are refused unsent."""

import json
from hashlib import sha256

import pytest
from redis.asyncio import Redis
from support.foreign_producer import ask, gone, reply
from support.pools import Answers, running_pool, until

from weighbridge import Client, Counted, PayloadTooLarge
from weighbridge.connection import connect
from weighbridge.exchange import Submission
from weighbridge.keys import Keys
from weighbridge.payload import MAX_BODY_BYTES
from weighbridge.records import Job, Lane, Payload
from weighbridge.scripts import Scripts
from weighbridge.submitter import Submitter
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.sandbox import SandboxSettings, sandbox
from weighbridge_worker.settings import WorkerSettings

pytestmark = pytest.mark.asyncio
KEYS = Keys()
BIG = 31_900_000


def body(size: int) -> bytes:
    """Make a body of so many bytes."""
    empty = json.dumps(
        {"messages": [{"content": "", "role": "user"}], "model": "claude-test"},
        separators=(",", ":"),
    )
    text = ("weighbridge " * (size // 12 + 1))[: size - len(empty)]
    return empty.replace('""', f'"{text}"', 1).encode()


async def test_a_payload_just_below_the_bound_is_counted_end_to_end(redis_url: str) -> None:
    async with (
        sandbox(SandboxSettings(rpm=6000, depth=50)) as endpoint,
        anthropic_counter(WorkerSettings(base_url=endpoint.base_url, api_key="sandbox")) as counter,
        running_pool(redis_url, counter),
        Client.connect(redis_url) as wb,
    ):
        counted = await wb.count(body(BIG), timeout_s=120)
    assert isinstance(counted, Counted)
    assert counted.input_tokens > BIG // 20
    call = endpoint.ledger.attempts[-1]
    assert (call.bytes, call.sha256) == (BIG, sha256(body(BIG)).hexdigest())


async def test_a_payload_just_below_the_bound_passes_the_inbox(redis_url: str) -> None:
    answers = Answers()
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, answers):
        entry = await ask(redis, {"payload": body(BIG)})
        assert (await reply(redis, entry, within_s=60))["input_tokens"] == BIG
        await gone(redis)
    assert answers.bodies == [body(BIG)]


async def test_a_payload_above_the_bound_is_refused_by_the_inbox(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        entry = await ask(redis, {"payload": body(MAX_BODY_BYTES + 1)})
        assert (await reply(redis, entry, within_s=60))["code"] == "payload_too_large"
        await gone(redis)


@pytest.mark.parametrize("form", ["bytes", "mapping"])
async def test_a_payload_above_the_bound_is_refused_before_it_is_sent(
    redis_url: str, form: str
) -> None:
    text = body(MAX_BODY_BYTES + 1)
    async with Redis.from_url(redis_url) as redis, Client.connect(redis_url) as wb:
        before = (await redis.info("stats"))["total_net_input_bytes"]
        with pytest.raises(PayloadTooLarge, match="33,554,432"):
            await wb.submit(text if form == "bytes" else json.loads(text))
        sent = (await redis.info("stats"))["total_net_input_bytes"] - before
    assert sent < 100_000


async def test_a_worker_sends_what_is_stored_and_never_reads_it(redis_url: str) -> None:
    answers, stored = Answers(), b"\xff\x00 no JSON at all"
    job = Job("a" * 64, Payload(stored, "claude-test"), Lane.BATCH, "producer", 60_000_000)
    async with connect(redis_url) as redis, running_pool(redis_url, answers):
        submitter = Submitter(redis, KEYS, Scripts(KEYS), waiter="", max_queue=10, max_bytes=1000)
        await submitter.submit([Submission(job)])
        await until(lambda: redis.exists(KEYS.result("a" * 64)))
    assert answers.bodies == [stored]
