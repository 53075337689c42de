"""Replay: a dead letter's job goes back into its lane once, and nothing is lost on the way."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError as LostConnection
from support.dead_letters import DAY_MS, bury, bury_twice, dead, payload_ttl, replay_all
from support.queue_under_test import QueueUnderTest
from support.results import counted

from weighbridge.errors import QueueFull, QueueUnreachable
from weighbridge.exchange import Submission
from weighbridge.records import Counted, Failed, Job, Lane, Payload, encode_result, read_result
from weighbridge.submitter import Submitter

pytestmark = pytest.mark.asyncio


async def test_a_replayed_job_is_back_in_its_own_lane(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.INTERACTIVE, producer="team-1")
    await queue.fail(await queue.take_one(), code="timeout")
    assert await replay_all(queue) == ["replayed"]
    assert await queue.places("a") == ["ready:interactive"]
    assert await payload_ttl(queue, "a") == -1
    assert await queue.deadline_s("a") > 1800
    lease = await queue.take_one()
    assert (lease.producer, lease.model, lease.verdict) == ("team-1", "claude-sonnet-5", "")
    assert (lease.attempts, lease.deliveries) == (0, 1)


async def test_a_replay_sends_the_betas_of_the_first_submit(queue: QueueUnderTest) -> None:
    payload = Payload(b"a", "claude-sonnet-5", ("beta-1", "beta-2"))
    await queue.store_payload("a")
    job = Job(queue.digest("a"), payload, Lane.BATCH, "p", 60_000_000)
    await queue.submit_reply(Submission(job))
    await queue.fail(await queue.take_one())
    await replay_all(queue)
    assert (await queue.take_one()).betas == ("beta-1", "beta-2")


@pytest.mark.parametrize("code", ["invalid_request", "timeout", "expired"])
async def test_a_failure_of_any_kind_becomes_a_count(queue: QueueUnderTest, code: str) -> None:
    await bury(queue, "a", code=code)
    await replay_all(queue)
    assert await queue.result("a") is None
    assert await queue.work_off() == ["a"]
    assert isinstance(read_result(await queue.result("a")), Counted)
    assert await dead(queue).find() == []
    assert not await queue.has_payload("a")


async def test_a_replay_that_fails_again_is_a_new_letter_and_a_new_result(
    queue: QueueUnderTest,
) -> None:
    await bury(queue, "a", code="timeout")
    [first] = await dead(queue).find()
    await replay_all(queue)
    await queue.fail(await queue.take_one(), code="poison")
    [second] = await dead(queue).find()
    assert (second.code, second.kept, second.id == first.id) == ("poison", True, False)
    result = read_result(await queue.result("a"))
    assert isinstance(result, Failed)
    assert result.code == "poison"


async def test_a_replay_after_the_tombstone_is_gone(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await queue.delete_job("a")
    await queue.redis.delete(queue.keys.result(queue.digest("a")))
    assert await replay_all(queue) == ["replayed"]
    assert await queue.work_off() == ["a"]


async def test_a_letter_without_its_payload_stays_listed(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await queue.delete_payload("a")
    assert await replay_all(queue) == ["payload_gone"]
    assert queue.names(await dead(queue).find()) == ["a"]
    assert await queue.result("a") is not None
    assert await queue.depth() == 0


async def test_a_job_counted_meanwhile_is_not_counted_again(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    zombie = await queue.take_one()
    await queue.fail(zombie, code="poison")
    await queue.settle(zombie, tokens=42)
    assert await replay_all(queue) == ["counted"]
    assert read_result(await queue.result("a")) == counted(queue.digest("a"), 42)
    assert (await queue.depth(), await dead(queue).find()) == (0, [])
    assert not await queue.has_payload("a")


async def test_a_count_that_comes_during_a_replay_is_not_taken_back(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    key = queue.keys.result(queue.digest("a"))
    failure = await queue.result("a")
    assert failure is not None
    await queue.redis.set(key, encode_result(counted(queue.digest("a"))), px=60_000)
    await queue.scripts.retract(queue.redis, key, failure)
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_replaying_twice_makes_one_job(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    [letter] = await dead(queue).find()
    assert await dead(queue).replay(letter) == "replayed"
    assert await dead(queue).replay(letter) == "replayed"
    assert await queue.work_off() == ["a"]
    assert await dead(queue).replay(letter) == "counted"
    assert await queue.permits() == 2


async def test_replaying_at_the_same_time_makes_one_job(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    [letter] = await dead(queue).find()
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(dead(queue).replay, letter)
    assert (await queue.places("a"), await dead(queue).find()) == (["ready:batch"], [])
    assert await queue.work_off() == ["a"]


async def test_a_full_queue_refuses_a_replay_and_leaves_everything(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    failure = await queue.result("a")
    await queue.submit("other")
    [letter] = await dead(queue).find()
    for _ in range(2):
        with pytest.raises(QueueFull):
            await dead(queue, max_queue=1).replay(letter)
    assert await queue.result("a") == failure
    assert 0 < await queue.redis.pttl(queue.keys.result(letter.digest)) <= 300_000
    assert 600_000 < await payload_ttl(queue, "a") <= DAY_MS
    await queue.work_off()
    assert await replay_all(queue) == ["replayed"]


async def test_no_client_withdraws_a_replayed_job(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await replay_all(queue)
    await queue.submit("a", waiter="client")
    assert await queue.cancel("a", waiter="client") == "wanted"
    assert await queue.work_off() == ["a"]


@pytest.mark.parametrize("step", ["retract", "submit", "drop"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
async def test_a_replay_that_dies_on_its_way_loses_nothing(
    queue: QueueUnderTest, step: str, *, done: bool
) -> None:
    await bury(queue, "a")
    [letter] = await dead(queue).find()
    dying: Any = DyingScripts(queue.scripts, step, done=done)
    with pytest.raises(QueueUnreachable):
        await dead(queue, scripts=dying).replay(letter)
    found = await dead(queue).find()
    assert found or await queue.places("a")
    assert await dead(queue).replay(letter) == "replayed"
    assert await dead(queue).find() == []
    assert await queue.work_off() == ["a"]


async def test_two_letters_of_one_digest_make_one_job(queue: QueueUnderTest) -> None:
    await bury_twice(queue, "a")
    assert await replay_all(queue) == ["replayed", "replayed"]
    assert await queue.work_off() == ["a"]
    assert await dead(queue).find() == []


async def test_a_producer_that_submits_again_needs_no_replay(queue: QueueUnderTest) -> None:
    """The submit makes the job; the letter stays for the operator, whose replay only removes it."""
    await bury(queue, "a", code="timeout")
    submitter = Submitter(
        queue.hands.producer,
        queue.keys,
        queue.scripts,
        waiter="client",
        max_queue=10,
        max_bytes=2**30,
    )
    [admission] = await submitter.submit([Submission(queue.job("a"))])
    assert not isinstance(admission, QueueFull)
    assert admission.cache == "miss"
    assert await queue.work_off() == ["a"]
    assert await replay_all(queue) == ["counted"]
    assert await queue.depth() == 0


class DyingScripts:
    """The scripts of a process that dies at one step, before or after the server has done it."""

    def __init__(self, scripts: Any, step: str, *, done: bool) -> None:
        self._scripts = scripts
        self._step = step
        self._done = done

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        script: Callable[..., Awaitable[Any]] = getattr(self._scripts, name)
        return self._dying(script) if name == self._step else script

    def _dying(self, script: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def die(*args: Any, **kwargs: Any) -> None:
            if self._done:
                await script(*args, **kwargs)
            raise LostConnection

        return die
