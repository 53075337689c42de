"""An event loop in a thread of its own, for callers that have none."""

import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from weighbridge.client import Client
from weighbridge.errors import QueueUnreachable
from weighbridge.settings import QueueSettings

T = TypeVar("T")

NAME = "weighbridge"
"""The thread's, as debuggers and ``threading.enumerate`` show it."""


class LoopThread:
    """One async client on its loop, from its making to ``close``; of use in one process only.

    Raises:
        SettingsError: the URL is none that Redis clients know.
        QueueUnreachable: the server does not answer, or refuses us.
        ScopeMismatch: the namespace's workers hash with another digest key.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._process = os.getpid()
        opened: Future[tuple[BlockingPortal, Client]] = Future()
        thread = threading.Thread(target=_run, args=(settings, opened), name=NAME, daemon=True)
        thread.start()
        try:
            self._portal, self._client = opened.result()
        except BaseException:
            if not opened.cancel():
                thread.join()
            raise
        # Also when nobody holds this any more, and when the process ends.
        self._end = weakref.finalize(self, _stop, self._portal, thread, self._process)

    @property
    def runs(self) -> bool:
        """Whether there is a thread: a fork's child has the object alone."""
        return os.getpid() == self._process

    def start(self, work: Callable[[Client], Awaitable[T]]) -> "Future[T]":
        """Begin something on the loop.

        Raises:
            QueueUnreachable: the client was closed, or this process is a fork's child.
        """
        if not self.runs:
            raise QueueUnreachable("this began before the process was forked; begin it anew here")
        try:
            return self._portal.start_task_soon(work, self._client)
        except RuntimeError:
            raise _closed() from None

    def call(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do something on the loop and wait for it; what interrupts the wait ends the work too.

        Raises:
            QueueUnreachable: the client was closed.
        """
        future = self.start(work)
        try:
            return future.result()
        except CancelledError:
            raise _closed() from None
        except BaseException:
            future.cancel()  # Ctrl-C; does nothing to work that raised
            raise

    def close(self) -> None:
        """Cancel what still runs, and end client and thread."""
        self._end()


def _run(settings: QueueSettings, opened: "Future[tuple[BlockingPortal, Client]]") -> None:
    """Be the thread. All that lives here hangs on its stack, which a fork's child keeps but cannot
    run: to unwind it there would reach into the poll that parent and child share.
    """
    try:
        anyio.run(_serve, settings, opened)
    except BaseException as error:
        if not opened.done():
            opened.set_exception(error)


async def _serve(settings: QueueSettings, opened: "Future[tuple[BlockingPortal, Client]]") -> None:
    async with Client.connect(settings=settings) as client, BlockingPortal() as portal:
        if opened.set_running_or_notify_cancel():
            opened.set_result((portal, client))
            await portal.sleep_until_stopped()


def _stop(portal: BlockingPortal, thread: threading.Thread, process: int) -> None:
    """End client and thread, unless this is a fork's child, or the thread itself, which may happen
    to collect the garbage.
    """
    if os.getpid() == process and threading.current_thread() is not thread:
        portal.call(portal.stop, True)  # cancels what remains
        thread.join()


def _closed() -> QueueUnreachable:
    return QueueUnreachable("the client was closed while it was in use")
