"""Dead letters for tests: jobs that failed for good, and an operator's hands on them."""

from typing import Any

from support.queue_under_test import QueueUnderTest

from weighbridge.dead import DeadLetters

FIELDS = ["digest", "code", "lane", "producer", "model", "betas", "attempts", "deliveries"]
DAY_MS = 86_400_000


def dead(queue: QueueUnderTest, *, max_queue: int = 1000, scripts: Any = None) -> DeadLetters:
    """Open the dead letters as an operator does."""
    return DeadLetters(
        queue.hands.operator,
        queue.keys,
        scripts or queue.scripts,
        max_queue=max_queue,
        max_bytes=2**30,
        deadline_us=3_600_000_000,
    )


async def bury(queue: QueueUnderTest, *jobs: str, code: str = "invalid_request") -> None:
    """Let jobs fail for good, one after the other."""
    for name in jobs:
        await queue.submit(name)
        await queue.fail(await queue.take_one(), code=code)


async def bury_twice(queue: QueueUnderTest, name: str) -> None:
    """Let a job fail, be submitted again, and fail again."""
    await bury(queue, name, code="first")
    await queue.redis.delete(queue.keys.result(queue.digest(name)))
    await queue.submit(name, force=True)
    await queue.fail(await queue.take_one(), code="second")


async def replay_all(queue: QueueUnderTest) -> list[str]:
    """Replay what is listed, newest first."""
    letters = dead(queue)
    return [await letters.replay(letter) for letter in await letters.find()]


async def payload_ttl(queue: QueueUnderTest, name: str) -> int:
    """Return the milliseconds that a payload has left; -1 for ever, -2 gone."""
    left: int = await queue.redis.pttl(queue.keys.payload(queue.digest(name)))
    return left


async def write_letter(queue: QueueUnderTest, name: str, code: str, *, entry: str) -> None:
    """Write a letter that was buried when its entry's id says."""
    await queue.redis.xadd(queue.keys.dead, fields_of(queue.digest(name), code), id=entry)


def fields_of(digest: str, code: str = "timeout") -> dict[str, str]:
    """Make a letter's fields."""
    values = (digest, code, "batch", "producer", "claude-sonnet-5", "", "1", "1")
    return dict(zip(FIELDS, values, strict=True))
