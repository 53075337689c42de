"""From a request's bytes to the answer that they deserve, without any network."""

import hashlib
from dataclasses import dataclass

from weighbridge_worker.sandbox.api_errors import ApiError, invalid
from weighbridge_worker.sandbox.estimator import UnreadableMedia, estimate
from weighbridge_worker.sandbox.request_check import read_body


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a body is, and what the API would say to it."""

    sha256: str
    model: str
    verdict: int | ApiError


def weigh(raw: bytes) -> Weighed:
    """Check and estimate a body; never raises for any bytes."""
    model = ""
    verdict: int | ApiError
    try:
        body = read_body(raw)
        model = body["model"]
        verdict = estimate(body)
    except ApiError as error:
        verdict = error
    except UnreadableMedia as error:
        verdict = invalid(str(error))
    except RecursionError:
        verdict = invalid("The request body is nested too deeply")
    return Weighed(hashlib.sha256(raw).hexdigest(), model, verdict)
