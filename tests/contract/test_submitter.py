"""The submitter: cached answers, full queues, and the races between a submit and a settle."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from support.queue_under_test import QueueUnderTest
from support.results import counted, failed
from support.stored_queue import ORPHAN_TTL_MS

from weighbridge.connection import Command
from weighbridge.errors import QueueFull
from weighbridge.exchange import Submission, SubmitReply
from weighbridge.records import Result, encode_result
from weighbridge.scripts import Scripts
from weighbridge.submitter import Admission, Submitter

pytestmark = pytest.mark.asyncio


async def test_a_new_job_is_a_miss(queue: QueueUnderTest) -> None:
    assert await submit(queue, "a") == [Admission("miss")]


async def test_a_duplicate_has_joined(queue: QueueUnderTest) -> None:
    await submit(queue, "a")
    assert await submit(queue, "a") == [Admission("joined")]


async def test_a_duplicate_in_the_same_call_has_joined(queue: QueueUnderTest) -> None:
    assert await submit(queue, "a", "a") == [Admission("miss"), Admission("joined")]


async def test_a_cached_count_answers_at_once(queue: QueueUnderTest) -> None:
    await cache(queue, "a", counted(queue.digest("a")))
    assert await submit(queue, "a") == [Admission("hit", counted(queue.digest("a")))]
    assert await queue.depth() == 0
    assert not await queue.has_payload("a")


@pytest.mark.parametrize("code", ["invalid_request", "payload_too_large", "not_countable"])
async def test_a_lasting_failure_answers_at_once(queue: QueueUnderTest, code: str) -> None:
    result = failed(queue.digest("a"), code)
    await cache(queue, "a", result)
    assert await submit(queue, "a") == [Admission("hit", result)]


@pytest.mark.parametrize(
    "code",
    [
        *("timeout", "connection", "overloaded", "http_500", "bad_response"),  # of the endpoint
        *("expired", "poison", "payload_missing"),  # of the queue
        *("not_found", "http_405", "key_refused", "forbidden"),  # of the configuration
    ],
)
async def test_a_passing_failure_is_tried_anew(queue: QueueUnderTest, code: str) -> None:
    await queue.submit("a")
    await queue.fail(await queue.take_one(), code=code)
    assert await submit(queue, "a") == [Admission("miss")]
    assert await queue.result("a") is None
    assert await queue.work_off() == ["a"]


async def test_a_count_that_comes_while_a_failure_is_dropped_stays_and_answers(
    queue: QueueUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zombie's success overwrites the failure just before the submit drops it."""
    await queue.submit("a")
    await queue.fail(await queue.take_one(), code="timeout")
    retract = Scripts.retract

    async def after_the_zombie(scripts: Scripts, redis: Any, key: str, text: bytes) -> bool:
        await cache(queue, "a", counted(queue.digest("a")))
        return await retract(scripts, redis, key, text)

    monkeypatch.setattr(Scripts, "retract", after_the_zombie)
    assert await submit(queue, "a") == [Admission("hit", counted(queue.digest("a")))]
    assert await queue.depth() == 0


@pytest.mark.parametrize("text", [b"", b"\xff", b"{}", b'{"status":"counted","digest":7}'])
async def test_a_result_that_makes_no_sense_is_counted_anew(
    queue: QueueUnderTest, text: bytes
) -> None:
    await queue.redis.set(queue.keys.result(queue.digest("a")), text, px=300_000)
    assert await submit(queue, "a") == [Admission("miss")]
    assert await queue.work_off() == ["a"]


async def test_a_fresh_submit_passes_over_the_cache(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.work_off()
    assert await submit(queue, "a", fresh=True) == [Admission("miss")]
    assert await queue.result("a") is None


async def test_a_fresh_submit_joins_a_job_that_runs(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take()
    assert await submit(queue, "a", fresh=True) == [Admission("joined")]


async def test_a_job_settled_a_moment_ago_answers_with_its_result(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.work_off()
    assert await submit(queue, "a") == [Admission("hit", counted(queue.digest("a")))]


async def test_a_settled_job_whose_result_is_gone_is_made_anew(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.work_off()
    await queue.redis.delete(queue.keys.result(queue.digest("a")))
    assert await submit(queue, "a") == [Admission("miss")]
    assert await queue.work_off() == ["a"]


async def test_a_full_queue_says_how_long_it_is(queue: QueueUnderTest) -> None:
    await queue.set_rate(600)
    await queue.submit("a", "b")
    [refusal] = await submit(queue, "c", max_queue=2)
    assert isinstance(refusal, QueueFull)
    assert (refusal.bound, refusal.depth, refusal.eta_s) == ("jobs", 2, 0.2)


async def test_a_queue_full_of_bytes_says_so(queue: QueueUnderTest) -> None:
    await queue.set_rate(600)
    await queue.submit("aaaa", "bbbb")
    [refusal] = await submit(queue, "cc", max_bytes=9)
    assert isinstance(refusal, QueueFull)
    assert (refusal.bound, refusal.depth, refusal.eta_s) == ("bytes", 2, 0.2)
    assert refusal.queue_bytes == 8
    assert "WEIGHBRIDGE_MAX_QUEUE_BYTES" in str(refusal)


async def test_a_full_queue_refuses_only_what_is_new(queue: QueueUnderTest) -> None:
    await cache(queue, "cached", counted(queue.digest("cached")))
    await queue.submit("live")
    admissions = await submit(queue, "cached", "live", "new", max_queue=1)
    kinds = [
        "full" if isinstance(admission, QueueFull) else admission.cache for admission in admissions
    ]
    assert kinds == ["hit", "joined", "full"]


async def test_a_submit_gives_a_live_jobs_payload_no_ttl(queue: QueueUnderTest) -> None:
    await submit(queue, "a")
    await queue.take()
    await submit(queue, "a")
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


async def test_a_producer_that_dies_before_its_submit_harms_no_live_payload(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    submitter = Submitter(
        queue.hands.producer,
        queue.keys,
        DyingScripts(queue.keys),
        waiter="client",
        max_queue=1000,
        max_bytes=2**30,
    )
    with pytest.raises(ConnectionResetError):
        await submitter.submit([Submission(queue.job("a"))])
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


async def test_an_orphan_of_an_earlier_submit_is_used(queue: QueueUnderTest) -> None:
    await queue.store_payload("a")
    await queue.redis.pexpire(queue.keys.payload(queue.digest("a")), ORPHAN_TTL_MS // 2)
    await submit(queue, "a")
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


class DyingScripts(Scripts):
    """Scripts of a producer that never gets as far as its submit."""

    async def submit(
        self, redis: Redis, *_: object, first: Sequence[Command] = (), **__: object
    ) -> SubmitReply:
        """Write the payloads, and die."""
        for command in first:
            await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        raise ConnectionResetError


async def submit(
    queue: QueueUnderTest,
    *names: str,
    fresh: bool = False,
    max_queue: int = 1000,
    max_bytes: int = 2**30,
) -> list[Admission | QueueFull]:
    """Submit as a client does."""
    submitter = Submitter(
        queue.hands.producer,
        queue.keys,
        queue.scripts,
        waiter="client",
        max_queue=max_queue,
        max_bytes=max_bytes,
    )
    return await submitter.submit([Submission(queue.job(name)) for name in names], fresh=fresh)


async def cache(queue: QueueUnderTest, name: str, result: Result) -> None:
    """Put a result into the cache."""
    await queue.redis.set(queue.keys.result(queue.digest(name)), encode_result(result), px=300_000)
