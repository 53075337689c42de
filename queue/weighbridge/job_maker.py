"""From a body as somebody wrote it to a job that can be submitted, with one client's settings."""

import socket
from collections.abc import Iterable

from weighbridge.preparation import Preparation, Prepared, RawPayload, is_large
from weighbridge.records import Job, Lane
from weighbridge.settings import QueueSettings
from weighbridge.trace_context import current_trace


class JobKind:
    """Makes jobs that differ in their payloads only."""

    def __init__(
        self,
        preparation: Preparation,
        lane: Lane,
        betas: Iterable[str],
        producer: str,
        partition: str,
        deadline_us: int,
    ) -> None:
        self._preparation = preparation
        self._lane = lane
        self._betas = betas if isinstance(betas, str) else tuple(betas)
        self._producer = producer
        self._partition = partition
        self._deadline_us = deadline_us

    async def make(self, raw: RawPayload) -> Job:
        """Check and hash a body; a large one beside the loop.

        Raises:
            PayloadError: it cannot be counted as it is.
        """
        return self._job(await self._preparation.prepare(raw, self._betas, self._partition))

    def make_small(self, raw: RawPayload) -> Job | None:
        """Check and hash a small body at once; None for a large one, which is left to ``make``.

        Raises:
            PayloadError: it cannot be counted as it is.
        """
        if is_large(raw):
            return None
        return self._job(self._preparation.prepare_here(raw, self._betas, self._partition))

    def _job(self, prepared: Prepared) -> Job:
        return Job(
            prepared.digest,
            prepared.payload,
            self._lane,
            self._producer,
            self._deadline_us,
            current_trace(),
        )


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

    def kind(
        self, lane: Lane, betas: Iterable[str], producer: str | None, partition: str | None
    ) -> JobKind:
        """Give what makes the jobs of one call."""
        return JobKind(
            self._preparation,
            lane,
            betas,
            self._producer if producer is None else producer,
            self._partition if partition is None else partition,
            self._deadline_us,
        )
