"""The tasks that work on leases: one lease at a time each, and then the next one.

A task of its own for every lease would cost a fifth of what a worker does to a job.
"""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskStatus
from structlog.typing import FilteringBoundLogger

from weighbridge_worker.executor import Decision, HeldLease, Release

GIVE_BACK_S = 2.0
"""How long a stopped worker may take to give its leases back."""


Decide = Callable[[HeldLease], Awaitable[Decision]]
CarryOut = Callable[[HeldLease, Decision], Awaitable[None]]


class Crew:
    """Works on as many leases at once as it is given.

    Args:
        finished: frees the place of a lease whose work broke off.
    """

    def __init__(
        self,
        decide: Decide,
        carry_out: CarryOut,
        finished: Callable[[HeldLease], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._decide = decide
        self._carry_out = carry_out
        self._finished = finished
        self._log = log
        self._idle: list[asyncio.Future[HeldLease | None]] = []
        self._dismissed = anyio.Event()
        self._tasks = anyio.create_task_group()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Work until dismissed, and on what has begun by then; cancelled, give all leases back."""
        async with self._tasks:
            task_status.started()
            await self._dismissed.wait()
            while self._hand_over(None):
                pass

    def start(self, held: HeldLease) -> None:
        """Begin the work on a lease."""
        if not self._hand_over(held):
            self._tasks.start_soon(self._serve, held)

    def dismiss(self) -> None:
        """Let ``run`` return once all work has ended."""
        self._dismissed.set()

    def _hand_over(self, held: HeldLease | None) -> bool:
        """Give a lease, or the word to go, to an idle task; False if there is none."""
        while self._idle:
            following = self._idle.pop()
            if not following.done():  # a stop cancels them all
                following.set_result(held)
                return True
        return False

    async def _serve(self, first: HeldLease) -> None:
        held: HeldLease | None = first
        while held is not None:
            await self._work(held)
            if self._dismissed.is_set():
                return
            following: asyncio.Future[HeldLease | None]
            following = asyncio.get_running_loop().create_future()
            self._idle.append(following)
            held = await following

    async def _work(self, held: HeldLease) -> None:
        try:
            decision = await self._decide(held)
            await self._carry_out(held, decision)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(GIVE_BACK_S, shield=True):
                await self._carry_out(held, Release("stopped"))
            raise
        except Exception as error:  # a bug must not end the worker; the lease ends by itself
            digest = held.lease.digest[:12]
            self._log.error("call_crashed", digest=digest, error=type(error).__name__)
            self._finished(held)
