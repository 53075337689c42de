"""A worker's metrics for Prometheus: its own since its start, and the namespace's as they stand."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Protocol, get_args

from prometheus_client.core import Metric

from weighbridge.admin import Admin
from weighbridge.figures import CallOutcome, InboxUse, WorkerFigures
from weighbridge_worker.exposition import namespace_families, written
from weighbridge_worker.families import build_info, counter, counters, gauge, histogram
from weighbridge_worker.health import HealthReport


class Measured(Protocol):
    """A worker, as far as it is measured."""

    admin: Admin

    def figures(self) -> WorkerFigures:
        """Return what it has done since its start."""
        ...

    async def health(self) -> HealthReport:
        """Judge it."""
        ...


class WorkerMetrics:
    """Tells of one worker, and of its namespace."""

    def __init__(self, worker: Measured) -> None:
        self._worker = worker

    async def expose(self, accept: str) -> tuple[bytes, str]:
        """Write all metrics as the ``Accept`` header asks; gives the text and its content type."""
        health = await self._worker.health()
        families = [
            build_info(version("weighbridge")),
            *worker_families(self._worker.figures(), health),
            *await namespace_families(self._worker.admin),
        ]
        return written(families, accept)


def worker_families(figures: WorkerFigures, health: HealthReport) -> Iterator[Metric]:
    """Tell of one worker."""
    yield gauge("worker_ready", "1 while it takes jobs and ends them.", health.ready)
    yield gauge("worker_leases", "Leases that it holds.", health.in_flight)
    # Words that are known beforehand begin at 0, or their first growth would not be seen.
    calls = dict.fromkeys(get_args(CallOutcome), 0) | dict(figures.calls)
    inbox = dict.fromkeys(get_args(InboxUse), 0) | dict(figures.inbox)
    yield counters("worker_calls", "Calls to the endpoint.", "outcome", calls)
    yield counters("worker_jobs_failed", "Jobs ended without a count.", "code", figures.failed)
    yield counters("worker_inbox_entries", "Inbox entries taken in.", "use", inbox)
    yield counter("worker_slots_missed", "Permits that came too late.", figures.slots_missed)
    yield counter("worker_penalties", "Fleet-wide pauses its calls began.", figures.penalties)
    yield histogram(
        "worker_job_wait_seconds",
        "From a job's submit to the start of the call that ended it.",
        figures.wait,
    )
    yield histogram("worker_call_duration_seconds", "One call, whatever its outcome.", figures.call)
    yield histogram(
        "worker_job_duration_seconds",
        "From a job's submit until its result was written.",
        figures.total,
    )
