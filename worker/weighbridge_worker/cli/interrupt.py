"""Ctrl-C in a command: what is under way is cancelled for good, and then it is over."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

T = TypeVar("T")


def run(work: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run a command's work.

    asyncio's own handling cancels the main task once, and a clean-up on its way may take that for
    its own; a scope stays cancelled, and whether it was is known.

    Raises:
        KeyboardInterrupt: it was interrupted, and has ended.
    """
    done: list[T] = []
    failed: list[Exception] = []

    async def watched() -> bool:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_cancel_when_interrupted, tasks.cancel_scope)
            try:
                done.append(await work(*args))
            except Exception as error:  # as it is: the group would wrap it
                failed.append(error)
            interrupted = tasks.cancel_scope.cancel_called
            tasks.cancel_scope.cancel()
            return interrupted
        return True

    if anyio.run(watched):
        raise KeyboardInterrupt
    if failed:
        raise failed[0]
    return done[0]


async def _cancel_when_interrupted(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
