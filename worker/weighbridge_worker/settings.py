"""The worker's settings; what producers share with it stands in ``weighbridge.settings``."""

from dataclasses import dataclass
from typing import Any, Literal

from weighbridge.errors import SettingsError
from weighbridge.exchange import Retention
from weighbridge.settings import DAY_S, matching, option, seconds, share, whole

SAFE_RPM = 100
"""What is assumed of an unknown limit: the lowest ever published for counting.

No tier is taken for granted; they moved twice in 2026
(https://platform.claude.com/docs/en/build-with-claude/token-counting).
"""

MAX_RPM = 1_000_000
MAX_PROCESSES = 64

Rpm = int | Literal["auto"]
"""Calls a minute, or that they are to be found out at the start."""

ANTHROPIC_VERSION = "2026-10-21"
"""Sent with every call whatever the SDK's default becomes: the same body may be accepted under one
version and refused under the next (https://platform.claude.com/docs/en/api/versioning)."""

DEFAULT_BASE_URL = "https://api.anthropic.com"


def parse_rpm(text: str) -> Rpm:
    """Parse a rate, or ``auto``."""
    if text == "auto":
        return "auto"
    try:
        return int(whole(1, MAX_RPM)(text))
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def log_level() -> Any:
    """Declare how much is logged, alike for all that runs as a service."""
    return option(
        "WEIGHBRIDGE_LOG_LEVEL",
        "info",
        "`debug`, `info`, `warning` or `error`.",
        parse=matching("debug|info|warning|error", "debug, info, warning or error"),
    )


def log_format() -> Any:
    """Declare how it is logged."""
    return option(
        "WEIGHBRIDGE_LOG_FORMAT",
        "auto",
        "`json`, `console`, or `auto`: console in a terminal, JSON elsewhere.",
        parse=matching("auto|json|console", "auto, json or console"),
    )


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs beside the queue."""

    rpm: int | Literal["auto"] | None = option(
        "WEIGHBRIDGE_RPM",
        None,
        "Calls a minute that all workers of the namespace make together; your organisation's "
        "limit for counting. `auto` asks the Admin API if there is a key for it, else the "
        "rate-limit headers of one call.",
        parse=parse_rpm,
        shown=str(SAFE_RPM),
    )
    slow_start: float = option(
        "WEIGHBRIDGE_SLOW_START",
        0.0,
        "The share of the rate with which a fleet begins after ten idle seconds, growing to the "
        "whole within a minute; against ramp limits. 0 is off.",
        parse=share,
        shown="off",
    )
    concurrency: int = option(
        "WEIGHBRIDGE_CONCURRENCY",
        32,
        "Calls that one worker makes at once; each of several processes is a worker.",
        parse=whole(1, 1000),
    )
    processes: int = option(
        "WEIGHBRIDGE_PROCESSES",
        1,
        "Processes that `weighbridge worker` runs, each a worker of its own: about one a "
        "processor, where one processor is too little for the limit.",
        parse=whole(1, MAX_PROCESSES),
    )
    call_deadline_s: float = option(
        "WEIGHBRIDGE_CALL_DEADLINE",
        20.0,
        "Seconds a call may take in all; shorter than the lease and the drain.",
        parse=seconds(0.1, 600),
    )
    lease_s: float = option(
        "WEIGHBRIDGE_LEASE",
        30.0,
        "Seconds after which the job of a silent worker goes to another.",
        parse=seconds(1, 240),
    )
    drain_s: float = option(
        "WEIGHBRIDGE_DRAIN",
        25.0,
        "Seconds that calls in flight get to finish after SIGTERM; "
        "shorter than the container's grace period.",
        parse=seconds(0.1, 900),
    )
    grace_s: float = option(
        "WEIGHBRIDGE_GRACE",
        30.0,
        "Seconds from SIGTERM to SIGKILL, as the container is given them (Kubernetes' "
        "`terminationGracePeriodSeconds`, Compose's `stop_grace_period`).",
        parse=seconds(1, 3600),
    )
    health_port: int = option(
        "WEIGHBRIDGE_HEALTH_PORT",
        0,
        "The port on which a worker answers `GET /live`, `/ready` and `/metrics`, and `weighbridge "
        "health` asks; 0 is off.",
        parse=whole(0, 65_535),
        shown="off",
    )
    health_host: str = option(
        "WEIGHBRIDGE_HEALTH_HOST",
        "127.0.0.1",
        "The address of that port; `0.0.0.0` for probes from outside the container.",
        parse=matching(r"[A-Za-z0-9.:-]{1,253}", "a host's name or address"),
    )
    max_attempts: int = option(
        "WEIGHBRIDGE_MAX_ATTEMPTS",
        8,
        "Calls a job may fail in passing (5xx, time-outs) before it fails for good.",
        parse=whole(1, 100),
    )
    cache_ttl_s: int = option(
        "WEIGHBRIDGE_CACHE_TTL",
        7 * DAY_S,
        "Seconds a count stays in the cache.",
        parse=whole(300, 366 * DAY_S),
    )
    dead_ttl_s: int = option(
        "WEIGHBRIDGE_DEAD_TTL",
        DAY_S,
        "Seconds that a dead letter's payload is kept for a replay; 0 keeps none.",
        parse=whole(0, 30 * DAY_S),
    )
    log_level: str = log_level()
    log_format: str = log_format()
    api_key: str = option(
        "ANTHROPIC_API_KEY",
        "",
        "The API key, as the SDK reads it.",
        parse=str,
        shown="none",
        secret=True,
    )
    auth_token: str = option(
        "ANTHROPIC_AUTH_TOKEN",
        "",
        "A bearer token in place of the key, as the SDK reads it.",
        parse=str,
        shown="none",
        secret=True,
    )
    admin_key: str = option(
        "ANTHROPIC_ADMIN_KEY",
        "",
        "An Admin API key, with which `auto` and `weighbridge probe` read the limit; sent to "
        "`ANTHROPIC_BASE_URL` for nothing else.",
        parse=str,
        shown="none",
        secret=True,
    )
    base_url: str = option(
        "ANTHROPIC_BASE_URL",
        DEFAULT_BASE_URL,
        "The endpoint, as the SDK reads it.",
        parse=matching(r"https?://[^\s@]+", "an http:// or https:// URL without a password"),
    )

    def __post_init__(self) -> None:
        """Check what the options mean together.

        Raises:
            SettingsError: a deadline outlives what it must fit into.
        """
        if self.call_deadline_s >= self.lease_s:
            raise SettingsError(
                f"WEIGHBRIDGE_CALL_DEADLINE ({self.call_deadline_s:g} s) must be shorter than"
                f" WEIGHBRIDGE_LEASE ({self.lease_s:g} s), or two workers would call for one job"
            )
        self._check_drain()

    def _check_drain(self) -> None:
        if self.call_deadline_s >= self.drain_s:
            raise SettingsError(
                f"WEIGHBRIDGE_CALL_DEADLINE ({self.call_deadline_s:g} s) must be shorter than"
                f" WEIGHBRIDGE_DRAIN ({self.drain_s:g} s), or a drain would cut calls"
            )
        if self.drain_s >= self.grace_s:
            raise SettingsError(
                f"WEIGHBRIDGE_DRAIN ({self.drain_s:g} s) must be shorter than WEIGHBRIDGE_GRACE"
                f" ({self.grace_s:g} s), or the container would be killed in its drain; give the"
                " container a longer grace period and say so in WEIGHBRIDGE_GRACE"
            )

    @property
    def rate(self) -> int:
        """The rate to offer, in calls a minute; the safe one until ``auto`` has been resolved."""
        return self.rpm if isinstance(self.rpm, int) else SAFE_RPM

    @property
    def retention(self) -> Retention:
        """How long results stay."""
        return Retention(counted_ms=self.cache_ttl_s * 1000, dead_ms=self.dead_ttl_s * 1000)
