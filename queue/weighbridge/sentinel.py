"""A client of the primary that sentinels name, whichever server that is at the moment."""

from typing import Any

from redis.asyncio import Redis, Sentinel

from weighbridge.retries import never
from weighbridge.server_url import Host

ASK_S = 2.0
"""For one sentinel's answer, before the next one is asked."""


class Primary(Redis):
    """A client that closes its sentinels' connections with its own."""

    sentinels: Sentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections."""
        await super().aclose(close_connection_pool)
        await self.sentinels.aclose()


def primary(hosts: tuple[Host, ...], service: str, options: dict[str, Any]) -> Redis:
    """Make a client.

    Args:
        options: for the connections to the servers; ``sentinel_username`` and ``sentinel_password``
            are for those to the sentinels, and what concerns TLS is for both.
    """
    asking = {
        "username": options.pop("sentinel_username", None),
        "password": options.pop("sentinel_password", None),
        "socket_timeout": ASK_S,
        "socket_connect_timeout": ASK_S,
        "retry": never(),
        **{name: value for name, value in options.items() if name.startswith("ssl")},
    }
    sentinels = Sentinel(hosts, sentinel_kwargs=asking, **options)
    client: Primary = sentinels.master_for(service, redis_class=Primary)
    client.sentinels = sentinels
    return client
