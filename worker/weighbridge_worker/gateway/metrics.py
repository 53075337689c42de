"""``GET /metrics`` for operators: what this gateway has answered, and how the namespace stands."""

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import get_args

import anyio
from prometheus_client.core import Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from weighbridge.admin import PoolState
from weighbridge.errors import QueueUnreachable
from weighbridge.records import CacheUse
from weighbridge_worker.exposition import READ_S, written
from weighbridge_worker.families import (
    build_info,
    counters,
    gauge,
    gauges,
    histogram,
    limit_families,
    queue_families,
)
from weighbridge_worker.gateway.access import require_operator
from weighbridge_worker.gateway.service import Gateway


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the guarded routes."""

    async def expose(request: Request) -> Response:
        require_operator(request)
        families = [
            build_info(version("weighbridge")),
            *gateway_families(gateway),
            *pool_families(await _look(gateway)),
        ]
        text, content_type = written(families, request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    return [Route("/metrics", expose)]


def gateway_families(gateway: Gateway) -> Iterator[Metric]:
    """Tell of one gateway, since its start."""
    tally = gateway.tally
    statuses = {str(status): number for status, number in sorted(tally.statuses.items())}
    # Words that are known beforehand begin at 0, or their first growth would not be seen.
    counts: dict[str, float] = {word: tally.cache[word] for word in get_args(CacheUse)}
    yield counters("gateway_requests", "Requests answered.", "status", statuses)
    yield counters("gateway_counts", "Counts given, by how they were come by.", "cache", counts)
    yield histogram(
        "gateway_count_duration_seconds",
        "From the whole body to the count.",
        tally.waits.histogram(),
    )
    yield gauge("gateway_held_bytes", "Bytes of requests that are held now.", gateway.bodies.held)


def pool_families(state: PoolState | None) -> Iterator[Metric]:
    """Tell of the namespace; None if its server did not."""
    yield gauge("queue_reachable", "Whether the server told what follows.", state is not None)
    if state is None:
        return
    yield from queue_families(state)
    yield from limit_families(state.limit)
    yield gauges("queue_newest_dead_letters", "The newest dead letters.", "code", state.dead_codes)
    workers = Counter(worker.state or "unknown" for worker in state.workers)
    yield gauges("queue_workers", "Living workers.", "state", workers)


async def _look(gateway: Gateway) -> PoolState | None:
    with anyio.move_on_after(READ_S):
        try:
            return await gateway.admin.inspect(count_cached=False)
        except QueueUnreachable:
            return None
    return None
