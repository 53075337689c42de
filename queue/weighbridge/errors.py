"""One tree of exceptions. Each class has a stable ``code``, the word that travels in Redis.

Messages may name a size, a field or a setting, never the payload's text, a key or a password.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal


class WeighbridgeError(Exception):
    """Anything that Weighbridge raises on purpose."""

    code: ClassVar[str] = "weighbridge_error"


class PayloadError(WeighbridgeError):
    """The payload cannot be counted as it is; sending it again will not help."""

    code: ClassVar[str] = "payload_error"


class MalformedPayload(PayloadError):
    """Not JSON, or JSON whose meaning is not certain (duplicate keys, NaN, lone surrogates …)."""

    code: ClassVar[str] = "malformed_payload"


class PayloadTooLarge(PayloadError):
    """More bytes than the endpoint accepts."""

    code: ClassVar[str] = "payload_too_large"


class NotCountablePayload(PayloadError):
    """Well formed, but refused by kind: ``url`` and ``file`` sources, server tools."""

    code: ClassVar[str] = "not_countable"


class BrokenHistory(PayloadError):
    """The messages are no history that the API would take; nothing is repaired silently."""

    code: ClassVar[str] = "broken_history"


class SettingsError(WeighbridgeError):
    """A setting is wrong; the message names the variable and says what it takes."""

    code: ClassVar[str] = "settings_error"


class ScopeMismatch(SettingsError):
    """The namespace holds counts that depend on other settings than ours."""

    code: ClassVar[str] = "scope_mismatch"


class ScopeInUse(WeighbridgeError):
    """The namespace's scope cannot be forgotten: workers live whose counts depend on it."""

    code: ClassVar[str] = "scope_in_use"

    def __init__(self, namespace: str, workers: Sequence[str]) -> None:
        super().__init__(
            f"namespace {namespace!r} has living workers ({', '.join(workers[:3])}"
            f"{', …' if len(workers) > 3 else ''}): end all of them first; one that was killed"
            " counts as living for 30 s more"
        )


class ServerUnfit(SettingsError):
    """The Redis server answers, but cannot keep a queue as it, or our user, is set up."""

    code: ClassVar[str] = "server_unfit"


class QueueUnreachable(WeighbridgeError):
    """The Redis server does not answer, or refuses us."""

    code: ClassVar[str] = "queue_unreachable"


class QueueFull(WeighbridgeError):
    """The queue holds as many jobs, or as many bytes of payloads, as its bound allows.

    Args:
        depth: live jobs in the queue.
        queue_bytes: of their payloads.
        eta_s: seconds until the queue has been worked off at the permitted rate.
        bound: which of the two is reached.
    """

    code: ClassVar[str] = "queue_full"

    def __init__(
        self, depth: int, queue_bytes: int, eta_s: float, *, bound: Literal["jobs", "bytes"]
    ) -> None:
        setting = {"jobs": "WEIGHBRIDGE_MAX_QUEUE", "bytes": "WEIGHBRIDGE_MAX_QUEUE_BYTES"}[bound]
        super().__init__(
            f"the queue is full: {depth:,} jobs with {queue_bytes:,} bytes, about {eta_s:,.0f} s of"
            f" work at the permitted rate; submit again later, or raise {setting}"
        )
        self.depth = depth
        self.queue_bytes = queue_bytes
        self.eta_s = eta_s
        self.bound = bound


class CountFailed(WeighbridgeError):
    """The job ended without a count; ``failure_code`` and the message say why."""

    code: ClassVar[str] = "count_failed"

    def __init__(self, failure_code: str, message: str, *, digest: str) -> None:
        super().__init__(f"{failure_code}: {message}")
        self.failure_code = failure_code
        self.digest = digest


class ResultTimeout(WeighbridgeError):
    """No result within the caller's patience; the job goes on, and its result waits."""

    code: ClassVar[str] = "result_timeout"


class NotReplicated(WeighbridgeError):
    """A job is queued, but fewer replicas have it than the settings want; submit it again."""

    code: ClassVar[str] = "not_replicated"


class UnknownDeadLetter(WeighbridgeError):
    """No dead letter has this entry id or digest, or the digest is cut too short to tell which."""

    code: ClassVar[str] = "unknown_dead_letter"


class UnknownJob(WeighbridgeError):
    """Neither a job nor a result has this digest; submit the payload again."""

    code: ClassVar[str] = "unknown_job"


class UnknownPrice(WeighbridgeError):
    """The price table does not know the model; no price is ever guessed."""

    code: ClassVar[str] = "unknown_price"


class BudgetMismatch(SettingsError):
    """The run has a budget already, of another size; or none any more."""

    code: ClassVar[str] = "budget_mismatch"


class NotReviewable(WeighbridgeError):
    """Nothing in the review log goes by this name, or no approval could lift its refusal."""

    code: ClassVar[str] = "not_reviewable"
