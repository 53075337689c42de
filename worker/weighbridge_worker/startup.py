"""Checks before the first take: whether the server can keep a queue, and lets us use it.

A server that cannot would lose jobs without an error, or fail one command an hour later.
"""

from redis.exceptions import AuthenticationError, BusyLoadingError, ReadOnlyError, RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.connection import connect_unrepeated, queue_error
from weighbridge.errors import QueueUnreachable, ServerUnfit, WeighbridgeError
from weighbridge.keys import Keys
from weighbridge.retries import server_error
from weighbridge.server_facts import ServerFacts, read_facts
from weighbridge.settings import QueueSettings
from weighbridge_worker.rehearsal import refused_commands

OLDEST = {"Redis": (7, 0), "Valkey": (8, 0)}

CLOCK_SLACK_US = 5_000_000
"""What the server's clock may lie behind what it stored: more is no rounding of a time daemon."""


async def check_server(settings: QueueSettings, log: FilteringBoundLogger) -> None:
    """Check a queue's server; what it does not tell is a warning in the log.

    Raises:
        ServerUnfit: it cannot keep a queue as it, or our user, is set up; the message says what
            to do.
        QueueUnreachable: it does not answer, or not yet.
    """
    keys = Keys(settings.namespace)
    # Not repeated: whoever starts against a server that is not there should hear it at once.
    redis = connect_unrepeated(settings.redis_url)
    try:
        refused = await refused_commands(redis, keys)
        if refused:
            raise ServerUnfit(_refusal(refused, keys))
        facts = await read_facts(redis, keys)
    except RedisError as error:
        raise explained(error) from None
    finally:
        await redis.aclose()
    judge(facts, keys)
    if hidden := untold(facts):
        log.warning("server_not_checked", hidden=", ".join(hidden))


def judge(facts: ServerFacts, keys: Keys) -> None:
    """Accept a server that can keep a queue, as far as it tells.

    Raises:
        ServerUnfit: it cannot.
    """
    for complaint in complaints(facts, keys).values():
        raise ServerUnfit(complaint)


def complaints(facts: ServerFacts, keys: Keys) -> dict[str, str]:
    """Say why a server cannot keep a queue, by what is wrong: version, role, eviction, clock."""
    found = {
        "version": _version(facts),
        "role": _role(facts),
        "eviction": _eviction(facts),
        "clock": _clock(facts, keys),
    }
    return {what: complaint for what, complaint in found.items() if complaint}


def _version(facts: ServerFacts) -> str | None:
    if facts.version is None or facts.version >= OLDEST[facts.product]:
        return None
    return (
        f"the server is {facts.product} {facts.version[0]}.{facts.version[1]};"
        " Weighbridge needs Redis 7 or Valkey 8, or a newer one"
    )


def _role(facts: ServerFacts) -> str | None:
    return None if facts.role in {None, "master"} else _REPLICA


def _eviction(facts: ServerFacts) -> str | None:
    if facts.policy in {None, "noeviction"}:
        return None
    return (
        f"the Redis server may throw jobs away when it is full (maxmemory-policy"
        f" {facts.policy}): CONFIG SET maxmemory-policy noeviction, and the same in its"
        " configuration file"
    )


def _clock(facts: ServerFacts, keys: Keys) -> str | None:
    if facts.stepped_us < 0:
        return (
            "the Redis server's clock runs backwards: leases and permits need one that does not;"
            " have its host keep the time (NTP) and start again"
        )
    behind_us = 0 if facts.visited_us is None else facts.visited_us - facts.clock_us
    if behind_us <= CLOCK_SLACK_US:
        return None
    return (
        f"the Redis server's clock lies {behind_us / 1_000_000:,.0f} s behind a time it has"
        " stored: have its host keep the time (NTP) and start again; if the clock was wrong"
        f" before and is right now: redis-cli HDEL '{keys.bucket}' visited"
    )


def untold(facts: ServerFacts) -> list[str]:
    """Name what a server did not tell, as a managed one may not."""
    told = {
        "version": facts.version,
        "maxmemory-policy (it must be noeviction)": facts.policy,
        "role": facts.role,
    }
    return [name for name, value in told.items() if value is None]


_REPLICA = (
    "the Redis server is a read-only replica; WEIGHBRIDGE_REDIS_URL (or --redis) must name the"
    " primary"
)


def _refusal(refused: list[str], keys: Keys) -> str:
    return (
        f"the Redis server does not let our user run {', '.join(refused)} on keys like"
        f" '{keys.prefix}*' and '{keys.any_result}'; deploy/redis/users.acl has what a worker needs"
    )


def explained(error: RedisError) -> WeighbridgeError:
    """Say what to do about a server that does not answer, or not us."""
    said = server_error(error)
    if isinstance(said, AuthenticationError):
        return ServerUnfit(
            "the Redis server refuses our user or password; set both in WEIGHBRIDGE_REDIS_URL"
            " (redis://user:password@host:6379/0), or in the file WEIGHBRIDGE_REDIS_URL_FILE names"
        )
    if isinstance(said, ReadOnlyError):
        return ServerUnfit(_REPLICA)
    if isinstance(said, BusyLoadingError):
        return QueueUnreachable(
            "the Redis server still loads its data from disk; start again when it has"
        )
    return queue_error(error)
