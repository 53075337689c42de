"""A worker caught at one step of a job: stopped there, or cut from its server there."""

import signal
from collections.abc import Awaitable, Callable

import anyio
from faults.fleet import KEYS, Worker
from faults.loads import ProducersLedger
from faults.stage import Stage

from weighbridge.script import Script

SETTLE, TAKE, SUBMIT = (
    Script(name, flags=True).sha.encode() for name in ("settle", "take", "submit")
)
CAUGHT_WITHIN_S = 5.0
Step = Callable[[Stage, ProducersLedger, Worker], Awaitable[bool]]


async def leased_without_a_call(stage: Stage, ledger: ProducersLedger, worker: Worker) -> bool:
    """Stop it with a lease whose slot has not come."""
    worker.send(signal.SIGSTOP)
    return bool(await _leases(stage, worker) - _called(stage, ledger))


async def in_a_call(stage: Stage, ledger: ProducersLedger, worker: Worker) -> bool:
    """Stop it while the endpoint has its call and has not answered."""
    stage.stand_in.gate.close()
    try:
        with anyio.move_on_after(CAUGHT_WITHIN_S):
            await stage.stand_in.gate.holds(stage.fleet.size)
        worker.send(signal.SIGSTOP)
        return bool(await _leases(stage, worker) & _called(stage, ledger))
    finally:
        stage.stand_in.gate.open()


async def before_its_settle(stage: Stage, ledger: ProducersLedger, worker: Worker) -> bool:
    """Keep its settle from the server."""
    return await _trapped(worker, SETTLE, forwards=False)


async def after_its_settle(stage: Stage, ledger: ProducersLedger, worker: Worker) -> bool:
    """Let the server settle, and keep the reply."""
    return await _trapped(worker, SETTLE, forwards=True)


async def after_its_take(stage: Stage, ledger: ProducersLedger, worker: Worker) -> bool:
    """Let the server grant leases, and keep the reply."""
    return await _trapped(worker, TAKE, forwards=True)


STEPS: tuple[Step, ...] = (
    leased_without_a_call,
    in_a_call,
    before_its_settle,
    after_its_settle,
    after_its_take,
)


def let_go(worker: Worker) -> None:
    """Let a caught worker go on; what its link kept, its client sends again."""
    worker.send(signal.SIGCONT)
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


async def _trapped(worker: Worker, word: bytes, *, forwards: bool) -> bool:
    trap = worker.proxy.trap(word, forwards=forwards)
    with anyio.move_on_after(CAUGHT_WITHIN_S):
        await trap.caught.wait()
    return trap.caught.is_set()


async def _leases(stage: Stage, worker: Worker) -> set[str]:
    """Return the digests of the last take's leases that still hold."""
    granted = await stage.redis.hget(KEYS.worker(worker.name), "granted") or b""
    digests = [word.partition(":")[0] for word in granted.decode().split(",") if word]
    held = {digest.decode() for digest in await stage.redis.zrange(KEYS.leased, 0, -1)}
    return held.intersection(digests)


def _called(stage: Stage, ledger: ProducersLedger) -> set[str]:
    seen = {attempt.sha256 for attempt in stage.stand_in.ledger.attempts}
    return {load.digest for load in ledger.loads if load.sha256 in seen}
