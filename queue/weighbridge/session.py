"""What one client holds from its ``async with`` to the end of it: connections and running tasks."""

import uuid
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import anyio

from weighbridge.connection import connect, connect_unrepeated, queue_errors
from weighbridge.keys import Keys
from weighbridge.mailbox import Mailbox
from weighbridge.scope import check_digest_key
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings

NO_ERROR = (None, None, None)

CLOSE_S = 5.0  # for closing the connections


class Session:
    """Connects, runs what has to run meanwhile, and closes; entered and left by the same task."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.namespace)
        self._waiter = uuid.uuid4().hex
        self._redis = connect(settings.redis_url)
        self._subscriber = connect_unrepeated(settings.redis_url)
        self._scripts = Scripts(self._keys)
        self._mailbox = Mailbox(self._redis, self._subscriber, self._keys)
        self._tasks = anyio.create_task_group()
        self._running: list[Callable[[], Coroutine[Any, Any, None]]] = []

    @property
    def settings(self) -> QueueSettings:
        """What the client was made with: the queue's server and namespace."""
        return self._settings

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            QueueUnreachable: the server does not answer, or refuses us.
            ScopeMismatch: the namespace's workers hash with another digest key.
        """
        try:
            with queue_errors():
                await self._check_digest_key()
        except BaseException:
            await self._close()
            raise
        await self._tasks.__aenter__()
        for run in self._running:
            self._tasks.start_soon(run)
        try:
            with queue_errors():
                await self._tasks.start(self._mailbox.run)
        except BaseException as error:
            # The group has been entered, and stays this task's innermost scope until it is left.
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The caller's exception is not handed to the task group, for it would come out in a group;
        # a cancellation is, or the group would put one of its own in its place.
        cancelled = isinstance(exc, anyio.get_cancelled_exc_class())
        self._tasks.cancel_scope.cancel()
        try:
            await self._tasks.__aexit__(*((exc_type, exc, traceback) if cancelled else NO_ERROR))
        finally:
            await self._close()

    async def _close(self) -> None:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._redis.aclose()
            await self._subscriber.aclose()

    async def _check_digest_key(self) -> None:
        # Not repeated: whoever starts against a server that is not there should hear it at once.
        theirs = await self._subscriber.hget(self._keys.scope, "digest_key")
        check_digest_key(theirs, self._settings.digest_key, self._settings.namespace)
