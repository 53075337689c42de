"""Rows 24, 25, 32, 33: no memory, no disk, and little of both for a worker."""

from pathlib import Path

import anyio
from anyio import to_thread
from faults.disk import MIB, small_disk
from faults.forked import work_in_little
from faults.loads import Load, ProducersLedger, make_load, make_loads
from faults.report import FaultReport
from faults.stage import KEYS, Run, Stage, open_stage
from support.pools import until

from weighbridge import Client, Ticket, WeighbridgeError

SLOW = {"WEIGHBRIDGE_LEASE": "60", "WEIGHBRIDGE_CALL_DEADLINE": "20"}
FEW = {"WEIGHBRIDGE_CONCURRENCY": "2"}
"""Calls at once: the stand-in weighs 30 MiB in a second or more, one after the other."""


async def filled_by_payloads(run: Run) -> FaultReport:
    """Row 24: more payloads than memory; refused cleanly, and the queue drains."""
    count, size, memory = (8, 2 * MIB, 16) if run.quick else (50, 30 * MIB, 1024)
    refused = 0
    full = ["--maxmemory", f"{memory}mb"]
    async with open_stage(run, lease=SLOW | FEW, arguments=full) as stage:
        loads = [make_load("weigh " * (size // 6) + f"lorry {n}") for n in range(count)]
        ledger = stage.producers(loads)
        stage.stand_in.gate.close()
        async with Client.connect(stage.server.url) as wb, anyio.create_task_group() as tasks:
            for index, load in enumerate(loads):
                while (ticket := await _try(wb, load)) is None:
                    refused += 1
                    stage.stand_in.gate.open()
                    await anyio.sleep(0.2)
                tasks.start_soon(_note, wb, ledger, index, ticket)
            stage.stand_in.gate.open()
        broken = [] if refused else ["nothing was refused: the fault was not caused"]
        figures = f"{size // MIB} MiB each, {memory} MiB of memory, {refused} submits refused"
        name = "more payloads than memory"
        return await stage.judge(24, name, ledger, broken=broken, figures=figures)


async def _try(wb: Client, load: Load) -> Ticket | None:
    try:
        return await wb.submit(load.body)
    except WeighbridgeError:
        return None


async def _note(wb: Client, ledger: ProducersLedger, index: int, ticket: Ticket) -> None:
    ledger.note(index, await wb.result(ticket, timeout_s=300))


async def filled_by_others(run: Run) -> FaultReport:
    """Row 25: others fill the server; what is queued drains, submits are refused until there is
    room again.
    """
    async with open_stage(run, workers=0) as stage:
        queued = stage.producers(make_loads(run.size, seed=run.seed))
        late = make_loads(1, seed=run.seed + 1)[0]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.count_all, queued)
            await until(lambda: _depth(stage, run.size))
            async with Client.connect(stage.server.url) as wb:
                await _fill(stage)
                stage.note_fault()
                refused = await _try(wb, late) is None
                broken = [] if refused else ["a submit passed on a full server"]
                await stage.fleet.start()
                await queued.reaches(run.size)
                await stage.redis.delete("filler")
                await stage.redis.config_set("maxmemory", "0")
                await wb.count(late.body)
        return await stage.judge(25, "memory filled by others", queued, broken=broken)


async def _depth(stage: Stage, jobs: int) -> bool:
    return bool(await stage.redis.zcard(KEYS.deadlines) == jobs)


async def _fill(stage: Stage) -> None:
    """Take what is left of the memory, and of what draining frees."""
    await stage.redis.set("filler", b"x" * 32 * MIB, px=600_000)
    await stage.redis.config_set("maxmemory", str(16 * MIB))


async def disk_full(run: Run) -> FaultReport:
    """Row 32: the append-only file cannot grow; submits are refused, nobody crashes."""
    with small_disk(run.folder / "disk") as disk:
        async with open_stage(
            run, persistent=True, server_folder=disk.folder, wrapper="trap '' XFSZ"
        ) as stage:
            ledger = stage.producers(make_loads(run.size, seed=run.seed))
            pid = int((await stage.redis.info("server"))["process_id"])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.count_again, ledger, WeighbridgeError)
                await ledger.reaches(run.size // 3)
                stage.note_fault()
                await to_thread.run_sync(disk.fill, pid)
                await until(lambda: _misconf(stage), within_s=60)
                disk.free(pid)
            dead = [worker for worker in stage.fleet.workers if worker.exit_status is not None]
            broken = [f"{len(dead)} workers ended"] if dead else []
            name = "disk full for the file"
            return await stage.judge(32, name, ledger, broken=broken, figures=f"on {disk.kind}")


async def _misconf(stage: Stage) -> bool:
    return bool((await stage.redis.info("persistence"))["aof_last_write_status"] == "err")


async def little_for_a_worker(run: Run) -> FaultReport:
    """Row 33: 64 descriptors; 8 calls of 4 MiB at once stay under 256 MiB."""
    async with open_stage(run, workers=0, lease=SLOW, WEIGHBRIDGE_CONCURRENCY="8") as stage:
        worker = await stage.fleet.spawn(being=work_in_little)
        await stage.fleet.known(worker)
        large = [make_load("weigh " * (4 * MIB // 6) + f"lorry {n}") for n in range(8)]
        ledger = stage.producers([*large, *make_loads(run.size, seed=run.seed)])
        await stage.count_all(ledger)
        peak = _peak_mib(worker.pid)
        broken = [] if peak <= 256 else [f"a worker took {peak} MiB"]
        figures = f"peak of a worker {peak} MiB"
        name = "64 descriptors, 8 × 4 MiB"
        return await stage.judge(33, name, ledger, broken=broken, figures=figures)


def _peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024
