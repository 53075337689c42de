"""What the server holds of each job, and what the model says it must, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from stateful.model import QueueModel
from support.queue_under_test import QueueUnderTest
from support.stored_queue import PLACES

COMMANDS = 5 + len(PLACES)
FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class Job:
    """One job, live or not.

    Args:
        places: the sets in which it stands; a live job stands in one.
        deadline: whether it stands in ``deadlines``.
        payload: whether one is there that stays; one that waits for its submit goes by itself.
        result: ``counted``, ``failed``, or empty.
    """

    places: tuple[str, ...] = ()
    deadline: bool = False
    payload: bool = False
    lane: str = ""
    score: int = 0
    token: int | None = None
    deliveries: int = 0
    attempts: int = 0
    waiters: frozenset[str] = frozenset()
    replies: int = 0
    tombstone: str = ""
    result: str = ""

    @classmethod
    def foretold(cls, model: QueueModel, name: str) -> Self:
        """Return what the model says of a job."""
        result = model.results.get(name, "")
        job = model.jobs.get(name)
        if job is None:
            return cls(tombstone=model.tombstones.get(name, ""), result=result)
        return cls(
            places=(f"ready:{job.lane}" if job.place == "ready" else job.place,),
            deadline=True,
            payload=not job.lost,
            lane=job.lane,
            score=job.score,
            token=job.token,
            deliveries=job.deliveries,
            attempts=job.attempts,
            waiters=frozenset(job.waiters),
            replies=len(job.replies),
            result=result,
        )


async def stored_jobs(queue: QueueUnderTest, names: Sequence[str]) -> dict[str, Job]:
    """Read jobs in one round trip."""
    keys = queue.keys
    pipe = queue.redis.pipeline(transaction=True)
    for name in names:
        digest = queue.digest(name)
        pipe.hgetall(keys.job(digest))
        pipe.zscore(keys.deadlines, digest)
        pipe.pttl(keys.payload(digest))
        pipe.scard(keys.replies(digest))
        pipe.get(keys.result(digest))
        for place in PLACES:
            pipe.zscore(keys.prefix + place, digest)
    answers = await pipe.execute()
    rows = [answers[start : start + COMMANDS] for start in range(0, len(answers), COMMANDS)]
    return {name: _job(*row) for name, row in zip(names, rows, strict=True)}


def _job(
    fields: dict[bytes, bytes],
    deadline: float | None,
    payload_ttl: int,
    replies: int,
    result: bytes | None,
    *scores: float | None,
) -> Job:
    stored: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    waiters = {name.removeprefix("waiter:") for name in stored if name.startswith("waiter:")}
    return Job(
        places=tuple(p for p, score in zip(PLACES, scores, strict=True) if score is not None),
        deadline=deadline is not None,
        payload=payload_ttl == FOR_EVER,
        lane=stored.get("lane", ""),
        score=int(stored.get("score", 0)),
        token=int(stored["token"]) if "token" in stored else None,
        deliveries=int(stored.get("deliveries", 0)),
        attempts=int(stored.get("attempts", 0)),
        waiters=frozenset(waiters),
        replies=replies,
        tombstone=stored.get("settled", ""),
        result="" if result is None else "counted" if b'"counted"' in result else "failed",
    )
