"""Many payloads into the queue, for one who does not wait for their counts.

While the server works on one batch the next is made.
"""

from collections.abc import Sequence
from contextlib import aclosing

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from weighbridge.connection import queue_errors
from weighbridge.errors import PayloadError, QueueFull
from weighbridge.exchange import Submission
from weighbridge.job_maker import JobKind
from weighbridge.raw_payloads import RawPayloads, each_of
from weighbridge.records import Job, Ticket
from weighbridge.replication import Replication
from weighbridge.submitter import BATCH, BATCH_BYTES, Admission, Submitter

UNDER_WAY = 3
"""Batches that the server has at once."""

READ_AT_ONCE = 32
"""Payloads read before the batches under way, and all other tasks, have their turn."""

Submitted = Ticket | PayloadError | QueueFull
"""What a submit of one payload would have given, or raised."""


class _Batch:
    """Jobs that are submitted together, and where in the input each stood."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.jobs: list[Job] = []
        self.size = 0

    def add(self, place: int, job: Job) -> None:
        self.places.append(place)
        self.jobs.append(job)
        self.size += len(job.payload.body)

    @property
    def is_full(self) -> bool:
        return len(self.jobs) >= BATCH or self.size >= BATCH_BYTES


class BulkSubmit:
    """One call's payloads on their way into the queue."""

    def __init__(
        self, submitter: Submitter, replication: Replication, kind: JobKind, *, fresh: bool
    ) -> None:
        self._submitter = submitter
        self._replication = replication
        self._kind = kind
        self._fresh = fresh
        self._under_way = anyio.Semaphore(UNDER_WAY)
        self._batch = _Batch()
        self._outcomes: dict[int, Submitted] = {}
        self._failure: Exception | None = None

    async def run(self, payloads: RawPayloads) -> list[Submitted]:
        """Submit all.

        Raises:
            NotReplicated: fewer replicas have a batch than the settings want.
            QueueUnreachable: the server does not answer.
            Exception: whatever the iterable raises, once what it gave before has been submitted.
        """
        source_error: Exception | None = None
        async with anyio.create_task_group() as tasks:
            try:
                await self._read(payloads, tasks)
            except Exception as error:  # out of the group, or it would come in a group
                source_error = error
            await self._start_batch(tasks)
        if first := self._failure or source_error:
            raise first
        return [self._outcomes[place] for place in range(len(self._outcomes))]

    async def _read(self, payloads: RawPayloads, tasks: TaskGroup) -> None:
        place = 0
        async with aclosing(each_of(payloads)) as each:
            async for payload in each:
                try:
                    job = self._kind.make_small(payload) or await self._kind.make(payload)
                except PayloadError as error:
                    self._outcomes[place] = error
                else:
                    self._batch.add(place, job)
                place += 1
                if place % READ_AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
                if self._batch.is_full:
                    await self._start_batch(tasks)
                    if self._failure is not None:
                        return

    async def _start_batch(self, tasks: TaskGroup) -> None:
        batch, self._batch = self._batch, _Batch()
        await self._under_way.acquire()
        if batch.jobs and self._failure is None:
            tasks.start_soon(self._submit, batch)

    async def _submit(self, batch: _Batch) -> None:
        try:
            with queue_errors():
                outcomes = await self._submitted(batch.jobs)
            self._outcomes.update(zip(batch.places, outcomes, strict=True))
        except Exception as error:  # raised by ``run``
            self._failure = error
        finally:
            self._under_way.release()

    async def _submitted(self, jobs: Sequence[Job]) -> list[Submitted]:
        submissions = [Submission(job) for job in jobs]
        admissions = await self._submitter.submit(submissions, fresh=self._fresh)
        while not await self._replication.reached(_queued(jobs, admissions)):
            admissions = await self._submitter.submit(submissions)
        return [
            admission if isinstance(admission, QueueFull) else Ticket(job, admission.cache)
            for job, admission in zip(jobs, admissions, strict=True)
        ]


def _queued(jobs: Sequence[Job], admissions: Sequence[Admission | QueueFull]) -> list[str]:
    return [
        job.digest
        for job, admission in zip(jobs, admissions, strict=True)
        if isinstance(admission, Admission) and admission.result is None
    ]
