"""Waiting on somebody's behalf, no longer than he is there."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from weighbridge.errors import WeighbridgeError
from weighbridge_worker.gateway.api_errors import ApiError

T = TypeVar("T")


async def while_connected(
    receive: Receive, wait: Callable[[], Awaitable[T]], *, last_call: anyio.Event
) -> T:
    """Wait until the client leaves, or the gateway has to.

    The request's body must have been read.

    Args:
        last_call: set when whoever still waits must be answered now.

    Raises:
        ClientDisconnect: nobody is left to answer.
        ApiError: the gateway stops.
        WeighbridgeError: whatever ``wait`` raises of ours.
    """
    ended: list[T] = []
    failed: list[Exception] = []

    async def work() -> None:
        try:
            ended.append(await wait())
        except (WeighbridgeError, ApiError) as error:  # as it is: the group would wrap it
            failed.append(error)
        tasks.cancel_scope.cancel()

    async def leave_with_client() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        failed.append(ClientDisconnect())
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        tasks.start_soon(leave_with_client)
        await last_call.wait()
        failed.append(STOPPING)
        tasks.cancel_scope.cancel()
    if ended:
        return ended[0]
    raise failed[0]


STOPPING = ApiError(
    503,
    "this gateway stops; the job goes on, ask again for its count",
    code="stopping",
    retry_after_s=1,
)
