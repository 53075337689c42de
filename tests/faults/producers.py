"""Row 34: a producer killed between its payload and its submit, or right after."""

from functools import partial

import anyio
from anyio import to_thread
from faults.forked import fork, produce
from faults.loads import make_loads
from faults.report import FaultReport
from faults.stage import KEYS, Run, open_stage
from faults.steps import SUBMIT
from support.pools import until

from weighbridge.submitter import ORPHAN_TTL_MS

NO_KEY = -2
"""What PTTL says of a payload that never arrived: it is sent together with the submit."""


async def producers_killed(run: Run) -> FaultReport:
    """Row 34: an orphaned payload goes by itself; a job that was submitted is done."""
    broken: list[str] = []
    async with open_stage(run, workers=1) as stage:
        known = stage.producers(make_loads(1, seed=run.seed + 2))
        await stage.count_all(known)  # so that the server knows the scripts
        orphans = make_loads(run.size, seed=run.seed)
        submitted = make_loads(run.size, seed=run.seed + 1)
        for load in (*orphans, *submitted):
            link = await stage.link()
            trap = link.trap(SUBMIT, forwards=load in submitted)
            stage.note_fault()
            producer = fork(produce, link.url, load.body)
            with anyio.fail_after(60):
                await trap.caught.wait()
            producer.kill()
            await to_thread.run_sync(producer.join)
        ledger = stage.producers(submitted)
        for load in orphans:
            left_ms = await stage.redis.pttl(KEYS.payload(load.digest))
            if left_ms != NO_KEY and not 0 < left_ms <= ORPHAN_TTL_MS:
                broken.append(f"an orphaned payload has {left_ms} ms left")
        if any(stage.producers(orphans).calls[load.sha256] for load in orphans):
            broken.append("an orphaned payload was called for")
        for load in submitted:
            await until(partial(stage.redis.exists, KEYS.result(load.digest)))
        await stage.count_all(ledger)
        return await stage.judge(34, "producer killed at its submit", ledger, broken=broken)
