"""The producer's side: payloads in, counts out."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from typing import Self

from weighbridge.bulk_submit import BulkSubmit, Submitted
from weighbridge.connection import patience, queue_errors
from weighbridge.count_stream import CountStream, Item
from weighbridge.errors import UnknownJob
from weighbridge.job_maker import JobKind, JobMaker
from weighbridge.job_wait import JobWait
from weighbridge.preparation import RawPayload
from weighbridge.raw_payloads import RawPayloads
from weighbridge.records import Counted, Job, Lane, Result, Ticket
from weighbridge.replication import Replication
from weighbridge.session import Session
from weighbridge.settings import QueueSettings
from weighbridge.submit_batches import SubmitBatches
from weighbridge.submitter import Submitter

WITHDRAWN = "withdrawn"


class Client(Session):
    """Counts payloads through a pool of workers.

    Use it as an async context manager, entered and left by the same task; its methods may be called
    from any task in between::

        async with Client.connect("redis://127.0.0.1:6379/0") as wb:
            counted = await wb.count({"model": "…", "messages": [...]})
    """

    def __init__(self, settings: QueueSettings) -> None:
        super().__init__(settings)
        self._replication = Replication(self._redis, self._keys, replicas=settings.wait_replicas)
        self._submitter = Submitter(
            self._redis,
            self._keys,
            self._scripts,
            waiter=self._waiter,
            max_queue=settings.max_queue,
            max_bytes=settings.max_queue_bytes,
        )
        batches = SubmitBatches(self._submitter)
        self._one = JobWait(self._submitter, batches, self._mailbox)
        self._running += [batches.run, self._one.run]
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
        return await self._jobs.kind(lane, betas, producer, partition).make(payload)

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
        job = await self._jobs.kind(lane, betas, producer, partition).make(payload)
        admission = await self._one.admit(job, fresh=fresh)
        while admission.result is None and not await self._replication.reached([job.digest]):
            admission = await self._one.admit(job)
        return Ticket(job, admission.cache)

    async def submit_many(
        self,
        payloads: RawPayloads,
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        fresh: bool = False,
    ) -> list[Submitted]:
        """Put payloads into the queue in as few round trips as they need, and go on.

        Returns in their order what ``submit`` would have returned or raised for each: a ticket, or
        that the payload cannot be counted, or that the queue is full. Repeating a call that failed
        does no harm: what it submitted is joined.

        Raises:
            NotReplicated: fewer replicas have some of them than the settings want.
            QueueUnreachable: the server does not answer.
        """
        kind = self._jobs.kind(lane, betas, producer, partition)
        bulk = BulkSubmit(self._submitter, self._replication, kind, fresh=fresh)
        return await bulk.run(payloads)

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
        job = await self._jobs.kind(lane, betas, producer, partition).make(payload)
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
        payloads: RawPayloads,
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
        kind = self._jobs.kind(lane, betas, producer, partition)
        return self._stream(kind, in_flight, withdraw=withdraw).run(payloads, ordered=ordered)

    def count_batches(
        self,
        payloads: RawPayloads,
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
        kind = self._jobs.kind(lane, betas, producer, partition)
        stream = self._stream(kind, in_flight, withdraw=withdraw)
        return stream.run_batches(payloads, ordered=ordered)

    def _stream(self, kind: JobKind, in_flight: int, *, withdraw: bool) -> CountStream:
        return CountStream(
            self._tasks,
            self._submitter,
            self._mailbox,
            kind,
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
