"""Processes that are forked from one that has imported everything: a start costs milliseconds."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

PRELOADED = (
    "faults.forked",
    "weighbridge.client",
    "weighbridge_worker.cli.app",
    "weighbridge_worker.cli.worker",
    "weighbridge_worker.counter",
)


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
