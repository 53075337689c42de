"""Writes metric families for Prometheus, and reads those that are the whole namespace's."""

from collections.abc import Iterable

import anyio
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from weighbridge.admin import Admin, Depth
from weighbridge.bucket import BucketState
from weighbridge.errors import QueueUnreachable
from weighbridge_worker.families import gauge, limit_families, queue_families

READ_S = 2.0
"""How long the server may take to tell what lies in the queue; then the rest is told without."""


def written(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Write families, and the process's own, in the form that an ``Accept`` header asks for."""
    own = ProcessCollector(registry=None).collect()
    return encoded([*own, *families], accept)


def encoded(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Write families in the form that an ``Accept`` header asks for; gives the content type."""
    registry = CollectorRegistry()
    registry.register(_Collected(list(families)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


async def namespace_families(admin: Admin) -> list[Metric]:
    """Read what lies in the queue and how the limit stands."""
    read: tuple[Depth, BucketState] | None = None
    with anyio.move_on_after(READ_S):
        try:
            read = await admin.depth(), await admin.limit()
        except QueueUnreachable:
            read = None
    reached = gauge("queue_reachable", "Whether the server told what follows.", read is not None)
    if read is None:
        return [reached]
    depth, limit = read
    return [reached, *queue_families(depth), *limit_families(limit)]


class _Collected:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
