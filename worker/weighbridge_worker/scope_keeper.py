"""Keeps the namespace's scope what it was when this worker started."""

from collections.abc import Callable

import anyio
from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.connection import RedisClient
from weighbridge.errors import ScopeMismatch
from weighbridge.scripts import Scripts

SCOPE_EVERY_S = 10.0
"""Between two looks at whether the namespace still has our scope."""


class ScopeKeeper:
    """One worker's claim to its namespace.

    Args:
        scope: what all counts of this worker depend on.
        changed: told once if another scope stands there by now.
    """

    def __init__(
        self,
        redis: RedisClient,
        scripts: Scripts,
        namespace: str,
        scope: dict[str, str],
        changed: Callable[[ScopeMismatch], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._namespace = namespace
        self._scope = scope
        self._changed = changed
        self._log = log
        self._keeping = anyio.CancelScope()

    async def claim(self) -> None:
        """Write the scope if there is none.

        Raises:
            ScopeMismatch: the namespace holds counts that depend on other settings.
        """
        standing = await self._scripts.claim_scope(self._redis, self._scope)
        for setting, ours in self._scope.items():
            if (theirs := standing.get(setting)) != ours:
                raise ScopeMismatch(
                    f"namespace {self._namespace!r} holds counts made with {setting} ="
                    f" {theirs!r}, this worker has {ours!r}; choose another WEIGHBRIDGE_NAMESPACE,"
                    " or empty this one's cache with `weighbridge scope reset`"
                )

    async def run(self) -> None:
        """Write it again on a server that came back empty, until ended or another stands there."""
        with self._keeping:
            while True:
                await anyio.sleep(SCOPE_EVERY_S)
                try:
                    await self.claim()
                except RedisError as error:
                    self._log.debug("scope_not_read", error=type(error).__name__)
                except ScopeMismatch as error:
                    self._log.error("scope_changed")
                    self._changed(error)
                    return

    def end(self) -> None:
        """Let ``run`` return."""
        self._keeping.cancel()
