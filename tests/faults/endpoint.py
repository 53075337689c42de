"""Rows 11 to 15: an endpoint that refuses, fails, is away, or is slow."""

from functools import partial
from itertools import cycle, islice

import anyio
import msgspec
import pytest
from faults.loads import make_loads
from faults.report import FaultReport
from faults.stage import KEYS, Run, Stage, open_stage
from support.pools import until

from weighbridge import Client, QueueFull
from weighbridge.bucket import Bucket
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge_worker.calls import PassingFailure
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.sandbox import Fault, SandboxSettings
from weighbridge_worker.settings import WorkerSettings

HUGE = "1000000000"
ODD_PAUSES = ("-1", "soon", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", HUGE)
PER_PENALTY = 20
"""Calls that one pause may meet: those on their way and those whose slots were given already."""


def settings(**more: object) -> SandboxSettings:
    """Make a stand-in that refuses nothing by itself."""
    return SandboxSettings(**{"rpm": 1_000_000, "depth": 100_000, "latency_s": 0.02, **more})  # type: ignore[arg-type]


async def storm_of_429s(run: Run) -> FaultReport:
    """Row 11: nothing but 429s for a while; a penalty at a time, and no attempt is burned."""
    storm_s, retry_after = (0.0, "1") if run.quick else (30.0, "5")
    async with open_stage(
        run,
        rpm=3000,
        stand_in=settings(retry_after=retry_after),
        WEIGHBRIDGE_MAX_ATTEMPTS="1",
    ) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            await ledger.reaches(run.size // 4)
            stage.note_fault()
            stage.stand_in.faults.set_probabilities({Fault.RATE_LIMITED: 1.0})
            began = await _penalties(stage)
            await until(lambda: _penalised(stage, began), within_s=60)
            await anyio.sleep(storm_s)
            stage.stand_in.faults.clear()
        penalties = await _penalties(stage)
        refused = sum(attempt.status == 429 for attempt in stage.stand_in.ledger.attempts)
        figures = f"{refused} refused calls in {penalties} penalties"
        few = refused <= penalties * PER_PENALTY
        broken = [] if few else ["calls went on within a pause"]
        return await stage.judge(11, "429 storm", ledger, broken=broken, figures=figures)


async def _penalties(stage: Stage) -> int:
    return int(await stage.redis.hget(KEYS.bucket, "generation") or 0)


async def _penalised(stage: Stage, before: int) -> bool:
    return await _penalties(stage) > before


async def odd_pauses(run: Run) -> FaultReport:
    """Row 12: ``retry-after`` is negative, huge, a date, garbage; the pause is 1 to 60 s."""
    reports = []
    for value in ODD_PAUSES:
        async with open_stage(run, workers=1, stand_in=settings(retry_after=value)) as stage:
            stage.stand_in.faults.set_next([Fault.RATE_LIMITED])
            ledger = stage.producers(make_loads(run.size, seed=run.seed))
            bucket = Bucket(stage.redis, KEYS, Scripts(KEYS), rpm=stage.rpm)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.count_all, ledger)
                await until(partial(_penalised, stage, 0))
                pause_s = (await bucket.inspect()).blocked_s
                await bucket.change("resume")
            low, high = (50, 60) if value == HUGE else (0, 1)
            sound = low <= pause_s <= high
            broken = [] if sound else [f"retry-after {value!r} paused {pause_s:.1f} s"]
            reports.append(await stage.judge(12, "odd retry-after", ledger, broken=broken))
    return FaultReport.of_all(reports)


async def a_third_fails(run: Run) -> FaultReport:
    """Row 13: 30 % of the answers are 500 or 529; all are counted, and the load does not grow.

    The table asks for a budget of retries, 10 % of the permits: a bound on what failures add to the
    load. Here they add nothing, for a retry takes its permit from the same bucket as a first call,
    at the same rate; a budget would only leave permits unused while jobs wait. So no call without a
    permit, none beyond one a failed answer, and none above the rate.
    """
    async with open_stage(run, lease={}, WEIGHBRIDGE_MAX_ATTEMPTS="20") as stage:
        stage.stand_in.faults.set_probabilities({Fault.SERVER_ERROR: 0.15, Fault.OVERLOADED: 0.15})
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        await stage.count_all(ledger)
        stage.stand_in.faults.clear()
        granted = int(await stage.redis.hget(KEYS.bucket, "granted") or 0)
        attempts = stage.stand_in.ledger.attempts
        calls, failed = len(attempts), sum(attempt.status != 200 for attempt in attempts)
        broken = [] if calls <= granted else [f"{calls} calls on {granted} permits"]
        if calls - failed > run.size:
            broken.append(f"{calls - failed} right answers for {run.size} payloads")
        figures = f"{granted} permits for {calls} calls, {failed} of them failed"
        return await stage.judge(
            13, "30 % of answers 500 or 529", ledger, broken=broken, figures=figures
        )


async def away(run: Run) -> FaultReport:
    """Row 14: the endpoint is away; the fleet probes, a bounded queue says full, none is lost."""
    away_s = 1.0 if run.quick else 300.0
    async with open_stage(run) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            await ledger.reaches(run.size // 4)
            stage.note_fault()
            stage.stand_in.faults.set_probabilities({Fault.DROPPED: 1.0})
            before = len(stage.stand_in.ledger)
            full = await _is_refused(stage, before)
            await anyio.sleep(away_s)
            probes = len(stage.stand_in.ledger) - before
            stage.stand_in.faults.clear()
        broken = [] if full else ["a bounded queue took a job beyond its bound"]
        if not run.quick and probes > away_s + 3 * PER_PENALTY:
            broken.append("the fleet called more often than once a second")
        figures = f"{probes} calls in {away_s:g} s without an endpoint"
        return await stage.judge(14, "endpoint away", ledger, broken=broken, figures=figures)


async def _is_refused(stage: Stage, seen: int) -> bool:
    """Submit beyond the bound once calls have failed."""
    await until(lambda: len(stage.stand_in.ledger) > seen + 1)
    bounded = QueueSettings(redis_url=stage.server.url, max_queue=1)
    async with Client.connect(settings=bounded) as wb:
        try:
            await wb.submit(make_loads(1, seed=stage.run.seed + 1)[0].body)
        except QueueFull:
            return True
    return False


async def slow(run: Run) -> FaultReport:
    """Row 15: no answer, or a byte at a time; cut at the deadline of the call, and retried."""
    lease = {"WEIGHBRIDGE_LEASE": "4", "WEIGHBRIDGE_CALL_DEADLINE": "1"}
    async with open_stage(run, lease=lease, stand_in=settings(drip_s=0.5)) as stage:
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        kinds = (Fault.HANGING, Fault.SLOW_BODY)
        # Two healthy answers to each: where most calls fail, the fleet holds, which is row 14's.
        met = cycle([kinds[0], None, None, kinds[1], None, None])
        stage.stand_in.faults.set_next(islice(met, run.size * 3 // 2))
        await stage.count_all(ledger)
        cuts = [await _cut_after(stage, kind, ledger.loads[0].body) for kind in kinds]
        late = [cut for cut in cuts if not 0.9 < cut < (10 if run.quick else 1.25)]
        broken = [f"cut after {cut:.2f} s of 1 s" for cut in late]
        figures = f"cut after {max(cuts):.2f} s of 1 s"
        report = await stage.judge(15, "hanging, and a byte at a time", ledger, broken=broken)
        return report.with_broken(report.broken, figures)


async def _cut_after(stage: Stage, kind: Fault, body: object) -> float:
    """Return the seconds after which a call is given up."""
    stage.stand_in.faults.set_next([kind])
    given = WorkerSettings(base_url=stage.stand_in.base_url, api_key="test", call_deadline_s=1.0)
    async with anthropic_counter(given) as counter:
        began = anyio.current_time()
        with pytest.raises(PassingFailure, match="in time"):
            await counter.count(msgspec.json.encode(body), ())
        return anyio.current_time() - began
