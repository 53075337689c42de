"""Worker processes to be killed, stopped and replaced, each behind a link of its own."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from anyio.abc import TaskGroup
from faults.forked import fork, work
from faults.proxy import Proxy
from support.pools import until

from weighbridge.keys import Keys
from weighbridge_worker.server import socket_url

KEYS = Keys()
Being = Callable[[Mapping[str, str], Path], None]
CALLER = "weighbridge-worker"
"""The header by which the stand-in's ledger tells whose call it is."""

COMES_WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0


@dataclass(eq=False, slots=True)
class Worker:
    """One worker process, and its link to the server."""

    number: int
    process: ForkServerProcess
    proxy: Proxy
    log: Path
    name: str = ""
    """Its id in the queue."""

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self.process.exitcode

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.exit_status is None:
            os.kill(self.pid, number)

    async def ended(self) -> int:
        """Wait for the end; returns the exit status."""
        await until(lambda: self.exit_status is not None, within_s=ENDS_WITHIN_S)
        return self.exit_status or 0


class Fleet:
    """The workers of one scenario.

    Args:
        environ: of every worker; what names the server is added.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        socket_path: Path,
        folder: Path,
        environ: dict[str, str],
        redis: Any,
    ) -> None:
        self._tasks = tasks
        self._socket_path = socket_path
        self._folder = folder
        self._environ = environ
        self._redis = redis
        self._started = 0
        self._url = socket_url(socket_path)
        self._commands: list[subprocess.Popen[bytes]] = []
        self.workers: list[Worker] = []

    @property
    def size(self) -> int:
        """How many workers are meant to run."""
        return len(self.workers)

    async def start(self, count: int = 1, being: Being = work, **environ: str) -> list[Worker]:
        """Start workers, and wait until the queue knows them."""
        fresh = [await self.spawn(being, **environ) for _ in range(count)]
        for worker in fresh:
            await self.known(worker)
        return fresh

    async def spawn(self, being: Being = work, **environ: str) -> Worker:
        """Start a worker and do not wait for it.

        Args:
            being: what the process does, if it is not quite a worker.
        """
        proxy = Proxy(self._socket_path)
        await self._tasks.start(proxy.run)
        self._started += 1
        log = self._folder / f"worker-{self._started}.log"
        own = {
            "WEIGHBRIDGE_REDIS_URL": proxy.url,
            "ANTHROPIC_CUSTOM_HEADERS": f"{CALLER}: {self._started}",
        }
        process = fork(being, self._environ | own | environ, log)
        worker = Worker(self._started, process, proxy, log)
        self.workers.append(worker)
        return worker

    def command(self, *words: str, **environ: str) -> "subprocess.Popen[bytes]":
        """Run another program with the workers' environment; it is killed at the end."""
        log = (self._folder / "commands.log").open("ab")
        env = self._environ | {"WEIGHBRIDGE_REDIS_URL": self._url} | environ
        with log:
            process = subprocess.Popen(words, env=env, stdout=log, stderr=log)
        self._commands.append(process)
        return process

    async def known(self, worker: Worker) -> None:
        """Wait until the queue knows the worker."""

        async def found() -> bool:
            if (status := worker.exit_status) is not None:
                raise AssertionError(f"a worker ended with {status}: {worker.log.read_text()}")
            for name in await self._redis.zrange(KEYS.workers, 0, -1):
                if f":{worker.pid}:" in name.decode():
                    worker.name = name.decode()
            return bool(worker.name)

        await until(found, within_s=COMES_WITHIN_S)

    async def kill(self, worker: Worker) -> None:
        """End a worker as a crash would."""
        worker.send(signal.SIGKILL)
        await worker.ended()
        self.workers.remove(worker)

    async def replace(self, worker: Worker) -> Worker:
        """Kill a worker and start another in its place, without waiting for that one."""
        await self.kill(worker)
        return await self.spawn()

    def end(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.send(signal.SIGKILL)
            worker.process.join()
        for process in self._commands:
            process.kill()
            process.wait()
