"""Rows 20 to 23 and 28: duplicates, poison, malformed, huge and vanished payloads."""

import json
from functools import partial

import anyio
import pytest
from faults.foreign import ask_raw
from faults.forked import work_on_poison
from faults.loads import make_load, make_loads
from faults.report import FaultReport, percentile
from faults.stage import KEYS, Run, Stage, open_stage
from support.pools import until

from weighbridge import Client, PayloadError
from weighbridge.errors import PayloadTooLarge
from weighbridge.records import Lane

POISON = "this kills"
PRODUCERS = 20
MIB = 2**20

MALFORMED = (
    b"",
    b"not JSON",
    b"[" * 100_000,
    b'{"model": "m", "messages": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "later": NaN}',
    b'{"model": "m", "model": "n", "messages": [{"role": "user", "content": "a"}]}',
    b'{"model": "m", "messages": [{"role": "user", "content": "\xff"}]}',
    b'\xef\xbb\xbf{"model": "m", "messages": [{"role": "user", "content": "a"}]}',
    b"{}",
    b"null",
)


async def duplicates(run: Run) -> FaultReport:
    """Row 20: one payload, many producers, all at once: one call, and everybody is answered."""
    async with open_stage(run, workers=1) as stage:
        [load] = make_loads(1, seed=run.seed)
        ledger = stage.producers([load] * run.size)
        stage.stand_in.gate.close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(stage.count_all, ledger, producers=PRODUCERS))
            await until(lambda: _waited_for_by(stage, load.digest, PRODUCERS), within_s=120)
            await stage.stand_in.gate.holds(1)
            stage.note_fault()
            stage.stand_in.gate.open()
        woken = [at - stage.fault_at[0] for at in ledger.answered_at.values()]
        report = await stage.judge(20, "duplicates in flight", ledger)
        calls = len(stage.stand_in.ledger)
    broken = list(report.broken)
    if calls != 1:
        broken.append(f"{calls} calls for one payload")
    p99 = percentile(woken, 0.99) or 0.0
    return report.with_broken(broken, f"p99 from the answer to the producer {p99:.2f} s")


async def _waited_for_by(stage: Stage, digest: str, producers: int) -> bool:
    fields = await stage.redis.hkeys(KEYS.job(digest))
    return len([field for field in fields if field.startswith(b"waiter:")]) == producers


async def poison(run: Run) -> FaultReport:
    """Row 21: one payload in a hundred kills the process; buried after three, and alone."""
    lease = {"WEIGHBRIDGE_LEASE": "2", "WEIGHBRIDGE_CALL_DEADLINE": "1.5"}
    async with open_stage(run, workers=0, lease=lease, persistent=True) as stage:
        loads = make_loads(run.size, seed=run.seed)
        poisoned = range(run.size // 2 % 100, run.size, 100)
        for index in poisoned:
            loads[index] = make_load(f"{POISON} {index}")
        ledger = stage.producers(loads)
        ledger.owed.update(dict.fromkeys(poisoned, "poison"))
        for _ in range(2):
            await stage.fleet.spawn(being=work_on_poison)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_replace_the_dead, stage)
            await stage.count_all(ledger)
            tasks.cancel_scope.cancel()
        report = await stage.judge(21, "payloads that kill", ledger)
    broken = list(report.broken)
    if len(stage.fault_at) > 3 * len(poisoned):
        broken.append(f"{len(stage.fault_at)} deaths by {len(poisoned)} payloads")
    return report.with_broken(broken, f"{len(poisoned)} poisonous")


async def _replace_the_dead(stage: Stage) -> None:
    """Start a worker for each that ends, as whatever runs containers does."""
    while True:
        for worker in list(stage.fleet.workers):
            if worker.exit_status is not None:
                stage.note_fault()
                await stage.fleet.kill(worker)
                await stage.fleet.spawn(being=work_on_poison)
        await anyio.sleep(0.02)


async def malformed(run: Run) -> FaultReport:
    """Row 22: refused by the client; written raw, answered with a failure; no worker dies."""
    async with open_stage(run, workers=1) as stage:
        [worker] = stage.fleet.workers
        broken = []
        async with Client.connect(stage.server.url) as wb:
            for text in MALFORMED:
                with pytest.raises(PayloadError):
                    await wb.submit(text)
        for text in MALFORMED * max(1, run.size // len(MALFORMED)):
            reply = json.loads(await ask_raw(stage, text))
            if reply["status"] != "failed" or not reply["code"]:
                broken.append(f"a raw entry of {len(text)} bytes was answered {reply}")
        ledger = stage.producers(make_loads(10, seed=run.seed))
        await stage.count_all(ledger)
        if worker.exit_status is not None:
            broken.append("the worker died")
        figures = f"{len(MALFORMED)} forms, {len(stage.stand_in.ledger) - 10} calls for them"
        return await stage.judge(22, "malformed payloads", ledger, broken=broken, figures=figures)


async def huge(run: Run) -> FaultReport:
    """Row 23: 40 MB are refused before a byte is sent; what is just below 32 MiB passes."""
    size = 8 * MIB if run.quick else int(31.9 * MIB)
    lease = {"WEIGHBRIDGE_LEASE": "60", "WEIGHBRIDGE_CALL_DEADLINE": "20"}
    async with open_stage(run, workers=1, lease=lease) as stage:
        large = make_load("weigh " * ((size - 1000) // 6) + str(run.seed))
        too_large = json.dumps(make_load("x").body | {"system": "y" * 40_000_000}).encode()
        ledger = stage.producers([large, *make_loads(run.size, seed=run.seed)])
        before = (await stage.redis.info("stats"))["total_net_input_bytes"]
        async with Client.connect(stage.server.url) as wb:
            with pytest.raises(PayloadTooLarge):
                await wb.submit(too_large)
        sent = (await stage.redis.info("stats"))["total_net_input_bytes"] - before
        broken = [] if sent < 100_000 else [f"{sent} bytes of a refused payload were sent"]
        latencies: list[float] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ping, stage, latencies)
            await stage.count_all(ledger)
            tasks.cancel_scope.cancel()
        p99 = percentile(latencies, 0.99) or 0.0
        if not run.quick and p99 > 0.25:
            broken.append("the server kept others waiting")
        figures = f"{size / MIB:.1f} MiB passed, the server's p99 meanwhile {p99 * 1000:.0f} ms"
        return await stage.judge(23, "40 MB payload", ledger, broken=broken, figures=figures)


async def _ping(stage: Stage, latencies: list[float]) -> None:
    while True:
        began = anyio.current_time()
        await stage.redis.ping()
        latencies.append(anyio.current_time() - began)
        await anyio.sleep(0.005)


async def vanished(run: Run) -> FaultReport:
    """Row 28: payloads deleted by hand while queued: failed without a call, no crash loop."""
    async with open_stage(run, workers=0) as stage:
        loads = make_loads(run.size, seed=run.seed)
        gone = range(0, run.size, 10)
        ledger = stage.producers(loads)
        ledger.owed.update(dict.fromkeys(gone, "payload_missing"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            await until(lambda: _queued(stage, run.size))
            stage.note_fault()
            keys = [KEYS.payload(loads[index].digest) for index in gone]
            assert await stage.redis.delete(*keys) == len(gone)
            await stage.fleet.start()
        calls = ledger.calls
        broken = (
            [] if not any(calls[loads[index].sha256] for index in gone) else ["a call was made"]
        )
        return await stage.judge(28, "payload deleted by hand", ledger, broken=broken)


async def _queued(stage: Stage, jobs: int) -> bool:
    return bool(await stage.redis.zcard(KEYS.ready(Lane.BATCH)) == jobs)
