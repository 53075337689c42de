"""A client of the primary that sentinels name, whichever server that is at the moment."""

from typing import Any

from redis.asyncio import Redis, Sentinel
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import SentinelManagedConnection

from weighbridge.link import Link
from weighbridge.retries import never
from weighbridge.server_url import Host

ASK_S = 2.0
"""For one sentinel's answer, before the next one is asked."""


class FollowingConnection(SentinelManagedConnection, Link):
    """Asks the sentinels before every attempt to connect.

    redis-py's own asks them once: a command that is repeated over a broken connection then goes to
    the dead primary until its repetitions are used up.
    """

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Connect, if it is not."""
        if retry_socket_connect and not self.is_connected:  # False: the sentinels have been asked
            self.host, self.port = await self.connection_pool.get_master_address()
        await super().connect_check_health(check_health, retry_socket_connect=False)


class FollowingTlsConnection(FollowingConnection, SSLConnection):
    """The same over TLS."""


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
    sentinels: Any = Sentinel(hosts, sentinel_kwargs=asking, **options)  # type: ignore[no-untyped-call]
    kind = FollowingTlsConnection if options.get("ssl") else FollowingConnection
    client: Primary = sentinels.master_for(service, redis_class=Primary, connection_class=kind)
    client.sentinels = sentinels
    return client
