"""``--rpm auto`` at the start of a command: what it comes to, and how people learn of it."""

from collections.abc import Callable
from dataclasses import replace

from structlog.typing import FilteringBoundLogger

from weighbridge.settings import QueueSettings
from weighbridge_worker.cli.assembly import open_admin, say
from weighbridge_worker.rate import Endpoint, FoundRate, find_rate
from weighbridge_worker.settings import WorkerSettings

ASKED = {"admin_api": "The Admin API", "headers": "The endpoint"}
SOURCES = {
    "admin_api": "the organisation's limit by the Admin API",
    "headers": "the limit by the endpoint's own headers",
    "fleet": "as the running fleet does",
    "assumed": "the lowest limit ever published; set --rpm to your organisation's",
}


async def resolve_rate(
    queue: QueueSettings,
    worker: WorkerSettings,
    endpoint: Endpoint,
    tell: Callable[[FoundRate], None],
) -> WorkerSettings:
    """Put a number in the place of ``auto``, and tell which; any other setting stays.

    Where nobody says, a running fleet's rate stays: one worker's failed look-up must not slow all.

    Raises:
        QueueUnreachable: the server does not answer.
    """
    if worker.rpm != "auto":
        return worker
    found = await find_rate(endpoint, worker)
    if found.source == "assumed" and (fleet_rpm := await _fleet_rpm(queue)):
        found = replace(found, rpm=fleet_rpm, source="fleet")
    tell(found)
    return replace(worker, rpm=found.rpm)


async def _fleet_rpm(queue: QueueSettings) -> int:
    """Give the rate of the namespace's fleet, 0 if no worker is alive."""
    async with open_admin(queue) as admin:
        workers, limit = await admin.fleet()
    return limit.rpm if workers else 0


def say_found(found: FoundRate) -> None:
    """Tell a person."""
    for who, code in found.silent:
        say(f"{ASKED[who]} does not tell the limit ({code}).")
    say(f"Calling at {found.rpm:,} requests a minute, {SOURCES[found.source]}.")


def log_found(log: FilteringBoundLogger, found: FoundRate) -> None:
    """Tell the log."""
    for who, code in found.silent:
        log.warning("rate_not_told", by=who, code=code)
    log.info("rate_found", rpm=found.rpm, source=found.source)
