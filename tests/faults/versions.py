"""Rows 26 and 31: a server set up wrongly, and two versions of the worker at once."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import anyio
from faults.loads import make_loads
from faults.report import FaultReport
from faults.stage import Run, Stage, open_stage
from support.commands import COMMAND
from support.pools import until

from weighbridge.keys import Keys

KEYS = Keys()


async def wrong_policy(run: Run) -> FaultReport:
    """Row 26: a server that evicts; a worker refuses to start, in one clear line."""
    broken = []
    async with open_stage(run, workers=0) as stage:
        await stage.redis.config_set("maxmemory-policy", "allkeys-lru")
        worker = await stage.fleet.spawn()
        with anyio.move_on_after(5):
            await until(lambda: worker.exit_status is not None, within_s=60)
        said = worker.log.read_text() if worker.log.exists() else ""
        if not worker.exit_status:
            broken.append("the worker started")
        elif "noeviction" not in said or "Traceback" in said or said.count("\n") > 2:
            broken.append(f"it said: {said[:200]!r}")
        stage.fleet.workers.remove(worker)
        await stage.redis.config_set("maxmemory-policy", "noeviction")
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        await stage.fleet.start()
        await stage.count_all(ledger)
        return await stage.judge(26, "server that evicts", ledger, kills=1, broken=broken)


async def two_versions(run: Run) -> FaultReport:
    """Row 31: workers whose scripts differ serve one queue; another wire version is left alone."""
    async with open_stage(run, workers=1) as stage:
        other = _other_version(run.folder / "other", wire=1)
        stage.fleet.command(*COMMAND, "worker", PYTHONPATH=str(other))
        await until(lambda: _workers(stage, 2), within_s=60)
        ledger = stage.producers(make_loads(run.size, seed=run.seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, ledger)
            await ledger.reaches(run.size // 3)
            stage.note_fault()
            await stage.fleet.replace(stage.fleet.workers[0])
        report = await stage.judge(31, "two versions at once", ledger)
        return await _another_wire(stage, report, run)


async def _another_wire(stage: Stage, report: FaultReport, run: Run) -> FaultReport:
    """Submit under the next wire version: no worker of this one may touch it."""
    next_wire = _other_version(run.folder / "next", wire=2)
    program = (
        "import anyio, sys\nfrom weighbridge import Client\n"
        "async def main():\n"
        "    async with Client.connect(sys.argv[1]) as wb:\n"
        "        body = {'model': 'm', 'messages': [{'role': 'user', 'content': 'a'}]}\n"
        "        print((await wb.submit(body)).digest)\n"
        "anyio.run(main)\n"
    )
    asked = await anyio.run_process(
        [sys.executable, "-c", program, stage.server.url], env={"PYTHONPATH": str(next_wire)}
    )
    digest = asked.stdout.decode().strip()
    key = f"{{weighbridge}}:2:payload:{digest}"
    calls = len(stage.stand_in.ledger)
    untouched = await stage.redis.exists(key) and await stage.redis.pttl(key) == -1
    broken = list(report.broken)
    if not untouched:
        broken.append("a job of the next wire version was touched")
    stage.fleet.command(*COMMAND, "worker", PYTHONPATH=str(next_wire))
    result = f"weighbridge:2:result:{{{digest}}}"
    await until(lambda: stage.redis.exists(result), within_s=60)
    if len(stage.stand_in.ledger) != calls + 1:
        broken.append("the job of the next wire version was not called once")
    return report.with_broken(broken, "and a job of the next wire version")


def _other_version(folder: Path, *, wire: int) -> Path:
    """Copy both packages, with other scripts and perhaps another wire version."""
    for name in ("weighbridge", "weighbridge_worker"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, folder / name)
    for script in (folder / "weighbridge" / "lua").glob("*.lua"):
        script.write_text(script.read_text() + "-- another version\n")
    records = folder / "weighbridge" / "records.py"
    text, found = re.subn(
        r"^WIRE_VERSION = 1$", f"WIRE_VERSION = {wire}", records.read_text(), flags=re.M
    )
    assert found == 1
    records.write_text(text)
    return folder


async def _workers(stage: Stage, count: int) -> bool:
    return bool(await stage.redis.zcard(KEYS.workers) >= count)
