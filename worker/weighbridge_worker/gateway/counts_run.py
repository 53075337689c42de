"""One request of ``POST /v1/counts``: lines in, results out, both at once.

Whatever happens to a line becomes a result line. Once an answer has begun there is no other way to
say what went wrong, so what ends a request early is said in the result lines of what was left.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Final

import anyio
import msgspec
from aiolimiter import AsyncLimiter
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from weighbridge.count_stream import Item
from weighbridge.errors import WeighbridgeError
from weighbridge.records import Counted, Lane, NotCountable
from weighbridge_worker.gateway.api_errors import ApiError, error_of
from weighbridge_worker.gateway.line_reader import LineReader, ReadLine
from weighbridge_worker.gateway.line_source import LineSource
from weighbridge_worker.gateway.pace import Connection
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.gateway.tenants import Tenant
from weighbridge_worker.gateway.while_connected import STOPPING
from weighbridge_worker.lines import LineId, failed_line, line_result, open_line

IN_FLIGHT: Final = 1000
"""Lines of one request on their way at once."""

SLOW: Final = ApiError(
    408, "no line came for too long; what came before has been answered", code="slow"
)


@dataclass(frozen=True, slots=True)
class CountsOrder:
    """What the request's head asks for, and for whom."""

    tenant: Tenant
    lane: Lane
    betas: tuple[str, ...]
    ordered: bool
    limiter: AsyncLimiter | None


@dataclass(frozen=True, slots=True)
class _OpenLine:
    number: int
    id: LineId
    refusal: NotCountable | None


class CountsRun:
    """Answers one request."""

    def __init__(
        self,
        gateway: Gateway,
        order: CountsOrder,
        connection: Connection,
        receive: Receive,
        send: Send,
    ) -> None:
        self._gateway = gateway
        self._order = order
        self._connection = connection
        self._send = send
        self._reader = LineReader(gateway.bodies)
        self._source = LineSource(receive, self._reader, patience_s=gateway.settings.read_timeout_s)
        self._give, self._lines = anyio.create_memory_object_stream[ReadLine](0)
        self._open: dict[int, _OpenLine] = {}
        self._answering = anyio.CancelScope()
        self._began = False
        self._gone = False
        self._error: ApiError | None = None

    async def run(self) -> None:
        """Answer every line, or every line that came until the client or the gateway had to go.

        Raises:
            ClientDisconnect: nobody is left to answer; what he sent is counted for the cache.
        """
        with (
            self._connection.own_pace() as left,
            closing(self._reader),
            self._give,
            self._lines,
        ):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                tasks.start_soon(self._leave_after, left)
                tasks.start_soon(self._end_with_gateway)
                with self._answering:
                    await self._answer()
                tasks.cancel_scope.cancel()
            if not self._gone:
                await self._write(b"".join(self._rest()), more=False)
        if self._gone:
            raise ClientDisconnect

    async def _read(self) -> None:
        with self._give:
            async with aclosing(self._source.lines()) as lines:
                async for line in lines:
                    await self._keep_rate()
                    await self._give.send(line)
        if self._source.ending == "gone":
            self._leave()
        elif self._source.ending == "slow":
            self._error = SLOW

    async def _keep_rate(self) -> None:
        """Wait where a tenant's rate is reached; the first line came with the request itself."""
        if self._order.limiter is not None and self._began:
            await self._order.limiter.acquire()
        self._began = True

    async def _leave_after(self, left: anyio.Event) -> None:
        await left.wait()
        self._leave()

    def _leave(self) -> None:
        self._gone = True
        self._answering.cancel()

    async def _end_with_gateway(self) -> None:
        await self._gateway.last_call.wait()
        self._error = STOPPING
        self._answering.cancel()

    async def _answer(self) -> None:
        order = self._order
        batches = self._gateway.client.count_batches(
            self._payloads(),
            lane=order.lane,
            betas=order.betas,
            producer=order.tenant.name,
            partition=order.tenant.partition,
            ordered=order.ordered,
            in_flight=IN_FLIGHT,
        )
        try:
            async with aclosing(batches):
                async for items in batches:
                    await self._write(b"".join(self._row(item) for item in items), more=True)
        except WeighbridgeError as error:
            self._error = error_of(error)

    async def _payloads(self) -> AsyncIterator[bytes]:
        """Yield a payload a line; an empty one keeps a refused line's place in the order."""
        index = 0
        async for line in self._lines:
            line_id, payload = open_line(line.text) if line.refusal is None else (None, b"")
            self._open[index] = _OpenLine(line.number, line_id, line.refusal)
            index += 1
            yield payload

    def _row(self, item: Item) -> bytes:
        line = self._open.pop(item.index)
        self._reader.give_back(line.number)
        if line.refusal is not None:
            item = Item(item.index, None, line.refusal)
        if isinstance(item.outcome, Counted):
            self._gateway.tally.cache[item.outcome.cache or "miss"] += 1
        return msgspec.json.encode(line_result(line.number, line.id, item)) + b"\n"

    def _rest(self) -> list[bytes]:
        """Answer what came and was not counted, and the line that a slow client did not end."""
        error = self._error
        if error is None:
            return []
        ids = {line.number: line.id for line in self._open.values()}
        numbers = self._reader.outstanding()
        if error is SLOW:
            numbers.append(self._reader.number)
        return [
            msgspec.json.encode(
                failed_line(number, ids.get(number), None, error.code, error.message)
            )
            + b"\n"
            for number in numbers
        ]

    async def _write(self, rows: bytes, *, more: bool) -> None:
        """Send; its connection cuts a client that does not read."""
        await self._send({"type": "http.response.body", "body": rows, "more_body": more})
