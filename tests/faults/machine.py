"""Rows 27 and 35: clocks that jump, and a processor that others use."""

import multiprocessing
import os
from contextlib import suppress

import anyio
from faults.forked import burn, fork
from faults.loads import make_loads
from faults.report import FaultReport
from faults.stage import KEYS, Run, Stage, open_stage
from support.stored_queue import STAMPS

HOUR_US = 3_600_000_000
HORIZON_S = 0.1
"""What was granted ahead goes its way while the jumped clock grants anew: one burst of so much."""

SHIFT = """
for i = 1, 4 do
  for _, member in ipairs(redis.call('ZRANGE', KEYS[i], 0, -1)) do
    redis.call('ZINCRBY', KEYS[i], ARGV[1], member)
  end
end
for i = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[5], ARGV[i]) == 1 then
    redis.call('HINCRBY', KEYS[5], ARGV[i], ARGV[1])
  end
end
"""
"""The server's clock jumps against every stamp that it has stored; in one step, under load."""


async def clock_jumps(run: Run) -> FaultReport:
    """Row 27: the server's clock jumps an hour; at most one burst, and nobody waits."""
    jumps = 2 if run.quick else 20
    async with open_stage(run) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            for number in range(jumps):
                await ledger.reaches(run.size * (number + 1) // (jumps + 2))
                stage.note_fault()
                await _jump(stage, HOUR_US if number % 2 else -HOUR_US)
        burst = stage.rpm / 60 * HORIZON_S
        return await stage.judge(27, "server's clock jumps an hour", ledger, forgiven=burst)


async def _jump(stage: Stage, shift_us: int) -> None:
    keys = (KEYS.leased, KEYS.later, KEYS.deadlines, KEYS.workers, KEYS.bucket)
    await stage.redis.eval(SHIFT, len(keys), *keys, shift_us, *STAMPS)


async def starved(run: Run) -> FaultReport:
    """Row 35: two workers and two others on one processor; leases are not lost for that."""
    burners = [fork(burn) for _ in range(1 if run.quick else 2)]
    try:
        async with open_stage(run, rpm=3000, lease={}) as stage:
            one = min(os.sched_getaffinity(0))
            with suppress(ProcessLookupError):
                for process in [*burners, *(worker.process for worker in stage.fleet.workers)]:
                    os.sched_setaffinity(process.pid or 0, {one})
            ledger = stage.producers(make_loads(run.size, seed=run.seed))
            await stage.count_all(ledger)
            report = await stage.judge(35, "processor starved", ledger)
    finally:
        for process in burners:
            process.kill()
    broken = list(report.broken)
    if report.extra_calls > run.size / 100:
        broken.append("over 1 % of the leases were lost")
    return report.with_broken(broken, f"{multiprocessing.cpu_count()} processors")
