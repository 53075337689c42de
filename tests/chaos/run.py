"""One run: build everything, disturb it for a while, heal it, and look at what is left."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio
from anyio import to_thread
from chaos.foreign import ForeignProducer
from chaos.storm import Storm
from chaos.tally import Tally, read_tally
from chaos.verdict import Rest, Verdict, look
from chaos.workers import Workers
from support.commands import COMMAND, environment
from support.observer import observed

from weighbridge_worker.sandbox import SandboxSettings, sandbox
from weighbridge_worker.server import ServerProcess, find_server_binary

CLIENT_PROCESSES = 2
CLIENTS_A_PROCESS = 8
FOREIGN = 4

HEAL_S = 240.0
"""Until all is answered: an inbox entry of a dead reader waits longest, then a penalty regrows."""

DRAIN_S = 30.0

SETTINGS = {
    "WEIGHBRIDGE_LEASE": "4",
    "WEIGHBRIDGE_CALL_DEADLINE": "2",
    "WEIGHBRIDGE_DRAIN": "5",
    "WEIGHBRIDGE_LOG_LEVEL": "warning",
    "ANTHROPIC_API_KEY": "test",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    seconds: float
    seed: int
    workers: int
    rpm: int
    other_worker: tuple[str, ...] = ()

    @property
    def commands(self) -> list[tuple[str, ...]]:
        """Return one command a worker, every other one of the other version."""
        both = (COMMAND, self.other_worker or COMMAND)
        return [both[number % 2] for number in range(self.workers)]

    @property
    def allowed(self) -> float:
        """How many calls a window may hold beyond its rate: the grace's, and one for its edge."""
        grace_s = min(0.25, 5 * 60 / self.rpm)
        return self.rpm / 60 * grace_s + 1


async def run(plan: Plan, folder: Path) -> Verdict:
    """Run a plan in an empty folder."""
    began = anyio.current_time()
    server = ServerProcess(find_server_binary(), folder, persistent=True)
    await to_thread.run_sync(server.start)
    settings = SandboxSettings(
        rpm=60_000, depth=1000, latency_s=0.2, jitter_s=0.1, drip_s=0.05, seed=plan.seed
    )
    try:
        async with sandbox(settings) as stand_in, observed(stand_in) as observer:
            env = environment(
                folder,
                WEIGHBRIDGE_REDIS_URL=server.url,
                WEIGHBRIDGE_RPM=str(plan.rpm),
                ANTHROPIC_BASE_URL=stand_in.base_url,
                **SETTINGS,
            )
            workers = Workers(plan.commands, env, folder / "workers.log")
            storm = Storm(workers, server, stand_in, Random(plan.seed))
            tally, rest, healed = await _weather_it(plan, server.url, workers, storm)
            attempts = len(stand_in.ledger)
            over = await to_thread.run_sync(observer.most_over, plan.rpm / 60)
        return Verdict(
            tally=tally,
            rest=rest,
            calls=attempts,
            over=over - plan.allowed,
            healed=healed,
            storm=storm.done,
            exits=workers.exits,
            tracebacks=workers.log.read_text(errors="replace").count("Traceback"),
            seconds=anyio.current_time() - began,
            seed=plan.seed,
        )
    finally:
        await to_thread.run_sync(server.stop)


async def _weather_it(
    plan: Plan, url: str, workers: Workers, storm: Storm
) -> tuple[Tally, Rest, bool]:
    """Run workers and producers through the storm, and on until all is answered."""
    foreign = [
        ForeignProducer(url, plan.seed, CLIENT_PROCESSES * CLIENTS_A_PROCESS + number)
        for number in range(FOREIGN)
    ]
    tally, stopping = Tally(), anyio.Event()
    healed = False
    async with anyio.create_task_group() as tasks:
        try:
            tasks.start_soon(workers.run)
            async with _clients(plan, url) as clients:
                with anyio.move_on_after(HEAL_S + plan.seconds):
                    async with anyio.create_task_group() as asking:
                        for producer in foreign:
                            asking.start_soon(producer.run, stopping)
                        with anyio.move_on_after(plan.seconds):
                            await storm.run()
                        storm.calm()
                        stopping.set()
                        for part in await clients():
                            tally.add(part)
                    healed = await _settled(url)
            for producer in foreign:
                producer.give_up()
                tally.add(producer.tally)
            healed = await workers.leave(DRAIN_S) and healed
        finally:
            workers.end()
    return tally, await to_thread.run_sync(look, url), healed


async def _settled(url: str) -> bool:
    """Wait until the queue is empty."""
    while not (await to_thread.run_sync(look, url)).empty:
        await anyio.sleep(0.2)
    return True


@asynccontextmanager
async def _clients(plan: Plan, url: str) -> AsyncIterator["Clients"]:
    clients = Clients(plan, url)
    try:
        yield clients
    finally:
        clients.end()


class Clients:
    """Processes of producers with our client; calling it ends their files and asks for tallies."""

    def __init__(self, plan: Plan, url: str) -> None:
        self._processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "chaos.producers", url, str(plan.seed)),
                    *(str(number * CLIENTS_A_PROCESS), str(CLIENTS_A_PROCESS)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            for number in range(CLIENT_PROCESSES)
        ]

    async def __call__(self) -> list[Tally]:
        """End their files, and return what they were told."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        return [await self._tally(process) for process in self._processes]

    async def _tally(self, process: "subprocess.Popen[bytes]") -> Tally:
        assert process.stdout is not None
        text = await to_thread.run_sync(process.stdout.read, abandon_on_cancel=True)
        if not text:
            raise RuntimeError("a process of producers crashed; what it said stands above")
        return read_tally(text)

    def end(self) -> None:
        """End whatever runs still."""
        for process in self._processes:
            process.kill()
            process.wait()
