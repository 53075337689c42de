"""Prometheus' metric families of what any part of the pool can tell: the queue, the limit, figures.

Each exposition makes them anew from what was just read; nothing is registered anywhere.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from weighbridge.admin import Depth, PoolState
from weighbridge.bucket import BucketState
from weighbridge.figures import BOUNDS_S, Histogram


def gauge(name: str, meaning: str, value: float) -> Metric:
    """Make a gauge without labels."""
    return GaugeMetricFamily(f"weighbridge_{name}", meaning, value=value)


def gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    """Make a gauge with one label."""
    family = GaugeMetricFamily(f"weighbridge_{name}", meaning, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def counter(name: str, meaning: str, value: float) -> Metric:
    """Make a counter without labels; ``_total`` is added to its name."""
    return CounterMetricFamily(f"weighbridge_{name}", meaning, value=value)


def counters(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    """Make a counter with one label."""
    family = CounterMetricFamily(f"weighbridge_{name}", meaning, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def histogram(name: str, meaning: str, values: Histogram) -> Metric:
    """Make a histogram."""
    sums = accumulate(values.counts)
    bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
    family = HistogramMetricFamily(f"weighbridge_{name}", meaning)
    family.add_metric([], list(zip(bounds, sums, strict=True)), sum_value=values.sum_s)
    return family


def build_info(version: str) -> Metric:
    """Say which version runs."""
    return gauges("build_info", "Always 1; the version is in the label.", "version", {version: 1})


def queue_families(depth: Depth | PoolState) -> Iterator[Metric]:
    """Tell what lies in the queue."""
    yield gauges(
        "queue_jobs",
        "Live jobs of the namespace, by where they stand.",
        "state",
        {
            "ready_interactive": depth.interactive,
            "ready_batch": depth.batch,
            "leased": depth.leased,
            "later": depth.later,
        },
    )
    yield gauge("queue_payload_bytes", "Bytes of the live jobs' payloads.", depth.queue_bytes)
    yield gauge("queue_inbox_entries", "Inbox entries that are no jobs yet.", depth.inbox)
    yield gauge("queue_dead_letters", "Dead letters that are kept.", depth.dead)


def limit_families(limit: BucketState) -> Iterator[Metric]:
    """Tell how the shared limit stands."""
    yield gauge("limit_calls_per_minute", "The full rate; 0 if nobody has set one.", limit.rpm)
    yield gauge(
        "limit_seen_calls_per_minute",
        "A lower limit that the endpoint's headers named, while it is believed; else 0.",
        limit.seen_rpm,
    )
    yield gauge("limit_share_ratio", "Share of the full rate that penalties leave.", limit.share)
    yield gauge("limit_blocked_seconds", "Until the fleet-wide pause ends.", limit.blocked_s)
    yield gauge("limit_paused", "1 while an operator holds the fleet.", limit.paused)
    yield gauge("limit_held", "1 while only probes are let through.", bool(limit.hold))
    yield counter("permits_granted", "Permits ever granted to the namespace.", limit.granted)
