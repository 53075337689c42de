"""Rows 9 and 10: links that break in every way, and a replica promoted behind its master."""

from functools import partial

import anyio
from anyio import to_thread
from faults.loads import make_loads
from faults.report import FaultReport
from faults.stage import KEYS, LEASE_S, Run, Stage, open_stage
from redis.asyncio import Redis
from support.pools import until

from weighbridge_worker.server import ServerProcess

CONCURRENCY = 8
SLOW_JOBS = 100
"""Left for the slow link, over which a visit takes half a second."""


async def links_broken(run: Run) -> FaultReport:
    """Row 9: replies lost with their links, a half-open link, a slow one; each payload once."""
    async with open_stage(
        run, workers=3, WEIGHBRIDGE_CONCURRENCY=str(CONCURRENCY), persistent=True
    ) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        producers = await stage.link()
        links = [producers, *(worker.proxy for worker in stage.fleet.workers)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(stage.count_all, ledger, producers=2, url=producers.url))
            await ledger.reaches(1)  # a start is not repeated: it should tell that nobody answers
            for link in links:
                link.lose_share = 0.1
            await ledger.reaches(run.size // 2)
            stage.note_fault()
            for link in links:
                link.lose_share = 0.0
            half_open = stage.fleet.workers[0].proxy
            half_open.silence()
            held = int(await stage.redis.zcard(KEYS.leased))  # by the others, too
            await ledger.reaches(run.size - min(SLOW_JOBS, run.size // 4))
            stage.note_fault()
            half_open.reset()
            half_open.restore()
            for link in links:
                link.delay_s = 0.05 if run.quick else 0.25
        resets = sum(link.resets for link in links)
        report = await stage.judge(9, "links reset, half open, slow", ledger, kills=resets)
        broken = list(report.broken)
        if report.extra_calls > held:
            broken.append(f"more was called again than the {held} jobs leased in the silence")
        return report.with_broken(broken)


async def replica_promoted(run: Run) -> FaultReport:
    """Row 10: the master dies with writes that its replica never got; the bound is measured."""
    lag_s = 0.5 if run.quick else 2.0
    folder = run.folder / "replica"
    folder.mkdir()
    async with open_stage(run) as stage:
        replication = await stage.link()
        replica = ServerProcess(
            stage.server.binary,
            folder,
            arguments=["--replicaof", "127.0.0.1", str(replication.port)],
        )
        await to_thread.run_sync(replica.start)
        try:
            return await _promote(stage, replica, lag_s, run)
        finally:
            replica.kill()


async def _promote(stage: Stage, replica: ServerProcess, lag_s: float, run: Run) -> FaultReport:
    [*_, replication] = stage.links
    ledger = stage.producers(make_loads(run.size, seed=run.seed))
    producers = await stage.link()
    async with Redis.from_url(replica.url) as client:

        async def in_step() -> bool:
            return bool((await client.info("replication"))["master_link_status"] == "up")

        await until(in_step)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(stage.count_all, ledger, producers=2, url=producers.url))
            await ledger.reaches(run.size // 3)
            replication.silence()
            await anyio.sleep(lag_s)
            stage.note_fault()
            await to_thread.run_sync(stage.server.kill)
            await client.replicaof("NO", "ONE")
            for link in [producers, *(worker.proxy for worker in stage.fleet.workers)]:
                link.upstream = replica.socket_path
                link.reset()
        stage.server, stage.redis = replica, client
        forgotten = stage.rpm / 60 * lag_s  # slots that the replica may not know to be taken
        report = await stage.judge(
            10, "replica promoted behind its master", ledger, forgiven=forgotten
        )
    bound = stage.rpm / 60 * (lag_s + LEASE_S)
    broken = list(report.broken)
    if report.extra_calls > bound:
        broken.append("more was called again than the lag had forgotten")
    return report.with_broken(broken, f"lag {lag_s:g} s, so at most {bound:.0f} calls again")
