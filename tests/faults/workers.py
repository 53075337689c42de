"""Rows 1 to 4 and 19: workers killed, drained, stuck, stopped, and two of one name."""

import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
from faults.done import settled_once
from faults.fleet import KEYS, Worker
from faults.forked import LOOKED_AT, work_by_the_clock
from faults.loads import ProducersLedger, make_loads
from faults.report import FaultReport
from faults.stage import LEASE_S, Run, Stage, open_stage
from faults.steps import STEPS, Step, calls_of, hold, let_go, suspects
from support.pools import running_pool, until

from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.sandbox import Fault
from weighbridge_worker.settings import WorkerSettings

CONCURRENCY = 8
CAUGHT_WITHIN_S = 300.0
SWEEP_S = 15.0
"""What a recovery may take beyond the lease: 45 s with one of 30."""


async def kill_at_every_step(run: Run) -> FaultReport:
    """Row 1: SIGKILL at every step of a job; its lease ends, and another counts it, once."""
    kills = len(STEPS) if run.quick else run.size // 50
    async with open_stage(run, workers=4, WEIGHBRIDGE_CONCURRENCY=str(CONCURRENCY)) as stage:
        async with stage.flow(run.size) as ledger:
            for number in range(kills):
                await ledger.reaches(run.size * number // (kills + 2))
                await _kill_one(stage, STEPS[number % len(STEPS)])
        report = await stage.judge(1, "worker killed at each step", ledger)
    broken = list(report.broken)
    if run.quick:  # where a machine stalls for longer than a call may take, more is called again
        return report
    if report.extra_calls > kills * CONCURRENCY:
        broken.append(f"more than {kills} kills times {CONCURRENCY} calls were made again")
    if (report.recovery_p99_s or 0) > LEASE_S + SWEEP_S:
        broken.append("the recovery took too long")
    return report.with_broken(broken)


async def _kill_one(stage: Stage, step: Step) -> None:
    """Kill a worker at a step; one that holds what two workers died over already is spared."""
    choices = stage.run.random
    try:
        with anyio.fail_after(CAUGHT_WITHIN_S):
            while True:
                worker = choices.choice(stage.fleet.workers)
                await stage.fleet.known(worker)
                if await _is_killed(stage, step, worker):
                    return
                let_go(worker)
                await anyio.sleep(choices.uniform(0.0, 0.05))
    except TimeoutError:
        raise AssertionError(f"no worker was caught {step.__name__}") from None


async def _is_killed(stage: Stage, step: Step, worker: Worker) -> bool:
    if not await step(stage, worker):
        return False
    await hold(stage, worker)
    if await suspects(stage):
        return False
    stage.note_fault()
    await stage.fleet.replace(worker)
    return True


async def rolling_restarts(run: Run) -> FaultReport:
    """Row 2: SIGTERM under load; exit 0, and nothing is called twice or waits for a lease."""
    restarts = 4 if run.quick else run.size // 50
    statuses: Counter[int] = Counter()
    async with open_stage(run, workers=2, lease={}) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            for number in range(restarts):
                await ledger.reaches(run.size * (number + 1) // (restarts + 2))
                oldest = stage.fleet.workers[0]
                await stage.fleet.start()
                stage.note_fault()
                oldest.send(signal.SIGTERM)
                statuses[await oldest.ended()] += 1
                stage.fleet.workers.remove(oldest)
        report = await stage.judge(2, "rolling restarts", ledger)
    broken = list(report.broken)
    if set(statuses) != {0}:
        broken.append(f"exit statuses {dict(statuses)}")
    if report.extra_calls:
        broken.append("a drained worker's job was called again")
    return report.with_broken(broken)


async def drain_with_a_stuck_call(run: Run) -> FaultReport:
    """Row 3: the endpoint hangs, SIGTERM comes; the deadline cuts the calls, the jobs go back."""
    drain_s, deadline_s = 4.0, 2.0
    settings = {"WEIGHBRIDGE_DRAIN": str(drain_s), "WEIGHBRIDGE_CALL_DEADLINE": str(deadline_s)}
    async with open_stage(run, workers=1, lease=settings) as stage:
        stage.stand_in.faults.set_probabilities({Fault.HANGING: 1.0})
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            await until(lambda: len(stage.stand_in.ledger) >= min(run.size, 8))
            [worker] = stage.fleet.workers
            stage.note_fault()
            began = anyio.current_time()
            worker.send(signal.SIGTERM)
            status = await worker.ended()
            took_s = anyio.current_time() - began
            stage.fleet.workers.remove(worker)
            stage.stand_in.faults.clear()
            await stage.fleet.start()
        broken = [] if status == 0 else [f"exit status {status}"]
        if not run.quick and took_s > drain_s + 2:
            broken.append("the exit took longer than drain + 2 s")
        figures = f"exit after {took_s:.1f} s of {drain_s:g} s drain"
        return await stage.judge(
            3, "drain while the endpoint hangs", ledger, broken=broken, figures=figures
        )


async def zombies(run: Run) -> FaultReport:
    """Row 4: SIGSTOP beyond the lease, then SIGCONT; no job ends twice, no old permit is used.

    What was past its last look at the clock when the signal came is called all the same: no process
    looks and sends in one step.
    """
    rounds, at_once = (1, 2) if run.quick else (10, 5)
    stale: Counter[str] = Counter()
    async with open_stage(run, workers=0) as stage, settled_once(stage) as settled:
        await stage.fleet.start(at_once + 1, being=work_by_the_clock)
        async with stage.flow(run.size) as ledger:
            for number in range(rounds):
                await ledger.reaches(run.size * (number + 1) // (rounds + 2))
                stale.update(await _stop_some(stage, ledger, at_once))
        report = await stage.judge(4, "stopped and woken (zombies)", ledger)
        twice = [count for count in settled.values() if count > 1]
    broken = list(report.broken)
    if twice:
        broken.append(f"{len(twice)} jobs ended twice")
    if stale["begun"]:
        broken.append("calls were begun on stale permits")
    figures = f"calls on stale permits {stale['begun']}, and {stale['on its way']} on their way"
    return replace(report, kills=rounds * at_once).with_broken(broken, figures)


async def _stop_some(stage: Stage, ledger: ProducersLedger, count: int) -> list[str]:
    """Stop workers amid their calls until others have their jobs; returns what each late call was:
    `begun` after the worker woke, or `on its way` when it was stopped.
    """
    chosen = stage.fleet.workers[:count]
    begun = len(stage.stand_in.ledger)
    stage.stand_in.gate.close()
    await until(lambda: all(calls_of(stage, worker, begun) for worker in chosen), within_s=60)
    stage.note_fault()
    for worker in chosen:
        worker.send(signal.SIGSTOP)
    stage.stand_in.gate.open()
    held = {digest.decode() for digest in await stage.redis.zrange(KEYS.leased, 0, -1)}
    index_of = {load.digest: index for index, load in enumerate(ledger.loads)}
    # Over 10 s without a visit is an outage, which is row 8's.
    await until(lambda: all(index_of[digest] in ledger.answers for digest in held), within_s=60)
    woken_at, calls = time.monotonic(), len(stage.stand_in.ledger)
    for worker in chosen:
        worker.send(signal.SIGCONT)
    for worker in chosen:
        await _visited_since(stage, worker)
    ended = {ledger.loads[index_of[digest]].sha256 for digest in held}
    late = [a for a in stage.stand_in.ledger.since(calls) if a.sha256 in ended]
    return ["begun" if float(a.headers[LOOKED_AT]) >= woken_at else "on its way" for a in late]


async def _visited_since(stage: Stage, worker: Worker) -> None:
    seen = await stage.redis.zscore(KEYS.workers, worker.name) or 0

    async def visited() -> bool:
        return (await stage.redis.zscore(KEYS.workers, worker.name) or 0) > seen

    await until(visited, within_s=60)


async def two_of_one_name(run: Run) -> FaultReport:
    """Row 19: two workers of one host and one process id, as containers have; no job is stolen."""
    async with (
        open_stage(run, workers=0) as stage,
        settled_once(stage) as settled,
        AsyncExitStack() as stack,
    ):
        settings = WorkerSettings(base_url=stage.stand_in.base_url, api_key="test")
        for _ in range(2):
            counter = await stack.enter_async_context(anthropic_counter(settings))
            await stack.enter_async_context(
                running_pool(stage.server.url, counter, rpm=stage.rpm, concurrency=CONCURRENCY)
            )
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        await stage.count_all(ledger)
        names = await stage.redis.zrange(KEYS.workers, 0, -1)
        report = await stage.judge(19, "two workers of one name", ledger)
        broken = list(report.broken)
        if len({name.decode().rpartition(":")[0] for name in names}) != 1 or len(set(names)) != 2:
            broken.append(f"the workers are called {names}")
        if any(count > 1 for count in settled.values()):
            broken.append("a job ended twice")
        return report.with_broken(broken)
