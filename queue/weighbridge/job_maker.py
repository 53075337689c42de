"""From a body as somebody wrote it to a job that can be submitted, with one client's settings."""

import socket
from collections.abc import Awaitable, Callable, Iterable

from weighbridge.preparation import Preparation, RawPayload
from weighbridge.records import Job, Lane
from weighbridge.settings import QueueSettings
from weighbridge.trace_context import current_trace

MakeJob = Callable[[RawPayload], Awaitable[Job]]


class JobMaker:
    """Makes jobs; what a call does not say of itself is the settings'."""

    def __init__(self, settings: QueueSettings) -> None:
        self._producer = settings.producer or socket.gethostname()[:64]
        self._partition = settings.partition
        self._deadline_us = int(settings.deadline_s * 1e6)
        # A payload beyond the queue's whole bound would wait for ever.
        self._preparation = Preparation(
            digest_key=settings.digest_key, max_bytes=settings.max_queue_bytes
        )

    async def make(
        self,
        raw: RawPayload,
        lane: Lane,
        betas: Iterable[str],
        producer: str | None,
        partition: str | None,
    ) -> Job:
        """Check and hash a body.

        Raises:
            PayloadError: it cannot be counted as it is.
        """
        shared_by = self._partition if partition is None else partition
        prepared = await self._preparation.prepare(raw, betas=betas, partition=shared_by)
        submits = self._producer if producer is None else producer
        return Job(
            prepared.digest, prepared.payload, lane, submits, self._deadline_us, current_trace()
        )

    def maker(
        self, lane: Lane, betas: Iterable[str], producer: str | None, partition: str | None
    ) -> MakeJob:
        """Give what makes many jobs of one kind."""
        names = tuple(betas)
        return lambda raw: self.make(raw, lane, names, producer, partition)
