"""Rows 5 to 8, 29 and 30: the server stopped, killed, emptied, away for long, or forgetful."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from faults.foreign import count_as_foreigner
from faults.loads import ProducersLedger, make_loads
from faults.report import FaultReport
from faults.stage import KEYS, Run, Stage, open_stage
from support.pools import until

from weighbridge import Client, QueueUnreachable
from weighbridge.scripts import INBOX_GROUP

GRANTED_AHEAD_S = 0.2
"""The last slots of a server lie less than that behind its end, the grace to use them included."""


@asynccontextmanager
async def _counting(stage: Stage, ledger: ProducersLedger) -> AsyncIterator[None]:
    """Count every load while the block disturbs, and until all are answered.

    A client tells its producer of a server that is away for longer than its few tries, as long as a
    busy machine may take for a restart.
    """
    async with anyio.create_task_group() as tasks:
        count = partial(stage.count_again, ledger, QueueUnreachable, producers=2)
        tasks.start_soon(count)
        yield


async def stopped(run: Run) -> FaultReport:
    """Row 5: SIGSTOP; all wait, redis-py repeats scripts, and nothing happens twice."""
    stops = 2 if run.quick else 20
    async with open_stage(run, lease={}) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        pid = int((await stage.redis.info("server"))["process_id"])
        async with _counting(stage, ledger):
            for number in range(stops):
                await ledger.reaches(run.size * (number + 1) // (stops + 2))
                # Beyond the time-out of a command, so that it is sent again; now and then.
                stop_s = 10.0 if number % 5 == 2 else run.random.uniform(0.3, 1.0)
                os.kill(pid, signal.SIGSTOP)
                await anyio.sleep(stop_s)
                os.kill(pid, signal.SIGCONT)
                stage.note_fault()
        report = await stage.judge(5, "server stopped for a while", ledger)
    broken = list(report.broken)
    if report.extra_calls:
        broken.append("a repeated script was visible: a payload was called twice")
    return report.with_broken(broken)


async def killed(run: Run) -> FaultReport:
    """Row 6: SIGKILL and restart with its append-only file; nothing acknowledged is lost."""
    restarts = 2 if run.quick else 20
    async with open_stage(run, persistent=True) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with _counting(stage, ledger):
            for number in range(restarts):
                await ledger.reaches(run.size * (number + 1) // (restarts + 2))
                await stage.restart_server()
        return await stage.judge(6, "server killed, its file kept", ledger)


async def emptied(run: Run) -> FaultReport:
    """Row 7: SIGKILL and restart empty; who waits submits again, and the bucket is empty too.

    What was granted ahead is gone by then: no server loses a master and has another within 0.1 s.
    """
    forgotten = make_loads(20, seed=run.seed + 1)
    async with open_stage(run) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with _counting(stage, ledger):
            await ledger.reaches(run.size // 3)
            async with Client.connect(stage.server.url) as wb:
                for load in forgotten:
                    await wb.submit(load.body)
            await stage.restart_server(empty=True, down_s=GRANTED_AHEAD_S)
        await until(lambda: _has_group(stage), within_s=60)
        results = [await stage.redis.get(KEYS.result(load.digest)) for load in forgotten]
        lost = results.count(None)
        figures = f"of {len(forgotten)} that nobody waited for {lost} were lost, as documented"
        return await stage.judge(7, "server restarted empty", ledger, figures=figures)


async def away_for_long(run: Run) -> FaultReport:
    """Row 8: the server is away for longer than a lease; no job is called more than twice."""
    down_s = 3.0 if run.quick else 60.0
    lease = {"WEIGHBRIDGE_LEASE": "2", "WEIGHBRIDGE_CALL_DEADLINE": "1"} if run.quick else {}
    async with open_stage(run, persistent=True, lease=lease) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_again, ledger, QueueUnreachable)
            await ledger.reaches(run.size // 3)
            await stage.restart_server(down_s=down_s)
            stage.fault_at[:] = [stage.stand_in.ledger.now()]
        calls = ledger.calls
        most = max(calls.values())
        report = await stage.judge(8, "server away for two leases", ledger)
    broken = [*report.broken, *([f"{most} calls for one job"] if most > 2 else [])]
    return report.with_broken(broken, f"away {down_s:g} s, most calls a job {most}")


async def scripts_flushed(run: Run) -> FaultReport:
    """Row 30: SCRIPT FLUSH under load; nobody notices."""
    async with open_stage(run) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))

        async def flush() -> None:
            while True:
                stage.note_fault()
                await stage.redis.script_flush()
                await anyio.sleep(0.1 if run.quick else 1.0)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flush)
            await stage.count_all(ledger, producers=2)
            tasks.cancel_scope.cancel()
        report = await stage.judge(30, "scripts flushed under load", ledger)
    broken = list(report.broken)
    if report.extra_calls:
        broken.append("a payload was called twice")
    return report.with_broken(broken)


async def inbox_deleted(run: Run) -> FaultReport:
    """Row 29: the inbox, or its group, is deleted; it comes back, and who waits writes again."""
    rounds = 2 if run.quick else 20
    async with open_stage(run) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count_as_foreigner, stage, ledger)
            for number in range(rounds):
                await ledger.reaches(run.size * (number + 1) // (rounds + 2))
                stage.note_fault()
                if number % 2:
                    await stage.redis.delete(KEYS.inbox)
                else:
                    await _destroy_group(stage)
        await until(lambda: _has_group(stage))
        lines = max(worker.log.read_text().count("\n") for worker in stage.fleet.workers)
        seconds = anyio.current_time() - began
        broken = ["the log grew by more than a line a second"] if lines > 10 + seconds else []
        return await stage.judge(29, "inbox or its group deleted", ledger, broken=broken)


async def _destroy_group(stage: Stage) -> None:
    await until(lambda: _has_group(stage))
    await stage.redis.xgroup_destroy(KEYS.inbox, INBOX_GROUP)


async def _has_group(stage: Stage) -> bool:
    return bool(await stage.redis.exists(KEYS.inbox)) and bool(
        await stage.redis.xinfo_groups(KEYS.inbox)
    )
