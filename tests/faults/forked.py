"""Processes that are forked from one that has imported everything: a start costs milliseconds."""

import multiprocessing
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import anyio

PRELOADED = (
    "faults.forked",
    "weighbridge.client",
    "weighbridge_worker.cli.app",
    "weighbridge_worker.cli.worker",
    "weighbridge_worker.counter",
)

LOOKED_AT = "weighbridge-looked-at"
"""A header: the moment on the monotonic clock, which all processes of a machine share."""


def fork(target: Callable[..., Any], *arguments: Any) -> ForkServerProcess:
    """Start a function in a process of its own, which ends when this one does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=_run, args=(target, arguments), daemon=True)
    process.start()
    return process


def _run(target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    target(*arguments)


def _end_with_parent() -> None:
    """Not to outlive a rig that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def work(environ: Mapping[str, str], log: Path) -> None:
    """Be ``weighbridge worker``, with this environment and nothing of the tester's."""
    from weighbridge_worker.__main__ import main

    os.environ.clear()
    os.environ.update(environ)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["weighbridge", "worker"]
    sys.exit(main())


def work_on_poison(environ: Mapping[str, str], log: Path) -> None:
    """Be a worker that a payload kills, in the middle of its call."""
    from weighbridge_worker.counter import AnthropicCounter

    count = AnthropicCounter.count

    async def deadly(self: Any, body: bytes, betas: tuple[str, ...]) -> Any:
        if b"this kills" in body:
            os._exit(1)
        return await count(self, body, betas)

    AnthropicCounter.count = deadly  # type: ignore[method-assign]
    work(environ, log)


def work_by_the_clock(environ: Mapping[str, str], log: Path) -> None:
    """Be a worker whose calls say when it last looked at the clock; nothing waits in between."""
    from weighbridge_worker import counter

    headers = counter._headers

    def timed(betas: tuple[str, ...]) -> dict[str, str]:
        return headers(betas) | {LOOKED_AT: str(time.monotonic())}

    counter._headers = timed
    work(environ, log)


def work_in_little(environ: Mapping[str, str], log: Path) -> None:
    """Be a worker that may open 64 descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    work(environ, log)


def produce(url: str, body: dict[str, Any]) -> None:
    """Be a producer of one payload that waits for its count."""
    anyio.run(_produce, url, body)


async def _produce(url: str, body: dict[str, Any]) -> None:
    from weighbridge import Client

    async with Client.connect(url) as wb:
        await wb.count(body)


def burn() -> None:
    """Use a processor for ever."""
    while True:
        pass
