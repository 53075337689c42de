"""A server that is always far away slows a worker down and does not stop it."""

from pathlib import Path

import pytest
from faults.loads import make_loads
from faults.stage import Run, open_stage


@pytest.mark.asyncio
async def test_a_worker_far_from_its_server_still_meets_its_slots(tmp_path: Path) -> None:
    """At 12,000 a minute a slot may be 25 ms late, and the way there and back takes 100 ms."""
    async with open_stage(Run(tmp_path, 20), workers=0) as stage:
        worker = await stage.fleet.spawn()
        worker.proxy.delay_s = 0.05
        await stage.fleet.known(worker)
        ledger = stage.producers(make_loads(20))
        await stage.count_all(ledger)
        assert (await stage.judge(9, "far away", ledger)).kept
