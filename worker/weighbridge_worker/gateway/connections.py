"""Connections within bounds: how many, how large a request's head, how slow a client.

A request that has come whole costs nothing here; only what is left incomplete gets a timer.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from weighbridge_worker.gateway.api_errors import ApiError
from weighbridge_worker.gateway.pace import MIN_BYTES_PER_S
from weighbridge_worker.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
    except ImportError:  # no wheel for this platform
        from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""Above any head of ours; betas and traces need a few hundred bytes."""

MAX_DISCARDED_BYTES: Final = 64 * 2**20
"""What is read and thrown away of a body that was answered before it came whole; cut off sooner,
many a client would not see the answer."""

MAX_PIPELINED: Final = 32
"""Requests sent ahead of their answers; no SDK does that, and uvicorn has no bound of its own."""

SLOW: Final = ApiError(408, "the request came too slowly", code="slow")
HEAD_TOO_LARGE: Final = ApiError(431, "the request's head is too large", code="head_too_large")
MALFORMED: Final = ApiError(400, "this is no HTTP request", code="malformed_http")
CROWDED: Final = ApiError(
    529, "the gateway has as many connections as it may", code="gateway_full", retry_after_s=1
)


class BoundedProtocol(Protocol):
    """One connection."""

    def __init__(self, *, limits: GatewaySettings, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._since_look = 0
        self._discarded = 0
        self._left: anyio.Event | None = None
        self.app_state = {**self.app_state, "connection": self}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or refuse it where there are enough."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._limits.max_connections:
            self._refuse(CROWDED)
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._unwatch()
        if self._left is not None:
            self._left.set()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and watch what has not come yet."""
        super().data_received(data)
        if len(getattr(self, "pipeline", ())) > MAX_PIPELINED:
            self.transport.close()
        if self._head_missing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)
            elif self._timer is None:
                self._watch()
            return
        self._head_bytes = 0
        if not self.cycle.more_body:
            self._unwatch()
            self._discarded = 0
            return
        self._since_look += len(data)
        if self.cycle.response_complete:
            self._discarded += len(data)
            if self._discarded > MAX_DISCARDED_BYTES:
                self.transport.close()
        if self._timer is None:
            self._watch()

    @contextmanager
    def own_pace(self) -> Iterator[anyio.Event]:
        """Leave it to an endpoint to judge how slow its client may be; see ``pace.Connection``."""
        self._left = anyio.Event()
        if self.transport.is_closing():
            self._left.set()
        try:
            yield self._left
        finally:
            self._left = None

    def pause_writing(self) -> None:
        """Stop sending to who does not read, and cut him if he goes on so."""
        super().pause_writing()
        self._unread = self.loop.call_later(self._limits.read_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Send again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the shape of every other error."""
        self._refuse(MALFORMED)

    def _head_missing(self) -> bool:
        """Whether a request has begun or may begin, but its head is not there."""
        return self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)

    def _watch(self) -> None:
        self._since_look = 0
        self._timer = self.loop.call_later(self._limits.read_timeout_s, self._look)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Cut the connection unless a body is on its way and comes fast enough."""
        self._timer = None
        if self.transport.is_closing():
            return
        enough = self._since_look >= MIN_BYTES_PER_S * self._limits.read_timeout_s
        # Not reading is our own doing: the body is in memory and waits for its turn.
        if not self._head_missing() and (enough or self.flow.read_paused or self._left is not None):
            self._watch()
            return
        self._refuse(SLOW)

    def _refuse(self, error: ApiError) -> None:
        """Answer without a request, unless one is being answered, and close."""
        self._unwatch()
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(_raw(error))
        self.transport.close()


def _raw(error: ApiError) -> bytes:
    body = error.body("")
    more = "".join(f"{name}: {value}\r\n" for name, value in error.headers.items())
    return (
        f"HTTP/1.1 {error.status} \r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
    ).encode() + body
