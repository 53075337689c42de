"""Connections that spend less on a command than redis-py's own.

Those pack every argument in Python, start a task for every write and a timer for every reply, which
is more than all else that a command of a pipeline takes. Here hiredis packs, and there is a task or
a timer only where there is something to wait for.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ResponseError
from redis.utils import HIREDIS_AVAILABLE

if HIREDIS_AVAILABLE or TYPE_CHECKING:
    import hiredis


class Link(AbstractConnection):
    """What every kind of connection does so, where hiredis is there."""

    _parser: Any
    check_health: Callable[[], Coroutine[Any, Any, Any]]

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack a command; the names of some are two words."""
        if " " in args[0]:
            args = (*args[0].split(), *args[1:])
        return [hiredis.pack_command(args)]

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Write, and wait only for what does not leave at once."""
        if self.is_connected and check_health:
            await self.check_health()
        writer = self._writer
        if writer is None or not isinstance(command, list):
            await super().send_packed_command(command, check_health)
            return
        try:
            writer.writelines(command)
        except BaseException:
            await self.disconnect(nowait=True)
            raise
        if writer.transport.get_write_buffer_size():
            await super().send_packed_command((), check_health=False)

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - redis-py's own
        **how: Any,
    ) -> Any:
        """Read a reply; one that has arrived needs no time-out."""
        if timeout is not None or disable_decoding or not self.is_connected:
            return await super().read_response(disable_decoding, timeout, **how)
        reply = self._parser._reader.gets()
        if reply is NOT_ENOUGH_DATA:
            return await super().read_response(**how)
        if isinstance(reply, hiredis.PushNotification):
            await self._parser.handle_push_response(reply)
            return await self.read_response(**how)
        if isinstance(reply, Exception):
            if not isinstance(reply, ResponseError):
                await self.disconnect(nowait=True)
            raise reply
        return reply


class TcpLink(Link, Connection):
    """Over TCP."""


class TlsLink(Link, SSLConnection):
    """Over TLS."""


class UnixLink(Link, UnixDomainSocketConnection):
    """Over a socket of this machine."""


LINKS: Final[Mapping[type[AbstractConnection], type[Link]]] = (
    {Connection: TcpLink, SSLConnection: TlsLink, UnixDomainSocketConnection: UnixLink}
    if HIREDIS_AVAILABLE
    else {}
)


def link_of(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Give the link for a kind of redis-py's; that kind itself where hiredis is not there."""
    return LINKS.get(kind, kind)
