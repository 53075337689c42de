"""What a scenario stands on: a server, a stand-in, workers, producers; and the last judgement."""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import redis
from anyio import to_thread
from anyio.abc import TaskGroup
from faults.fleet import Fleet
from faults.loads import Load, ProducersLedger
from faults.proxy import Proxy
from faults.report import FaultReport, percentile
from redis.asyncio import Redis
from support.commands import environment
from support.key_leaks import leaked_keys
from support.observer import Observer, observed

from weighbridge import Client
from weighbridge.keys import Keys
from weighbridge.records import Lane
from weighbridge_worker.sandbox import Sandbox, SandboxSettings, sandbox
from weighbridge_worker.server import ServerProcess, find_server_binary

KEYS = Keys()
SETS = (KEYS.ready(Lane.INTERACTIVE), KEYS.ready(Lane.BATCH), KEYS.leased, KEYS.later)
LEASE_S = 4.0
SHORT_LEASE = {"WEIGHBRIDGE_LEASE": str(LEASE_S), "WEIGHBRIDGE_CALL_DEADLINE": "3"}
"""A lease of 30 s would make every recovery half a minute long, and prove nothing more."""

EMPTY_WITHIN_S = 60.0
AGAIN_S = 0.2
"""Between two beginnings of a producer whose server refuses it."""

IN_FLIGHT = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """How a scenario is run.

    Args:
        size: jobs, or whatever the row counts.
        quick: once through, instead of as often as the table says.
    """

    folder: Path
    size: int
    seed: int = 0
    quick: bool = True

    @property
    def patience_s(self) -> float:
        """Say how long all answers may take, on a machine that does other things as well."""
        return 600.0 if self.quick else 3600.0

    @property
    def random(self) -> random.Random:
        """Make the run's source of choices."""
        return random.Random(self.seed)


@dataclass(slots=True)
class Stage:
    """A running scenario's parts.

    Args:
        redis: any, because redis-py types every reply for both of its decodings.
        depth: calls that the endpoint's bucket is assumed to forgive.
        fault_at: when faults were caused, on the stand-in's clock.
    """

    run: Run
    server: ServerProcess
    stand_in: Sandbox
    observer: Observer
    redis: Any
    fleet: Fleet
    tasks: TaskGroup
    rpm: int
    depth: int
    fault_at: list[float] = field(default_factory=list)
    links: list[Proxy] = field(default_factory=list)

    def producers(self, loads: Sequence[Load]) -> ProducersLedger:
        """Open a ledger for loads."""
        return ProducersLedger(list(loads), self.stand_in)

    def note_fault(self) -> None:
        """Note that a fault is caused now."""
        self.fault_at.append(self.stand_in.ledger.now())

    @asynccontextmanager
    async def flow(self, size: int) -> AsyncIterator[ProducersLedger]:
        """Count ever new loads while the block disturbs, until there were ``size`` of them."""
        ledger, enough = self.producers([]), anyio.Event()

        async def count() -> None:
            with anyio.move_on_after(self.run.patience_s):
                async with Client.connect(self.server.url) as wb:
                    await ledger.feed(wb, size, enough, seed=self.run.seed)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            yield ledger
            enough.set()

    async def count_all(
        self,
        ledger: ProducersLedger,
        *,
        producers: int = 1,
        url: str | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        """Let producers count every load once between them; returns when all are answered."""
        with anyio.move_on_after(self.run.patience_s):
            async with anyio.create_task_group() as tasks:
                for first in range(producers):
                    shares = range(first, len(ledger.loads), producers)
                    tasks.start_soon(self._count, ledger, shares, url, in_flight)

    async def count_again(
        self, ledger: ProducersLedger, refusal: type[Exception], *, producers: int = 1
    ) -> None:
        """Count every load; a producer that meets a refusal begins anew with what is left."""
        with anyio.move_on_after(self.run.patience_s):
            async with anyio.create_task_group() as tasks:
                for first in range(producers):
                    shares = range(first, len(ledger.loads), producers)
                    tasks.start_soon(self._count_patiently, ledger, shares, refusal)

    async def _count_patiently(
        self, ledger: ProducersLedger, shares: Iterable[int], refusal: type[Exception]
    ) -> None:
        while left := [index for index in shares if index not in ledger.answers]:
            try:
                await self._count(ledger, left, None, IN_FLIGHT)
            except refusal:
                await anyio.sleep(AGAIN_S)

    async def _count(
        self, ledger: ProducersLedger, shares: Iterable[int], url: str | None, in_flight: int
    ) -> None:
        async with Client.connect(url or self.server.url) as wb:
            await ledger.count(wb, shares, in_flight=in_flight)

    async def link(self, server: ServerProcess | None = None) -> Proxy:
        """Open one more link to the server, or to another one."""
        proxy = Proxy((server or self.server).socket_path)
        await self.tasks.start(proxy.run)
        self.links.append(proxy)
        return proxy

    async def restart_server(self, *, empty: bool = False, down_s: float = 0.0) -> None:
        """Kill the server as a crash would, and start it again with what its file kept."""
        self.note_fault()
        await to_thread.run_sync(self.server.kill)
        if empty:
            await to_thread.run_sync(remove_files, self.server.folder)
        await anyio.sleep(down_s)
        await to_thread.run_sync(self.server.start)

    async def judge(
        self,
        number: int,
        name: str,
        ledger: ProducersLedger,
        *,
        kills: int | None = None,
        broken: Iterable[str] = (),
        figures: str = "",
        forgiven: float = 0.0,
    ) -> FaultReport:
        """Look at all three ledgers, once the queue had its time to become empty.

        Args:
            forgiven: calls over the limit that the row's own promise allows.
        """
        found = [*broken, *await self._left_over()]
        ended = [worker.number for worker in self.fleet.workers if worker.exit_status is not None]
        if ended:
            found.append(f"workers {ended} ended by themselves")
        if ledger.failures:
            found.append(f"jobs failed: {dict(ledger.failures)}")
        over = max(0.0, self.observer.most_over(self.rpm / 60) - self.depth - forgiven)
        recoveries = [
            seconds for at in self.fault_at if (seconds := ledger.recovery_s(at)) is not None
        ]
        calls = ledger.calls
        called = sum(
            calls[load.sha256] for load in {load.sha256: load for load in ledger.loads}.values()
        )
        digests = {load.digest for load in ledger.loads}
        return FaultReport(
            number=number,
            name=name,
            tried=len(ledger.loads),
            kills=len(self.fault_at) if kills is None else kills,
            lost=ledger.lost,
            wrong=ledger.wrong,
            over_limit=round(over),
            extra_calls=max(0, called - len(digests)),
            recovery_p50_s=percentile(recoveries, 0.5),
            recovery_p99_s=percentile(recoveries, 0.99),
            seed=self.run.seed,
            broken=tuple(found),
            figures=figures,
        )

    async def _left_over(self) -> list[str]:
        """Say what stands in the queue that should not."""
        left: dict[str, int] = {}
        with anyio.move_on_after(EMPTY_WITHIN_S):
            while left := await self._standing():
                await anyio.sleep(0.02)
        found = [f"{key} still holds {count}" for key, count in left.items()]
        with redis.Redis.from_url(self.server.url) as client:
            if leaked := leaked_keys(client):
                found.append(f"keys without a TTL: {leaked[:3]} and {len(leaked)} in all")
        return found

    async def _standing(self) -> dict[str, int]:
        pipe = self.redis.pipeline(transaction=False)
        for key in (*SETS, KEYS.deadlines):
            pipe.zcard(key)
        pipe.xlen(KEYS.inbox)
        counts = await pipe.execute()
        names = (*SETS, KEYS.deadlines, KEYS.inbox)
        return {key: count for key, count in zip(names, counts, strict=True) if count}


def remove_files(folder: Path) -> None:
    """Forget what a server kept."""
    for path in sorted(folder.rglob("*.aof*"), reverse=True):
        if path.is_file():
            path.unlink()


@asynccontextmanager
async def open_stage(
    run: Run,
    *,
    workers: int = 2,
    rpm: int = 12_000,
    persistent: bool = False,
    arguments: Sequence[str] = (),
    wrapper: str = "",
    server_folder: Path | None = None,
    lease: dict[str, str] | None = None,
    stand_in: SandboxSettings | None = None,
    **environ: str,
) -> AsyncIterator[Stage]:
    """Start everything, and end it however the block ends."""
    settings = stand_in or SandboxSettings(rpm=1_000_000, depth=100_000, latency_s=0.02)
    binary = find_server_binary()
    if wrapper:
        wrapped = run.folder / "server.sh"
        wrapped.write_text(f'#!/bin/sh\n{wrapper}\nexec {binary} "$@"\n')
        wrapped.chmod(0o755)
        binary = wrapped
    folder = server_folder or run.folder
    server = ServerProcess(binary, folder, persistent=persistent, arguments=arguments)
    async with AsyncExitStack() as stack:
        await to_thread.run_sync(server.start)
        stack.callback(server.kill)
        endpoint = await stack.enter_async_context(sandbox(settings))
        observer = await stack.enter_async_context(observed(endpoint))
        client: Any = await stack.enter_async_context(Redis.from_url(server.url))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        given = environment(run.folder) | {
            "WEIGHBRIDGE_RPM": str(rpm),
            "ANTHROPIC_BASE_URL": endpoint.base_url,
            "ANTHROPIC_API_KEY": "test",
            "WEIGHBRIDGE_LOG_FORMAT": "json",
            **(SHORT_LEASE if lease is None else lease),
            **environ,
        }
        fleet = Fleet(tasks, server.socket_path, run.folder, given, client)
        stack.callback(fleet.end)
        await fleet.start(workers)
        depth = 20 if rpm >= 20_000 else 10
        yield Stage(run, server, endpoint, observer, client, fleet, tasks, rpm, depth)
