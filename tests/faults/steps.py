"""A worker caught at one step of a job: cut from its server there, or stopped amid a call."""

import signal
from collections.abc import Awaitable, Callable

import anyio
from faults.fleet import CALLER, KEYS, Worker
from faults.stage import Stage

from weighbridge.script import Script
from weighbridge_worker.sandbox.ledger import Attempt

SETTLE, TAKE, SUBMIT = (
    Script(name, flags=True).sha.encode() for name in ("settle", "take", "submit")
)
PAYLOAD = KEYS.payload("").encode()
CAUGHT_WITHIN_S = 5.0
LOOK_S = 0.002
Step = Callable[[Stage, Worker], Awaitable[bool]]


async def before_its_call(stage: Stage, worker: Worker) -> bool:
    """Keep the large payloads of its new leases from it."""
    return await _trapped(stage, worker, PAYLOAD, forwards=True)


async def in_a_call(stage: Stage, worker: Worker) -> bool:
    """Stop it while the endpoint has its call and has not answered."""
    begun = len(stage.stand_in.ledger)
    with anyio.move_on_after(CAUGHT_WITHIN_S):
        while not calls_of(stage, worker, begun):
            await anyio.sleep(LOOK_S)
        # The stand-in shares this loop: nothing was answered between the look and the signal.
        worker.send(signal.SIGSTOP)
        return True
    return False


async def before_its_settle(stage: Stage, worker: Worker) -> bool:
    """Keep its settle from the server."""
    return await _trapped(stage, worker, SETTLE, forwards=False)


async def after_its_settle(stage: Stage, worker: Worker) -> bool:
    """Let the server settle, and keep the reply."""
    return await _trapped(stage, worker, SETTLE, forwards=True)


async def after_its_take(stage: Stage, worker: Worker) -> bool:
    """Let the server grant leases, and keep the reply."""
    caught = await _trapped(stage, worker, TAKE, forwards=True)
    return caught and bool(await stage.redis.hget(KEYS.worker(worker.name), "granted"))


STEPS: tuple[Step, ...] = (
    before_its_call,
    in_a_call,
    before_its_settle,
    after_its_settle,
    after_its_take,
)


def calls_of(stage: Stage, worker: Worker, since: int) -> list[Attempt]:
    """Return a worker's calls that the endpoint has read and not answered.

    Args:
        since: an index of the ledger; calls that were given up before lie below it.
    """
    return [
        attempt
        for attempt in stage.stand_in.ledger.since(since)
        if attempt.headers.get(CALLER) == str(worker.number)
        and attempt.sha256
        and attempt.status is None
    ]


async def hold(stage: Stage, worker: Worker) -> None:
    """Stop a caught worker; returns once the server has done all that it was asked by then."""
    worker.send(signal.SIGSTOP)
    worker.proxy.silence()
    await stage.redis.ping()


def let_go(worker: Worker) -> None:
    """Let a worker go on; what its trap kept, its client sends again."""
    worker.send(signal.SIGCONT)
    worker.proxy.restore()
    worker.proxy.disarm()


async def suspects(stage: Stage) -> set[str]:
    """Return the leased jobs that one more death would bury as poison."""
    digests = [digest.decode() for digest in await stage.redis.zrange(KEYS.leased, 0, -1)]
    pipe = stage.redis.pipeline(transaction=False)
    for digest in digests:
        pipe.hget(KEYS.job(digest), "deliveries")
    return {
        digest
        for digest, deliveries in zip(digests, await pipe.execute(), strict=True)
        if int(deliveries or 0) >= 3
    }


async def _trapped(stage: Stage, worker: Worker, word: bytes, *, forwards: bool) -> bool:
    trap = worker.proxy.trap(word, forwards=forwards)
    with anyio.move_on_after(CAUGHT_WITHIN_S):
        await trap.caught.wait()
        await stage.redis.ping()  # by its answer the server has done what was forwarded
    return trap.caught.is_set()
