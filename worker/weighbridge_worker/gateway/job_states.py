"""How a job stands, as ``/v1/jobs`` says it."""

import msgspec

from weighbridge.records import Counted, Result, Source


class _Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="status"):
    id: str
    digest: str


class QueuedJob(_Job, frozen=True, kw_only=True, tag="queued"):
    """A job that waits for its count, or is being counted."""


class CountedJob(_Job, frozen=True, kw_only=True, tag="counted"):
    """A job with its count; ``counted_at`` in Unix seconds."""

    model: str
    input_tokens: int
    source: Source
    counted_at: int


class FailedJob(_Job, frozen=True, kw_only=True, tag="failed"):
    """A job that ended without a count, after ``attempts`` calls."""

    code: str
    message: str
    attempts: int


JobState = QueuedJob | CountedJob | FailedJob


def state_of(job_id: str, digest: str, result: Result | None) -> JobState:
    """Say how a job stands by its result; without one it is in the queue."""
    if result is None:
        return QueuedJob(id=job_id, digest=digest)
    if isinstance(result, Counted):
        return CountedJob(
            id=job_id,
            digest=digest,
            model=result.model,
            input_tokens=result.input_tokens,
            source=result.source,
            counted_at=result.counted_at,
        )
    return FailedJob(
        id=job_id,
        digest=digest,
        code=result.code,
        message=result.message,
        attempts=result.attempts,
    )
