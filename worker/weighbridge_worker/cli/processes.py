"""``weighbridge worker --processes``: several workers in one container, under one parent.

For a limit that one processor cannot feed. Each process is a whole worker, with a name, a
concurrency and leases of its own; they share the queue and nothing else. The parent does no work.
It passes SIGTERM and Ctrl-C on, answers the probes for all, and ends as soon as one has ended: it
starts none again, for the orchestrator does that, and counts it.

The first process starts alone. What is wrong with the settings, the server or the namespace's
scope it meets before the others are there, so that it is said once.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing, suppress

import anyio
from anyio.abc import Process
from structlog.typing import FilteringBoundLogger

from weighbridge_worker.cli.parent_link import DRAIN, STOP, received
from weighbridge_worker.cli.stop_signals import heed_signals
from weighbridge_worker.logs import make_logger
from weighbridge_worker.settings import WorkerSettings

# -P: what lies in the folder where the command was given is no part of it. Settings come by the
# environment, which other users cannot read, as they can a command line.
COMMAND = (sys.executable, "-P", "-m", "weighbridge_worker", "worker-process")

KILLED = 128 + signal.SIGKILL
"""The exit status where the grace was not enough, as a shell words it."""


class WorkerProcess:
    """One of the processes, as the parent sees it.

    Attributes:
        number: from 1 on.
        port: where it tells of its health; None until it has started, 0 for nowhere.
        ended: whether it is gone.
        heard: set when it has started, or will not.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.port: int | None = None
        self.ended = False
        self.heard = anyio.Event()
        self._process: Process | None = None
        self._link: socket.socket | None = None

    @property
    def started(self) -> bool:
        """Whether it has ever taken jobs."""
        return self.port is not None

    async def run(self, environ: Mapping[str, str]) -> int:
        """Run it to its end, or kill it if cancelled; returns its status, negative for a signal."""
        self._link, theirs = socket.socketpair()
        with closing(self._link), closing(theirs):
            self._process = await anyio.open_process(
                COMMAND,
                stdin=theirs.fileno(),
                stdout=None,
                stderr=None,
                env=environ,
                start_new_session=True,  # a terminal's Ctrl-C is for the parent, who passes it on
            )
            theirs.close()  # or the link would not end with the process
            async with self._process, anyio.create_task_group() as tasks:
                tasks.start_soon(self._hear, self._link)
                status = await self._process.wait()
                tasks.cancel_scope.cancel()
            self.ended = True
            self.heard.set()
            return status

    async def _hear(self, link: socket.socket) -> None:
        if line := await received(link):
            self.port = int(line)
        self.heard.set()

    def order(self, word: bytes) -> None:
        """Have it drain or stop; one that has not started holds nothing, and is ended."""
        if self._link is None or self.ended:
            return
        with suppress(OSError):  # it has just gone, and both would say so
            self._link.send(word)
            if self._process is not None and not self.started:
                self._process.terminate()


class Processes:
    """All of them: ``run`` until ``drain`` or until one ends, at once by ``stop``."""

    def __init__(
        self, count: int, environ: Mapping[str, str], log: FilteringBoundLogger, *, grace_s: float
    ) -> None:
        self.all = tuple(WorkerProcess(number) for number in range(1, count + 1))
        self._environ = environ
        self._log = log
        self._grace_s = grace_s
        self._draining = False
        self._grace = anyio.CancelScope()
        self._status = 0

    def drain(self) -> None:
        """Have all drain; what is still there after the grace is killed."""
        self._order(DRAIN)
        if not self._draining:
            self._draining = True
            self._grace.deadline = anyio.current_time() + self._grace_s

    def stop(self) -> None:
        """Have all give their leases back at once."""
        self._order(STOP)

    def _order(self, word: bytes) -> None:
        for process in self.all:
            process.order(word)

    async def run(self) -> int:
        """Run them all to their end; returns the status of the first that was in trouble, or 0."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(heed_signals, self.drain, self.stop)
            with self._grace:
                async with anyio.create_task_group() as running:
                    first, *others = self.all
                    running.start_soon(self._watch, first)
                    await first.heard.wait()
                    if first.started and not self._draining:
                        for process in others:
                            running.start_soon(self._watch, process)
            tasks.cancel_scope.cancel()
        if self._grace.cancelled_caught:
            self._log.error("processes_killed", grace_s=self._grace_s)
            return self._status or KILLED
        return self._status

    async def _watch(self, process: WorkerProcess) -> None:
        if self._draining:
            return
        status = await process.run(self._environ)
        if self._draining and (status == 0 or not process.started):
            return
        if process.started or status < 0:  # else it has said itself why it would not start
            self._log.error("process_ended", process=process.number, status=status)
        self._status = self._status or (status if status >= 0 else 128 - status)
        self.drain()


def run_processes(worker: WorkerSettings, given: Mapping[str, object]) -> int:
    """Run the command; returns the exit status.

    Args:
        worker: the settings, checked.
        given: what the command line gave, by its variable; None for what it did not.
    """
    named = {name: str(value) for name, value in given.items() if value is not None}
    return anyio.run(_run, worker, os.environ | named)


async def _run(worker: WorkerSettings, environ: Mapping[str, str]) -> int:
    log = make_logger(worker.log_level, worker.log_format)
    processes = Processes(worker.processes, environ, log, grace_s=worker.grace_s)
    async with AsyncExitStack() as stack:
        if worker.health_port:
            from weighbridge_worker.cli.joint_health import joint_health_server

            await stack.enter_async_context(
                joint_health_server(processes.all, worker.health_host, worker.health_port)
            )
        return await processes.run()
