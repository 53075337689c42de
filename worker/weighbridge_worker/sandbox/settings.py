"""The stand-in's settings."""

import math
from dataclasses import dataclass, field
from typing import Final

from weighbridge.errors import SettingsError
from weighbridge_worker.sandbox.api_errors import MAX_BODY_BYTES

RIGHT: Final = "right"
ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How the stand-in behaves.

    Args:
        rpm: calls a minute at which its bucket refills.
        depth: calls that a full bucket takes at once.
        latency_s: seconds before every answer.
        jitter_s: mean of an exponential share on top.
        rate_headers: send ``anthropic-ratelimit-requests-*``.
        retry_after: the header of a 429: ``right``, ``absent``, or any other text as it stands.
        seed: of jitter and faults; the same calls then meet the same of both.
        api_key: the only key accepted; any, if None.
        admin_api: tell the limit to admin keys; if not, no key is one.
        admin_key: the only one accepted; any, if None.
        drip_s: seconds between two bytes of a slow body.
        ledger_size: attempts that the ledger keeps; older ones go.

    Raises:
        SettingsError: a value makes no sense; the message names it.
    """

    rpm: float = 3000.0
    depth: int = 50
    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate_headers: bool = True
    retry_after: str = RIGHT
    seed: int = 0
    api_key: str | None = field(default=None, repr=False)
    admin_api: bool = True
    admin_key: str | None = field(default=None, repr=False)
    drip_s: float = 0.5
    max_body_bytes: int = MAX_BODY_BYTES
    ledger_size: int = 1_000_000

    def __post_init__(self) -> None:
        _check(self.rpm > 0 and math.isfinite(self.rpm), "rpm", "a number above 0")
        _check(self.depth >= 1, "depth", "at least 1: an empty bucket answers nobody")
        for name in ("latency_s", "jitter_s", "drip_s"):
            value = getattr(self, name)
            _check(value >= 0 and math.isfinite(value), name, "seconds, 0 or more")
        for name in ("api_key", "admin_key"):
            _check(getattr(self, name) != "", name, "a key, or None to accept any")
        _check(
            self.retry_after.isascii() and self.retry_after.isprintable(),
            "retry_after",
            "'right', 'absent' or printable ASCII: it is sent as a header",
        )
        _check(self.max_body_bytes >= 1, "max_body_bytes", "at least 1")
        _check(self.ledger_size >= 1, "ledger_size", "at least 1")


def _check(sound: bool, name: str, takes: str) -> None:
    if not sound:
        raise SettingsError(f"the sandbox's {name} takes {takes}")
