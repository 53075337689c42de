"""Finds out the limit where the rate is ``auto``: the Admin API, else the endpoint's headers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import msgspec

from weighbridge_worker.calls import CallError, PassingFailure, Trial
from weighbridge_worker.settings import MAX_RPM, SAFE_RPM, WorkerSettings

PROBE_MODEL = "claude-sonnet-5-5"
"""Named in the one call that only looks. The limit is one for all models
(https://platform.claude.com/docs/en/manage-claude/rate-limits-api), so any that the key may use
will do, and an answer that refuses the model tells the limit as well."""

NO_HEADERS = "no_headers"
"""The code for an endpoint that answers without rate-limit headers, as the API may."""

RateSource = Literal["admin_api", "headers", "fleet", "assumed"]


class Endpoint(Protocol):
    """What can be asked for the limit."""

    async def probe(self, body: bytes) -> Trial:
        """Make one attempt, and tell all that its answer shows of the endpoint.

        Raises:
            CallError: no answer came.
        """
        ...

    async def organisation_limit(self, admin_key: str) -> int:
        """Ask the Admin API for the limit, in calls a minute.

        Raises:
            CallError: it does not say.
        """
        ...


@dataclass(frozen=True, slots=True)
class FoundRate:
    """A rate, and where it comes from.

    Args:
        source: ``fleet``: nobody said, so the rate of the running fleet stays; ``assumed``: nobody
            said, and no fleet runs.
        silent: who did not say, each with the failure's code.
    """

    rpm: int
    source: RateSource
    silent: tuple[tuple[RateSource, str], ...] = ()


def probe_body(model: str = PROBE_MODEL) -> bytes:
    """Make the smallest body that can be counted."""
    messages = [{"role": "user", "content": "Hello"}]
    return msgspec.json.encode({"model": model, "messages": messages})


async def find_rate(endpoint: Endpoint, settings: WorkerSettings) -> FoundRate:
    """Find out the limit; who does not tell it is passed over, and nothing is raised.

    Unless the Admin API tells, this makes one counting call that takes no permit: at the start
    there is no rate yet by which the bucket could give one.
    """
    asks: list[tuple[RateSource, Callable[[], Awaitable[int]]]] = []
    if settings.admin_key:
        asks.append(("admin_api", partial(endpoint.organisation_limit, settings.admin_key)))
    asks.append(("headers", partial(_limit_by_headers, endpoint)))
    silent: list[tuple[RateSource, str]] = []
    for source, ask in asks:
        try:
            return FoundRate(min(await ask(), MAX_RPM), source, tuple(silent))
        except CallError as error:
            silent.append((source, error.failure_code))
    return FoundRate(SAFE_RPM, "assumed", tuple(silent))


async def _limit_by_headers(endpoint: Endpoint) -> int:
    trial = await endpoint.probe(probe_body())
    if not trial.limit:
        raise trial.failure or PassingFailure(NO_HEADERS, "the endpoint's headers name no limit")
    return trial.limit
