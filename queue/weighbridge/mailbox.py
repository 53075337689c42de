"""Waiting for results: told by the server, and looking for oneself in case nobody told.

What is expected comes in one of four ways: within the message that tells of it; by a look, where
the message has the digest alone; by the poll behind both; or, where neither result nor job is left,
None is delivered: the record vanished, submit again.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import anyio
from anyio.abc import TaskStatus
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from weighbridge.connection import COMMAND_TIMEOUT_S, RedisClient, read_values
from weighbridge.gathering import Gathering
from weighbridge.keys import Keys
from weighbridge.records import Result, read_result, read_told

POLL_S = 2.0
"""Between two looks at what is expected; jittered, so that many clients do not look together. A
worker of a version that only tells of digests, on ``done``, has its results found so."""

LISTEN_S = 5.0
"""How long messages are read under one timer: one for each would cost a third of the reading."""

LOOK_AT_ONCE = 256
"""Keys a round trip of a look reads."""


class Expectation:
    """One waiter for one digest; ``deliver`` gets the result, or None if its record vanished."""

    def __init__(self, digest: str, deliver: Callable[[Result | None], None]) -> None:
        self.digest = digest
        self.deliver = deliver
        self.submitted = False
        """Set after the submit: before it, a missing record means nothing."""


class Mailbox:
    """All expectations of one client, and the one subscription behind them."""

    def __init__(self, redis: RedisClient, subscriber: RedisClient, keys: Keys) -> None:
        self._redis = redis
        self._subscriber = subscriber
        self._keys = keys
        self._expected: dict[str, list[Expectation]] = {}
        self._to_look_for = Gathering[str]()

    def expect(self, expectation: Expectation) -> None:
        """Deliver this digest's result when it comes. Expect before the submit, not after."""
        self._expected.setdefault(expectation.digest, []).append(expectation)

    def forget(self, expectation: Expectation) -> None:
        """Stop waiting; the job goes on."""
        waiting = self._expected.get(expectation.digest, [])
        if expectation in waiting:
            waiting.remove(expectation)
        if not waiting:
            self._expected.pop(expectation.digest, None)

    def expects(self, digest: str) -> bool:
        """Whether anybody here waits for this digest."""
        return digest in self._expected

    def expects_submitted(self, digest: str) -> bool:
        """Whether somebody here waits for this digest, and its job is in the queue."""
        waiting = self._expected.get(digest)
        return waiting is not None and any(expectation.submitted for expectation in waiting)

    @contextmanager
    def expecting(self, expectation: Expectation) -> Iterator[None]:
        """Expect within a block."""
        self.expect(expectation)
        try:
            yield
        finally:
            self.forget(expectation)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Listen and poll until cancelled; started once the subscription stands."""
        async with self._subscriber.pubsub(ignore_subscribe_messages=True) as pubsub:
            # Outside the group, which would wrap the error of a server that refuses or is gone.
            await pubsub.subscribe(self._keys.told)
            await pubsub.get_message(timeout=COMMAND_TIMEOUT_S)  # its confirmation, and no message
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, pubsub)
                tasks.start_soon(self._look_for_told)
                tasks.start_soon(self._poll)
                task_status.started()

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            try:
                # With a timer of its own, and out of the scope, which would cut a renewal short.
                self._hear(await pubsub.get_message(timeout=COMMAND_TIMEOUT_S))
                # redis-py looks after a silent connection only where a read begins.
                with anyio.move_on_after(LISTEN_S):
                    while True:
                        self._hear(await pubsub.get_message(timeout=None))
            except RedisError:
                # The subscription is renewed by the next call; the poll covers the gap.
                await anyio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter

    def _hear(self, message: Mapping[str, Any] | None) -> None:
        """Deliver what a message brings. One that is none of ours is left to the poll."""
        if message is None:
            return
        for told in read_told(message["data"]):
            if not isinstance(told, str):
                self._deliver(told.digest, told)
            elif told in self._expected:
                self._to_look_for.put(told)

    async def _look_for_told(self) -> None:
        while True:
            await self._to_look_for.wait()
            with suppress(RedisError):  # the poll looks, too
                await self.look(self._to_look_for.take(LOOK_AT_ONCE))

    async def _poll(self) -> None:
        while True:
            await anyio.sleep(POLL_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            digests = [
                digest
                for digest, waiting in self._expected.items()
                if any(expectation.submitted for expectation in waiting)
            ]
            for start in range(0, len(digests), LOOK_AT_ONCE):
                try:
                    await self.look_for_vanished(digests[start : start + LOOK_AT_ONCE])
                except RedisError:
                    break

    async def look(self, digests: Iterable[str]) -> None:
        """Deliver what has a result by now."""
        wanted = [digest for digest in digests if digest in self._expected]
        if wanted:
            for digest, result in zip(wanted, await self._read(wanted), strict=True):
                if result is not None:
                    self._deliver(digest, result)

    async def _read(self, digests: Sequence[str]) -> list[Result | None]:
        keys = [self._keys.result(digest) for digest in digests]
        return [read_result(text) for text in await read_values(self._redis, keys)]

    async def look_for_vanished(self, digests: Sequence[str]) -> None:
        """Look for results, and for jobs that are neither live nor have one.

        The order matters: a result is written before its job ends, so a job that is gone in the
        first look has its result in the second, unless both were lost.
        """
        pipe = self._redis.pipeline(transaction=False)
        for digest in digests:
            pipe.hexists(self._keys.job(digest), "lane")
        live = await pipe.execute()
        for digest, result, lives in zip(digests, await self._read(digests), live, strict=True):
            if result is not None or not lives:
                self._deliver(digest, result)

    def _deliver(self, digest: str, result: Result | None) -> None:
        for expectation in list(self._expected.get(digest, [])):
            if result is not None or expectation.submitted:
                self.forget(expectation)
                expectation.deliver(result)
