"""SIGTERM and Ctrl-C for what runs as a container: the first drains, the second stops at once."""

import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus


async def heed_signals(
    drain: Callable[[], None], stop: Callable[[], None], *, task_status: TaskStatus[None]
) -> None:
    """Call ``drain`` at the first signal, ``stop`` at each later one; runs until cancelled."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        seen = 0
        async for _ in signals:
            seen += 1
            if seen == 1:
                drain()
            else:
                stop()
