"""The producer's side: payloads in, counts out."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio

from weighbridge.connection import connect, connect_unrepeated, patience, queue_errors
from weighbridge.count_stream import CountStream, Item
from weighbridge.errors import UnknownJob
from weighbridge.job_maker import JobMaker, MakeJob
from weighbridge.job_wait import JobWait
from weighbridge.keys import Keys
from weighbridge.mailbox import Mailbox
from weighbridge.preparation import RawPayload
from weighbridge.records import Counted, Job, Lane, Result, Ticket
from weighbridge.replication import Replication
from weighbridge.scope import check_digest_key
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge.submit_batches import SubmitBatches
from weighbridge.submitter import Submitter

NO_ERROR = (None, None, None)
WITHDRAWN = "withdrawn"

CLOSE_S = 5.0  # for closing the connections


class Client:
    """Counts payloads through a pool of workers.

    Use it as an async context manager, entered and left by the same task; its methods may be called
    from any task in between::

        async with Client.connect("redis://127.0.0.1:6379/0") as wb:
            counted = await wb.count({"model": "…", "messages": [...]})
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.namespace)
        self._waiter = uuid.uuid4().hex
        self._redis = connect(settings.redis_url)
        self._subscriber = connect_unrepeated(settings.redis_url)
        self._scripts = Scripts(self._keys)
        self._mailbox = Mailbox(self._redis, self._subscriber, self._keys)
        self._replication = Replication(self._redis, self._keys, replicas=settings.wait_replicas)
        self._submitter = Submitter(
            self._redis,
            self._keys,
            self._scripts,
            waiter=self._waiter,
            max_queue=settings.max_queue,
            max_bytes=settings.max_queue_bytes,
        )
        self._tasks = anyio.create_task_group()
        batches = SubmitBatches(self._tasks, self._submitter)
        self._one = JobWait(self._submitter, batches, self._mailbox)
        self._jobs = JobMaker(settings)

    @classmethod
    def connect(cls, url: str | None = None, *, settings: QueueSettings | None = None) -> Self:
        """Make a client; nothing is sent before the ``async with``.

        Args:
            url: any form that WEIGHBRIDGE_REDIS_URL takes; goes before the settings' own.

        Raises:
            SettingsError: the URL is none that Redis clients know, or leads to another machine
                without TLS and the settings do not allow that.
        """
        chosen = settings or QueueSettings()
        return cls(replace(chosen, redis_url=url) if url else chosen)

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
        self._tasks.start_soon(self._one.run)
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

    async def prepare(
        self,
        payload: RawPayload,
        *,
        lane: Lane = Lane.INTERACTIVE,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
    ) -> Job:
        """Check and hash a payload; nothing is sent. ``count_job`` counts what this gives.

        Raises:
            PayloadError: it cannot be counted as it is.
        """
        return await self._jobs.make(payload, lane, betas, producer, partition)

    async def submit(
        self,
        payload: RawPayload,
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        fresh: bool = False,
    ) -> Ticket:
        """Put a payload into the queue and go on; its result stays under its digest.

        Args:
            producer: who submits, partition: who may share the count; else the settings' own.
            fresh: count again even if a result is cached.

        Raises:
            PayloadError: it cannot be counted as it is.
            QueueFull: the queue's bound is reached.
            NotReplicated: fewer replicas have it than the settings want.
            QueueUnreachable: the server does not answer.
        """
        job = await self._jobs.make(payload, lane, betas, producer, partition)
        admission = await self._one.admit(job, fresh=fresh)
        while admission.result is None and not await self._replication.reached(job.digest):
            admission = await self._one.admit(job)
        return Ticket(job, admission.cache)

    async def result(self, job: Ticket | str, *, timeout_s: float = 60.0) -> Result:
        """Wait for a job's result, by its ticket or digest.

        A lost record is submitted again where the ticket is given.

        Raises:
            ResultTimeout: nothing within ``timeout_s``; the job goes on.
            UnknownJob: only a digest was given, and neither job nor result has it.
        """
        digest = job if isinstance(job, str) else job.digest
        with patience(timeout_s), queue_errors():
            while (result := await self._one.wait(digest)) is None:
                if isinstance(job, str):
                    raise UnknownJob(f"no job and no result for {digest[:12]}…; submit it again")
                await self._one.admit(job.job)
            return result

    async def count(
        self,
        payload: RawPayload,
        *,
        lane: Lane = Lane.INTERACTIVE,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        fresh: bool = False,
        timeout_s: float = 60.0,
    ) -> Counted:
        """Count one payload's input tokens.

        A caller that stops waiting leaves the job to finish for the cache.

        Raises:
            PayloadError: it cannot be counted as it is.
            CountFailed: the job ended without a count.
            QueueFull: the queue's bound is reached.
            ResultTimeout: nothing within ``timeout_s``; the job goes on.
            QueueUnreachable: the server does not answer.
        """
        job = await self._jobs.make(payload, lane, betas, producer, partition)
        return await self._one.count(job, fresh=fresh, timeout_s=timeout_s)

    async def count_job(self, job: Job, *, fresh: bool = False, timeout_s: float = 60.0) -> Counted:
        """Count what ``prepare`` made; as ``count`` does, but for a payload's own errors."""
        return await self._one.count(job, fresh=fresh, timeout_s=timeout_s)

    async def cached(self, digest: str) -> Result | None:
        """Give what is cached under a digest; None where it would have to be counted.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        return await self._one.look(digest)

    def count_many(
        self,
        payloads: Iterable[RawPayload] | AsyncIterable[RawPayload],
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        ordered: bool = False,
        in_flight: int = 1000,
        withdraw: bool = False,
    ) -> AsyncGenerator[Item, None]:
        """Count payloads as they come, with at most ``in_flight`` of them on their way.

        Yields an item a payload, in the order of the results, or of the payloads if ``ordered``.
        A payload that cannot be counted is an item like any other. Where the queue is full, it
        waits. A caller that leaves early leaves its jobs to finish for the cache, or withdraws
        those that nobody else waits for if ``withdraw``.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        make = self._jobs.maker(lane, betas, producer, partition)
        return self._stream(make, in_flight, withdraw=withdraw).run(payloads, ordered=ordered)

    def count_batches(
        self,
        payloads: Iterable[RawPayload] | AsyncIterable[RawPayload],
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        ordered: bool = False,
        in_flight: int = 1000,
        withdraw: bool = False,
    ) -> AsyncGenerator[list[Item], None]:
        """Count as ``count_many`` does, and yield together what has come meanwhile.

        For a caller that makes a round trip of its own for what it gets.
        """
        make = self._jobs.maker(lane, betas, producer, partition)
        stream = self._stream(make, in_flight, withdraw=withdraw)
        return stream.run_batches(payloads, ordered=ordered)

    def _stream(self, make: MakeJob, in_flight: int, *, withdraw: bool) -> CountStream[RawPayload]:
        return CountStream(
            self._tasks,
            self._submitter,
            self._mailbox,
            make,
            in_flight=in_flight,
            withdraw=self.cancel if withdraw else None,
        )

    async def cancel(self, job: Ticket | str) -> bool:
        """Withdraw a job if nobody else waits for it and no worker has it; True if withdrawn.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        digest = job if isinstance(job, str) else job.digest
        if self._mailbox.expects(digest):
            return False
        with queue_errors():
            return await self._scripts.cancel(self._redis, digest, waiter=self._waiter) == WITHDRAWN

    async def _check_digest_key(self) -> None:
        # Not repeated: whoever starts against a server that is not there should hear it at once.
        theirs = await self._subscriber.hget(self._keys.scope, "digest_key")
        check_digest_key(theirs, self._settings.digest_key, self._settings.namespace)
