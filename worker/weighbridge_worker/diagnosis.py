"""What a server's own figures say about it, and what to change: no network here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "bad"]
Facts = Mapping[str, Any]

MEBIBYTE = 2**20
SLOW_MS = 5.0
TOO_SLOW_MS = 100.0
"""The horizon within which slots are handed out: a longer way misses them."""

FULL = 0.9
SMALLEST_BUFFER = 8 * MEBIBYTE
"""For a subscriber: what is told in a busy second, many times over."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: what, in a word or two.
        said: what was found.
        change: what to do about it; empty where all is well.
    """

    check: str
    verdict: Verdict
    said: str
    change: str = ""


def diagnose(info: Facts, config: Facts, *, wait_replicas: int) -> Iterator[Finding]:
    """Judge INFO and, as far as the server told it, CONFIG GET."""
    yield _memory(info)
    yield _persistence(info, config)
    yield _replicas(info, config, wait_replicas)
    if config:
        yield _idle(config)
        yield _buffer(config)
    else:
        yield Finding(
            "config", "warn", "CONFIG GET is not for this user: time-outs and buffers not checked"
        )


def latency(trips_ms: Sequence[float]) -> Finding:
    """Judge round trips."""
    middle, longest = sorted(trips_ms)[len(trips_ms) // 2], max(trips_ms)
    said = f"{middle:.2f} ms a round trip, the longest of {len(trips_ms)} {longest:.2f} ms"
    if middle < SLOW_MS:
        return Finding("latency", "ok", said)
    verdict: Verdict = "warn" if middle < TOO_SLOW_MS else "bad"
    return Finding("latency", verdict, said, "run the workers nearer to the server")


def _memory(info: Facts) -> Finding:
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    said = f"{used / MEBIBYTE:,.0f} MiB used"
    if not limit:
        return Finding(
            "memory",
            "warn",
            f"{said}, no maxmemory: a full host kills the server instead of refusing jobs",
            "set maxmemory below what the host has",
        )
    said += f" of {limit / MEBIBYTE:,.0f}"
    if used < FULL * limit:
        return Finding("memory", "ok", said)
    return Finding("memory", "bad", said, "let the queue drain, or raise maxmemory")


def _persistence(info: Facts, config: Facts) -> Finding:
    flush = str(config.get("appendfsync", "everysec"))
    if int(info.get("aof_enabled", 0)):
        if info.get("aof_last_write_status", "ok") != "ok":
            return Finding("persistence", "bad", "the append-only file fails", "see to its disk")
        if flush == "no":
            return Finding(
                "persistence",
                "warn",
                "append-only file, flushed when the system likes: a power failure costs seconds",
                "appendfsync everysec",
            )
        return Finding("persistence", "ok", f"append-only file, flushed {flush}")
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        return Finding("persistence", "bad", "snapshots fail", "see to the disk")
    if config.get("save"):
        return Finding(
            "persistence",
            "warn",
            "snapshots alone: a crash loses what was queued since the last one",
            "appendonly yes, appendfsync everysec",
        )
    return Finding(
        "persistence",
        "warn",
        "no append-only file: a restart may lose the queue",
        "appendonly yes, appendfsync everysec",
    )


def _replicas(info: Facts, config: Facts, wanted: int) -> Finding:
    there = int(info.get("connected_slaves", 0))
    least = int(config.get("min-replicas-to-write", 0))
    said = f"{there} connected"
    if there < wanted:
        return Finding(
            "replicas",
            "bad",
            f"{said}, and WEIGHBRIDGE_WAIT_REPLICAS wants {wanted}",
            "start replicas, or lower the setting",
        )
    if there and config and not least:
        return Finding(
            "replicas",
            "warn",
            f"{said}; a primary that is cut off from them goes on taking jobs that are lost then",
            "min-replicas-to-write 1, min-replicas-max-lag 10",
        )
    if not there:
        said = "none: this server's end is the queue's until it is back"
    return Finding("replicas", "ok", said)


def _idle(config: Facts) -> Finding:
    idle, alive = int(config.get("timeout", 0)), int(config.get("tcp-keepalive", 300))
    if 0 < idle < 60:
        return Finding(
            "idle", "warn", f"connections are closed after {idle} s of silence", "timeout 0"
        )
    if not alive:
        return Finding("idle", "warn", "dead clients are never noticed", "tcp-keepalive 300")
    return Finding("idle", "ok", f"timeout {idle}, tcp-keepalive {alive}")


def _buffer(config: Facts) -> Finding:
    words = str(config.get("client-output-buffer-limit", "")).split()
    hard = int(words[words.index("pubsub") + 1]) if "pubsub" in words else 0
    if hard and hard < SMALLEST_BUFFER:
        return Finding(
            "buffers",
            "warn",
            f"a waiting client is cut off behind {hard / MEBIBYTE:.1f} MiB of messages",
            "client-output-buffer-limit pubsub 32mb 8mb 60",
        )
    return Finding("buffers", "ok", f"pubsub {hard / MEBIBYTE:.0f} MiB" if hard else "no limit")
