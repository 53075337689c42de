"""Connections that spend less on a command than redis-py's own.

Those pack every argument in Python, start a task for every write and a timer for every reply, which
is more than all else that a command of a pipeline takes. Here hiredis packs, if it is there, and a
task or a timer is made only where there is something to wait for.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError, ResponseError  # noqa: A004 - redis-py's own
from redis.utils import HIREDIS_AVAILABLE

from weighbridge.tls import tls_refusal

if HIREDIS_AVAILABLE or TYPE_CHECKING:
    import hiredis
try:
    from redis._parsers.hiredis import NOT_ENOUGH_DATA
except ImportError:  # redis-py names no such thing in public, and may call it otherwise one day
    NOT_ENOUGH_DATA = None

LOOKS_AHEAD: Final = HIREDIS_AVAILABLE and NOT_ENOUGH_DATA is not None


class Link(AbstractConnection):
    """What every kind of connection does so; stands behind redis-py's class for that kind."""

    _parser: Any
    check_health: Callable[[], Coroutine[Any, Any, Any]]

    async def connect(self) -> None:
        """Connect; a pool asks for it before every command."""
        if not self.is_connected:
            await super().connect()  # type: ignore[no-untyped-call]

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack a command; the names of some are two words."""
        if not HIREDIS_AVAILABLE:
            return super().pack_command(*args)
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
        *,
        disconnect_on_error: bool | float | None = True,
        push_request: bool | None = False,
    ) -> Any:
        """Read a reply; one that has arrived needs no time-out."""
        how: Any = {"disconnect_on_error": disconnect_on_error, "push_request": push_request}
        waits = timeout is not None or disable_decoding or not self.is_connected
        if waits or not LOOKS_AHEAD:
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


class TcpLink(Connection, Link):
    """Over TCP."""


class ResetAfterHandshake(ConnectionError):
    """A server cut a TLS link before its first reply.

    With TLS 1.3 it judges our certificate after the handshake, and its reason is lost where it cuts
    the link over what it has not read.
    """


class TlsLink(SSLConnection, Link):
    """Over TLS."""

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Have the first exchange; says what a reset in it may mean."""
        try:
            await super().on_connect_check_health(check_health)
        except ConnectionError as error:
            if not isinstance(error.__context__, OSError) or tls_refusal(error):
                raise
            raise ResetAfterHandshake(
                "the Redis server cuts the link after the TLS handshake; it seems that it "
                + (
                    "does not accept our client certificate"
                    if self.certfile
                    else "asks for a client certificate: set WEIGHBRIDGE_REDIS_CERT and"
                    " WEIGHBRIDGE_REDIS_KEY to the files of one that its CA signed"
                )
            ) from None


class UnixLink(UnixDomainSocketConnection, Link):
    """Over a socket of this machine."""


LINKS: Final[Mapping[type[AbstractConnection], type[Link]]] = {
    Connection: TcpLink,
    SSLConnection: TlsLink,
    UnixDomainSocketConnection: UnixLink,
}
"""For the kinds that redis-py takes from a URL."""
