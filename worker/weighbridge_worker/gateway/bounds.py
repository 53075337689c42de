"""Reading requests' bodies within bounds: of one body, and of all that are held at once."""

from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from weighbridge.payload import MAX_BODY_BYTES
from weighbridge_worker.gateway.api_errors import BODY_TOO_LARGE, NO_MEMORY, ApiError


class BodyBudget:
    """Bytes of bodies that one process holds; who finds none left is refused, and does not wait.

    Bytes count as they come and not as they are announced, so that somebody who announces much and
    sends little takes nothing from the others.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self.held = 0

    def open(self) -> "HeldBody":
        """Hold a body while a block runs."""
        return HeldBody(self)

    def take(self, size: int) -> None:
        """Count bytes in.

        Raises:
            ApiError: there is no room for them.
        """
        if self.held + size > self._total:
            raise NO_MEMORY
        self.held += size

    def give_back(self, size: int) -> None:
        """Count bytes out."""
        self.held -= size


class HeldBody:
    """One request's body and its share of the budget, given back at the block's end."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._budget.give_back(self._size)

    async def read(self, scope: Scope, receive: Receive, limit: int = MAX_BODY_BYTES) -> bytes:
        """Read the whole body.

        Raises:
            ApiError: it is too large, compressed, or there is no room for it.
            ClientDisconnect: it did not come whole.
        """
        refuse_by_head(scope, limit)
        message = await receive()
        pieces: list[bytes] = []
        while True:
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece = message.get("body", b"")
            if self._size + len(piece) > limit:
                raise BODY_TOO_LARGE
            self._budget.take(len(piece))
            self._size += len(piece)
            if not message.get("more_body", False):
                return b"".join((*pieces, piece)) if pieces else piece
            pieces.append(piece)
            message = await receive()


def refuse_by_head(scope: Scope, limit: int | None) -> None:
    """Refuse what need not be read to know it; None is no limit.

    Raises:
        ApiError: the announced length is too large, or the body is compressed.
    """
    head = dict(scope["headers"])
    if limit is not None and int(head.get(b"content-length", 0)) > limit:
        raise BODY_TOO_LARGE
    if head.get(b"content-encoding", b"identity").lower() != b"identity":
        raise ApiError(
            415, "content-encoding is not supported: send the body as it is", code="encoded"
        )
