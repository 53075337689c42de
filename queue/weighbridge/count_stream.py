"""Many payloads on their way at once: read, submit in batches, hand out as they come.

The work is done by tasks of the client's group and the caller's generator only receives, so that it
may be left early: the tasks are cancelled, the jobs go on.
"""

import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import msgspec
from anyio.abc import TaskGroup

from weighbridge.connection import queue_errors
from weighbridge.errors import PayloadError, QueueFull
from weighbridge.exchange import Submission
from weighbridge.gathering import Gathering, Places
from weighbridge.job_maker import JobKind
from weighbridge.mailbox import Expectation, Mailbox
from weighbridge.raw_payloads import RawPayloads, each_of
from weighbridge.records import CacheUse, Job, NotCountable, Outcome, Result, with_cache
from weighbridge.submitter import BATCH, BATCH_BYTES, Submitter

READ_AT_ONCE = 128
"""Payloads read before other tasks have their turn, so that batches form: about a millisecond."""

FULL_WAIT_S = 5.0
"""The longest wait before a full queue is asked again."""

LEAVE_S = 5.0
"""How long ending a run may take, the withdrawal of its jobs included."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """One payload's outcome; ``index`` is its place in the input, ``digest`` None if refused."""

    index: int
    digest: str | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _End:
    """The input is over after ``total`` payloads, or by an error."""

    total: int = 0
    error: Exception | None = None

    def result(self) -> int:
        """Give the total, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.total


@dataclass(slots=True, eq=False)
class _Entry:
    """A job on its way; its result may come before the reply that says how it was admitted."""

    index: int
    job: Job
    cache: CacheUse | None = None
    result: Result | None = None


class CountStream:
    """One run of ``count_many``."""

    def __init__(
        self,
        tasks: TaskGroup,
        submitter: Submitter,
        mailbox: Mailbox,
        kind: JobKind,
        *,
        in_flight: int,
        withdraw: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._tasks = tasks
        self._submitter = submitter
        self._mailbox = mailbox
        self._kind = kind
        self._withdraw = withdraw
        self._places = Places(in_flight)
        self._entries = Gathering[_Entry]()
        self._items = Gathering[Item | _End]()
        self._expectations: dict[int, Expectation] = {}
        self._worked = anyio.Event()

    async def run(self, payloads: RawPayloads, *, ordered: bool) -> AsyncGenerator[Item, None]:
        """Yield an item a payload."""
        async with aclosing(self._started(payloads, ordered)) as batches:
            async for items in batches:
                for item in items:
                    yield item
                    self._places.give()

    async def run_batches(
        self, payloads: RawPayloads, *, ordered: bool
    ) -> AsyncGenerator[list[Item], None]:
        """Yield what has come, at most ``BATCH`` items at once; nobody waits for a full batch."""
        async with aclosing(self._started(payloads, ordered)) as batches:
            async for items in batches:
                yield items
                self._places.give(len(items))

    async def _started(
        self, payloads: RawPayloads, ordered: bool
    ) -> AsyncGenerator[list[Item], None]:
        scope = anyio.CancelScope()
        self._tasks.start_soon(self._work, payloads, scope)
        try:
            async with aclosing(self._in_order() if ordered else self._as_they_come()) as batches:
                async for items in batches:
                    yield items
        finally:
            scope.cancel()
            with anyio.move_on_after(LEAVE_S, shield=True):
                await self._worked.wait()
                await self._leave()

    async def _leave(self) -> None:
        """Stop waiting for what is still on its way."""
        abandoned = list(self._expectations.values())
        for expectation in abandoned:
            self._mailbox.forget(expectation)
        if self._withdraw is None or not abandoned:
            return
        for digest in {expectation.digest for expectation in abandoned}:
            await self._withdraw(digest)

    async def _as_they_come(self) -> AsyncGenerator[list[Item], None]:
        seen, total = 0, math.inf
        while seen < total:
            await self._items.wait()
            received = self._items.take(BATCH)
            items = [item for item in received if isinstance(item, Item)]
            seen += len(items)
            if items:
                yield items
            for end in received:
                if isinstance(end, _End):
                    total = end.result()

    async def _in_order(self) -> AsyncGenerator[list[Item], None]:
        early: dict[int, Item] = {}
        position = 0
        async with aclosing(self._as_they_come()) as batches:
            async for items in batches:
                early |= {item.index: item for item in items}
                ready = []
                while position in early:
                    ready.append(early.pop(position))
                    position += 1
                for start in range(0, len(ready), BATCH):
                    yield ready[start : start + BATCH]

    async def _work(self, payloads: RawPayloads, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._submit_all)
                    try:
                        await self._read_all(payloads)
                    except Exception as error:  # the caller's iterable may raise anything
                        self._items.put(_End(error=error))
        finally:
            self._worked.set()

    async def _read_all(self, payloads: RawPayloads) -> None:
        index = 0
        async with aclosing(each_of(payloads)) as each:
            async for payload in each:
                if not self._places.take_free():
                    await self._places.take()
                try:
                    job = self._kind.make_small(payload) or await self._kind.make(payload)
                except PayloadError as error:
                    refused = NotCountable(code=error.code, message=str(error))
                    self._items.put(Item(index, None, refused))
                else:
                    self._entries.put(_Entry(index, job))
                index += 1
                if index % READ_AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
        self._items.put(_End(total=index))

    async def _submit_all(self) -> None:
        try:
            while True:
                await self._entries.wait()
                await self._submit(self._batch())
        except Exception as error:  # it is the caller's to see, and must not end the client
            self._items.put(_End(error=error))

    def _batch(self) -> list[_Entry]:
        batch, size = self._entries.take(BATCH), 0
        for count, entry in enumerate(batch):
            if size >= BATCH_BYTES:
                self._entries.put_back(batch[count:])
                return batch[:count]
            size += len(entry.job.payload.body)
        return batch

    async def _submit(self, batch: list[_Entry]) -> None:
        """Join what this client waits for already, and submit the rest until it is admitted."""
        waiting = []
        for entry in batch:
            if self._mailbox.expects_submitted(entry.job.digest):
                self._expect(entry).submitted = True
                entry.cache = "joined"
            else:
                waiting.append(entry)
        while waiting:
            waiting = await self._submit_once(waiting)

    async def _submit_once(self, entries: list[_Entry]) -> list[_Entry]:
        """Submit; returns those that a full queue refused, after a wait that suits its length."""

        def expect(indexes: Sequence[int]) -> None:
            for index in indexes:
                if entries[index].index not in self._expectations:
                    self._expect(entries[index])

        with queue_errors():
            admissions = await self._submitter.submit(
                [Submission(entry.job) for entry in entries], before=expect
            )
        refused, wait_s = [], 0.0
        for entry, admission in zip(entries, admissions, strict=True):
            if isinstance(admission, QueueFull):
                refused.append(entry)
                wait_s = min(FULL_WAIT_S, max(0.1, admission.eta_s / 10))
                continue
            entry.cache = admission.cache
            entry.result = entry.result or admission.result
            if (expectation := self._expectations.get(entry.index)) is not None:
                expectation.submitted = True
            self._finish(entry)
        if refused:
            await anyio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        return refused

    def _expect(self, entry: _Entry) -> Expectation:
        def deliver(result: Result | None) -> None:
            self._expectations.pop(entry.index, None)
            if result is None:
                self._entries.put(entry)
            else:
                entry.result = result
                self._finish(entry)

        expectation = self._expectations[entry.index] = Expectation(entry.job.digest, deliver)
        self._mailbox.expect(expectation)
        return expectation

    def _finish(self, entry: _Entry) -> None:
        """Hand the item out once both halves are there: the result, and how it was come by."""
        if entry.result is None or entry.cache is None:
            return
        if (expectation := self._expectations.pop(entry.index, None)) is not None:
            self._mailbox.forget(expectation)
        outcome = with_cache(entry.result, entry.cache)
        self._items.put(Item(entry.index, entry.job.digest, outcome))
