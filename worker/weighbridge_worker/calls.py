"""The seam to the endpoint: what a call gives, and the four ways in which it fails."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from weighbridge.errors import WeighbridgeError
from weighbridge.records import Source

SANDBOX_HEADER = "weighbridge-sandbox"
"""The response header by which our stand-in says that its answer is an estimate."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """An answer.

    Args:
        source: whether the API or a stand-in gave it.
        limit: calls a minute by the endpoint's own headers; 0 if it does not say.
        remaining: what its bucket holds by the same; -1 if it does not say.
    """

    input_tokens: int
    source: Source
    limit: int = 0
    remaining: int = -1


@dataclass(frozen=True, slots=True)
class Trial:
    """What one call showed of the endpoint.

    Args:
        latency_s: from the request's first byte to the answer's last.
        tokens: None where the answer was no count.
        failure: what the answer would have meant for a job, if it was no count.
        limit: calls a minute by the endpoint's own headers; 0 if it does not say.
        rate_headers: every rate-limit header, as it came.
        retry_after: that header as it came, or empty.
    """

    status: int
    latency_s: float
    tokens: Tokens | None
    failure: "CallError | None"
    limit: int
    rate_headers: dict[str, str]
    retry_after: str


class Counter(Protocol):
    """Makes one HTTP attempt a call; never repeats one by itself, for each needs a permit."""

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Send a canonical body as it is.

        Raises:
            PermanentFailure: the same payload would fail again.
            PassingFailure: another attempt may succeed.
            Throttled: the endpoint wants a pause.
            KeyRefused: the endpoint does not accept this worker's key.
        """
        ...


class CallError(WeighbridgeError):
    """A call that gave no count; ``failure_code`` is the word that travels in the result."""

    code: ClassVar[str] = "call_error"

    def __init__(self, failure_code: str, message: str) -> None:
        super().__init__(message)
        self.failure_code = failure_code


class PermanentFailure(CallError):
    """The payload is at fault."""

    code: ClassVar[str] = "permanent_failure"


class PassingFailure(CallError):
    """The network or the endpoint is at fault."""

    code: ClassVar[str] = "passing_failure"


class Throttled(CallError):
    """The endpoint asks the organisation to pause.

    Args:
        hold: why a pause alone does not help (a spend limit), or empty.
        ramp: whether it punishes a steep rise.
    """

    code: ClassVar[str] = "throttled"

    def __init__(
        self,
        failure_code: str,
        message: str,
        *,
        retry_after_s: float,
        hold: str = "",
        ramp: bool = False,
    ) -> None:
        super().__init__(failure_code, message)
        self.retry_after_s = retry_after_s
        self.hold = hold
        self.ramp = ramp


class KeyRefused(CallError):
    """The key is at fault; other workers may have a good one."""

    code: ClassVar[str] = "key_refused"
